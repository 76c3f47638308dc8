"""The drill profiles: their stages, how chat stages scale, and the arrival rates of the open loop.

Counts, workers, pauses: operator-commands.md section 4, "Profiles"; planned rates, stream plans and the
in-flight rule: VERDICTS, "Profiles". Nothing unknown becomes a default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from slo.errors import SloError, UnknownProfile
from slo.scenarios import CHAT, GMAIL, SCENARIOS, WHATSAPP, endpoint, select

__all__ = [
    "CHAT",
    "GMAIL",
    "IN_FLIGHT_PER_WORKER",
    "MILESTONES",
    "PROFILES",
    "SCENARIOS",
    "WHATSAPP",
    "Profile",
    "Scale",
    "StagePlan",
    "StreamPlan",
    "endpoint",
    "profile",
    "select",
]

IN_FLIGHT_PER_WORKER = 4
MIN_SCALE = 0.1
GIVEN_UP_MS = 15_000
"""What finds no free place for so long after the last planned moment of its stage is given up, and counts as late."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage: `total` requests, or as many as fit in `duration_ms`; exactly one of the two is set.

    `workers` is the closed loop's concurrency; `per_second` the open loop's planned arrivals, None where
    arrivals follow the open streams of a milestone. `pause_ms` is waited after the stage.
    """

    name: str
    workers: int
    total: int | None = None
    duration_ms: int | None = None
    pause_ms: int = 0
    per_second: float | None = None
    warmup: bool = False

    @property
    def mode(self) -> Literal["count", "duration"]:
        return "count" if self.duration_ms is None else "duration"

    @property
    def max_in_flight(self) -> int:
        """More requests than this are never open at once; what must wait for them counts as late."""
        return self.workers * IN_FLIGHT_PER_WORKER

    @property
    def planned_requests(self) -> int | None:
        """Requests the open loop plans; None where arrivals follow the open streams."""
        if self.total is not None:
            return self.total
        if self.per_second is None or self.duration_ms is None:
            return None
        return max(1, round(self.per_second * self.duration_ms / 1000))

    @property
    def planned_ms(self) -> float | None:
        """How long the arrivals take, without the pause; None where arrivals follow the open streams."""
        if self.duration_ms is not None:
            return float(self.duration_ms)
        if self.total is None or not self.per_second:
            return None
        return self.total / self.per_second * 1000


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """A milestone at true scale: this many open chat streams, each ended one replaced at once.

    Arrivals are spread over `ramp_ms`, then held for `sustain_ms`; `soak_ms` is the documented minimum.
    """

    streams: int
    ramp_ms: int
    sustain_ms: int
    soak_ms: int


@dataclass(frozen=True, slots=True)
class Scale:
    """Factors for the chat stages only; webhook stages are never scaled. At least 0.1 each."""

    load: float = 1
    concurrency: float = 1
    duration: float = 1
    raised: tuple[str, ...] = ()
    """Names of factors that were asked for below 0.1, so that a person can be told."""

    @classmethod
    def of(cls, load: float = 1, concurrency: float = 1, duration: float = 1) -> Scale:
        """Values under 0.1 become 0.1 as in the original, and are listed in `raised`.

        Raises `SloError` for what is not a finite positive number.
        """
        asked = {"load": load, "concurrency": concurrency, "duration": duration}
        wrong = [name for name, value in asked.items() if not math.isfinite(value) or value <= 0]
        if wrong:
            raise SloError(f"chat scale must be a positive number: {', '.join(wrong)}")
        raised = tuple(name for name, value in asked.items() if value < MIN_SCALE)
        return cls(**{name: max(MIN_SCALE, value) for name, value in asked.items()}, raised=raised)

    def stage(self, plan: StagePlan) -> StagePlan:
        """The scaled chat stage: counts and workers at least 1, durations at least one second."""
        return replace(
            plan,
            total=None if plan.total is None else max(1, _round(plan.total * self.load)),
            duration_ms=None if plan.duration_ms is None else max(1000, _round(plan.duration_ms * self.duration)),
            workers=max(1, _round(plan.workers * self.concurrency)),
        )

    def streams(self, plan: StreamPlan) -> StreamPlan:
        """Concurrency scales how many are open, duration how long they are held; the ramp stays."""
        return replace(
            plan,
            streams=max(1, _round(plan.streams * self.concurrency)),
            sustain_ms=max(1000, _round(plan.sustain_ms * self.duration)),
        )


def _round(value: float) -> int:
    """JavaScript's `Math.round`: halves go up."""
    return math.floor(value + 0.5)


