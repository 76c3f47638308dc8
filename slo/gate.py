"""Judge a release: probe, drill, snapshot and threshold burn together.

VERDICTS, "Gate"; the original's rules (operator-commands.md section 5) stand beside. The snapshot taken
*after* the drill decides; the one from *before* tells what was there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slo import drill as drills
from slo import posture
from slo import probe as probes
from slo.measure import five_xx, to_fixed, unknown
from slo.policy import Baseline, EndpointSlo, GatePolicy, Ownership
from slo.reports import DrillReport, MeasuredScenario, ProbeReport, ScenarioSummary
from slo.scenarios import endpoint
from slo.snapshot import SERVER_MAX_LIMIT, Snapshot
from slo.verdict import Check, Judgement, Owner, Verdict, sum_up
from slo.verdict import judge as check

STEPS = ("synthetic_probes", "load_drill", "snapshot_gate", "burn_rate_gate")
ROLLBACK_CRITERIA = (
    "Block release if any gate fails.",
    "Keep existing production deployment active.",
    "Investigate failing checks with `npm run reliability:snapshot` and RUNBOOK playbooks.",
    "Re-run release gate after mitigation before promoting build.",
)


@dataclass(frozen=True, slots=True)
class MetricBurn:
    """Value over threshold for each metric of an endpoint: 1.0 is at the limit."""

    p95: float
    five_xx: float
    network: float
    unknown: float

    @property
    def overall(self) -> float:
        return max(self.p95, self.five_xx, self.network, self.unknown)


@dataclass(frozen=True, slots=True)
class Burn:
    """The original's burn rate of one scenario, unrounded. It is no error-budget burn (section 12, 14)."""

    scenario: str
    endpoint: str
    owner: Owner
    metrics: MetricBurn
    long_window: float
    history_samples: int
    has_enough_history: bool
    passed: bool

    @property
    def short_window(self) -> float:
        return self.metrics.overall

    @property
    def name(self) -> str:
        return f"burn_rate_{self.scenario}"


@dataclass(frozen=True, slots=True)
class GateJudgement:
    """Four steps in the original's order, one verdict; `already` names checks that were red before."""

    verdict: Verdict
    original_rule: bool
    steps: tuple[tuple[str, Judgement], ...]
    already: tuple[str, ...] = ()

    def step(self, name: str) -> Judgement:
        """The judgement of one step; raises KeyError for a name that is not a step."""
        return dict(self.steps)[name]


def judge(
    *,
    before: Snapshot | None,
    after: Snapshot | None,
    probe: ProbeReport | None,
    drill: DrillReport | None,
    history: Sequence[DrillReport],
    policy: GatePolicy,
    baseline: Baseline,
    ownership: Ownership,
    required: Sequence[str] | None = None,
    now_ms: int,
    limit: int = SERVER_MAX_LIMIT,
    failed_in_window: int | None = None,
) -> GateJudgement:
    """The verdict of a release gate at `now_ms` (milliseconds UTC).

    What is None was not done: that step is INCOMPLETE, while the original counts it as passed. `history`
    holds the last drill reports of the same profile, the present one among them, as the original reads
    them. `limit` and `failed_in_window` are as in `slo.posture.judge`.
    """
    steps = (
        ("synthetic_probes", probes.judge(probe, ownership) if probe else _not_done("probes")),
        (
            "load_drill",
            drills.judge(drill, baseline, ownership, required=required) if drill else _not_done("drill"),
        ),
        (
            "snapshot_gate",
            _snapshot_step(before, after, policy, ownership, now_ms, limit, failed_in_window),
        ),
        ("burn_rate_gate", _burn_step(drill, history, policy, baseline, ownership)),
    )
    decided = [step for name, step in steps if name != "burn_rate_gate" or policy.burn_rate.enabled]
    already: tuple[str, ...] = ()
    if before is not None:
        # How old it is does not matter here: it only tells what the drill cannot have caused.
        was = posture.judge(before, policy, ownership, now_ms=before.generated_at, limit=limit)
        already = tuple(item.name for item in was.failed)
    return GateJudgement(
        verdict=sum_up([], also=[step.verdict for step in decided]).verdict,
        original_rule=all(step.original_rule is not False for _, step in steps),
        steps=steps,
        already=already,
    )


def _not_done(what: str) -> Judgement:
    return sum_up([], original_rule=True, reason=f"{what} not run")


def _snapshot_step(
    before: Snapshot | None,
    after: Snapshot | None,
    policy: GatePolicy,
    ownership: Ownership,
    now_ms: int,
    limit: int,
    failed_in_window: int | None,
) -> Judgement:
    if after is None:
        return sum_up([], original_rule=False, reason="no snapshot after the drill")
    made = posture.judge(
        after,
        policy,
        ownership,
        now_ms=now_ms,
        before=before,
        limit=limit,
        failed_in_window=failed_in_window,
    )
    if before is not None and before.generated_at <= after.generated_at:
        return made
    reason = "no snapshot before the drill" if before is None else "the snapshots are in the wrong order"
    return sum_up(made.checks, original_rule=made.original_rule, reason=reason, also=(made.verdict, Verdict.INCOMPLETE))


def _burn_step(
    drill: DrillReport | None,
    history: Sequence[DrillReport],
    policy: GatePolicy,
    baseline: Baseline,
    ownership: Ownership,
) -> Judgement:
    if drill is None:
        return _not_done("drill")
    burns = burn_rates(drill, history, policy, baseline, ownership)
    checks = [_burn_check(burn, policy) for burn in burns]
    return sum_up(
        checks,
        original_rule=all(burn.passed for burn in burns),
        reason="" if checks else "no scenario was run",
    )


