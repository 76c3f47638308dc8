"""What cannot be recorded is not done: running drills stop, nothing begins, help, status and stop answer (R38)."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from tests.conftest import SLOW, ask, carry_out, until


def seal(tx: Any) -> None:
    """From now on the database cannot be written."""
    tx.db.execute("PRAGMA query_only = 1")


async def test_R38_a_running_drill_stops_and_nothing_begins_when_nothing_can_be_recorded(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    """The drill runs at 20 requests a second; its progress cannot be written any more; the load ends."""

    def received() -> int:
        return sum(count for path, count in sendcat.counters.requests.items() if path.startswith("POST /api/gmail"))

    line = "drill --profile=soak --scenarios=gmail_push_webhook"
    drilling = asyncio.create_task(carry_out(bot, line))
    await until(lambda: received() > 5, 30)
    assert bot.world.stops.running
    await bot.world.store.write(seal)
    await until(lambda: bot.world.stops.running == (), 10)
    reply, outcome = await asyncio.wait_for(drilling, 20 * SLOW)
    before = sendcat.counters.requests.total()
    assert reply.op is not None
    assert outcome is None or outcome["exit_status"] != 0

    refused = await bot.desk.accept(ask("probe"))
    helped = await bot.desk.accept(ask("help"))
    stands = await bot.desk.accept(ask("status"))
    stopped = await bot.desk.accept(ask("stop"))

    assert refused.op is None
    assert refused.card is not None
    assert "nothing was started" in f"{refused.card.title} {refused.card.lead}"
    assert sendcat.counters.requests.total() == before
    for looked in (helped, stands):
        assert looked.card is not None
        assert looked.exit_status == 0
        assert "Nothing can be recorded" in looked.card.banner
    assert stopped.card is not None
    assert stopped.card.title.startswith("Stopped")


async def test_R38_a_run_that_writes_nothing_is_watched_all_the_same(bot: Bot) -> None:
    """A sign of life is written while something runs; when it cannot be, the brake is on."""
    brake = bot.world.stops.brake("r-quiet")
    await bot.world.store.write(seal)
    await until(lambda: brake.halted is not None, 10)

    assert brake.halted is not None
    assert "nothing can be recorded" in brake.halted.detail
