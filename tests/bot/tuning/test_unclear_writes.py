"""Faulted writes: each is classified as what it was, none is repeated blindly, no stranger is overwritten (R25, R26)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tuning_kit import CHAT, Bench, Drills, lead

from bot.practice.sendcat import PracticeSendcat, Script
from tests.conftest import config_for
from tests.stories.tuning_stage import JumpClock

WRITE = "/api/v1/update_environment_variables"
FAULTS = {
    "lost before": Script(WRITE, drop=True),
    "lost after": Script(WRITE, drop_after_commit=True),
    "half answer": Script(WRITE, half_answer=True),
    "503 unclear": Script(WRITE, status=503, body="{}"),
    "502": Script(WRITE, status=502, body="<html>bad gateway</html>"),
    "408": Script(WRITE, status=408, body="{}"),
    "500": Script(WRITE, status=500, body="{}"),
    "refused key": Script(WRITE, status=401, body='{"code":"BadAdminKey","message":"no"}'),
    "refused body": Script(WRITE, status=400, body='{"code":"BadJsonBody","message":"no"}'),
    "never started": Script(WRITE, status=503, body='{"code":"ExpiredInQueue","message":"no"}'),
}
APPLIED = {"lost after", "half answer"}
STRANGERS = (None, None, None, "25", "27")


class Meanwhile(JumpClock):
    """While an unclear write is left alone, a stranger may change the value."""

    stranger: str | None = None

    async def sleep(self, seconds: float) -> None:
        if seconds > 50 and self.stranger is not None:
            self.sendcat.deployment.environment.set(CHAT, self.stranger)
            self.stranger = None
        await super().sleep(seconds)


def expected(fault: str, stranger: str | None, unclear: bool) -> tuple[set[str], str | None]:
    """The states it may end in, and what is stored then."""
    if unclear and stranger is not None:
        return {"unknown"}, stranger
    return ({"kept"}, "28") if fault in APPLIED else ({"failed"}, None)


async def faulted(tmp_path: Path, sendcat: PracticeSendcat, count: int, seed: int) -> dict[str, int]:
    """That many changes, each with a faulted write; how they ended."""
    choose = random.Random(seed)
    ends: dict[str, int] = {}
    clock = Meanwhile(sendcat)
    bot = await lead(config_for(tmp_path, sendcat), clock, Drills())
    bench = Bench(bot, sendcat, clock)
    try:
        for number in range(1, count + 1):
            change_id = f"c-{number}"
            fault, stranger = choose.choice(list(FAULTS)), choose.choice(STRANGERS)
            bench.set(CHAT, None)
            writes = bench.writes()
            trap = FAULTS[fault]
            said = await bench.say(f"tune {CHAT} 28")
            assert said.data.get("change") == change_id, said.text
            sendcat.script(
                Script(
                    WRITE,
                    1,
                    0,
                    trap.status,
                    trap.body,
                    trap.content_type,
                    trap.drop,
                    trap.drop_after_commit,
                    trap.half_answer,
                )
            )
            clock.stranger = stranger
            await bench.approve(change_id)
            change = await bench.reaches("kept", "failed", "unknown", "undone", "void", change_id=change_id)

            path = await bench.path(change_id)
            states, value = expected(fault, stranger, "ambiguous" in path)
            story = f"{fault}, stranger {stranger}: {change.state} {path} {change.note}"
            assert change.state in states, story
            assert bench.stored() == value, story
            assert bench.writes() - writes <= 1, story
            assert path.count("intent") == 1, story
            ends[change.state] = ends.get(change.state, 0) + 1
            clock.stranger = None
            if change.state == "unknown":
                await bench.say(f'tune keep {change_id} --why="the stranger knows better"')
            if change.state == "kept":
                await bench.say(f"undo {change_id}")
                await bench.reaches("undone", change_id=change_id)
            else:
                await bot.world.store.write(
                    lambda tx, cid=change_id: tx.db.execute("UPDATE changes SET sent_ms = 0 WHERE id = ?", (cid,))
                )
        return ends
    finally:
        await bot.close()


async def test_R26_every_kind_of_unclear_write_is_classified(tmp_path: Path, sendcat: PracticeSendcat) -> None:
    ends = await faulted(tmp_path, sendcat, 8, seed=7)

    assert set(ends) >= {"kept", "failed"}


@pytest.mark.prove
@pytest.mark.timeout(1800)
async def test_R26_five_hundred_faulted_writes(tmp_path: Path, sendcat: PracticeSendcat) -> None:
    """0 wrong, 0 blind repeats, 0 strangers overwritten."""
    ends = await faulted(tmp_path, sendcat, 500, seed=26)

    assert sum(ends.values()) == 500
    assert set(ends) == {"kept", "failed", "unknown"}
