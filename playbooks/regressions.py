"""What got worse between two drills, and between two looks (Runbook, playbook A, action 5; playbook F, action 7)."""

from __future__ import annotations

from collections.abc import Iterable

from playbooks.findings import Finding
from slo.snapshot import Snapshot
from slo.verdict import Check, Judgement, Verdict

ROSE = 0.02
"""A rate that rose by more is worse (VERDICTS.md, "Tuning retest")."""
NAMED = ("5xx_rate", "unknown_status_rate")
"""The two that the runbook names; any other check counts when it passed and now fails."""


def between_drills(before: Judgement | None, after: Judgement) -> tuple[Finding, ...]:
    """Regressions of 5xx and unknown status by endpoint, then of every other check."""
    if before is None:
        return (Finding("no drill from before the walk to compare with", "unknown"),)
    old = {(check.scope, check.name): check for check in before.checks}
    worse = [f for check in after.checks if (f := _worse(old.get((check.scope, check.name)), check)) is not None]
    if worse:
        return tuple(worse)
    known = [check for check in after.checks if check.name in NAMED and check.value is not None]
    words = f"5xx and unknown status are not worse on {len({check.scope for check in known})} endpoints"
    return (Finding(words if known else "nothing was measured that can be compared", "ok" if known else "unknown"),)


def _worse(before: Check | None, after: Check) -> Finding | None:
    if before is None or before.value is None:
        return None
    name = f"{after.scope}: {after.name.replace('_', ' ')}"
    if after.value is None:
        return Finding(f"{name} was measured before and is not now", "unknown")
    rose = after.unit == "rate" and after.name in NAMED and after.value - before.value > ROSE
    broke = before.verdict is Verdict.PASS and after.verdict is Verdict.FAIL
    if not rose and not broke:
        return None
    if after.unit == "rate":
        return Finding(f"{name} {before.value:.1%} -> {after.value:.1%}", "bad")
    return Finding(f"{name} {before.value:g} -> {after.value:g} {after.unit}", "bad")


def between_looks(before: Snapshot, after: Snapshot) -> tuple[Finding, ...]:
    """The numbers of an incident, before and after, those that moved; none when nothing did."""
    return tuple(_moved(before, after))


def _moved(before: Snapshot, after: Snapshot) -> Iterable[Finding]:
    for name, old, new in (
        ("queued jobs", before.tool_jobs.by_status.queued, after.tool_jobs.by_status.queued),
        ("dead letters", before.tool_jobs.by_status.dead_letter, after.tool_jobs.by_status.dead_letter),
        ("oldest queued job, s", before.oldest_queued_age_ms // 1000, after.oldest_queued_age_ms // 1000),
        ("circuits refusing", len(before.circuits_refusing_now), len(after.circuits_refusing_now)),
        ("bulkhead leases", before.bulkheads.active_lease_count, after.bulkheads.active_lease_count),
        ("refusal events", _refusals(before), _refusals(after)),
        (
            "duplicate hits",
            before.replay_protection.duplicate_hits_in_window,
            after.replay_protection.duplicate_hits_in_window,
        ),
        ("cached entries", before.tool_cache.sampled_active_entries, after.tool_cache.sampled_active_entries),
    ):
        if old != new:
            yield Finding(f"{name}: {old} -> {new}", "ok" if new < old else "warn")


def _refusals(snapshot: Snapshot) -> int:
    outcomes = snapshot.rate_limit_pressure.by_bucket_outcome
    return sum(count for key, count in outcomes.items() if not key.endswith(":allowed"))
