"""What happens by the clock (R30)."""

from __future__ import annotations

from bot.clock import SystemClock
from bot.main import Bot
from bot.store import inbox
from bot.watch import Watch
from tests.conftest import ask


class Later(SystemClock):
    """A clock some days ahead."""

    def now_ms(self) -> int:
        return super().now_ms() + 3 * 24 * 3_600_000


async def test_R30_a_slot_has_one_effect_however_often_it_ticks(bot: Bot) -> None:
    watch = Watch(bot.world.store, bot.world.clock)

    assert await watch.housekeeping() is True
    assert await watch.housekeeping() is False


async def test_R2_deliveries_are_remembered_for_a_day_at_least(bot: Bot) -> None:
    """Housekeeping by a clock that jumped ahead forgets nothing that is younger than a day by the writer's clock."""
    await bot.desk.accept(ask("owners", key="young"))
    await Watch(bot.world.store, Later()).housekeeping()

    assert await bot.world.store.read(lambda conn: inbox.seen(conn, "young")) is not None
