"""From tallies to the reports: the original's figures computed its way, and the honest ones beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from slo import original
from slo.measure import encode, five_xx, percentiles, to_fixed, two_xx, unknown, upper_bound
from slo.policy import Baseline
from slo.profiles import Scale, StagePlan, StreamPlan
from slo.reports import (
    Bound,
    ChatPool,
    ChatRotation,
    DrillHonest,
    DrillReport,
    Ended,
    Generator,
    Held,
    HonestScenario,
    HonestStage,
    MeasuredScenario,
    ScenarioSummary,
    SkippedScenario,
    Spread,
    Stage,
    StageLatency,
    StageScale,
    SummaryLatency,
    iso,
)
from slo.scenarios import CHAT, SCENARIOS, endpoint
from slo.tally import StageTally, pooled

NOT_ASKED = "disabled"
"""What the original writes for a scenario that was left out by `--scenarios`."""
NO_CHAT_CREDENTIALS = (
    "Set RELIABILITY_AUTH_TOKEN + RELIABILITY_THREAD_ID, or provide a chat auth pool file/json, "
    "to enable chat load drill."
)
"""What the original writes when chat cannot run for want of credentials."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a drill was asked to do; times are milliseconds UTC.

    `only` is the scenario filter as asked, None for all. `pool_size` 0 means one token, or no chat.
    `min_unique_coverage` (negative: off) and `min_unique_users` (0: off) are the flags of the original.
    """

    target: str
    base_url: str
    profile: str
    started_ms: int
    finished_ms: int
    required: tuple[str, ...]
    only: tuple[str, ...] | None = None
    quick: bool = False
    loop: Literal["open", "closed"] = "open"
    scale: Scale = field(default_factory=Scale)
    pool_size: int = 0
    rotation_mode: str = "round_robin"
    rotation_stride: int | None = None
    rotation_seed: str = ""
    min_unique_coverage: float | None = None
    min_unique_users: int = 0


@dataclass(frozen=True, slots=True)
class StageRun:
    """One stage that was run: its (scaled) plan, what it measured, and how the load came."""

    plan: StagePlan
    tally: StageTally
    loop: Literal["open", "closed", "streams"] = "open"


def held_streams(plan: StreamPlan, sustained: Sequence[int], most: int) -> Held:
    """What a milestone held: `sustained` are counts of open streams at even steps of the sustain time."""
    p5, median = percentiles(sustained, 5, 50)
    return Held(
        planned=plan.streams,
        ramp_ms=plan.ramp_ms,
        sustain_ms=plan.sustain_ms,
        documented_soak_ms=plan.soak_ms,
        open_p5=round(p5) if sustained else None,
        open_median=round(median) if sustained else None,
        open_max=most,
    )


def drill_report(
    run: Run,
    measured: Mapping[str, Sequence[StageRun]],
    *,
    baseline: Baseline,
    ended: Ended,
    generator: Generator | None = None,
    skipped: Mapping[str, str] | None = None,
    held: Held | None = None,
) -> DrillReport:
    """The whole report. `measured` holds the stages of each scenario that ran, as far as they ran;
    `skipped` says why others did not (a scenario in neither was not asked for, or not reached).
    `held` belongs to a milestone's chat.

    Raises `UnknownScenario` for a name that is not a scenario.
    """
    for name in (*measured, *(skipped or {})):
        endpoint(name)
    reasons = {name: _reason(run, name, skipped or {}, ended) for name in SCENARIOS if not measured.get(name)}
    scenarios = tuple(
        SkippedScenario(name=name, skipped=True, reason=reasons[name])
        if name in reasons
        else _original_scenario(run, name, measured[name])
        for name in SCENARIOS
    )
    ran = [item for item in scenarios if isinstance(item, MeasuredScenario)]
    return DrillReport(
        started_at=iso(run.started_ms),
        finished_at=iso(run.finished_ms),
        base_url=run.base_url,
        quick_mode=run.quick,
        profile=run.profile,
        scenario_filter=run.only,
        chat_auth_pool_size=run.pool_size,
        chat_stage_scale=StageScale(
            load=run.scale.load, concurrency=run.scale.concurrency, duration=run.scale.duration
        ),
        chat_rotation=ChatRotation(mode=run.rotation_mode, stride=run.rotation_stride, seed=run.rotation_seed),
        scenarios=scenarios,
        passed=all(item.slo.passed for item in ran),
        honest=DrillHonest(
            target=run.target,
            loop=run.loop,
            required_scenarios=run.required,
            ended=ended,
            generator=generator or generator_of(measured),
            scenarios=tuple(
                HonestScenario(name=name, state=_state(run, name), reason=reasons[name])
                if name in reasons
                else honest_scenario(name, measured[name], baseline, held if name == CHAT else None)
                for name in SCENARIOS
            ),
        ),
    )


def _reason(run: Run, name: str, skipped: Mapping[str, str], ended: Ended) -> str:
    if name in skipped:
        return skipped[name]
    if run.only is not None and name not in run.only:
        return NOT_ASKED
    return f"not reached: {ended.reason or ended.how}"


def _state(run: Run, name: str) -> Literal["skipped", "not_asked"]:
    return "not_asked" if run.only is not None and name not in run.only else "skipped"


def generator_of(measured: Mapping[str, Sequence[StageRun]]) -> Generator:
    """The generator's self-check from the tallies alone; whether it was the bottleneck it must say itself."""
    tallies = [stage.tally for stages in measured.values() for stage in stages]
    lags = [lag for tally in tallies for lag in tally.send_lag_ms]
    p99, top = percentiles(lags, 99, 100)
    return Generator(
        planned=sum(tally.planned for tally in tallies),
        sent=sum(tally.sent for tally in tallies),
        unsent=sum(tally.unsent for tally in tallies),
        send_lag_p99_ms=to_fixed(p99, 3) if lags else None,
        send_lag_max_ms=to_fixed(top, 3) if lags else None,
    )


