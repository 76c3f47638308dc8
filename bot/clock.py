"""Time and randomness, passed by hand so that a test can hold them still (safety.md, R31 and decision 13)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection
from typing import Any, Protocol


class Clock(Protocol):
    """Two readings and one wait. Durations use ``monotonic``; records use ``now_ms``."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a stepped clock returns when it was advanced that far."""


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


async def rung(bell: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, at most so many seconds; whether it came.

    Not `asyncio.wait_for`: that of Python 3.11 loses a cancellation which comes together with the event, and whoever
    waits for the end of the cancelled task waits for ever.
    """
    try:
        async with asyncio.timeout(within_s):
            await bell.wait()
    except TimeoutError:
        return False
    return True


async def let_end(tasks: Collection[asyncio.Task[Any]], grace_s: float, *, cancelled_s: float) -> None:
    """Let tasks end for so many seconds, cancel those that have not, and give these so many seconds more."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace_s)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=cancelled_s)


def token() -> str:
    """A random 128-bit id as 32 hex digits (safety.md, R11)."""
    return secrets.token_hex(16)
