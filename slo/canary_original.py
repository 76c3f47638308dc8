"""The original's rule for a canary, and the `checks` of its artifact (operator-commands.md, section 6).

It must hold beside ours (`slo.canary`): 2xx, 429 and broken streams it does not look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slo import original
from slo.artifacts import CanaryCheck, CanaryDeltas, CanaryLimits, CanaryRates, ScenarioDetails, StepDetails
from slo.measure import five_xx, to_fixed, unknown
from slo.policy import CanaryPolicy
from slo.reports import DrillReport, MeasuredScenario, ScenarioSummary
from slo.scenarios import SCENARIOS

if TYPE_CHECKING:
    from slo.canary import Seen


def rates(summary: ScenarioSummary, allowed: Sequence[int]) -> CanaryRates:
    """Rates over all requests, 0 when there was none; its p95 is the largest of the stages."""
    total = summary.total_requests

    def share(part: int) -> float:
        return part / total if total > 0 else 0

    return CanaryRates(
        five_xx_rate=share(five_xx(summary.statuses)),
        network_error_rate=share(sum(summary.errors.values())),
        unknown_status_rate=share(unknown(summary.statuses, allowed)),
        p95_ms=summary.latency.p95_ms,
    )


def scenario(
    name: str, control: ScenarioSummary, candidate: ScenarioSummary, policy: CanaryPolicy, *, profile: str
) -> ScenarioDetails:
    """One scenario as the original compares it: unrounded for the rule, rounded for the report."""
    allowed = original.limits(profile, name).allowed_statuses
    limits = policy.comparison
    here, there = rates(control, allowed), rates(candidate, allowed)
    ratio = there.p95_ms / here.p95_ms if here.p95_ms else 1
    slower_ms = there.p95_ms - here.p95_ms
    five = there.five_xx_rate - here.five_xx_rate
    network = there.network_error_rate - here.network_error_rate
    odd = there.unknown_status_rate - here.unknown_status_rate
    slow = ratio > limits.max_p95_regression_ratio and slower_ms > limits.max_p95_absolute_regression_ms
    return ScenarioDetails(
        scenario=name,
        passed=not slow
        and five <= limits.max_five_xx_rate_regression
        and network <= limits.max_network_error_rate_regression
        and odd <= limits.max_unknown_status_rate_regression,
        control=here,
        candidate=there,
        deltas=CanaryDeltas(
            p95_ratio=to_fixed(ratio, 3),
            p95_delta_ms=to_fixed(slower_ms, 1),
            five_xx_rate=to_fixed(five, 4),
            network_error_rate=to_fixed(network, 4),
            unknown_status_rate=to_fixed(odd, 4),
        ),
        thresholds=CanaryLimits.model_validate(limits.model_dump()),
    )


def compared(name: str, control: DrillReport, candidate: DrillReport, policy: CanaryPolicy) -> ScenarioDetails | None:
    """One scenario of two drills; None when it did not run on both sides."""
    here, there = control.scenario(name), candidate.scenario(name)
    if not isinstance(here, MeasuredScenario) or not isinstance(there, MeasuredScenario):
        return None
    return scenario(name, here.summary, there.summary, policy, profile=candidate.profile)


def comparison(control: DrillReport, candidate: DrillReport, policy: CanaryPolicy) -> tuple[ScenarioDetails, ...]:
    """Every scenario that ran on both sides; none at all passes, in the original."""
    made = (compared(name, control, candidate, policy) for name in SCENARIOS)
    return tuple(item for item in made if item is not None)


def passed(control: Seen, candidate: Seen, policy: CanaryPolicy) -> bool:
    """What the original would have said: all four runs passed, and every common scenario does."""
    runs = (control.probe, candidate.probe, control.drill, candidate.drill)
    if not all(run is not None and run.passed for run in runs):
        return False
    assert control.drill is not None
    assert candidate.drill is not None
    return all(item.passed for item in comparison(control.drill, candidate.drill, policy))


def checks(
    control: Seen, candidate: Seen, policy: CanaryPolicy, paths: dict[str, str | None]
) -> tuple[CanaryCheck, ...]:
    """`checks` of the artifact; `paths` are the reports by `controlProbe`, `candidateProbe`, ...

    A run that was never made is written as not passed, where the original would have written no artifact.
    """
    runs = {
        "control_probe": (control.probe, paths.get("controlProbe")),
        "candidate_probe": (candidate.probe, paths.get("candidateProbe")),
        "control_drill": (control.drill, paths.get("controlDrill")),
        "candidate_drill": (candidate.drill, paths.get("candidateDrill")),
    }
    steps = [
        CanaryCheck(
            name=f"{name}_pass",
            passed=run is not None and run.passed,
            details=StepDetails(report_path=path or "", passed=run is not None and run.passed),
        )
        for name, (run, path) in runs.items()
    ]
    if control.drill is None or candidate.drill is None:
        return tuple(steps)
    compared = comparison(control.drill, candidate.drill, policy)
    return (
        *steps,
        *(CanaryCheck(name=f"scenario_{item.scenario}", passed=item.passed, details=item) for item in compared),
    )
