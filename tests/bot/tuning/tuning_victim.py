"""A bot that proposes, approves and carries one change, and may be killed at a failpoint or at a moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning_kit import CHAT, Bench, Drills, lead

from bot.main import Bot
from bot.measure import Drilled
from bot.practice.house import running_config
from bot.run import Run
from bot.store import audit, changes, ops
from bot.store.change import CLOSED, Change
from bot.tuning.cards import change_card
from bot.tuning.failpoints import QUIET, Seams
from tests.stories.tuning_stage import JumpClock


@dataclass
class Bomb:
    """Ends the process the moment a failpoint is reached."""

    name: str

    async def at(self, name: str, change: str) -> None:
        if name == self.name:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class TurningBad(Drills):
    """Good before the change, and bad after it when that is wished."""

    worse: bool = False
    bench: Bench | None = None

    async def __call__(self, run: Run) -> Drilled:
        found = await run.world.store.read(changes.open_changes)
        self.failing = self.worse and any(change.state == "settling" for change in found)
        return await super().__call__(run)


class Nowhere:
    """Stands in for the practice Sendcat of a jumping clock: the real one runs in another process."""

    @property
    def clock(self) -> Nowhere:
        return self

    @property
    def deployment(self) -> Nowhere:
        return self

    def advance(self, ms: int) -> None:
        return

    def settle(self) -> None:
        return


async def drawn(bot: Bot, change: Change) -> bool:
    """Whether the card that stands is that of the row: they are written in one transaction, whenever the end came."""
    op = await bot.world.store.read(lambda conn: ops.get(conn, change.op))
    return op is not None and op.card is not None and op.card.title == change_card(change).title


def victim(state_dir: str, out: str, *, failpoint: str = "", after_s: float = 0.0, worse: bool = False) -> None:
    """One life. ``failpoint`` or ``after_s`` end it with SIGKILL; otherwise it writes how the change ended."""
    if after_s:
        threading.Timer(after_s, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
    asyncio.run(_live(Path(state_dir), Path(out), failpoint, worse))
    os._exit(0)


async def _live(state_dir: Path, out: Path, failpoint: str, worse: bool) -> None:
    clock = JumpClock(Nowhere())  # type: ignore[arg-type]
    drills = TurningBad(worse=worse)
    began = time.monotonic()
    seams = Seams(Bomb(failpoint) if failpoint else QUIET)
    bot = await lead(running_config(state_dir), clock, drills, seams)
    resolved_s = time.monotonic() - began
    bench = Bench(bot, None, clock, drills)  # type: ignore[arg-type]
    open_now = await bot.world.store.read(changes.open_changes)
    in_doubt = [c.state for c in open_now if c.epoch < bot.world.store.epoch and c.state in ("intent", "reverting")]
    if not await bot.world.store.read(changes.recent):
        await bench.say(f"tune {CHAT} 28")
    found = (await bot.world.store.read(changes.recent))[0]
    if found.state == "proposed":
        await bench.approve(found.id)
    change = await bench.reaches(*CLOSED, "unknown", within_s=30)
    rows = await bot.world.store.read(lambda conn: audit.rows(conn, 0, 10_000))
    result: dict[str, Any] = {
        "state": change.state,
        "due": change.due_ms,
        "note": change.note,
        "in_doubt": in_doubt,
        "resolved_s": resolved_s,
        "intents": sum(json.loads(row.body)["outcome"] == "intent" for row in rows if '"change"' in row.body),
        "undoes": (path := await bench.path()).count("reverting"),
        "doubted": "doubtful" in path,
        "drawn": await drawn(bot, change),
        "whole": await bot.world.store.read(lambda conn: audit.tail_ok(conn, 10**6)),
    }
    await bot.close()
    out.write_text(json.dumps(result))