@dataclass(frozen=True, slots=True)
class Profile:
    """One drill profile; `consume_body` (milestones) is when the original reads chat to the end."""

    name: str
    webhook: tuple[StagePlan, ...]
    chat: tuple[StagePlan, ...]
    streams: StreamPlan | None = None

    @property
    def consume_body(self) -> bool:
        return self.streams is not None

    @property
    def default_seed(self) -> str:
        """Seed of the chat rotation when none is given."""
        return f"{self.name}-seed"

    def stages(self, scenario: str, scale: Scale | None = None) -> tuple[StagePlan, ...]:
        """The stages of one scenario, in order; `scale` touches chat only. Raises `UnknownScenario`."""
        endpoint(scenario)
        if scenario != CHAT:
            return self.webhook
        return tuple((scale or Scale()).stage(plan) for plan in self.chat)

    def requests(self, scenarios: Iterable[str] | None = None, scale: Scale | None = None) -> int:
        """Planned requests of these scenarios; duration stages by their rate, streams not counted."""
        return sum(plan.planned_requests or 0 for name in select(scenarios) for plan in self.stages(name, scale))

    def duration_ms(self, scenarios: Iterable[str] | None = None, scale: Scale | None = None) -> float:
        """Planned length with pauses, before any slowness of the target."""
        return sum(
            (plan.planned_ms or 0) + plan.pause_ms for name in select(scenarios) for plan in self.stages(name, scale)
        )

    def max_in_flight(self, scenarios: Iterable[str] | None = None, scale: Scale | None = None) -> int:
        """The most requests that any stage may have open at once."""
        return max(plan.max_in_flight for name in select(scenarios) for plan in self.stages(name, scale))


_STANDARD = (
    StagePlan("low", total=80, workers=8, pause_ms=250, per_second=20),
    StagePlan("medium", total=240, workers=24, pause_ms=300, per_second=60),
    StagePlan("spike", total=500, workers=60, per_second=120),
)


def _milestone(
    name: str, warmup: tuple[int, int], ramp: tuple[int, int], sustain: tuple[int, int], streams: StreamPlan
) -> Profile:
    return Profile(
        name,
        webhook=_STANDARD,
        chat=(
            StagePlan("warmup", total=warmup[0], workers=warmup[1], pause_ms=250, warmup=True),
            StagePlan("ramp", total=ramp[0], workers=ramp[1], pause_ms=300),
            StagePlan("sustain", duration_ms=sustain[0], workers=sustain[1]),
        ),
        streams=streams,
    )


_ALL = (
    Profile(
        "quick",
        webhook=(StagePlan("quick", total=30, workers=6, per_second=20),),
        chat=(StagePlan("quick", total=3, workers=1, per_second=1),),
    ),
    Profile(
        "standard",
        webhook=_STANDARD,
        chat=(
            StagePlan("low", total=6, workers=2, pause_ms=200, per_second=1),
            StagePlan("medium", total=12, workers=3, per_second=2),
        ),
    ),
    Profile(
        "burst",
        webhook=(
            StagePlan("warmup", total=80, workers=10, pause_ms=300, per_second=25, warmup=True),
            StagePlan("burst", total=1200, workers=120, pause_ms=500, per_second=300),
        ),
        chat=(
            StagePlan("warmup", total=6, workers=2, pause_ms=250, per_second=2, warmup=True),
            StagePlan("burst", total=24, workers=6, per_second=4),
        ),
    ),
    Profile(
        "soak",
        webhook=(StagePlan("soak", duration_ms=240_000, workers=12, pause_ms=500, per_second=30),),
        chat=(StagePlan("soak", duration_ms=90_000, workers=2, per_second=1),),
    ),
    _milestone("m1_1k", (60, 6), (300, 30), (300_000, 40), StreamPlan(1_000, 60_000, 300_000, 1_800_000)),
    _milestone("m2_5k", (120, 10), (600, 60), (600_000, 80), StreamPlan(5_000, 120_000, 600_000, 3_600_000)),
    _milestone("m3_20k", (200, 20), (1200, 120), (1_200_000, 160), StreamPlan(20_000, 300_000, 1_200_000, 7_200_000)),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({item.name: item for item in _ALL})
MILESTONES: tuple[str, ...] = tuple(item.name for item in _ALL if item.streams is not None)


def profile(name: str) -> Profile:
    """The profile of that name. Raises `UnknownProfile` with the nearest one."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfile(name, PROFILES) from None
