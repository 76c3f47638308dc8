"""The child process that makes the load; its life hangs on its stdin (safety.md, R19, R36; INTERFACES, section 2).

In: one line of JSON with the plan and the secrets, then ``{"beat": ...}`` and ``{"halt": ...}`` lines. Out: progress,
``closed`` once no socket is open, and the report, one line of JSON each. When stdin ends, or the parent dies, every
socket is closed at once and the process is gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
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
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets
from bot.sendcat.load.report import report_of

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
        self.hello: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self.heard_at = clock.monotonic()
        self.brake: Brake | None = None

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._clock.monotonic()
        self._rest += data
        while (end := self._rest.find(b"\n")) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            self._line(json.loads(line))

    def _line(self, said: dict[str, Any]) -> None:
        if not self.hello.done():
            self.hello.set_result(said)
        elif "halt" in said and self.brake is not None:
            self.brake.halt(Halt(Why(said["halt"]["reason"]), said["halt"]["detail"]))

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
    os.set_blocking(sys.stdout.fileno(), False)
    gc.collect()
    gc.freeze()
    began = clock.monotonic()
    try:
        measured = await Engine(plan, secrets, brake, clock, _progress).run()
    except SendcatError as error:
        _say({"refused": {"kind": type(error).__name__, "what": error.what, "rule": error.rule, "then": error.then}})
        return 1
    _say({"closed": True})
    finished_ms = hello["started_ms"] + round((clock.monotonic() - began) * 1000)
    report = await asyncio.to_thread(report_of, plan, measured, hello["started_ms"], finished_ms)
    _say({"report": report.to_artifact()})
    return 0


def _progress(progress: DrillProgress) -> None:
    """Progress may be lost when nobody reads; it must never hold the load up."""
    line = json.dumps({"progress": asdict(progress)}).encode() + b"\n"
    with suppress(BlockingIOError):
        os.write(sys.stdout.fileno(), line)


def _say(message: dict[str, Any]) -> None:
    """What must arrive; the load is over, so waiting for the reader is fine."""
    os.set_blocking(sys.stdout.fileno(), True)
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
