"""Judge region readiness: is one region still enough? Demand, load pressure, snapshot health.

Runbook, playbook G; operator-commands.md section 9. FAIL means TRIGGERED: a multi-region programme is due.
The original's three triggers stand beside ours; ours takes "latest" by start, counts requests and not answers,
and holds its 5 s against the time to the headers, which that limit was made for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slo import posture
from slo.artifacts import (
    Decision,
    Demand,
    HealthCheck,
    HealthChecks,
    HealthTrigger,
    LoadEvaluation,
    LoadTrigger,
    Triggers,
)
from slo.errors import SloError
from slo.measure import five_xx
from slo.policy import RegionPolicy
from slo.reports import DrillReport, MeasuredScenario, ms_of_iso
from slo.scenarios import CHAT, endpoint
from slo.snapshot import SERVER_MAX_LIMIT, Circuit, Snapshot
from slo.verdict import SNAPSHOT, Check, Judgement, Verdict, sum_up
from slo.verdict import judge as check

Topology = Literal["single_region", "active_standby", "active_active"]
SINGLE: Topology = "single_region"
STANDBY: Topology = "active_standby"
ACTIVE: Topology = "active_active"
FORECAST = "forecast"
"""The `scope` of the demand check."""
PHASE = "phase_"
MOST_STREAMS = 10_000_000

_NUMBER = re.compile(r"(\d{1,3}(?:[,_ ]\d{3})+|\d+(?:\.\d+)?)\s*([km]?)", re.IGNORECASE)


class BadForecast(SloError):
    """Not a number of concurrent streams."""


def parse_streams(text: str) -> int:
    """`20000`, `20,000`, `20_000`, `20k`, `1.5k`, `2m` as a whole number of concurrent streams.

    Raises `BadForecast`: in the original what is no number became 0, and nothing triggered (weakness 7).
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise BadForecast(f"{text[:40]!r} is not a number of streams; write 5000 or 5k")
    digits, unit = re.sub("[,_ ]", "", found[1]), found[2].lower()
    whole = float(digits) * {"": 1, "k": 1_000, "m": 1_000_000}[unit]
    value = round(whole)
    if abs(whole - value) > 1e-6:
        raise BadForecast(f"{text[:40]!r} is not a whole number of streams")
    if value > MOST_STREAMS:
        raise BadForecast(f"{text[:40]!r} is more than {MOST_STREAMS:,} streams; is a digit too many?")
    return value


@dataclass(frozen=True, slots=True)
class Filed:
    """A drill report with the name of its file."""

    file: str
    report: DrillReport


@dataclass(frozen=True, slots=True)
class RegionJudgement:
    """FAIL is TRIGGERED, PASS is NOT_TRIGGERED, INCOMPLETE could not be decided; `topology` is our advice."""

    judgement: Judgement
    topology: str
    triggers: Triggers
    decision: Decision

    @property
    def word(self) -> str:
        """What a person reads: TRIGGERED, NOT_TRIGGERED or INCOMPLETE."""
        return {Verdict.FAIL: "TRIGGERED", Verdict.PASS: "NOT_TRIGGERED"}.get(self.judgement.verdict, "INCOMPLETE")


def judge(
    streams: int | None,
    drills: Sequence[Filed] | None,
    snapshot: Snapshot | None,
    policy: RegionPolicy,
    *,
    now_ms: int,
    limit: int = SERVER_MAX_LIMIT,
    ignored_prefix: str = PHASE,
    fresh: bool = True,
    original: Sequence[Filed] | None = None,
) -> RegionJudgement:
    """The decision at `now_ms` (ms UTC). None was not known: that trigger is INCOMPLETE unless another fired.

    `streams` is the forecast of concurrent streams at peak. `drills` are in any order. `fresh` is False for a
    saved snapshot that a person named: its age is told, and does not matter. `original` is what the original would
    look at when that is not the same: the files of every target.
    """
    reports = list((drills if original is None else original) or ())
    before = original_triggers(streams or 0, sorted(reports, key=lambda item: item.file), snapshot, policy)
    demand = check(
        "expected_peak_streams",
        None if streams is None else float(streams),
        float(policy.expected_peak_concurrent_streams.active_standby_threshold - 1),
        scope=FORECAST,
        unit="count",
        reason="no forecast was given" if streams is None else before.demand.reason,
        original=not before.demand.triggered,
    )
    pressure = _pressure(drills, policy, before.load_pressure)
    health = _health(snapshot, policy, before.snapshot_health, limit, ignored_prefix)
    old = posture.stale(snapshot, now_ms) if snapshot is not None and fresh else ""
    decision = original_decision(before)
    made = sum_up(
        [demand, pressure, *health],
        original_rule=not decision.activate_multi_region_program,
        reason=old,
        also=(Verdict.INCOMPLETE,) if old else (),
    )
    fired = {
        "demand": demand.verdict is Verdict.FAIL,
        "load": pressure.verdict is Verdict.FAIL,
        "health": any(item.verdict is Verdict.FAIL for item in health),
    }
    return RegionJudgement(made, _recommended(fired, before), before, decision)


