"""From what the engine measured to the report, however the drill ended (VERDICTS, "Endpoint checks")."""

from __future__ import annotations

from bot.sendcat.brake import Halt, ended
from bot.sendcat.load.measured import Measured
from bot.sendcat.load.plan import DrillPlan
from bot.sendcat.load.stage import LOOK_EVERY_S
from slo.measure import percentile
from slo.reports import DrillReport, Ended, Held
from slo.scenarios import endpoint
from slo.summary import Run, drill_report, generator_of, held_streams


def report_of(plan: DrillPlan, measured: Measured, started_ms: int, finished_ms: int) -> DrillReport:
    """The report of what was measured, however it ended."""
    halt = measured.halt
    if halt is not None and measured.cut_off:
        halt = Halt(halt.reason, f"{halt.detail}; {measured.cut_off} requests on their way were cut off")
    stages = measured.begun
    generator = generator_of(stages).model_copy(update={"processes": measured.processes})
    limits_ms = {name: slo.max_p95_ms for name in stages if (slo := plan.baseline.endpoint(endpoint(name))) is not None}
    late = measured.bottleneck(limits_ms)
    if late:
        generator = generator.model_copy(update={"bottleneck": True, "reason": late})
    if measured.loop_lag_ms:
        receive_ms = round(percentile(measured.loop_lag_ms, 99), 3)
        generator = generator.model_copy(update={"receive_lag_p99_ms": receive_ms})
    return drill_report(
        run_of(plan, started_ms, finished_ms),
        stages,
        baseline=plan.baseline,
        ended=ended(halt, finished_ms),
        generator=generator,
        skipped=plan.skipped,
        held=_held(plan, measured),
    )


def _held(plan: DrillPlan, measured: Measured) -> Held | None:
    """The streams that a milestone held; None for every other drill."""
    streams = next((item.streams for item in plan.scenarios if item.streams is not None), None)
    if streams is None:
        return None
    first, last = (round(ms / 1000 / LOOK_EVERY_S) for ms in (streams.ramp_ms, streams.ramp_ms + streams.sustain_ms))
    return held_streams(streams, measured.open_counts[first:last], max(measured.open_counts, default=0))


def run_of(plan: DrillPlan, started_ms: int, finished_ms: int) -> Run:
    """The plan in the report's words."""
    return Run(
        target=plan.target,
        base_url=plan.site_url,
        profile=plan.profile,
        started_ms=started_ms,
        finished_ms=finished_ms,
        required=plan.required,
        only=plan.only,
        quick=plan.quick,
        loop=plan.mode,
        scale=plan.scale,
        pool_size=plan.pool_size,
        rotation_mode=plan.rotation_mode,
        rotation_stride=plan.rotation_stride,
        rotation_seed=plan.rotation_seed,
        min_unique_coverage=plan.min_unique_coverage,
        min_unique_users=plan.min_unique_users,
    )


def empty_report(plan: DrillPlan, how: Ended, started_ms: int, finished_ms: int) -> DrillReport:
    """A report without a measurement, which is never a pass."""
    run = run_of(plan, started_ms, finished_ms)
    return drill_report(run, {}, baseline=plan.baseline, ended=how, skipped=plan.skipped)