def _burn_check(burn: Burn, policy: GatePolicy) -> Check:
    """The window that is nearest to (or furthest over) its own limit speaks for the scenario."""
    limits = policy.burn_rate
    value, most, window = burn.short_window, limits.short_window_max_burn_rate, "this run"
    over_long = burn.has_enough_history and burn.long_window > limits.long_window_max_burn_rate
    if value <= most and over_long:
        value, most, window = (
            burn.long_window,
            limits.long_window_max_burn_rate,
            f"average of {burn.history_samples} runs",
        )
    return check(
        "threshold_burn",
        value,
        most,
        scope=burn.endpoint,
        unit="count",
        owner=burn.owner,
        reason=f"{window}: times the baseline's limit, not an error budget",
        original=burn.passed,
    )


# The original's burn rate


def burn_rates(
    latest: DrillReport,
    history: Sequence[DrillReport],
    policy: GatePolicy,
    baseline: Baseline,
    ownership: Ownership,
) -> tuple[Burn, ...]:
    """The burn of every scenario that ran and has a promise; the last `lookbackReports` of `history` count."""
    limits = policy.burn_rate
    window = history[-limits.lookback_reports :]
    found = []
    for item in latest.scenarios:
        slo = baseline.endpoint(endpoint(item.name))
        if not isinstance(item, MeasuredScenario) or slo is None:
            continue
        metrics = metric_burn(item.summary, slo)
        past = [
            metric_burn(old.summary, slo).overall
            for report in window
            if isinstance(old := report.scenario(item.name), MeasuredScenario)
        ]
        long_window = sum(past) / len(past) if past else metrics.overall
        enough = len(past) >= limits.min_reports_for_long_window
        found.append(
            Burn(
                scenario=item.name,
                endpoint=endpoint(item.name),
                owner=ownership.owner_of(endpoint(item.name)),
                metrics=metrics,
                long_window=long_window,
                history_samples=len(past),
                has_enough_history=enough,
                passed=metrics.overall <= limits.short_window_max_burn_rate
                and (not enough or long_window <= limits.long_window_max_burn_rate),
            )
        )
    return tuple(found)


def metric_burn(summary: ScenarioSummary, slo: EndpointSlo) -> MetricBurn:
    """Value over threshold, 0 where the threshold is 0; rates over all requests, at least one."""
    total = max(summary.total_requests, 1)

    def over(value: float, limit: float) -> float:
        return value / limit if limit > 0 else 0

    return MetricBurn(
        p95=over(summary.latency.p95_ms, slo.max_p95_ms),
        five_xx=over(five_xx(summary.statuses) / total, slo.max_five_xx_rate),
        network=over(sum(summary.errors.values()) / total, slo.max_network_error_rate),
        unknown=over(unknown(summary.statuses, slo.allowed_statuses) / total, slo.max_unknown_status_rate),
    )


# The original's artifact


def original_snapshot_checks(snapshot: Snapshot, policy: GatePolicy, ownership: Ownership) -> list[dict[str, object]]:
    """`snapshot_gate.checks` as the original writes them: the table's counts, not corrected."""
    limits, jobs = policy.snapshot, snapshot.tool_jobs
    leases = max(limits.max_bulkhead_active_leases, snapshot.bulkhead_capacity)
    rows: tuple[tuple[str, int, int], ...] = (
        ("open_circuits", snapshot.circuit_breakers.open_count, limits.max_open_circuits),
        (
            "rate_limit_alerts_window",
            snapshot.rate_limit_pressure.alerts_in_window,
            limits.max_rate_limit_alerts_in_window,
        ),
        ("bulkhead_active_leases", snapshot.bulkheads.active_lease_count, leases),
        ("tool_jobs_queued", jobs.by_status.queued, limits.max_queued_tool_jobs),
        ("tool_jobs_failed", jobs.by_status.failed, limits.max_failed_tool_jobs),
        ("tool_jobs_oldest_queued_age", jobs.oldest_queued_age_ms, limits.max_oldest_queued_age_ms),
        ("tool_jobs_oldest_running_age", jobs.oldest_running_age_ms, limits.max_oldest_running_age_ms),
    )
    written: list[dict[str, object]] = []
    for name, actual, most in rows:
        row: dict[str, object] = {"name": name, "actual": actual, "threshold": most}
        if name == "bulkhead_active_leases":
            row["policyThreshold"] = limits.max_bulkhead_active_leases
            row["configuredCapacityThreshold"] = snapshot.bulkhead_capacity
        row["pass"] = actual <= most
        row["owner"] = ownership.owner_of(f"snapshot:{name}").model_dump()
        written.append(row)
    return written


def original_burn_check(burn: Burn, policy: GatePolicy) -> dict[str, object]:
    """One of `burn_rate_gate.checks` as the original writes it, rounded to three decimals."""
    limits = policy.burn_rate
    return {
        "name": burn.name,
        "endpoint": burn.endpoint,
        "owner": burn.owner.model_dump(),
        "pass": burn.passed,
        "shortWindowBurnRate": to_fixed(burn.short_window, 3),
        "longWindowBurnRate": to_fixed(burn.long_window, 3),
        "historySamples": burn.history_samples,
        "thresholds": {
            "shortWindowMaxBurnRate": limits.short_window_max_burn_rate,
            "longWindowMaxBurnRate": limits.long_window_max_burn_rate,
            "minReportsForLongWindow": limits.min_reports_for_long_window,
        },
        "metricBurn": {
            "p95": to_fixed(burn.metrics.p95, 3),
            "fiveXx": to_fixed(burn.metrics.five_xx, 3),
            "network": to_fixed(burn.metrics.network, 3),
            "unknown": to_fixed(burn.metrics.unknown, 3),
        },
        "hasEnoughHistory": burn.has_enough_history,
    }
