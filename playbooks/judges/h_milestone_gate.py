"""H. Milestone gate: a release candidate needs evidence (Runbook, playbook H; milestone policy).

Without a candidate there is nothing to judge. With one, what would fail the gate before any load is sent is told first:
the pool, and the snapshot.
"""

from __future__ import annotations

from functools import cache

from playbooks.facts import Facts
from playbooks.reading import Reading, Signal
from playbooks.thresholds import MilestoneSettings
from slo.policy import MilestonePolicy, load


def judge(facts: Facts, settings: MilestoneSettings) -> Signal:
    """Fired while a candidate has no passed run: blocked by its pool or by the snapshot, or simply not run yet.

    Raises `slo.errors.UnknownMilestone`.
    """
    wish, now = facts.milestone, facts.now
    if wish is None:
        return Signal("H", "not judged", "no release candidate was named", missing=("a milestone",))
    if now is None:
        return Signal("H", "not judged", "no snapshot", missing=("snapshot",))
    rules = _policy().milestone(wish.milestone)
    limit_ms = rules.snapshot.max_sustained_open_circuit_ms
    sustained = sum(
        now.in_window(row.updated_at) and now.age_ms(row.updated_at) >= limit_ms for row in now.circuits_counted_open
    )
    ages = (now.oldest_queued_age_ms, now.oldest_running_age_ms)
    limits = (rules.snapshot.max_oldest_queued_age_ms, rules.snapshot.max_oldest_running_age_ms)
    readings = [
        Reading("sustained open circuits", sustained, 0, "circuits", sustained > 0),
        Reading("oldest queued job", ages[0], limits[0], "ms", ages[0] > limits[0]),
        Reading("oldest running job", ages[1], limits[1], "ms", ages[1] > limits[1]),
    ]
    by_snapshot = any(reading.fired for reading in readings)
    if wish.pool_size is not None:
        least = rules.pool.min_auth_pool_size
        readings.append(Reading("chat auth pool", wish.pool_size, least, "users", wish.pool_size < least))
    if wish.pool_age_ms is not None:
        old = wish.pool_age_ms > settings.pool_max_age_ms
        readings.append(Reading("age of the pool file", wish.pool_age_ms, settings.pool_max_age_ms, "ms", old))
    missing = () if wish.pool_size is not None else ("a chat auth pool file",)
    found = tuple(readings)
    if wish.passed:
        return Signal("H", "quiet", f"`{wish.milestone}` has passed", readings=found)
    if by_snapshot:
        why = f"`{wish.milestone}` would fail by the snapshot"
        return Signal("H", "fired", why, "snapshot", 0.4, found, missing)
    if any(reading.fired for reading in readings):
        return Signal("H", "fired", f"`{wish.milestone}` would fail by its pool", "pool", 0.4, found, missing)
    why = f"`{wish.milestone}` " + ("has failed" if wish.passed is False else "needs evidence: the gate has not run")
    return Signal("H", "fired", why, "failed" if wish.passed is False else "needs evidence", 0.2, found, missing)


@cache
def _policy() -> MilestonePolicy:
    return load(MilestonePolicy)
