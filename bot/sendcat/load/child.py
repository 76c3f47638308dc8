"""The child process that makes the load; its life hangs on its stdin (safety.md, R19, R36; INTERFACES, section 2).

In: one line of JSON with the plan and the secrets, then ``{"beat": ...}`` and ``{"halt": ...}`` lines. Out: progress,
``closed`` once no socket is open, and the report, one line of JSON each. When stdin ends, or the parent dies, every
socket is closed at once and the process is gone.

With several processes each says ``ready`` before a stage and begins at the moment that ``go`` names; at the end all
but the first say ``part``, and the first gets them by ``parts`` and makes the one report.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from bot.clock import SystemClock
from bot.errors import SendcatError
from bot.sendcat.brake import Brake, Halt, Limits, Why
from bot.sendcat.load.engine import Engine
from bot.sendcat.load.measured import Measured, Window
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets
from bot.sendcat.load.report import report_of
from bot.sendcat.load.share import Share

SILENCE_S = 5.0
"""Without a beat of the parent for this long, control is lost: it hangs, or was paused."""
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run one drill and end. Exit status 0 when a report was written, 1 otherwise."""
    _die_with_parent()
    return uvloop.run(_run())


def _die_with_parent() -> None:
    """The kernel ends us when the parent is gone, even if we hang (Linux; elsewhere stdin alone does it)."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Control(asyncio.Protocol):
    """The parent's side of the pipe."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._rest = bytearray()
        self._seen = 0
        self._goes: dict[int, asyncio.Future[float]] = {}
        self.hello: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self.parts: asyncio.Future[list[dict[str, Any]]] = self._loop.create_future()
        self.heard_at = clock.monotonic()
        self.brake: Brake | None = None

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._clock.monotonic()
        self._rest += data
        while (end := self._rest.find(b"\n", self._seen)) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            self._seen = 0
            self._line(json.loads(line))
        self._seen = len(self._rest)

    def _line(self, said: dict[str, Any]) -> None:
        if not self.hello.done():
            self.hello.set_result(said)
        elif "halt" in said and self.brake is not None:
            self.brake.halt(Halt(Why(said["halt"]["reason"]), said["halt"]["detail"]))
        elif "go" in said:
            self._go(said["go"]["stage"]).set_result(said["go"]["at"])
        elif "parts" in said:
            self.parts.set_result(said["parts"])

    def _go(self, stage: int) -> asyncio.Future[float]:
        return self._goes.setdefault(stage, self._loop.create_future())

    async def starts(self, stage: int) -> float:
        """Tell that we are ready for this stage, and wait for the moment at which all begin it."""
        _report_soon({"ready": stage})
        return await asyncio.shield(self._go(stage))

    def connection_lost(self, exc: Exception | None) -> None:
        """The bot is gone, and with it the load; the kernel closes the sockets."""
        os._exit(1)

    def lost(self) -> str | None:
        silent = self._clock.monotonic() - self.heard_at
        return f"no sign of life from the bot for {silent:.0f} s" if silent > SILENCE_S else None


async def _run() -> int:
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    control = Control(clock)
    await loop.connect_read_pipe(lambda: control, sys.stdin)
    hello = await control.hello
    if os.getppid() != hello["parent"]:
        return 1
    plan = DrillPlan.model_validate(hello["plan"])
    secrets = DrillSecrets.from_wire(hello["secrets"])
    brake = Brake(
        clock,
        limits=Limits(requests=hello["requests"], seconds=hello["seconds"]),
        stop_files=tuple(Path(file) for file in hello["stop_files"]),
        control=control.lost,
    )
    control.brake = brake
    share = Share(hello["part"], plan.processes)
    _allow_sockets()
    os.set_blocking(sys.stdout.fileno(), False)
    gc.collect()
    gc.freeze()
    engine = Engine(
        plan,
        secrets,
        brake,
        clock,
        _progress,
        share=share,
        zero=hello["zero"],
        starts=None if share.whole else control.starts,
        on_window=_window,
    )
    try:
        measured = await engine.run()
    except SendcatError as error:
        _say({"refused": {"kind": type(error).__name__, "what": error.what, "rule": error.rule, "then": error.then}})
        return 1
    finished_ms = hello["started_ms"] + round((clock.monotonic() - hello["zero"]) * 1000)
    _say({"closed": True})
    if share.part > 0:
        _say({"part": await asyncio.to_thread(measured.to_wire)})
        return 0
    if not share.whole:
        for part in await control.parts:
            measured.merge(Measured.from_wire(part))
    report = await asyncio.to_thread(report_of, plan, measured, hello["started_ms"], finished_ms)
    _say({"report": report.to_artifact()})
    return 0


def _allow_sockets() -> None:
    """As many open files as this machine permits; what the plan needs was compared with it before."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _progress(progress: DrillProgress) -> None:
    """Progress may be lost when nobody reads; it must never hold the load up."""
    _report_soon({"progress": asdict(progress)})


def _window(window: Window) -> None:
    _report_soon({"window": asdict(window)})


_unsaid = bytearray()
_MOST_UNSAID = 1 << 20


def _report_soon(message: dict[str, Any]) -> None:
    """Say it without waiting: what the pipe does not take now goes first the next time, whole lines only."""
    if len(_unsaid) < _MOST_UNSAID or "progress" not in message:
        _unsaid.extend(json.dumps(message).encode() + b"\n")
    with suppress(BlockingIOError):
        while _unsaid:
            del _unsaid[: os.write(sys.stdout.fileno(), _unsaid)]


def _say(message: dict[str, Any]) -> None:
    """What must arrive; the load is over, so waiting for the reader is fine."""
    os.set_blocking(sys.stdout.fileno(), True)
    data = memoryview(bytes(_unsaid) + json.dumps(message).encode() + b"\n")
    _unsaid.clear()
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
    os.set_blocking(sys.stdout.fileno(), False)
