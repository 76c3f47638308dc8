"""The artifacts of the judging commands: the original's fields in its order, ours under `honest`.

Fields and file names: contract/operator-commands.md sections 6 (canary), 7 (game day), 8 (dashboard),
9 (region readiness) and 10 (milestone gate). Probe and drill are in `slo.reports`.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from slo.compare import CanaryStatistics
from slo.reports import Artifact, Sparse
from slo.verdict import Check, Judgement, Verdict
from slo.wire import Count, Millis, Number, Wire


class FileRef(Wire):
    """An artifact by name and sha256 of its bytes."""

    name: str
    sha256: str


class Decided(Wire):
    """Ours: the verdict, what it rests on, and what the original's rule says of the same run."""

    version: Literal[1] = 1
    target: str | None = None
    verdict: Verdict
    original_rule: bool | None = None
    reason: str = ""
    checks: tuple[Check, ...] = ()
    not_looked_at: tuple[str, ...] = ()
    """Damaged or unfit files that were left out, with the reason."""

    @classmethod
    def of(cls, made: Judgement, *, target: str | None = None, **more: Any) -> Self:
        """From a judgement; `more` are further fields of a subclass."""
        return cls(
            target=target,
            verdict=made.verdict,
            original_rule=made.original_rule,
            reason=made.reason,
            checks=made.checks,
            **more,
        )


# Canary (section 6)


class StepDetails(Wire):
    report_path: str
    passed: bool


class CanaryRates(Wire):
    """One side's rates over all its requests (0..1), unrounded; p95 as the original's summary has it."""

    five_xx_rate: Number
    network_error_rate: Number
    unknown_status_rate: Number
    p95_ms: Number


class CanaryDeltas(Wire):
    """Candidate against control; the ratio to three decimals, the difference to one, rates to four."""

    p95_ratio: Number
    p95_delta_ms: Number
    five_xx_rate: Number
    network_error_rate: Number
    unknown_status_rate: Number


class CanaryLimits(Wire):
    max_p95_regression_ratio: Number
    max_p95_absolute_regression_ms: Number
    max_five_xx_rate_regression: Number
    max_network_error_rate_regression: Number
    max_unknown_status_rate_regression: Number


class ScenarioDetails(Wire):
    scenario: str
    passed: bool = Field(alias="pass")
    control: CanaryRates
    candidate: CanaryRates
    deltas: CanaryDeltas
    thresholds: CanaryLimits


class CanaryCheck(Wire):
    """`control_probe_pass` and its three sisters, or `scenario_<scenario>`."""

    name: str
    passed: bool = Field(alias="pass")
    details: StepDetails | ScenarioDetails


class CanaryFiles(Sparse):
    """Which reports were compared; one that was never made is not written."""

    control_probe: str | None = None
    candidate_probe: str | None = None
    control_drill: str | None = None
    candidate_drill: str | None = None


class CanaryRound(Wire):
    """One drill of one side, in the order they ran."""

    side: Literal["control", "candidate"]
    report: FileRef


class CanaryHonest(Decided):
    """Ours: both targets, how it was judged, and every file that it rests on.

    `evidence` has controlProbe, candidateProbe, controlDrill, candidateDrill (all rounds of a side as one) and the
    snapshots controlBefore, controlAfter, candidateBefore, candidateAfter; what was not made is absent, and
    `not_done` says why. `limits` are those that were used. `power` is how surely 5% broken chats are seen.
    """

    control_target: str | None = None
    candidate_target: str | None = None
    release: str | None = None
    commit: str | None = None
    required_scenarios: tuple[str, ...] = ()
    limits: CanaryLimits | None = None
    warnings: tuple[str, ...] = ()
    waivable: tuple[str, ...] = ()
    blocked: str = ""
    not_done: tuple[str, ...] = ()
    rounds_planned: Count = 0
    rounds: tuple[CanaryRound, ...] = ()
    evidence: dict[str, FileRef] = Field(default_factory=dict)
    policies: dict[str, str] = Field(default_factory=dict)
    power: Number | None = None
    statistics: CanaryStatistics | None = None


class CanaryReport(Artifact):
    """`canary-check-<stamp>.json`."""

    started_at: str
    finished_at: str
    profile: str
    control_url: str
    candidate_url: str
    policy_path: str
    checks: tuple[CanaryCheck, ...]
    artifacts: CanaryFiles
    passed: bool
    rollback_criteria: tuple[str, ...]
    honest: CanaryHonest | None = None


# Milestone gate (section 10)


class MilestoneCheck(Wire):
    """`actual` is rounded to four decimals; `missing` against `required` when the scenario did not run."""

    name: str
    passed: bool = Field(alias="pass")
    actual: Number | str
    threshold: Number | str


class MilestoneSummary(Wire):
    total_requests: Count
    unique_users: Count
    unique_coverage: Number
    pool_size: Count


class MilestoneScenario(Sparse):
    scenario: str
    passed: bool = Field(alias="pass")
    checks: tuple[MilestoneCheck, ...]
    summary: MilestoneSummary | None = None


class MilestoneSnapshotChecks(Wire):
    passed: bool = Field(alias="pass")
    checks: tuple[MilestoneCheck, ...]
    open_circuits: tuple[dict[str, Any], ...] = ()


class MilestoneScale(Wire):
    """How the chat scenario was scaled; the original's artifact does not say (weakness 22)."""

    load: Number = 1
    concurrency: Number = 1
    duration: Number = 1
    original_workers: bool = False


