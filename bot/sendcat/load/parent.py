"""Runs a drill in a spawned child and stays its master (safety.md, R16, R19, R36).

The secrets travel over the child's stdin; its arguments and its environment hold none. A stop reaches the child at
once; if it has not closed its sockets in time, the kernel does it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bot import errors
from bot.clock import Clock
from bot.errors import Broken, SendcatError
from bot.redact import Scrubber
from bot.sendcat.brake import Brake, ended
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets
from bot.sendcat.load.report import empty_report
from slo.reports import DrillReport, Ended

LOOK_S = 0.05
BEAT_S = 1.0
CLOSE_S = 1.8
"""A stopped child that still has sockets after this time is killed (R19: closed within 2 s)."""
REPORT_S = 60.0
_LINE = 256 << 20


async def drill(
    plan: DrillPlan,
    secrets: DrillSecrets,
    *,
    brake: Brake,
    on_progress: Callable[[DrillProgress], None] = lambda _: None,
    clock: Clock,
) -> DrillReport:
    """Run the plan and report, however it ends: finished, stopped, aborted, control lost, or the child died.

    ``brake`` is looked at all the time; once it is on, no new request starts after 250 ms and every socket is closed
    within 2 s. Raises `Refused` when the target's address may not be dialled (R14). Cancelling ends the load at once.
    """
    started_ms = clock.now_ms()
    halt = brake.look()
    if halt is not None:
        return empty_report(plan, ended(halt, started_ms), started_ms, started_ms)
    child = await asyncio.create_subprocess_exec(
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
    master = _Master(child, brake, on_progress)
    try:
        await master.greet(_hello(plan, secrets, brake, started_ms))
        await master.watch()
    finally:
        await master.end()
    if master.refused is not None:
        raise master.refused
    if master.report is not None:
        return DrillReport.parse(master.report)
    now_ms = clock.now_ms()
    halt = brake.halted
    if halt is not None:
        return empty_report(plan, ended(halt, now_ms), started_ms, now_ms)
    said = Scrubber(secrets.values()).scrub(master.last_words)[-200:]
    died = Ended(how="died", reason=f"the load process died{f': {said}' if said else ''}", at=now_ms)
    return empty_report(plan, died, started_ms, now_ms)


class _Master:
    """The pipe to the child: what it says is read, what the brake says is passed on."""

    def __init__(
        self, child: asyncio.subprocess.Process, brake: Brake, on_progress: Callable[[DrillProgress], None]
    ) -> None:
        self._child = child
        self._brake = brake
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._words = bytearray()
        self.report: dict[str, Any] | None = None
        self.refused: SendcatError | None = None

    @property
    def last_words(self) -> str:
        """The last line of the child's stderr."""
        lines = self._words.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    async def greet(self, hello: dict[str, Any]) -> None:
        """Hand over the plan and the secrets."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(hello).encode() + b"\n")
        with suppress(ConnectionError):
            await self._child.stdin.drain()

    async def watch(self) -> None:
        """Until the child is done, died, or had to be killed."""
        readers = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]
        looker = asyncio.create_task(self._look())
        try:
            await asyncio.gather(*readers)
            await self._child.wait()
        finally:
            for task in (*readers, looker):
                task.cancel()
            await asyncio.gather(*readers, looker, return_exceptions=True)

    async def _read(self) -> None:
        assert self._child.stdout is not None
        while line := await self._child.stdout.readline():
            self._heard(json.loads(line))

    def _heard(self, said: dict[str, Any]) -> None:
        if "progress" in said:
            progress = DrillProgress(**said["progress"])
            self._brake.sent = progress.sent
            self._on_progress(progress)
        elif "closed" in said:
            self._closed = True
        elif "report" in said:
            self.report = said["report"]
        elif "refused" in said:
            told = said["refused"]
            kind = getattr(errors, told["kind"], Broken)
            self.refused = kind(told["what"], rule=told["rule"], then=told["then"])

    async def _listen(self) -> None:
        assert self._child.stderr is not None
        while part := await self._child.stderr.read(4096):
            self._words += part
            del self._words[:-8192]

    async def _look(self) -> None:
        """The brake every 50 ms, a beat every second; a stopped child gets its time and not more."""
        told_at = beat_at = -1.0
        while True:
            now = self._loop.time()
            halt = self._brake.look()
            if halt is not None and told_at < 0:
                told_at = now
                self._tell({"halt": {"reason": halt.reason.value, "detail": halt.detail}})
            elif now - beat_at >= BEAT_S:
                beat_at = now
                self._tell({"beat": True})
            if told_at >= 0:
                waited = now - told_at
                if waited > (REPORT_S if self._closed else CLOSE_S):
                    self._kill()
                    return
            await asyncio.sleep(LOOK_S)

    def _tell(self, message: dict[str, Any]) -> None:
        stdin = self._child.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps(message).encode() + b"\n")

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._child.kill()

    async def end(self) -> None:
        """However we got here, the child is gone afterwards."""
        if self._child.returncode is None:
            self._kill()
        if self._child.stdin is not None:
            self._child.stdin.close()
        await asyncio.shield(self._child.wait())


def _hello(plan: DrillPlan, secrets: DrillSecrets, brake: Brake, started_ms: int) -> dict[str, Any]:
    """The child's first line. The narrower of the plan's ceilings and the brake's limits holds."""
    minutes = plan.ceilings.minutes
    return {
        "parent": os.getpid(),
        "started_ms": started_ms,
        "plan": plan.model_dump(mode="json", by_alias=True),
        "secrets": secrets.to_wire(),
        "stop_files": [str(file.absolute()) for file in brake.stop_files],
        "requests": _least(plan.ceilings.requests, brake.limits.requests),
        "seconds": _least(minutes * 60.0 if minutes is not None else None, brake.limits.seconds),
    }


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _environment() -> dict[str, str]:
    """The child needs to find its modules and nothing else; our environment holds secrets."""
    root = Path(errors.__file__).parents[1]
    return {"PYTHONPATH": str(root), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
