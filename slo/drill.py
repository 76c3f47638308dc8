"""Judge a drill: every endpoint against `slo-baseline.json`, and whether everything required was run.

VERDICTS, "Endpoint checks" and its first table. What the original would have said stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from slo.measure import decode, evidence, five_xx, recorded, two_xx, unknown
from slo.policy import AlertLevel, Baseline, EndpointSlo, Ownership
from slo.profiles import GIVEN_UP_MS
from slo.reports import (
    DrillReport,
    Ended,
    Generator,
    HonestScenario,
    HonestStage,
    MeasuredScenario,
    SkippedScenario,
    Spread,
)
from slo.scenarios import CHAT, SCENARIOS, endpoint
from slo.verdict import Check, Evidence, Judgement, Owner, Verdict, sum_up
from slo.verdict import judge as check

SCENARIO_RAN = "scenario_ran"
"""The check that a required scenario was run at all; only this one can be waived."""
STREAMS_HELD = 0.95
"""This share of a milestone's streams must be open during its sustain time, or it was no such milestone."""
_P95_MAY_EXCEED = 0.05


def judge(
    report: DrillReport,
    baseline: Baseline,
    ownership: Ownership,
    *,
    required: Sequence[str] | None = None,
) -> Judgement:
    """The verdict of one drill.

    `required` are the scenarios that must have run: those given, else those the report names, else all
    three. A scenario that ran is judged whether or not it was required. An artifact of the original
    program (no `honest`) is judged on its own figures; what it never measured (streams) stays INCOMPLETE.
    """
    honest = report.honest
    must = tuple(required) if required is not None else (honest.required_scenarios if honest else SCENARIOS)
    strict = baseline.evidence_required(report.profile)
    checks: list[Check] = []
    for name in (*SCENARIOS, *(name for name in must if name not in SCENARIOS)):
        if name not in SCENARIOS:
            checks.append(untried(name, ownership.defaults, f"{name} did not run: no such scenario"))
            continue
        path = endpoint(name)
        owner = ownership.owner_of(path)
        slo = baseline.endpoint(path)
        facts = _Facts.of(report, name)
        if isinstance(facts, str):
            if name in must:
                checks.append(untried(path, owner, f"{name} did not run: {facts}"))
        elif slo is None:
            why = "the baseline promises nothing for this endpoint"
            checks.append(untried(path, owner, f"{name} did not run: {why}"))
        else:
            made = _endpoint_checks(facts, slo, path, owner, strict)
            checks.extend(_with_warning(item, baseline.warning(path)) for item in made)
            checks.extend(_chat_checks(report, path, owner) if name == CHAT else ())
    also, reason = ending(honest.ended, honest.generator) if honest else ((), "")
    if not checks:
        reason = reason or "no scenario was run"
    return sum_up(checks, original_rule=report.passed, reason=reason, also=also)


def _with_warning(made: Check, level: AlertLevel) -> Check:
    """The check with the level from which a value that still passes is marked (`alerting` of the baseline)."""
    levels = {"p95_latency": level.p95_latency_ms, "5xx_rate": level.five_xx_rate}
    warning = levels.get(made.name)
    return made if warning is None else made.model_copy(update={"warning": warning})


def _chat_checks(report: DrillReport, path: str, owner: Owner) -> Iterable[Check]:
    """The pool's coverage where a minimum was set, and whether a milestone held its streams.

    A minimum that the operator or the milestone sets is a promise like any other (operator-commands.md section 4).
    Streams that were not open prove nothing about a target that was to bear them.
    """
    whole = report.scenario(CHAT)
    for item in whole.slo.checks if isinstance(whole, MeasuredScenario) else ():
        if item.name in ("chat_pool_unique_coverage", "chat_pool_unique_users"):
            yield check(
                item.name,
                item.actual,
                item.threshold,
                scope=path,
                unit="rate" if item.name.endswith("coverage") else "count",
                comparison=">=",
                owner=owner,
                original=item.passed,
            )
    ours = report.honest.scenario(CHAT) if report.honest else None
    if ours is not None and ours.held is not None:
        least, held = math.ceil(STREAMS_HELD * ours.held.planned), ours.held.open_p5
        yield check(
            "streams_held",
            held if held is not None and held >= least else None,
            least,
            scope=path,
            unit="count",
            comparison=">=",
            owner=owner,
            reason=""
            if held is not None and held >= least
            else f"{held if held is not None else 'none'} of {ours.held.planned} streams were held open",
        )


