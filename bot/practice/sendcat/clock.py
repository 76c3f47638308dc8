"""The clock of a practice deployment: the wall, or a hand that turns only when told."""

from __future__ import annotations

import asyncio
import time

STEPPED_START_MS = 1_795_420_800_000
"""Where a stepped clock starts unless told otherwise: a full hour in November 2026 (UTC)."""


class PracticeClock:
    """Milliseconds since 1970, real or stepped.

    Every age, window and cool-down of a practice deployment is computed from here. In the real mode time
    passes by itself and never runs backwards; in the stepped mode it passes only through :meth:`advance` and
    :meth:`sleep`. Both modes may be moved forward by hand, so that an hour of decay costs no hour.
    """

    def __init__(self, *, stepped_from_ms: int | None = None) -> None:
        self.stepped = stepped_from_ms is not None
        self._base_ms = stepped_from_ms if stepped_from_ms is not None else time.time_ns() // 1_000_000
        self._started_ns = time.monotonic_ns()

    @classmethod
    def real(cls) -> PracticeClock:
        return cls()

    @classmethod
    def at(cls, start_ms: int = STEPPED_START_MS) -> PracticeClock:
        """A stepped clock that shows ``start_ms``."""
        return cls(stepped_from_ms=start_ms)

    def now_ms(self) -> int:
        if self.stepped:
            return self._base_ms
        return self._base_ms + (time.monotonic_ns() - self._started_ns) // 1_000_000

    def advance(self, ms: int) -> int:
        """Move forward by ``ms`` and answer the new time; moving back is refused with ``ValueError``."""
        if ms < 0:
            raise ValueError(f"time does not run backwards (asked for {ms} ms)")
        self._base_ms += ms
        return self.now_ms()

    async def sleep(self, ms: float) -> None:
        """Wait ``ms``; on the stepped clock others get their turn, then time moves to the end of the wait.

        Two sleepers that overlap do not add up: the clock moves to the later of their ends, as it would in life.
        """
        if not self.stepped:
            await asyncio.sleep(ms / 1000)
            return
        due_ms = self._base_ms + round(ms)
        await asyncio.sleep(0)
        self._base_ms = max(self._base_ms, due_ms)
