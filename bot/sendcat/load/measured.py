"""What a drill's processes measured: stages, the generator's look at itself, and how the parts become one whole."""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from pydantic import TypeAdapter

from bot.sendcat.brake import Halt, Why
from slo.measure import percentile
from slo.profiles import StagePlan
from slo.summary import StageRun
from slo.tally import StageTally

MAX_LAG_S = 0.1
"""More than one in twenty requests sent (or loop turns made) later than this by our own fault: the run is void."""
LIMIT_SHARE = 0.2
"""Nor may one in twenty requests of one scenario be sent later than this share of its latency limit: a busy moment of
ours that is small in the whole drill could be most of one scenario's p95."""

_STAGE = TypeAdapter(StagePlan)


def _column() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Window:
    """Counts of one scenario since the last telling, for the master's error budget (R18).

    ``slow`` took longer than twice the latency limit; ``overdue`` are open for longer than that at this moment;
    ``late`` tells that the process itself stood still lately.
    """

    scenario: str
    n: int = 0
    errors: int = 0
    five_xx: int = 0
    slow: int = 0
    overdue: int = 0
    late: bool = False

    def note(self, slow: bool, status: int | None) -> None:
        """One request ended; status None for a network error."""
        self.n += 1
        self.slow += slow
        self.errors += status is None
        self.five_xx += status is not None and status >= 500


@dataclass
class Measured:
    """What came out: stages of each scenario as far as they ran, and the generator's look at itself."""

    stages: dict[str, list[StageRun]] = field(default_factory=dict)
    halt: Halt | None = None
    cut_off: int = 0
    """Requests on their way that a stop cut off; they are in no tally."""
    own_lag_ms: dict[str, array[float]] = field(default_factory=dict)
    """By scenario, how late we ourselves looked at each planned request."""
    loop_lag_ms: array[float] = field(default_factory=_column)
    open_counts: list[int] = field(default_factory=list)
    """Open streams of a milestone at even steps, from its beginning."""
    processes: int = 1

    def bottleneck(self, limits_ms: Mapping[str, float]) -> str:
        """Why the generator was too slow; empty when it was not. ``limits_ms`` are the p95 limits by scenario."""
        sent = array("d", chain.from_iterable(self.own_lag_ms.values()))
        most_ms = MAX_LAG_S * 1000
        for lags, what, allowed in (
            (sent, "sent", most_ms),
            (self.loop_lag_ms, "read", most_ms),
            *(
                (lags, f"sent {name}", max(most_ms, LIMIT_SHARE * limits_ms[name]))
                for name, lags in self.own_lag_ms.items()
                if name in limits_ms
            ),
        ):
            p95 = percentile(lags, 95)
            if p95 > allowed:
                return f"the load generator {what} late: p95 {p95:.0f} ms, allowed {allowed:.0f} ms"
        return ""

    @property
    def begun(self) -> dict[str, Sequence[StageRun]]:
        """The stages that were begun, for `slo.summary.drill_report`."""
        return {name: runs for name, runs in self.stages.items() if runs}

    def merge(self, other: Measured) -> None:
        """Add what another process measured of the same plan; the first reason to halt stays."""
        for name, runs in other.stages.items():
            mine = self.stages.setdefault(name, [])
            for number, run in enumerate(runs):
                if number < len(mine):
                    mine[number].tally.merge(run.tally)
                else:
                    mine.append(run)
        self.halt = self.halt or other.halt
        self.cut_off += other.cut_off
        for name, lags in other.own_lag_ms.items():
            self.own_lag_ms.setdefault(name, _column()).extend(lags)
        self.loop_lag_ms.extend(other.loop_lag_ms)
        self.open_counts = [a + b for a, b in zip_longest(self.open_counts, other.open_counts, fillvalue=0)]
        self.processes += other.processes

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON values; `from_wire` reads them back without a loss."""
        return {
            "stages": {
                name: [
                    {"plan": _STAGE.dump_python(run.plan), "tally": run.tally.to_wire(), "loop": run.loop}
                    for run in runs
                ]
                for name, runs in self.stages.items()
            },
            "halt": [self.halt.reason.value, self.halt.detail] if self.halt else None,
            "cut_off": self.cut_off,
            "own_lag_ms": {n: b64encode(lags.tobytes()).decode("ascii") for n, lags in self.own_lag_ms.items()},
            "loop_lag_ms": b64encode(self.loop_lag_ms.tobytes()).decode("ascii"),
            "open_counts": self.open_counts,
            "processes": self.processes,
        }

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any]) -> Measured:
        return cls(
            stages={
                name: [
                    StageRun(_STAGE.validate_python(run["plan"]), StageTally.from_wire(run["tally"]), run["loop"])
                    for run in runs
                ]
                for name, runs in raw["stages"].items()
            },
            halt=Halt(Why(raw["halt"][0]), raw["halt"][1]) if raw["halt"] else None,
            cut_off=raw["cut_off"],
            own_lag_ms={name: array("d", b64decode(lags)) for name, lags in raw["own_lag_ms"].items()},
            loop_lag_ms=array("d", b64decode(raw["loop_lag_ms"])),
            open_counts=list(raw["open_counts"]),
            processes=raw["processes"],
        )
