"""G. Region rollout triggers: demand, load pressure, snapshot health (Runbook, playbook G; region policy).

A decision, not a fault: it never makes a deployment ill, and ranks below every fault.
"""

from __future__ import annotations

from functools import cache

from playbooks.facts import Facts
from playbooks.reading import Reading, Signal
from playbooks.thresholds import RegionSettings
from slo.policy import RegionPolicy, load
from slo.region import Filed, evaluate, opened
from slo.reports import DrillReport
from slo.snapshot import Snapshot

_FORECAST = "a forecast of concurrent streams"
_REPORTS = "the latest chat drill reports"


def judge(facts: Facts, settings: RegionSettings) -> Signal:
    """Fired by any of the three triggers; not judged without forecast and reports unless the snapshot alone fires."""
    now = facts.now
    if now is None:
        return Signal("G", "not judged", "no snapshot", missing=("snapshot",))
    policy = _policy()
    health = _health(now, policy, settings)
    demand = _demand(facts.expected_peak_streams, policy)
    load_pressure = _load(facts.drills, policy)
    readings = tuple(reading for reading in (demand, load_pressure, *health) if reading is not None)
    asked = ((facts.expected_peak_streams, _FORECAST), (facts.drills, _REPORTS))
    missing = tuple(what for given, what in asked if given is None)
    for reading, variant, severity in ((demand, "demand", 0.5), (load_pressure, "load", 0.5)):
        if reading is not None and reading.fired:
            why = f"{reading.name}: {reading.value:g}, the trigger is {reading.limit}"
            return Signal("G", "fired", why, variant, severity, readings, missing)
    fired = [reading for reading in health if reading.fired]
    if fired:
        why = f"{fired[0].name}: {fired[0].value}, more than {fired[0].limit}"
        return Signal("G", "fired", why, "snapshot", 0.3, readings, missing)
    if missing:
        return Signal("G", "not judged", f"not judged without {' and '.join(missing)}", None, 0, readings, missing)
    return Signal("G", "quiet", "no trigger: single region stays", None, 0, readings)


@cache
def _policy() -> RegionPolicy:
    return load(RegionPolicy)


def _demand(streams: int | None, policy: RegionPolicy) -> Reading | None:
    if streams is None:
        return None
    peak = policy.expected_peak_concurrent_streams
    fired = streams >= peak.active_standby_threshold
    to = "active_active" if streams >= peak.active_active_threshold else "active_standby" if fired else "single_region"
    return Reading(
        "expected peak streams", streams, peak.active_standby_threshold, "streams", fired, note=f"recommends {to}"
    )


def _load(drills: tuple[DrillReport, ...] | None, policy: RegionPolicy) -> Reading | None:
    """Breaches among the latest reports (by start, not by file name) that measured chat, as region readiness counts."""
    if drills is None:
        return None
    rules = policy.load_pressure
    breaches = sum(bool(why) for _, why in evaluate([Filed("", drill) for drill in drills], policy))
    fired = breaches >= rules.min_breaches_to_trigger
    return Reading("load-pressure breaches", breaches, rules.min_breaches_to_trigger, "reports", fired)


def _health(now: Snapshot, policy: RegionPolicy, settings: RegionSettings) -> tuple[Reading, ...]:
    rules = policy.ops_snapshot
    count = len(opened(now, policy, settings.ignored_provider_prefix))
    values = (
        ("circuits opened within 30 min", count, rules.max_open_circuits, "circuits"),
        ("queued tool jobs", now.tool_jobs.by_status.queued, rules.max_queued_tool_jobs, "jobs"),
        (
            "rate-limit alerts",
            now.rate_limit_pressure.alerts_in_window,
            rules.max_rate_limit_alerts_in_window,
            "alerts",
        ),
    )
    short = now.window_minutes < rules.window_minutes
    note = f"the snapshot's window is {now.window_minutes:g} of {rules.window_minutes:g} min" if short else ""
    return tuple(
        Reading(name, value, limit, unit, value > limit, note=note if unit == "alerts" else "")
        for name, value, limit, unit in values
    )
