"""The artifacts of probe and drill: the original's fields, in its order, and ours under `honest`.

Fields and file names: contract/operator-commands.md sections 1, 3 and 4; `honest`: VERDICTS, Endpoint
checks. What the original computed is computed its way; `honest` decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from slo.errors import BadReport, fault_paths
from slo.stamps import artifact_name, iso, ms_of_iso, stamp
from slo.tally import Sample, StageTally
from slo.wire import Count, Millis, Number, Wire

__all__ = [
    "Artifact",
    "Bound",
    "ChatPool",
    "ChatRotation",
    "DrillHonest",
    "DrillReport",
    "Ended",
    "Generator",
    "Held",
    "HonestScenario",
    "HonestStage",
    "MeasuredScenario",
    "Probe",
    "ProbeDetails",
    "ProbeHonest",
    "ProbeReport",
    "Sample",
    "ScenarioSlo",
    "ScenarioSummary",
    "SkippedScenario",
    "SloCheck",
    "Spread",
    "Stage",
    "StageLatency",
    "StageScale",
    "StageTally",
    "SummaryLatency",
    "artifact_name",
    "iso",
    "ms_of_iso",
    "stamp",
]

Status = Annotated[str, Field(pattern=r"^[1-9][0-9]{2}$")]
"""An HTTP status as a JSON key."""


class _Sparse(Wire):
    """Fields that were not given are not written, as in the original's JSON."""

    @model_serializer(mode="wrap")
    def _write_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name, info in type(self).model_fields.items():
            if name not in self.model_fields_set:
                written.pop(name, None)
                written.pop(info.alias or name, None)
        return written


class Artifact(_Sparse):
    """A report that is also a file."""

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read an artifact, ours or the original's. Raises `BadReport` naming every wrong path."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise BadReport(fault_paths(error), where=cls.__name__) from None

    def to_artifact(self) -> dict[str, Any]:
        """Exactly the original's fields in its order, then `honest` when we measured it."""
        written: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        if written.get("honest", ...) is None:
            del written["honest"]
        return written

    def to_json(self) -> str:
        """The file's text: two-space indentation, no final newline."""
        return json.dumps(self.to_artifact(), indent=2, ensure_ascii=False)


# Probe (section 3)


class ProbeDetails(_Sparse):
    """What was expected and what came; the origin fields stand only at `chat_options_cors`."""

    expected_status: tuple[Count, ...]
    status: Count
    expected_allow_origin: str | None = None
    actual_allow_origin: str | None = None


class Probe(Wire):
    """One of the five requests; `status` is None and `details` the error text when it threw."""

    name: str
    passed: bool = Field(alias="pass")
    latency_ms: Number
    status: Count | None
    details: ProbeDetails | str


class Ended(Wire):
    """How a measurement came to its end.

    `finished` | `aborted` (the target was bad, R18) | `stopped` (by a person) | `control_lost` |
    `generator` (we were the bottleneck) | `died`.
    """

    how: Literal["finished", "aborted", "stopped", "control_lost", "generator", "died"]
    reason: str = ""
    at: Millis | None = None


class ProbeHonest(Wire):
    """Ours: which target was asked, and whether all probes were made."""

    version: Literal[1] = 1
    target: str | None = None
    ended: Ended = Ended(how="finished")


class ProbeReport(Artifact):
    """`synthetic-probes-<stamp>.json`; `started_at` and `finished_at` are ISO texts."""

    started_at: str
    finished_at: str
    base_url: str
    probe_origin: str
    probes: tuple[Probe, ...]
    passed: bool
    honest: ProbeHonest | None = None


# Drill (section 4)


class StageScale(Wire):
    load: Number
    concurrency: Number
    duration: Number


class ChatRotation(Wire):
    mode: str
    stride: Count | None
    seed: str


class StageLatency(Wire):
    """Of all requests from sending, failures included; until headers, in milestones until the end."""

    min_ms: Number
    p50_ms: Number
    p95_ms: Number
    p99_ms: Number
    first_token_p95_ms: Number
    max_ms: Number
    avg_ms: Number


class Stage(Wire):
    name: str
    mode: Literal["count", "duration"]
    requested_total: Count | None
    requested_duration_ms: Millis | None
    executed: Count
    concurrency: Count
    wall_ms: Number
    requests_per_second: Number
    completed: Count
    failed: Count
    statuses: dict[Status, Count]
    errors: dict[str, Count]
    latency: StageLatency


class SummaryLatency(Wire):
    """The largest p95 of the stages: the original's way, kept for its readers; it does not decide."""

    p95_ms: Number
    first_token_p95_ms: Number


class ChatPool(Wire):
    size: Count
    unique_used: Count
    unique_coverage: Number | None
    rotation_mode: str
    rotation_stride: Count | None


class ScenarioSummary(_Sparse):
    total_requests: Count
    completed: Count
    failed: Count
    statuses: dict[Status, Count]
    errors: dict[str, Count]
    latency: SummaryLatency
    chat_pool: ChatPool | None = None


