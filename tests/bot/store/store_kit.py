"""A clock held by hand, for the tests of the store."""

from __future__ import annotations

from dataclasses import dataclass

MORNING_MS = 1_790_000_000_000


@dataclass
class HandClock:
    """Stands still until it is moved."""

    at_ms: int = MORNING_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)