def not_run(judgement: Judgement) -> tuple[str, ...]:
    """Endpoint paths that a required scenario left untested: what a release manager may waive."""
    return tuple(item.scope for item in judgement.checks if item.name == SCENARIO_RAN)


def first_token_p95_ms(report: DrillReport) -> float | None:
    """p95 to the first `content` or `reasoning` event, from the planned time; shown, not judged."""
    chat = report.honest.scenario(CHAT) if report.honest else None
    return chat.pooled.first_token.p95_ms if chat and chat.pooled else None


def ending(ended: Ended, generator: Generator) -> tuple[tuple[Verdict, ...], str]:
    """What the way a measurement ended adds to its verdict, and why; nothing when it came to its end."""
    if ended.how == "aborted":
        return (Verdict.FAIL,), ended.reason or "aborted: the target was bad"
    if ended.how != "finished":
        said = {
            "stopped": "stopped by a person",
            "control_lost": "control lost",
            "generator": "the load generator was the bottleneck",
            "died": "the bot died while it ran",
        }[ended.how]
        return (Verdict.INCOMPLETE,), ended.reason or said
    if generator.bottleneck:
        return (Verdict.INCOMPLETE,), generator.reason or "the load generator was the bottleneck"
    return (), ""


def untried(path: str, owner: Owner, reason: str, *, original: bool | None = None) -> Check:
    """The check of a scenario that had to run and did not; ``original`` is what the original's rule says of it."""
    return Check(
        name=SCENARIO_RAN,
        verdict=Verdict.INCOMPLETE,
        value=None,
        limit=1,
        unit="count",
        comparison=">=",
        scope=path,
        owner=owner,
        reason=reason,
        original=original,
    )


class _Facts:
    """What a scenario measured, from the honest part, or from the original's when there is none."""

    def __init__(
        self,
        name: str,
        pooled: HonestStage | None,
        whole: MeasuredScenario | None,
        late_generator: bool,
        given_up: int = 0,
    ) -> None:
        self.name = name
        self.pooled = pooled
        self.late_generator = late_generator
        self.given_up = given_up
        self.statuses: dict[str, int] = {}
        self.errors = 0
        self.total = 0
        if pooled is not None:
            self.statuses, self.errors, self.total = (
                pooled.statuses,
                sum(pooled.errors.values()),
                pooled.sent,
            )
        elif whole is not None:
            summary = whole.summary
            self.statuses, self.errors, self.total = (
                summary.statuses,
                sum(summary.errors.values()),
                summary.total_requests,
            )
        self.original = {item.name: item.passed for item in whole.slo.checks} if whole else {}
        self.original_p95_ms = whole.summary.latency.p95_ms if whole and not pooled else None

    @classmethod
    def of(cls, report: DrillReport, name: str) -> _Facts | str:
        """The facts, or why there are none."""
        item = report.scenario(name)
        whole = item if isinstance(item, MeasuredScenario) else None
        if report.honest is None:
            if whole is None:
                return item.reason if isinstance(item, SkippedScenario) else "it is not in the report"
            return cls(name, None, whole, False)
        ours: HonestScenario | None = report.honest.scenario(name)
        if ours is None:
            return "it is not in the report"
        if ours.state != "measured":
            return ours.reason or ours.state
        if ours.pooled is None:
            return "its figures are missing"
        late = report.honest.generator.bottleneck or report.honest.ended.how == "generator"
        # A stop or an abort leaves requests unsent by itself; at the end of a whole drill it was the target.
        given_up = ours.pooled.unsent if report.honest.ended.how == "finished" else 0
        return cls(name, ours.pooled, whole, late, given_up)


def _endpoint_checks(facts: _Facts, slo: EndpointSlo, path: str, owner: Owner, strict: bool) -> Iterable[Check]:
    yield _latency_check(facts, slo, path, owner, strict)

    def rate_check(name: str, bad: int | None, limit: float, *, least: bool = False) -> Check:
        """`bad` of all requests; a minimum is judged on the good ones and proved on the bad ones."""
        if bad is None or facts.total == 0:
            value, shown, why = None, None, "no requests" if facts.total == 0 else "streams were not read"
        else:
            part = facts.total - bad if least else bad
            value, why = part / facts.total, ""
            shown = evidence(bad, facts.total, 1 - limit if least else limit)
        made = check(
            name,
            value,
            limit,
            scope=path,
            unit="rate",
            comparison=">=" if least else "<=",
            owner=owner,
            reason=why,
            evidence=shown,
            original=facts.original.get(name),
        )
        return _proved(made, 1 - limit if least else limit) if strict else made

    yield rate_check("5xx_rate", five_xx(facts.statuses), slo.max_five_xx_rate)
    yield rate_check("network_error_rate", facts.errors, slo.max_network_error_rate)
    yield rate_check("unknown_status_rate", unknown(facts.statuses, slo.allowed_statuses), slo.max_unknown_status_rate)
    if slo.min_two_xx_rate is not None:
        bad = facts.total - two_xx(facts.statuses)
        yield rate_check("2xx_success_rate", bad, slo.min_two_xx_rate, least=True)
        if facts.name == CHAT:
            whole = None if facts.pooled is None else facts.total - _streams_done(facts.pooled)
            yield rate_check("stream_success_rate", whole, slo.min_two_xx_rate, least=True)