class SloCheck(Wire):
    """One check of the original; `actual` is rounded for display, the comparison was not."""

    name: str
    passed: bool = Field(alias="pass")
    actual: Number
    threshold: Number


class ScenarioSlo(Wire):
    passed: bool = Field(alias="pass")
    checks: tuple[SloCheck, ...]


class SkippedScenario(Wire):
    name: str
    skipped: Literal[True]
    reason: str


class MeasuredScenario(Wire):
    name: str
    skipped: Literal[False]
    stages: tuple[Stage, ...]
    summary: ScenarioSummary
    slo: ScenarioSlo


Scenario = Annotated[SkippedScenario | MeasuredScenario, Field(discriminator="skipped")]


# Drill: what we measured


class Spread(Wire):
    """A distribution: exact nearest-rank figures, and the histogram (base64, microseconds) for merging.

    Figures are None when `n` is 0: nothing measured is not 0 ms.
    """

    n: Count
    p50_ms: Number | None
    p95_ms: Number | None
    p99_ms: Number | None
    max_ms: Number | None
    histogram: str | None = None


class HonestStage(Wire):
    """One stage, or all but warm-ups pooled. Latencies count from the planned time.

    `latency` holds what succeeded (2xx; chat: to the end of a stream that said `done`), `refused` what was
    answered with no success below 500, `failed` the rest. `streams` counts done, error, cut.
    """

    name: str
    warmup: bool
    planned: Count
    sent: Count
    unsent: Count
    answered: Count
    succeeded: Count
    wall_ms: Number
    statuses: dict[Status, Count]
    errors: dict[str, Count]
    streams: dict[str, Count]
    error_codes: dict[str, Count]
    sendcat_errors: Count
    users_used: Count
    latency: Spread
    refused: Spread
    failed: Spread
    headers: Spread
    first_token: Spread
    send_lag: Spread


class Bound(Wire):
    """`bad` of `n`, and the bad rate that is still possible at 95% (exact, one-sided)."""

    metric: str
    n: Count
    bad: Count
    upper_bound: Number


class Held(Wire):
    """A milestone's open streams: how many were planned, and how many were open while they were to be held.

    `open_p5` were open in all but the worst twentieth of the sustain time; None when it was not reached.
    `documented_soak_ms` is the soak that the milestone's definition asks for, shown beside what was held.
    """

    planned: Count
    ramp_ms: Millis
    sustain_ms: Millis
    documented_soak_ms: Millis
    open_p5: Count | None
    open_median: Count | None
    open_max: Count


class HonestScenario(Wire):
    """`measured`, or `skipped` (asked for, could not run: `reason`), or `not_asked`.

    `loop` says how the load came: `open` by plan, `closed` by workers as in the original, `streams` held open.
    """

    name: str
    state: Literal["measured", "skipped", "not_asked"]
    reason: str = ""
    loop: Literal["open", "closed", "streams"] = "open"
    held: Held | None = None
    pooled: HonestStage | None = None
    stages: tuple[HonestStage, ...] = ()
    bounds: tuple[Bound, ...] = ()


class Generator(Wire):
    """The generator's self-check: load it owed, how late it sent, how late it read."""

    planned: Count
    sent: Count
    unsent: Count
    send_lag_p99_ms: Number | None
    send_lag_max_ms: Number | None
    receive_lag_p99_ms: Number | None = None
    bottleneck: bool = False
    reason: str = ""
    processes: Count = 1


class DrillHonest(Wire):
    """Ours, and what decides. `required_scenarios` must have run for a verdict other than INCOMPLETE.

    `circuits_opened` are the providers whose circuit opened during the drill; None when nobody could look.
    """

    version: Literal[1] = 1
    target: str | None = None
    loop: Literal["open", "closed"] = "open"
    circuits_opened: tuple[str, ...] | None = None
    required_scenarios: tuple[str, ...]
    ended: Ended
    generator: Generator
    scenarios: tuple[HonestScenario, ...]

    def scenario(self, name: str) -> HonestScenario | None:
        """What was measured of one scenario, if it is here."""
        return next((item for item in self.scenarios if item.name == name), None)


class DrillReport(Artifact):
    """`load-drill-<profile>-<stamp>.json`; without `honest` it is one of the original's."""

    started_at: str
    finished_at: str
    base_url: str
    quick_mode: bool
    profile: str
    scenario_filter: tuple[str, ...] | None
    chat_auth_pool_size: Count
    chat_stage_scale: StageScale
    chat_rotation: ChatRotation
    scenarios: tuple[Scenario, ...]
    passed: bool
    honest: DrillHonest | None = None

    def scenario(self, name: str) -> SkippedScenario | MeasuredScenario | None:
        """The original part of one scenario, if it is here."""
        return next((item for item in self.scenarios if item.name == name), None)
