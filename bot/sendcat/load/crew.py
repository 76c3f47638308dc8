"""The load processes of one drill and the pipes to them: one for most drills, several when asked.

All begin each stage at the same moment. The error budget of several processes is kept here, since each of them sees
only its part. When one dies, the others are stopped, and what they measured is still told.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot import errors
from bot.clock import SystemClock
from bot.errors import Broken, SendcatError
from bot.sendcat.brake import Brake, ErrorBudget, Halt, Why
from bot.sendcat.load.engine import scenario_budget
from bot.sendcat.load.measured import Window
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets
from bot.sendcat.load.share import Share

LOOK_S = 0.05
BEAT_S = 1.0
CLOSE_S = 1.8
"""A stopped child that still has sockets after this time is killed (R19: closed within 2 s)."""
REPORT_S = 60.0
LEAD_S = 0.05
"""All processes are told this long before a stage begins."""
_LINE = 256 << 20


class Hand:
    """One load process: its pipe, and what it last said."""

    def __init__(self, part: int, process: asyncio.subprocess.Process) -> None:
        self.part = part
        self.process = process
        self.ready = -1
        self.closed = False
        self.gone = False
        self.wire: dict[str, Any] | None = None
        self.progress: DrillProgress | None = None
        self.window: Window | None = None
        self.words = bytearray()

    def tell(self, message: dict[str, Any]) -> None:
        stdin = self.process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps(message).encode() + b"\n")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()

    @property
    def last_words(self) -> str:
        """The last line of its stderr."""
        lines = self.words.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


class Crew:
    """Starts the processes, watches them and the brake, and ends with their one report."""

    def __init__(
        self, plan: DrillPlan, brake: Brake, on_progress: Callable[[DrillProgress], None], clock: SystemClock
    ) -> None:
        self._plan = plan
        self._brake = brake
        self._on_progress = on_progress
        self._clock = clock
        self._hands: list[Hand] = []
        self._stage = -1
        self._handed = False
        self._budget: ErrorBudget | None = None
        self.report: dict[str, Any] | None = None
        self.refused: SendcatError | None = None

    @property
    def last_words(self) -> str:
        return next((hand.last_words for hand in self._hands if hand.last_words), "")

    async def start(self, secrets: DrillSecrets, started_ms: int) -> None:
        """Spawn the processes and hand them the plan and the secrets."""
        for part in range(self._plan.processes):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bot.sendcat.load",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(),
                limit=_LINE,
                start_new_session=True,
            )
            self._hands.append(Hand(part, process))
        zero = self._clock.monotonic()
        for hand in self._hands:
            hand.tell(_hello(self._plan, secrets, self._brake, started_ms, Share(hand.part, len(self._hands)), zero))

    async def watch(self) -> None:
        """Until all are done, died, or had to be killed."""
        tasks = [asyncio.create_task(self._follow(hand)) for hand in self._hands]
        tasks += [asyncio.create_task(self._listen(hand)) for hand in self._hands]
        looker = asyncio.create_task(self._look())
        try:
            await asyncio.gather(*tasks)
            await asyncio.gather(*(hand.process.wait() for hand in self._hands))
        finally:
            for task in (*tasks, looker):
                task.cancel()
            await asyncio.gather(*tasks, looker, return_exceptions=True)

    async def _follow(self, hand: Hand) -> None:
        assert hand.process.stdout is not None
        while line := await hand.process.stdout.readline():
            self._heard(hand, json.loads(line))
        hand.gone = True
        if len(self._hands) > 1 and not hand.closed:
            self._brake.halt(Halt(Why.CONTROL_LOST, f"load process {hand.part + 1} of {len(self._hands)} died"))
        self._together()

    async def _listen(self, hand: Hand) -> None:
        assert hand.process.stderr is not None
        while part := await hand.process.stderr.read(4096):
            hand.words += part
            del hand.words[:-8192]

    def _heard(self, hand: Hand, said: dict[str, Any]) -> None:
        if "progress" in said:
            hand.progress = DrillProgress(**said["progress"])
            self._tell_progress()
        elif "window" in said:
            self._count(hand, Window(**said["window"]))
        elif "ready" in said:
            hand.ready = said["ready"]
            self._together()
        elif "closed" in said:
            hand.closed = True
        elif "part" in said:
            hand.wire = said["part"]
            self._together()
        elif "report" in said:
            self.report = said["report"]
        elif "refused" in said:
            told = said["refused"]
            kind = getattr(errors, told["kind"], Broken)
            self.refused = kind(told["what"], rule=told["rule"], then=told["then"])
            for other in self._hands:
                other.kill()

    def _together(self) -> None:
        """When all that live are ready for a stage, it begins; when all but the first have told, the first reports."""
        if len(self._hands) == 1:
            return
        living = [hand for hand in self._hands if not hand.gone]
        if living and all(hand.ready > self._stage and not hand.closed for hand in living):
            self._stage += 1
            for hand in living:
                hand.tell({"go": {"stage": self._stage, "at": self._clock.monotonic() + LEAD_S}})
        first, *others = self._hands
        if not self._handed and not first.gone and all(hand.wire is not None or hand.gone for hand in others):
            self._handed = True
            first.tell({"parts": [hand.wire for hand in others if hand.wire is not None]})

    def _tell_progress(self) -> None:
        told = [hand.progress for hand in self._hands if hand.progress is not None]
        newest = told[0] if len(told) == 1 else together(told, self._plan.requests)
        self._brake.sent = newest.sent
        self._on_progress(newest)

    def _count(self, hand: Hand, window: Window) -> None:
        """The error budget over all processes; a new scenario begins a new one."""
        hand.window = window
        if self._budget is None or self._budget.scenario != window.scenario:
            self._budget = scenario_budget(self._plan, window.scenario)
        if self._budget is None:
            return
        now = self._clock.monotonic()
        if window.n:
            self._budget.add(now, window.n, errors=window.errors, five_xx=window.five_xx, slow=window.slow)
        told = [each.window for each in self._hands if each.window is not None]
        present = [each for each in told if each.scenario == window.scenario]
        overdue, late = sum(each.overdue for each in present), any(each.late for each in present)
        halt = self._budget.verdict(now, overdue, late=late)
        if halt is not None:
            self._brake.halt(halt)

    async def _look(self) -> None:
        """The brake every 50 ms, a beat every second; stopped children get their time and not more."""
        told_at = beat_at = -1.0
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            halt = self._brake.look()
            if halt is not None and told_at < 0:
                told_at = now
                self._tell_all({"halt": {"reason": halt.reason.value, "detail": halt.detail}})
            elif now - beat_at >= BEAT_S:
                beat_at = now
                self._tell_all({"beat": True})
            if told_at >= 0:
                for hand in self._hands:
                    if now - told_at > (REPORT_S if hand.closed else CLOSE_S):
                        hand.kill()
            await asyncio.sleep(LOOK_S)

    def _tell_all(self, message: dict[str, Any]) -> None:
        for hand in self._hands:
            hand.tell(message)

    async def end(self) -> None:
        """However we got here, the children are gone afterwards."""
        for hand in self._hands:
            if hand.process.returncode is None:
                hand.kill()
            if hand.process.stdin is not None:
                hand.process.stdin.close()
        await asyncio.gather(*(hand.process.wait() for hand in self._hands))


def together(parts: list[DrillProgress], planned: int) -> DrillProgress:
    """The progress of all processes as one; ``p95_ms`` is the worst of theirs."""
    first = parts[0]
    sent = sum(part.sent for part in parts)
    p95 = [part.p95_ms for part in parts if part.p95_ms is not None]
    return replace(
        first,
        planned=max(planned, sent),
        sent=sent,
        done=sum(part.done for part in parts),
        errors=sum(part.errors for part in parts),
        in_flight=sum(part.in_flight for part in parts),
        elapsed_s=max(part.elapsed_s for part in parts),
        remaining_s=min(part.remaining_s for part in parts),
        rate=round(sum(part.rate for part in parts), 2),
        p95_ms=max(p95, default=None),
    )


def _hello(
    plan: DrillPlan, secrets: DrillSecrets, brake: Brake, started_ms: int, share: Share, zero: float
) -> dict[str, Any]:
    """A child's first line. The narrower of the plan's ceilings and the brake's limits holds, and its share of it."""
    minutes = plan.ceilings.minutes
    requests = _least(plan.ceilings.requests, brake.limits.requests)
    return {
        "parent": os.getpid(),
        "part": share.part,
        "zero": zero,
        "started_ms": started_ms,
        "plan": plan.model_dump(mode="json", by_alias=True),
        "secrets": secrets.to_wire(),
        "stop_files": [str(file.absolute()) for file in brake.stop_files],
        "requests": None if requests is None else share.count(int(requests)),
        "seconds": _least(minutes * 60.0 if minutes is not None else None, brake.limits.seconds),
    }


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _environment() -> dict[str, str]:
    """The child needs to find its modules and nothing else; our environment holds secrets."""
    root = Path(errors.__file__).parents[1]
    return {"PYTHONPATH": str(root), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