class MilestoneHonest(Decided):
    """Ours: how much of the milestone was really held, and every file that the verdict rests on.

    `evidence` has before, after and drill; what was not made is absent, and `not_done` says why. `availability` is the
    share of good streams beside the milestone's target, shown and not decided on: it is meant over the soak.
    """

    release: str | None = None
    commit: str | None = None
    judged_at: Millis | None = None
    streams_planned: Count | None = None
    streams_wanted: Count | None = None
    streams_held: Count | None = None
    sustained_ms: Millis | None = None
    soak_ms: Millis | None = None
    scale: MilestoneScale = MilestoneScale()
    approval: str | None = None
    """The decision that allowed a load above the ceilings."""
    pool_name: str | None = None
    pool_age_ms: Millis | None = None
    availability: Number | None = None
    availability_target: Number | None = None
    warnings: tuple[str, ...] = ()
    blocked: str = ""
    not_done: tuple[str, ...] = ()
    effective_limit: Count | None = None
    evidence: dict[str, FileRef] = Field(default_factory=dict)
    policies: dict[str, str] = Field(default_factory=dict)
    """File name of each policy, and the digest of what it says."""
    configuration: str = ""
    """Digest of the deployment's effective configuration in the snapshot that decided."""


class MilestoneReport(Artifact):
    """`milestone-gate-<milestone>-<stamp>.json`. Its verdict is `pass`, elsewhere it is `passed`."""

    started_at: str
    finished_at: str
    base_url: str
    milestone: str
    policy_path: str
    drill_report_path: str | None
    snapshot_window_minutes: Number
    snapshot_limit: Count
    scenario_checks: tuple[MilestoneScenario, ...]
    snapshot_checks: MilestoneSnapshotChecks
    passed: bool = Field(alias="pass")
    honest: MilestoneHonest | None = None


# Region readiness (section 9)


class Demand(Wire):
    triggered: bool
    recommended_topology: str
    reason: str


class LoadEvaluation(Wire):
    """One report that drilled chat; rates over responses received, unrounded."""

    file: str
    profile: str
    p95_ms: Number
    rate429: Number = Field(alias="rate429")
    rate5xx: Number = Field(alias="rate5xx")
    breached: bool


class LoadTrigger(Wire):
    triggered: bool
    breach_count: Count
    threshold_breaches_needed: Count
    evaluations: tuple[LoadEvaluation, ...]
    recommended_topology: str


class HealthCheck(Wire):
    actual: Number
    threshold: Number
    breached: bool


class HealthChecks(Wire):
    open_circuits: HealthCheck
    queued_tool_jobs: HealthCheck
    rate_limit_alerts_in_window: HealthCheck


class HealthTrigger(Wire):
    triggered: bool
    checks: HealthChecks
    recommended_topology: str


class Triggers(Wire):
    demand: Demand
    load_pressure: LoadTrigger
    snapshot_health: HealthTrigger


class Decision(Wire):
    activate_multi_region_program: bool
    recommended_topology: str
    rationale: str


class RegionHonest(Decided):
    """Ours: the recommended topology of our own triggers, and every file that the verdict rests on.

    `snapshot` is None when there was none; `fresh` says that it was taken for this check. `drills` are the latest by
    start, newest first. Without `forecast_given` nobody gave a number of streams.
    """

    recommended_topology: str
    forecast_given: bool = True
    judged_at: Millis | None = None
    lookback_reports: Count | None = None
    limit: Count | None = None
    fresh: bool = True
    snapshot: FileRef | None = None
    drills: tuple[FileRef, ...] = ()
    warnings: tuple[str, ...] = ()
    policies: dict[str, str] = Field(default_factory=dict)
    """File name of the policy, and the digest of what it says."""


class RegionReport(Artifact):
    """`region-readiness-<stamp>.json`; it carries no `passed`."""

    started_at: str
    policy_path: str
    expected_peak_streams: Number
    current_topology: str
    readiness_only: bool
    triggers: Triggers
    decision: Decision
    honest: RegionHonest | None = None


# Game day (section 7)


class GameDayStep(Sparse):
    type: Literal["probe", "drill"]
    profile: str | None = None
    passed: bool = Field(alias="pass")
    report_path: str | None


class ActionItem(Wire):
    """A finding with somebody to look after it; `id` is the row's, None before it has one."""

    finding: str
    owner: str
    secondary: str
    id: str | None = None


class GameDayHonest(Decided):
    """`items` were made by this game day, `opened_with` were still open when it began."""

    items: tuple[ActionItem, ...] = ()
    opened_with: tuple[ActionItem, ...] = ()
    fault: str | None = None


class GameDayReport(Artifact):
    """`game-day-<stamp>.json`."""

    started_at: str
    finished_at: str
    base_url: str
    profiles: tuple[str, ...]
    passed: bool
    steps: tuple[GameDayStep, ...]
    findings: tuple[str, ...]
    action_items: tuple[str, ...]
    honest: GameDayHonest | None = None


# Dashboard (section 8)


class DashboardSource(Wire):
    load_drill_reports: Count
    probe_reports: Count
    gate_reports: Count
    max_reports: Count


class ScenarioTrend(Wire):
    name: str
    runs: Count
    pass_rate: Number
    avg_p95_ms: Number
    max_p95_ms: Number


class DrillTrends(Wire):
    overall_pass_rate: Number
    scenarios: tuple[ScenarioTrend, ...]


class PassRate(Wire):
    overall_pass_rate: Number


class DashboardReport(Artifact):
    """`slo-dashboard.json`."""

    generated_at: str
    source: DashboardSource
    load_drills: DrillTrends
    probes: PassRate
    release_gate: PassRate
    honest: dict[str, Any] | None = None
