"""Judge a canary: the candidate beside the control, under the same interleaved load.

VERDICTS, "Canary"; the original's rule (operator-commands.md section 6) must hold too, and stands beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slo import canary_original
from slo import drill as drills
from slo import probe as probes
from slo.artifacts import ScenarioDetails
from slo.canary_power import MAX_DROP
from slo.drill import untried
from slo.measure import five_xx, two_xx, unknown
from slo.policy import Baseline, CanaryPolicy, EndpointSlo, Ownership
from slo.reports import DrillReport, MeasuredScenario, ProbeReport
from slo.scenarios import CHAT, SCENARIOS, endpoint
from slo.verdict import Check, Judgement, Owner, Unit, Verdict, sum_up
from slo.verdict import judge as check

ROLLBACK_CRITERIA = (
    "If candidate canary checks fail, block promotion.",
    "Keep control deployment serving traffic.",
    "Inspect scenario deltas and reliability reports before retrying.",
)
RUNS = "runs"
"""The `scope` of checks about the measurement as a whole: probes and drills of both sides."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured of one deployment; None was not done."""

    probe: ProbeReport | None
    drill: DrillReport | None


def judge(
    control: Seen,
    candidate: Seen,
    policy: CanaryPolicy,
    baseline: Baseline,
    ownership: Ownership,
    *,
    required: Sequence[str] | None = None,
) -> Judgement:
    """The verdict of one canary; drills of several rounds are merged first (`slo.rounds.merge`).

    A candidate that fails its own probe or drill fails. A control that does is no measure: INCOMPLETE. So is
    a deployment compared with itself, and a required scenario that did not run on both sides.
    """
    checks = [
        _side("control_probe", _probe(control, ownership), decides=False),
        _side("candidate_probe", _probe(candidate, ownership), decides=True),
        _side("control_drill", _drill(control, baseline, ownership, required), decides=False),
        _side("candidate_drill", _drill(candidate, baseline, ownership, required), decides=True),
    ]
    if control.drill is None or candidate.drill is None:
        return sum_up(checks, original_rule=False, reason="not both deployments were drilled")
    for name in SCENARIOS:
        checks.extend(_scenario(name, control.drill, candidate.drill, policy, baseline, ownership, required))
    unlike = unfit(control.drill, candidate.drill)
    return sum_up(
        checks,
        original_rule=canary_original.passed(control, candidate, policy),
        reason=unlike,
        also=(Verdict.INCOMPLETE,) if unlike else (),
    )


def unfit(control: DrillReport, candidate: DrillReport) -> str:
    """Why these two drills cannot be compared, or the empty text."""
    if control.base_url == candidate.base_url:
        return "a deployment was compared with itself"
    if control.profile != candidate.profile:
        return f"different profiles: {control.profile} and {candidate.profile}"
    loops = {report.honest.loop for report in (control, candidate) if report.honest is not None}
    return "one was drilled in open loop, the other in closed loop" if len(loops) > 1 else ""


def _probe(seen: Seen, ownership: Ownership) -> Judgement | None:
    return probes.judge(seen.probe, ownership) if seen.probe else None


def _drill(seen: Seen, baseline: Baseline, ownership: Ownership, required: Sequence[str] | None) -> Judgement | None:
    return drills.judge(seen.drill, baseline, ownership, required=required) if seen.drill else None


def _side(name: str, made: Judgement | None, *, decides: bool) -> Check:
    """One probe or drill as a check of the canary: only the candidate's own failure fails it."""
    verdict, reason = Verdict.INCOMPLETE, "not run"
    if made is not None:
        verdict = made.verdict
        red = made.failed or made.undecided
        reason = made.reason or ", ".join(f"{item.name} of {item.scope}" for item in red[:3])
        if verdict is Verdict.FAIL and not decides:
            verdict = Verdict.INCOMPLETE
            reason = f"the control itself fails ({reason}): a comparison with it proves nothing"
    return Check(
        name=name,
        verdict=verdict,
        value=None if made is None else float(made.verdict is Verdict.PASS),
        limit=1,
        unit="count",
        comparison=">=",
        scope=RUNS,
        reason=reason if verdict is not Verdict.PASS else "",
        original=None if made is None else made.original_rule,
    )


# Ours


