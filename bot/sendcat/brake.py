"""The one gate before each request that we send as load or probe (safety.md, R13, R16, R18, R19; decisions 10, 14).

A brake answers one question, "may the next request go?", with None or a `Halt` that says why not. Once it said no it
stays no. It depends on nothing but memory and one small file: neither database nor Slack can keep a drill running.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bot.clock import Clock
from slo.reports import Ended

FILE_LOOK_S = 0.05
"""How often the stop files are looked for; a stop by file is seen within this time."""


class Why(StrEnum):
    """Why no further request goes out."""

    STOPPED = "stopped"
    ABORTED = "aborted"
    CEILING = "ceiling"
    CONTROL_LOST = "control lost"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Halt:
    """The brake is on: why, and one plain sentence. A value, not an exception."""

    reason: Why
    detail: str

    @property
    def decides_nothing(self) -> bool:
        """Whether a person stopped it or control was lost: what was measured until then is no evidence for anything."""
        return self.reason in (Why.STOPPED, Why.CONTROL_LOST)


def ended(halt: Halt | None, at_ms: int) -> Ended:
    """How a measurement ended, in the report's words; a ceiling or a deadline is a stop with its own reason."""
    if halt is None:
        return Ended(how="finished")
    reason = halt.detail if halt.reason is not Why.CEILING else f"ceiling reached: {halt.detail}"
    if halt.reason is Why.DEADLINE:
        reason = f"deadline reached: {halt.detail}"
    how = {Why.ABORTED: "aborted", Why.CONTROL_LOST: "control_lost"}.get(halt.reason, "stopped")
    return Ended.model_validate({"how": how, "reason": reason, "at": at_ms})


@dataclass(frozen=True, slots=True)
class Budget:
    """What one endpoint may look like before load is taken off it: twice its limits (R18)."""

    five_xx_rate: float
    network_error_rate: float
    p95_ms: float
    min_requests: int = 50
    window_s: float = 10.0


class ErrorBudget:
    """Watches one scenario: after 50 requests, the last 10 s decide (R18).

    The p95 is above a limit exactly when more requests than the slowest 5% are slower than it, so counting is enough.
    Requests that are still open and older than the limit count as slow: a target that stopped answering is seen.
    """

    def __init__(self, budget: Budget, scenario: str = "") -> None:
        self.budget = budget
        self.scenario = scenario
        self._seen: deque[tuple[float, int, int, int, int]] = deque()
        self._total = self._n = self._five_xx = self._errors = self._slow = 0

    @property
    def slow_ms(self) -> float:
        return 2 * self.budget.p95_ms

    def note(self, at_s: float, latency_ms: float, status: int | None) -> None:
        """One request ended: its latency from the planned time; status None for a network error."""
        failed, bad = status is None, status is not None and status >= 500
        self.add(at_s, 1, errors=int(failed), five_xx=int(bad), slow=int(latency_ms > self.slow_ms))

    def add(self, at_s: float, n: int, *, errors: int, five_xx: int, slow: int) -> None:
        """Several requests ended by now, counted by another process; ``slow`` took longer than `slow_ms`."""
        self._seen.append((at_s, n, errors, five_xx, slow))
        self._total += n
        self._n += n
        self._errors += errors
        self._five_xx += five_xx
        self._slow += slow

    def verdict(self, now_s: float, overdue: int = 0, *, late: bool = False) -> Halt | None:
        """`Halt` when the budget is used up; ``overdue`` requests are open for longer than `slow_ms`.

        ``late``: the generator itself stood still within the window, so that slowness says nothing of the target.
        """
        while self._seen and self._seen[0][0] < now_s - self.budget.window_s:
            _, n, errors, five_xx, slow = self._seen.popleft()
            self._n -= n
            self._errors -= errors
            self._five_xx -= five_xx
            self._slow -= slow
        n = self._n
        if self._total + overdue < self.budget.min_requests or n + overdue == 0:
            return None
        if n:
            for count, limit, word in (
                (self._five_xx, self.budget.five_xx_rate, "5xx"),
                (self._errors, self.budget.network_error_rate, "network errors"),
            ):
                if count / n > 2 * limit:
                    return self._halt(f"{count} of {n} {word} in the last {self.budget.window_s:g} s", 2 * limit)
        slow, whole = self._slow + overdue, n + overdue
        if not late and slow > whole - math.ceil(0.95 * whole):
            return Halt(
                Why.ABORTED,
                f"{self._where}p95 above {self.slow_ms:g} ms in the last {self.budget.window_s:g} s"
                f" ({slow} of {whole} slower; twice the limit)",
            )
        return None

    def _halt(self, seen: str, limit: float) -> Halt:
        return Halt(Why.ABORTED, f"{self._where}{seen}, above {limit:.1%} (twice the limit)")

    @property
    def _where(self) -> str:
        return f"{self.scenario}: " if self.scenario else ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings that hold at the send loop (R16); None is no limit."""

    requests: int | None = None
    in_flight: int | None = None
    seconds: float | None = None


class Brake:
    """Asked before each request. ``check`` is cheap; the files are looked at every 50 ms only.

    ``control`` returns None while we are still in charge (our epoch is the newest, the parent lives), else why not.
    Times are the clock's monotonic seconds; the deadline counts from `start`, or from the first check.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limits: Limits | None = None,
        stop_files: tuple[Path, ...] = (),
        control: Callable[[], str | None] | None = None,
    ) -> None:
        self._clock = clock
        self.limits = limits or Limits()
        self.stop_files = stop_files
        self._control = control
        self._halt: Halt | None = None
        self._started: float | None = None
        self._looked = -math.inf
        self.sent = 0

    def start(self) -> None:
        """The deadline counts from now."""
        if self._started is None:
            self._started = self._clock.monotonic()

    @property
    def halted(self) -> Halt | None:
        """The reason, once there is one; does not look for new ones."""
        return self._halt

    def stop(self, detail: str = "stopped by a person") -> None:
        """Somebody pressed Stop (R13); safe in a signal handler."""
        self.halt(Halt(Why.STOPPED, detail))

    def halt(self, halt: Halt) -> None:
        """Put the brake on; the first reason stays."""
        if self._halt is None:
            self._halt = halt

    def check(self, in_flight: int = 0) -> Halt | None:
        """None: the next request may go. Call `count` when it went."""
        if self._halt is not None:
            return self._halt
        found = self.look() or self._ceilings(in_flight)
        if found is not None:
            self.halt(found)
        return self._halt

    def look(self) -> Halt | None:
        """As `check`, without asking for a request: flags, files, control and deadline; for those who only wait."""
        if self._halt is None:
            self.start()
            found = self._flags() or self._deadline()
            if found is not None:
                self.halt(found)
        return self._halt

    def count(self) -> None:
        """One request went out."""
        self.sent += 1

    def _flags(self) -> Halt | None:
        now = self._clock.monotonic()
        if now - self._looked >= FILE_LOOK_S:
            self._looked = now
            for file in self.stop_files:
                if os.path.exists(file):
                    return Halt(Why.STOPPED, _words_of(file))
            lost = self._control() if self._control is not None else None
            if lost is not None:
                return Halt(Why.CONTROL_LOST, lost)
        return None

    def _ceilings(self, in_flight: int) -> Halt | None:
        limits = self.limits
        if limits.requests is not None and self.sent >= limits.requests:
            return Halt(Why.CEILING, f"{limits.requests} requests in one operation")
        if limits.in_flight is not None and in_flight >= limits.in_flight:
            return Halt(Why.CEILING, f"{limits.in_flight} requests open at once")
        return None

    def _deadline(self) -> Halt | None:
        seconds, started = self.limits.seconds, self._started
        if seconds is None or started is None or self._clock.monotonic() - started < seconds:
            return None
        return Halt(Why.DEADLINE, f"{seconds / 60:g} minutes in one operation")