# The original's way


def _original_scenario(run: Run, name: str, stages: Sequence[StageRun]) -> MeasuredScenario:
    written = tuple(original_stage(stage) for stage in stages)
    summary = original_summary(written, _chat_pool(run, stages) if name == CHAT else None)
    limits = original.limits(run.profile, name)
    if name == CHAT:
        coverage = run.min_unique_coverage
        limits = replace(
            limits,
            min_unique_pool_users=run.min_unique_users,
            min_unique_pool_coverage=limits.min_unique_pool_coverage
            if coverage is None
            else (coverage if coverage >= 0 else None),
        )
    return MeasuredScenario(
        name=name, skipped=False, stages=written, summary=summary, slo=original.evaluate(summary, limits)
    )


def original_stage(stage: StageRun) -> Stage:
    """One stage as the original writes it: from sending, failures in the latency lists."""
    plan, tally = stage.plan, stage.tally
    p0, p50, p95, p99, p100 = percentiles(tally.original_ms, 0, 50, 95, 99, 100)
    (first95,) = percentiles(tally.original_first_token_ms, 95)
    wall_ms = max(0, round(tally.wall_ms))
    mean = sum(tally.original_ms) / len(tally.original_ms) if tally.original_ms else 0
    return Stage(
        name=plan.name,
        mode=plan.mode,
        requested_total=plan.total,
        requested_duration_ms=plan.duration_ms,
        executed=tally.sent,
        concurrency=plan.workers,
        wall_ms=wall_ms,
        requests_per_second=to_fixed(tally.sent * 1000 / max(1, wall_ms), 2),
        completed=tally.answered,
        failed=tally.sent - tally.answered,
        statuses=_by_status(tally.statuses),
        errors=dict(tally.errors),
        latency=StageLatency(
            min_ms=p0,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            first_token_p95_ms=first95,
            max_ms=p100,
            avg_ms=to_fixed(mean, 2),
        ),
    )


