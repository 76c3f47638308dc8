"""Judge a milestone gate: can a release candidate carry 1,000, 5,000 or 20,000 open chat streams?

Runbook, playbook H; operator-commands.md sections 10 and 13. The limits are the milestone policy's. Ours
counts from the planned time, reads the streams, and asks whether as many streams were open as the name says;
the original's figures and rule stand beside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType

from slo import posture
from slo.artifacts import MilestoneCheck, MilestoneScenario, MilestoneSnapshotChecks, MilestoneSummary
from slo.drill import STREAMS_HELD, ending, untried
from slo.measure import evidence, five_xx, to_fixed, two_xx, unknown
from slo.policy import Milestone, Ownership
from slo.profiles import MILESTONES
from slo.profiles import profile as find_profile
from slo.reports import DrillReport, HonestStage, MeasuredScenario
from slo.scenarios import CHAT, endpoint
from slo.snapshot import SERVER_MAX_LIMIT, Circuit, Snapshot
from slo.verdict import SNAPSHOT, Check, Comparison, Judgement, Owner, Unit, Verdict, sum_up
from slo.verdict import judge as check

ORDER = MILESTONES
"""Promotion only from one to the next (section 13)."""
AVAILABILITY = MappingProxyType({"m1_1k": 0.995, "m2_5k": 0.999, "m3_20k": 0.9995})
"""Targets of section 13, over the documented soak; shown, since a sustain of minutes cannot prove them."""
ALLOWED = (200, 401, 429, 503)
DRIVEN = ("openrouter_chat_primary", "openrouter_chat_secondary")
"""Circuits that a chat drill keeps busy, so that silence of their successes means that they were open."""
_PHASE = "phase_"
"""Circuits of test leftovers begin so; the original leaves them out, and so do we."""


def judge(
    name: str,
    rules: Milestone,
    drill: DrillReport | None,
    after: Snapshot | None,
    ownership: Ownership,
    *,
    now_ms: int,
    before: Snapshot | None = None,
    limit: int = SERVER_MAX_LIMIT,
    pool: Sequence[Check] = (),
    not_run: str = "",
) -> Judgement:
    """The verdict of milestone `name` at `now_ms` (ms UTC).

    What is None was not done: INCOMPLETE. `before` is the snapshot from before the drill: with it, a circuit
    that stayed open throughout is seen even when it was tested again and again. `pool` are the checks that were made
    before anything was sent (`slo.authpool`); those that the drill repeats count as measured there. `not_run` says why
    there was no drill.
    """
    checks: list[Check] = []
    also: list[Verdict] = []
    reasons: list[str] = []
    for scenario in rules.required_scenarios:
        checks.extend(_scenario(name, scenario, rules, drill, ownership, not_run))
    measured = {item.name for item in checks}
    checks.extend(item for item in pool if item.name not in measured)
    if drill is not None and drill.honest is not None:
        verdicts, why = ending(drill.honest.ended, drill.honest.generator)
        also += verdicts
        reasons += [why] if why else []
    if after is None:
        also.append(Verdict.INCOMPLETE)
        reasons.append("no snapshot after the drill" if drill is not None else not_run or "no drill and no snapshot")
    else:
        checks.extend(_snapshot(rules, after, before, ownership, limit))
        if why := posture.stale(after, now_ms):
            also.append(Verdict.INCOMPLETE)
            reasons.append(why)
    return sum_up(checks, original_rule=original_rule(rules, drill, after), reason="; ".join(reasons), also=also)


# Ours: the scenario


def _scenario(
    name: str, scenario: str, rules: Milestone, drill: DrillReport | None, ownership: Ownership, not_run: str
) -> Sequence[Check]:
    path = endpoint(scenario)
    owner = ownership.owner_of(path)
    item = drill.scenario(scenario) if drill is not None else None
    whole = item if isinstance(item, MeasuredScenario) else None
    ours = drill.honest.scenario(scenario) if drill is not None and drill.honest is not None else None
    if drill is None or (whole is None and (ours is None or ours.pooled is None)):
        why = (
            (not_run or "no drill")
            if drill is None
            else getattr(ours or item, "reason", "") or "it is not in the report"
        )
        return [untried(path, owner, f"{scenario} did not run: {why}", original=False)]
    pooled = ours.pooled if ours is not None else None
    before = {check.name: check.passed for check in original_scenario(scenario, rules, drill).checks}
    return [
        *_rates(rules, whole, pooled, path, owner, before),
        *_pool(rules, drill, whole, path, owner, before),
        *_scale(name, rules, drill, path, owner),
    ]


def _rates(
    rules: Milestone,
    whole: MeasuredScenario | None,
    pooled: HonestStage | None,
    path: str,
    owner: Owner,
    before: dict[str, bool],
) -> Sequence[Check]:
    slo = rules.slo
    if pooled is not None:
        total, statuses, errors = pooled.sent, pooled.statuses, sum(pooled.errors.values())
        p95, first = pooled.latency.p95_ms, pooled.first_token.p95_ms
        broken: int | None = total - pooled.succeeded
        note, late = "", "nothing succeeded"
    else:
        assert whole is not None
        summary = whole.summary
        total, statuses, errors = summary.total_requests, summary.statuses, sum(summary.errors.values())
        p95 = summary.latency.p95_ms if total else None
        first = summary.latency.first_token_p95_ms if total else None
        broken, note, late = None, "as the original measured it: first byte, worst stage, failures included", ""

    def rate(name: str, bad: int | None, most: float, comparison: Comparison = "<=") -> Check:
        """`bad` of all requests; a minimum is judged on the good ones."""
        least = comparison == ">="
        value = None if bad is None or not total else (total - bad if least else bad) / total
        return check(
            name,
            value,
            most,
            scope=path,
            unit="rate",
            comparison=comparison,
            owner=owner,
            reason="" if value is not None else "no requests" if not total else "streams were not read",
            evidence=None if bad is None or not total else evidence(bad, total, 1 - most if least else most),
            original=before.get(name),
        )

    def ms(name: str, value: float | None, most: float) -> Check:
        why = note if value is not None else late or "no requests"
        return check(name, value, most, scope=path, unit="ms", owner=owner, reason=why, original=before.get(name))

    return [
        rate("2xx_success_rate", total - two_xx(statuses), slo.min_two_xx_rate, ">="),
        rate("stream_success_rate", broken, slo.min_two_xx_rate, ">="),
        rate("5xx_rate", five_xx(statuses), slo.max_five_xx_rate),
        rate("429_rate", statuses.get("429", 0), slo.max_429_rate),
        ms("p95_completion_latency", p95, slo.max_p95_completion_ms),
        ms("p95_first_token_latency", first, slo.max_p95_first_token_ms),
        rate("network_error_rate", errors, slo.max_network_error_rate),
        rate("unknown_status_rate", unknown(statuses, ALLOWED), slo.max_unknown_status_rate),
    ]


def _pool(
    rules: Milestone,
    drill: DrillReport,
    whole: MeasuredScenario | None,
    path: str,
    owner: Owner,
    before: dict[str, bool],
) -> Sequence[Check]:
    pool = whole.summary.chat_pool if whole is not None else None
    size = pool.size if pool is not None else drill.chat_auth_pool_size
    share = pool.unique_used / pool.size if pool is not None and pool.size else None
    limits = rules.pool

    def made(name: str, value: float | None, least: float, unit: Unit) -> Check:
        return check(
            name,
            value,
            least,
            scope=path,
            unit=unit,
            comparison=">=",
            owner=owner,
            reason="" if value is not None else "no pool was used",
            original=before.get(name),
        )

    used = made("chat_pool_unique_coverage", share, limits.min_unique_coverage, "rate")
    ended = drill.honest.ended.how if drill.honest is not None else "finished"
    if used.verdict is Verdict.FAIL and ended != "finished":
        # Users whose turn had not come when it ended are not users that were left out.
        used = used.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": f"the drill was {ended} before"})
    return [made("chat_auth_pool_size", size, limits.min_auth_pool_size, "count"), used]


def _scale(name: str, rules: Milestone, drill: DrillReport, path: str, owner: Owner) -> Sequence[Check]:
    """Whether as many streams were open as the milestone is named after: fewer prove less, and pass nothing.

    A milestone of somebody's own policy that is named after no number of streams is not asked for them.
    """
    wanted, held = streams(name, rules, drill)
    if not wanted:
        return ()
    least = math.ceil(STREAMS_HELD * wanted)
    made = check("open_streams", held, least, scope=path, unit="count", comparison=">=", owner=owner)
    if made.verdict is Verdict.PASS:
        return (made,)
    ours = drill.honest.scenario(CHAT) if drill.honest is not None else None
    if ours is None or ours.held is None:
        why = "workers were held, not streams"
    elif ours.held.planned < wanted:
        why = f"scaled: {ours.held.planned:,} streams stand for {wanted:,}"
    else:
        why = f"{held if held is not None else 'none'} of {wanted:,} streams were held open"
    return (made.model_copy(update={"verdict": Verdict.INCOMPLETE, "value": None, "reason": why}),)


def wanted_streams(name: str, rules: Milestone) -> int:
    """Streams that a milestone means: by its name, and by its profile when a policy of somebody's own has another.

    Raises `UnknownProfile`.
    """
    plans = [find_profile(rules.profile).streams, *([find_profile(name).streams] if name in MILESTONES else [])]
    return max((plan.streams for plan in plans if plan is not None), default=0)


def streams(name: str, rules: Milestone, drill: DrillReport) -> tuple[int, int | None]:
    """Streams that the milestone means, and those open in all but the worst twentieth of the time (None: unknown)."""
    ours = drill.honest.scenario(CHAT) if drill.honest is not None else None
    held = ours.held.open_p5 if ours is not None and ours.held is not None else None
    return wanted_streams(name, rules), held


# Ours: the snapshot


def _snapshot(
    rules: Milestone, after: Snapshot, before: Snapshot | None, ownership: Ownership, limit: int
) -> Sequence[Check]:
    was = {check.name: check.passed for check in original_snapshot(rules, after).checks}
    cut = {item.section: item.bias for item in after.truncated_sections(limit) if item.certain}
    held = sustained_open(after, rules.snapshot.max_sustained_open_circuit_ms, before)
    rows: tuple[tuple[str, float, float, Unit, str, str], ...] = (
        ("sustained_open_circuits", len(held), 0, "count", ", ".join(row.provider for row in held), "circuitBreakers"),
        (
            "oldest_queued_job_age",
            after.oldest_queued_age_ms,
            rules.snapshot.max_oldest_queued_age_ms,
            "ms",
            "",
            "toolJobs",
        ),
        (
            "oldest_running_job_age",
            after.oldest_running_age_ms,
            rules.snapshot.max_oldest_running_age_ms,
            "ms",
            "",
            "toolJobs",
        ),
    )
    made = []
    for name, value, most, unit, why, section in rows:
        owner = ownership.owner_of(f"snapshot:{'open_circuits' if 'circuits' in name else name}")
        item = check(name, value, most, scope=SNAPSHOT, unit=unit, owner=owner, reason=why, original=was.get(name))
        if section in cut and item.verdict is Verdict.PASS:
            why = f"the snapshot was cut off ({section}): {cut[section]}"
            item = item.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": why})
        made.append(item)
    return made


def sustained_open(after: Snapshot, for_ms: int, before: Snapshot | None = None) -> tuple[Circuit, ...]:
    """Circuits open for at least `for_ms` at the newest look.

    The original asks for `updatedAt` that long ago, which only a circuit without traffic has (weakness 21).
    Here also: open in both looks, that far apart, without a success between them; and a circuit that the
    drill keeps busy, when its last success is that long ago.
    """
    now = after.generated_at
    earlier = {row.provider for row in before.open_in_table} if before is not None else set()
    apart = before is not None and now - before.generated_at >= for_ms

    def held(row: Circuit) -> bool:
        if after.in_window(row.updated_at) and now - row.updated_at >= for_ms:
            return True
        succeeded = row.last_success_at
        if apart and before is not None and (succeeded is None or succeeded < before.generated_at):
            return row.provider in earlier or row.provider in DRIVEN
        return row.provider in DRIVEN and succeeded is not None and now - succeeded >= for_ms

    counted = (row for row in after.circuits_counted_open if not row.provider.startswith(_PHASE))
    return tuple(row for row in counted if held(row))


# The original's rule and artifact


def missing_scenario(scenario: str) -> MilestoneScenario:
    """A required scenario that was skipped or is not in the report."""
    missing = MilestoneCheck(name="scenario_present", passed=False, actual="missing", threshold="required")
    return MilestoneScenario(scenario=scenario, passed=False, checks=(missing,))


def original_scenario(scenario: str, rules: Milestone, drill: DrillReport) -> MilestoneScenario:
    """One of `scenarioChecks`: rates over responses (at least 1), rounded to four decimals for display."""
    item = drill.scenario(scenario)
    if not isinstance(item, MeasuredScenario):
        return missing_scenario(scenario)
    summary, slo = item.summary, rules.slo
    responses = max(1, sum(summary.statuses.values()))
    errors = sum(summary.errors.values()) / max(1, summary.total_requests)
    five = sum(n for status, n in summary.statuses.items() if 500 <= int(status) <= 599)
    pool = summary.chat_pool
    size = pool.size if pool else 0
    coverage = (pool.unique_coverage or 0) if pool else 0
    checks: list[MilestoneCheck] = []

    def made(name: str, value: float, limit: float, *, least: bool = False, shown: int | None = 4) -> None:
        passed = value >= limit if least else value <= limit
        actual = value if shown is None else to_fixed(value, shown)
        checks.append(MilestoneCheck(name=name, passed=passed, actual=actual, threshold=limit))

    made("2xx_success_rate", two_xx(summary.statuses) / responses, slo.min_two_xx_rate, least=True)
    made("5xx_rate", five / responses, slo.max_five_xx_rate)
    made("429_rate", summary.statuses.get("429", 0) / responses, slo.max_429_rate)
    made("p95_completion_latency", summary.latency.p95_ms, slo.max_p95_completion_ms, shown=None)
    made("p95_first_token_latency", summary.latency.first_token_p95_ms, slo.max_p95_first_token_ms, shown=None)
    made("network_error_rate", errors, slo.max_network_error_rate)
    made("unknown_status_rate", unknown(summary.statuses, ALLOWED) / responses, slo.max_unknown_status_rate)
    made("chat_auth_pool_size", size, rules.pool.min_auth_pool_size, least=True, shown=None)
    made("chat_pool_unique_coverage", coverage, rules.pool.min_unique_coverage, least=True)
    return MilestoneScenario(
        scenario=scenario,
        passed=all(item.passed for item in checks),
        checks=tuple(checks),
        summary=MilestoneSummary(
            total_requests=summary.total_requests,
            unique_users=pool.unique_used if pool else 0,
            unique_coverage=coverage,
            pool_size=size,
        ),
    )


def original_snapshot(rules: Milestone, snapshot: Snapshot) -> MilestoneSnapshotChecks:
    """`snapshotChecks`: the table's ages as sent, and circuits nobody has touched for two minutes."""
    limits, jobs = rules.snapshot, snapshot.tool_jobs
    held = tuple(
        row
        for row in snapshot.open_in_table
        if not row.provider.startswith(_PHASE)
        and snapshot.in_window(row.updated_at)
        and snapshot.generated_at - row.updated_at >= limits.max_sustained_open_circuit_ms
    )
    rows = (
        ("sustained_open_circuits", len(held), 0),
        ("oldest_queued_job_age", jobs.oldest_queued_age_ms, limits.max_oldest_queued_age_ms),
        ("oldest_running_job_age", jobs.oldest_running_age_ms, limits.max_oldest_running_age_ms),
    )
    checks = tuple(
        MilestoneCheck(name=name, passed=actual <= most, actual=actual, threshold=most) for name, actual, most in rows
    )
    return MilestoneSnapshotChecks(
        passed=all(item.passed for item in checks),
        checks=checks,
        open_circuits=tuple(row.model_dump(mode="json", by_alias=True, exclude_unset=True) for row in held),
    )


def original_rule(rules: Milestone, drill: DrillReport | None, snapshot: Snapshot | None) -> bool:
    """What the original would have said; without a passed drill it crashes with exit status 1."""
    if drill is None or snapshot is None or not drill.passed:
        return False
    scenarios = all(original_scenario(name, rules, drill).passed for name in rules.required_scenarios)
    return scenarios and original_snapshot(rules, snapshot).passed