def _recommended(fired: dict[str, bool], triggers: Triggers) -> str:
    """Of the demand trigger when it fired, else of load, else of the snapshot; never single region then."""
    if fired["demand"]:
        return triggers.demand.recommended_topology
    if not (fired["load"] or fired["health"]):
        return SINGLE
    part = triggers.load_pressure if fired["load"] else triggers.snapshot_health
    return STANDBY if part.recommended_topology == SINGLE else part.recommended_topology


# Ours


def _pressure(drills: Sequence[Filed] | None, policy: RegionPolicy, before: LoadTrigger) -> Check:
    rules = policy.load_pressure
    seen = evaluate(drills or (), policy)
    told = [f"{file}: {why}" for file, why in seen if why]
    value: float | None = len(told)
    reason = "; ".join(told[:3])
    if drills is None or not seen:
        value, reason = None, "no drill report of the latest has measured chat"
    return check(
        "load_pressure_breaches",
        value,
        rules.min_breaches_to_trigger - 1,
        scope=endpoint(CHAT),
        unit="count",
        reason=reason,
        original=not before.triggered,
    )


def evaluate(drills: Sequence[Filed], policy: RegionPolicy) -> list[tuple[str, str]]:
    """The latest reports that measured chat, newest first: the file, and why it breaches (empty: it does not)."""
    latest = latest_first(drills)[: policy.load_pressure.lookback_reports]
    return [breach for item in latest if (breach := _breach(item, policy)) is not None]


def latest_first(drills: Sequence[Filed]) -> list[Filed]:
    """The newest start first; by file name, all profiles together, `standard` of last month would win."""
    return sorted(drills, key=lambda item: (_started(item.report), item.file), reverse=True)


def _started(report: DrillReport) -> int:
    try:
        return ms_of_iso(report.started_at)
    except ValueError:
        return 0


def _breach(item: Filed, policy: RegionPolicy) -> tuple[str, str] | None:
    """The file and why it breaches (empty: it does not); None when it measured no chat."""
    rules = policy.load_pressure
    whole = item.report.scenario(CHAT)
    ours = item.report.honest.scenario(CHAT) if item.report.honest else None
    pool = ours.pooled if ours is not None else None
    if pool is not None:
        total, statuses, p95 = pool.sent, pool.statuses, pool.headers.p95_ms
    elif isinstance(whole, MeasuredScenario):
        statuses = whole.summary.statuses
        total, p95 = sum(statuses.values()), whole.summary.latency.p95_ms
    else:
        return None
    if not total:
        return None if pool is not None else (item.file, "")
    refused, broken = statuses.get("429", 0) / total, five_xx(statuses) / total
    why = []
    if p95 is not None and p95 > rules.max_p95_ms:
        why.append(f"p95 {p95:.0f} ms")
    if refused > rules.max_429_rate:
        why.append(f"{refused:.0%} refused")
    if broken > rules.max_5xx_rate:
        why.append(f"{broken:.1%} failed")
    return item.file, " and ".join(why)


def _health(
    snapshot: Snapshot | None, policy: RegionPolicy, before: HealthTrigger, limit: int, ignored_prefix: str
) -> list[Check]:
    rules = policy.ops_snapshot
    values: dict[str, tuple[float | None, int, HealthCheck, str, str]] = {
        "open_circuits": (
            None if snapshot is None else len(opened(snapshot, policy, ignored_prefix)),
            rules.max_open_circuits,
            before.checks.open_circuits,
            "circuitBreakers",
            "",
        ),
        "queued_tool_jobs": (
            None if snapshot is None else snapshot.tool_jobs.by_status.queued,
            rules.max_queued_tool_jobs,
            before.checks.queued_tool_jobs,
            "toolJobs",
            "",
        ),
        "rate_limit_alerts_window": (
            None if snapshot is None else snapshot.rate_limit_pressure.alerts_in_window,
            rules.max_rate_limit_alerts_in_window,
            before.checks.rate_limit_alerts_in_window,
            "rateLimitPressure.alertsInWindow",
            "",
        ),
    }
    cut = {item.section: item.bias for item in (snapshot.truncated_sections(limit) if snapshot else ()) if item.certain}
    made = []
    for name, (value, most, was, section, why) in values.items():
        reason = "no snapshot" if snapshot is None else why
        item = check(name, value, most, scope=SNAPSHOT, unit="count", reason=reason, original=not was.breached)
        if section in cut and item.verdict is Verdict.PASS:
            why = f"the snapshot was cut off ({section}): {cut[section]}"
            item = item.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": why})
        made.append(item)
    return made