@dataclass(frozen=True, slots=True)
class Figures:
    """One scenario on one side; `good` are whole streams, None where they were not read."""

    n: int
    statuses: dict[str, int]
    errors: int
    good: int | None
    p95_ms: float | None

    def rate(self, metric: str, allowed: Sequence[int]) -> float | None:
        """One of the rates that are compared, by the name of its check; None without requests."""
        if not self.n:
            return None
        count = {
            "5xx_rate_rise": five_xx(self.statuses),
            "network_error_rate_rise": self.errors,
            "unknown_status_rate_rise": unknown(self.statuses, allowed),
            "429_rate_rise": self.statuses.get("429", 0),
            "2xx_drop": two_xx(self.statuses),
            "stream_success_drop": self.good,
        }[metric]
        return None if count is None else count / self.n

    @classmethod
    def of(cls, report: DrillReport, name: str) -> Figures | None:
        """From the honest part, or from the original's figures when there is none; None when it did not run."""
        if report.honest is not None:
            ours = report.honest.scenario(name)
            if ours is None or ours.state != "measured" or ours.pooled is None:
                return None
            pool = ours.pooled
            late = report.honest.generator.bottleneck
            return cls(
                pool.sent,
                pool.statuses,
                sum(pool.errors.values()),
                pool.succeeded,
                None if late else pool.latency.p95_ms,
            )
        item = report.scenario(name)
        if not isinstance(item, MeasuredScenario):
            return None
        summary = item.summary
        n = summary.total_requests
        return cls(n, summary.statuses, sum(summary.errors.values()), None, summary.latency.p95_ms if n else None)


def _scenario(
    name: str,
    control: DrillReport,
    candidate: DrillReport,
    policy: CanaryPolicy,
    baseline: Baseline,
    ownership: Ownership,
    required: Sequence[str] | None,
) -> list[Check]:
    path = endpoint(name)
    owner = ownership.owner_of(path)
    slo = baseline.endpoint(path)
    sides = {"control": Figures.of(control, name), "candidate": Figures.of(candidate, name)}
    here, there = sides["control"], sides["candidate"]
    if here is None or there is None or slo is None:
        if name not in _must(control, candidate, required):
            return []
        missing = " and ".join(side for side, figures in sides.items() if figures is None)
        why = f"{name} did not run on {missing}" if missing else "the baseline promises nothing for this endpoint"
        return [untried(path, owner, why)]
    return _comparison(
        name, here, there, policy, slo, path, owner, canary_original.compared(name, control, candidate, policy)
    )


def _must(control: DrillReport, candidate: DrillReport, required: Sequence[str] | None) -> Sequence[str]:
    if required is not None:
        return required
    asked = [report.honest.required_scenarios for report in (control, candidate) if report.honest is not None]
    return tuple(dict.fromkeys(name for names in asked for name in names)) if asked else SCENARIOS


