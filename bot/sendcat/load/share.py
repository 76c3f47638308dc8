"""A drill in several processes: one schedule, of which each process sends its own part (performance.md).

Request i belongs to process ``i mod of``; so the choice of pool users, the arrival times and the ceilings are the same
whatever the number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_PROCESSES = 16


@dataclass(frozen=True, slots=True)
class Share:
    """Part number ``part`` (from 0) of ``of`` parts."""

    part: int = 0
    of: int = 1

    @property
    def whole(self) -> bool:
        """The only process."""
        return self.of == 1

    def among(self, places: int) -> Share:
        """The share where only ``places`` can work at once: more processes than places stand idle."""
        return Share(self.part, max(1, min(self.of, places)))

    @property
    def idle(self) -> bool:
        return self.part >= self.of

    def count(self, total: int) -> int:
        """How many of ``total`` numbered things are ours."""
        return 0 if self.idle else max(0, (total - self.part + self.of - 1) // self.of)

    def number(self, n: int) -> int:
        """The number in the whole of our thing number ``n``."""
        return self.part + n * self.of