def opened(snapshot: Snapshot, policy: RegionPolicy, ignored_prefix: str = PHASE) -> tuple[Circuit, ...]:
    """Circuits stored as open, touched within the policy's window, not left over from a test."""
    window_ms = policy.ops_snapshot.window_minutes * 60_000
    return tuple(
        row
        for row in snapshot.open_in_table
        if not row.provider.startswith(ignored_prefix) and snapshot.age_ms(row.updated_at) <= window_ms
    )


# The original's triggers


def original_demand(streams: float, policy: RegionPolicy) -> Demand:
    """Section 9, trigger 1."""
    peak = policy.expected_peak_concurrent_streams
    for threshold, topology in (
        (peak.active_active_threshold, ACTIVE),
        (peak.active_standby_threshold, STANDBY),
    ):
        if streams >= threshold:
            return Demand(triggered=True, recommended_topology=topology, reason=f"expected_peak_streams >= {threshold}")
    return Demand(
        triggered=False,
        recommended_topology=SINGLE,
        reason="expected_peak_streams below rollout thresholds",
    )


def original_load(drills: Sequence[Filed], policy: RegionPolicy) -> LoadTrigger:
    """Trigger 2: the last reports of this sequence (the original sorts by file name); rates over responses."""
    rules = policy.load_pressure
    seen = []
    for item in drills[-rules.lookback_reports :]:
        chat = item.report.scenario(CHAT)
        if not isinstance(chat, MeasuredScenario):
            continue
        statuses = chat.summary.statuses
        responses = sum(statuses.values())
        refused = statuses.get("429", 0) / responses if responses else 0
        five = sum(n for status, n in statuses.items() if 500 <= int(status) <= 599)
        broken = five / responses if responses else 0
        p95 = chat.summary.latency.p95_ms
        seen.append(
            LoadEvaluation(
                file=item.file,
                profile=item.report.profile,
                p95_ms=p95,
                rate429=refused,
                rate5xx=broken,
                breached=p95 > rules.max_p95_ms or refused > rules.max_429_rate or broken > rules.max_5xx_rate,
            )
        )
    breaches = sum(item.breached for item in seen)
    return LoadTrigger(
        triggered=breaches >= rules.min_breaches_to_trigger,
        breach_count=breaches,
        threshold_breaches_needed=rules.min_breaches_to_trigger,
        evaluations=tuple(seen),
        recommended_topology=rules.recommended_topology or STANDBY,
    )


def original_health(snapshot: Snapshot | None, policy: RegionPolicy) -> HealthTrigger:
    """Trigger 3; without a snapshot (there the original crashes) nothing is counted."""
    rules = policy.ops_snapshot

    def made(actual: int, most: int) -> HealthCheck:
        return HealthCheck(actual=actual, threshold=most, breached=actual > most)

    checks = HealthChecks(
        open_circuits=made(len(opened(snapshot, policy)) if snapshot else 0, rules.max_open_circuits),
        queued_tool_jobs=made(snapshot.tool_jobs.by_status.queued if snapshot else 0, rules.max_queued_tool_jobs),
        rate_limit_alerts_in_window=made(
            snapshot.rate_limit_pressure.alerts_in_window if snapshot else 0, rules.max_rate_limit_alerts_in_window
        ),
    )
    every = (checks.open_circuits, checks.queued_tool_jobs, checks.rate_limit_alerts_in_window)
    return HealthTrigger(
        triggered=any(item.breached for item in every),
        checks=checks,
        recommended_topology=rules.recommended_topology or STANDBY,
    )


def original_triggers(
    streams: float, drills: Sequence[Filed], snapshot: Snapshot | None, policy: RegionPolicy
) -> Triggers:
    """The three of them; `drills` in the order of their file names."""
    return Triggers(
        demand=original_demand(streams, policy),
        load_pressure=original_load(drills, policy),
        snapshot_health=original_health(snapshot, policy),
    )


def original_decision(triggers: Triggers) -> Decision:
    """Any trigger activates the programme; the topology is the demand's, else the load's, else the snapshot's."""
    fired = {
        "demand": triggers.demand.triggered,
        "load": triggers.load_pressure.triggered,
        "health": triggers.snapshot_health.triggered,
    }
    active = any(fired.values())
    return Decision(
        activate_multi_region_program=active,
        recommended_topology=_recommended(fired, triggers),
        rationale=TRIGGERED if active else NOT_TRIGGERED,
    )


TRIGGERED = "One or more trigger conditions crossed configured thresholds."
NOT_TRIGGERED = "No trigger condition crossed thresholds. Keep single-region launch mode."
