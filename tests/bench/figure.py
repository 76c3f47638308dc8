"""One figure: what was measured, beside what, against which goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """Values of one quantity; ``goal`` is the most (or, with ``least``, the least) that is allowed."""

    name: str
    unit: str
    values: Sequence[float]
    goal: float
    least: bool = False
    of: str = "median"
    """Which statistic meets the goal: ``median``, ``p99`` or ``max``."""
    peer: str = ""
    peer_values: Sequence[float] = field(default=())

    @property
    def decisive(self) -> float:
        """The statistic that the goal is about."""
        if self.of == "max":
            return max(self.values)
        if self.of == "p99":
            return quantile(self.values, 0.99)
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return self.decisive >= self.goal if self.least else self.decisive <= self.goal

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's, by medians of the same run."""
        if not self.peer_values:
            return None
        return statistics.median(self.values) / statistics.median(self.peer_values)

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "unit": self.unit,
            "min": min(self.values),
            "median": statistics.median(self.values),
            "p99": quantile(self.values, 0.99),
            "max": max(self.values),
            "n": len(self.values),
            "goal": self.goal,
            "goal_of": self.of,
            "met": self.met,
            "peer": self.peer,
            "peer_median": statistics.median(self.peer_values) if self.peer_values else None,
            "ratio": self.ratio,
        }


def quantile(values: Sequence[float], share: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]