def _comparison(
    name: str,
    here: Figures,
    there: Figures,
    policy: CanaryPolicy,
    slo: EndpointSlo,
    path: str,
    owner: Owner,
    before: ScenarioDetails | None,
) -> list[Check]:
    limits = policy.comparison
    holds = None if before is None else before.passed

    def rise(metric: str, bad_here: int | None, bad_there: int | None, limit: float) -> Check:
        """How much the bad rate rose from control to candidate, in one division: 7% - 5% is 2%, not more."""
        value: float | None = None
        why = "no requests" if not here.n or not there.n else "streams were not read"
        if here.n and there.n and bad_here is not None and bad_there is not None:
            value = (bad_there * here.n - bad_here * there.n) / (here.n * there.n)
            why = f"control {bad_here} of {here.n}, candidate {bad_there} of {there.n}"
        return check(metric, value, limit, scope=path, unit="rate", owner=owner, reason=why)

    made = [
        check(
            "p95_latency",
            there.p95_ms,
            slo.max_p95_ms,
            scope=path,
            unit="ms",
            owner=owner,
            reason="" if there.p95_ms is not None else "nothing succeeded on the candidate",
        ),
        check(
            "p95_regression",
            there.p95_ms,
            None
            if here.p95_ms is None
            else max(
                here.p95_ms * limits.max_p95_regression_ratio, here.p95_ms + limits.max_p95_absolute_regression_ms
            ),
            scope=path,
            unit="ms",
            owner=owner,
            reason="nothing succeeded on the control" if here.p95_ms is None else f"control {here.p95_ms:.0f} ms",
        ),
        rise("5xx_rate_rise", five_xx(here.statuses), five_xx(there.statuses), limits.max_five_xx_rate_regression),
        rise("network_error_rate_rise", here.errors, there.errors, limits.max_network_error_rate_regression),
        rise(
            "unknown_status_rate_rise",
            unknown(here.statuses, slo.allowed_statuses),
            unknown(there.statuses, slo.allowed_statuses),
            limits.max_unknown_status_rate_regression,
        ),
        rise("429_rate_rise", here.statuses.get("429", 0), there.statuses.get("429", 0), MAX_DROP),
        rise("2xx_drop", here.n - two_xx(here.statuses), there.n - two_xx(there.statuses), MAX_DROP),
    ]
    if name == CHAT:
        lost = [None if side.good is None else side.n - side.good for side in (here, there)]
        made.append(rise("stream_success_drop", lost[0], lost[1], MAX_DROP))
    made.append(
        Check(
            name="original_rule",
            verdict=Verdict.INCOMPLETE if holds is None else Verdict.PASS if holds else Verdict.FAIL,
            value=None if holds is None else float(holds),
            limit=1,
            unit="count",
            comparison=">=",
            scope=path,
            owner=owner,
            reason="the original's figures are missing" if before is None else _said(before),
            original=holds,
        )
    )
    return made


def _said(details: ScenarioDetails) -> str:
    """What the original's rule looked at, as it measured it."""
    deltas = details.deltas
    return f"p95 {deltas.p95_ratio:g} times ({deltas.p95_delta_ms:+g} ms), 5xx {deltas.five_xx_rate:+g}"


@dataclass(frozen=True, slots=True)
class Delta:
    """One metric of one scenario on both sides, with the checks that judged it; rates 0..1, p95 in ms."""

    scenario: str
    metric: str
    unit: Unit
    control: float | None
    candidate: float | None
    limit: float | None
    """Of the p95: the lower one of the endpoint's own limit and what the control's p95 allows. Else of the change."""
    verdict: Verdict
    owner: Owner | None
    reason: str

    @property
    def difference(self) -> float | None:
        """Candidate minus control."""
        return None if self.control is None or self.candidate is None else self.candidate - self.control


METRICS = {
    "5xx_rate_rise": "5xx",
    "network_error_rate_rise": "network",
    "unknown_status_rate_rise": "unknown",
    "429_rate_rise": "429",
    "2xx_drop": "2xx",
    "stream_success_drop": "streams done",
}
"""The compared rates by the names of their checks, as people call them."""


def deltas(control: DrillReport, candidate: DrillReport, made: Judgement, baseline: Baseline) -> tuple[Delta, ...]:
    """Every comparison of the judgement as control, candidate and difference (runbook: inspect scenario deltas)."""
    found: list[Delta] = []
    for name in SCENARIOS:
        path = endpoint(name)
        here, there, slo = Figures.of(control, name), Figures.of(candidate, name), baseline.endpoint(path)
        checks = {check.name: check for check in made.checks if check.scope == path}
        if here is None or there is None or slo is None or "p95_latency" not in checks:
            continue
        times = (checks["p95_latency"], checks["p95_regression"])
        limit = min((item.limit for item in times if item.limit is not None), default=None)
        sides: dict[str, tuple[float | None, float | None, float | None, *tuple[Check, ...]]] = {}
        sides["p95"] = (here.p95_ms, there.p95_ms, limit, *times)
        for metric, label in METRICS.items():
            if metric in checks:
                rates = here.rate(metric, slo.allowed_statuses), there.rate(metric, slo.allowed_statuses)
                sides[label] = (*rates, checks[metric].limit, checks[metric])
        for label, (control_value, candidate_value, most, *judged) in sides.items():
            worst = next((item for item in judged if item.verdict is not Verdict.PASS), judged[0])
            found.append(
                Delta(
                    scenario=name,
                    metric=label,
                    unit=worst.unit,
                    control=control_value,
                    candidate=candidate_value,
                    limit=most,
                    verdict=worst.verdict,
                    owner=worst.owner,
                    reason=worst.reason,
                )
            )
    return tuple(found)