def _words_of(file: Path) -> str:
    """What the stop file says; an empty or unreadable one (full disk) stops all the same."""
    with suppress(OSError, ValueError):
        said = json.loads(file.read_text(encoding="utf-8")[:2000])
        if isinstance(said, dict) and isinstance(said.get("by"), str):
            return f"stopped by {said['by'][:80]}"
    return "stopped"


_OP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Stops:
    """All running brakes of this process, and the files that outlive it (R19).

    ``state_dir/stop`` is the kill switch: it stops everything, survives a restart, and blocks new drills until it is
    released. ``state_dir/stops/<op>`` stops one operation, so that its child sees it even when we hang.
    """

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._dir = state_dir
        self._clock = clock
        self._file = state_dir / "stop"
        self._brakes: dict[str, Brake] = {}

    @property
    def running(self) -> tuple[str, ...]:
        """Operations that may be stopped now."""
        return tuple(op for op, brake in self._brakes.items() if brake.halted is None)

    @property
    def blocked(self) -> str | None:
        """Why no new drill may start: who stopped everything; None when nothing blocks."""
        return _words_of(self._file) if os.path.exists(self._file) else None

    def brake(self, op: str, *, limits: Limits | None = None, control: Callable[[], str | None] | None = None) -> Brake:
        """A brake for one operation, known to `stop` and `stop_all` until `done`."""
        files = self.files(op)
        brake = Brake(self._clock, limits=limits, stop_files=files, control=control)
        self._brakes[op] = brake
        return brake

    def files(self, op: str) -> tuple[Path, ...]:
        """The files that stop this operation. Raises ValueError for an id that is no plain word."""
        if not _OP.fullmatch(op):
            raise ValueError("an operation id is a plain word")
        return (self._file, self._dir / "stops" / op)

    def done(self, op: str) -> None:
        """The operation is over; its own stop file goes away."""
        self._brakes.pop(op, None)
        with suppress(OSError):
            os.unlink(self.files(op)[1])

    def stop(self, op: str, by: str) -> bool:
        """Stop one operation; False when it does not run here (its file is written all the same)."""
        self._write(self.files(op)[1], by)
        brake = self._brakes.get(op)
        if brake is None:
            with suppress(OSError):
                os.unlink(self.files(op)[1])
            return False
        brake.stop(f"stopped by {by[:80]}")
        return True

    def stop_all(self, by: str) -> tuple[str, ...]:
        """The kill switch: memory first, then the file. Returns the operations that were running."""
        stopped = self.running
        for op in stopped:
            self._brakes[op].stop(f"stopped by {by[:80]}")
        self._write(self._file, by)
        return stopped

    def release(self) -> bool:
        """Let new drills start again; False when nothing was blocked."""
        try:
            os.unlink(self._file)
        except FileNotFoundError:
            return False
        return True

    def _write(self, file: Path, by: str) -> None:
        """The file's existence is the message; on a full disk it stays empty, which is enough."""
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                os.write(handle, json.dumps({"by": by[:80], "at_ms": self._clock.now_ms()}).encode())
            finally:
                os.close(handle)