def _streams_done(pooled: HonestStage) -> int:
    """Streams that ended with `done`; where the two counts of them differ, the smaller one counts."""
    return min(pooled.succeeded, pooled.streams.get("done", 0))


def _latency_check(facts: _Facts, slo: EndpointSlo, path: str, owner: Owner, strict: bool) -> Check:
    """p95 of what succeeded, from the planned time; chat to the end of the stream.

    Requests that failed or were refused have their own distributions: a fast refusal is no fast answer.
    """
    value: float | None
    shown: Evidence | None = None
    why = ""
    if facts.pooled is None:
        value = facts.original_p95_ms if facts.total else None
        why = "as the original measured it: from sending, worst stage, failures included"
    else:
        latency = facts.pooled.latency
        value = latency.p95_ms
        shown = _slow_evidence(latency, slo.max_p95_ms, facts.given_up)
        first = facts.pooled.first_token.p95_ms
        if value is None and facts.total:
            seen = ", ".join(f"{status} x {n}" for status, n in facts.pooled.statuses.items())
            why = f"none of {facts.total} requests succeeded ({seen or 'no answers'})"
        elif facts.name == CHAT and first is not None:
            why = f"first token p95 {first:.0f} ms"
        if value is not None and facts.given_up:
            value = _p95_with_given_up(latency, facts.given_up)
            why = (
                f"{facts.given_up} of {facts.pooled.planned} planned requests found no free place"
                f" for {GIVEN_UP_MS / 1000:.0f} s, and count as late"
            )
        if latency.n != facts.pooled.succeeded:
            value, why = None, f"{facts.pooled.succeeded} requests succeeded and {latency.n} latencies were kept"
        if facts.late_generator:
            value, why = None, "the load generator was late, so this latency is partly ours"
    if facts.total == 0:
        why = "no requests"
    made = check(
        "p95_latency",
        value,
        slo.max_p95_ms,
        scope=path,
        unit="ms",
        owner=owner,
        reason=why,
        evidence=shown,
        original=facts.original.get("p95_latency"),
    )
    return _proved(made, _P95_MAY_EXCEED) if strict else made


def _p95_with_given_up(latency: Spread, given_up: int) -> float | None:
    """The p95 when requests that never found a place count as the slowest of all (VERDICTS, "Profiles")."""
    rank = math.ceil(0.95 * (latency.n + given_up))
    if rank > latency.n:
        return float(GIVEN_UP_MS)
    try:
        read = decode(latency.histogram or "")
    except ValueError:
        return None
    return max(latency.p95_ms or 0.0, float(read.get_value_at_percentile(100 * rank / latency.n)) / 1000)


def _slow_evidence(latency: Spread, limit_ms: float, given_up: int) -> Evidence | None:
    """How many were slower than the limit, or never found a place; a p95 promise allows one in twenty."""
    if latency.n == 0 or latency.histogram is None:
        return None
    try:
        counted = decode(latency.histogram)
    except ValueError:
        return None
    slow = sum(n for value, n in recorded(counted) if value > limit_ms * 1000)
    return evidence(min(slow, latency.n) + given_up, latency.n + given_up, _P95_MAY_EXCEED)


def _proved(made: Check, bad_limit: float) -> Check:
    """Where the policy requires evidence, a pass whose bound is over the limit decides nothing."""
    if made.verdict is not Verdict.PASS:
        return made
    if made.evidence is not None and made.evidence.upper_bound <= bad_limit + math.ulp(bad_limit):
        return made
    more = made.evidence.more_needed if made.evidence else None
    need = f"{more} more requests needed" if more else "not enough requests"
    return made.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": f"within its limit, not proved: {need}"})