def original_summary(stages: Sequence[Stage], chat_pool: ChatPool | None = None) -> ScenarioSummary:
    """Stages added up as the original does; its p95 is the largest p95 of the stages."""
    statuses: dict[str, int] = {}
    errors: dict[str, int] = {}
    for stage in stages:
        for total, part in ((statuses, stage.statuses), (errors, stage.errors)):
            for key, n in part.items():
                total[key] = total.get(key, 0) + n
    summary = ScenarioSummary(
        total_requests=sum(stage.executed for stage in stages),
        completed=sum(stage.completed for stage in stages),
        failed=sum(stage.failed for stage in stages),
        statuses=_by_status(statuses),
        errors=errors,
        latency=SummaryLatency(
            p95_ms=max((stage.latency.p95_ms for stage in stages), default=0),
            first_token_p95_ms=max((stage.latency.first_token_p95_ms for stage in stages), default=0),
        ),
    )
    return summary if chat_pool is None else summary.model_copy(update={"chat_pool": chat_pool})


def _by_status(statuses: Mapping[str, int]) -> dict[str, int]:
    """In ascending order, as JavaScript orders number-like keys."""
    return {status: statuses[status] for status in sorted(statuses, key=int)}


def _chat_pool(run: Run, stages: Sequence[StageRun]) -> ChatPool:
    used = set[int]().union(*(stage.tally.users for stage in stages))
    return ChatPool(
        size=run.pool_size,
        unique_used=len(used),
        unique_coverage=to_fixed(len(used) / run.pool_size, 4) if run.pool_size else None,
        rotation_mode=run.rotation_mode,
        rotation_stride=run.rotation_stride,
    )


# Ours


def honest_scenario(
    name: str, stages: Sequence[StageRun], baseline: Baseline, held: Held | None = None
) -> HonestScenario:
    """One scenario's stages, all but warm-ups pooled, and the exact bounds of its rates."""
    tallies = [stage.tally for stage in stages]
    whole = honest_stage(pooled(name, tallies))
    return HonestScenario(
        name=name,
        state="measured",
        loop=stages[0].loop,
        held=held,
        pooled=whole,
        stages=tuple(honest_stage(tally) for tally in tallies),
        bounds=_bounds(name, whole, baseline),
    )


def honest_stage(tally: StageTally) -> HonestStage:
    """One tally with its distributions, from the planned time."""
    return HonestStage(
        name=tally.stage,
        warmup=tally.warmup,
        planned=max(tally.planned, tally.sent),
        sent=tally.sent,
        unsent=tally.unsent,
        answered=tally.answered,
        succeeded=tally.succeeded,
        wall_ms=to_fixed(tally.wall_ms, 3),
        statuses=_by_status(tally.statuses),
        errors=dict(tally.errors),
        streams={end: tally.streams.get(end, 0) for end in ("done", "error", "cut")} if tally.scenario == CHAT else {},
        error_codes=dict(tally.error_codes),
        sendcat_errors=tally.sendcat_errors,
        users_used=len(tally.users),
        latency=spread(tally.latency_ms),
        refused=spread(tally.refused_ms),
        failed=spread(tally.failed_ms),
        headers=spread(tally.headers_ms),
        first_token=spread(tally.first_token_ms),
        send_lag=spread(tally.send_lag_ms),
    )


def spread(values_ms: Sequence[float]) -> Spread:
    """A distribution with exact nearest-rank figures and its encoded histogram; empty when `n` is 0."""
    if not values_ms:
        return Spread(n=0, p50_ms=None, p95_ms=None, p99_ms=None, max_ms=None)
    p50, p95, p99, top = percentiles(values_ms, 50, 95, 99, 100)
    return Spread(n=len(values_ms), p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=top, histogram=encode(values_ms))


def _bounds(name: str, whole: HonestStage, baseline: Baseline) -> tuple[Bound, ...]:
    slo = baseline.endpoint(endpoint(name))
    bad = {
        "5xx_rate": five_xx(whole.statuses),
        "network_error_rate": sum(whole.errors.values()),
    }
    if slo is not None:
        bad["unknown_status_rate"] = unknown(whole.statuses, slo.allowed_statuses)
    if name == CHAT:
        bad["2xx_success_rate"] = whole.sent - two_xx(whole.statuses)
        bad["stream_success_rate"] = whole.sent - whole.succeeded
    return tuple(
        Bound(metric=metric, n=whole.sent, bad=n, upper_bound=to_fixed(upper_bound(n, whole.sent), 6))
        for metric, n in bad.items()
    )
