"""What got worse between two drills, and between two looks (Runbook, playbook A, action 5; playbook F, action 7)."""

from __future__ import annotations

from collections.abc import Iterable

from playbooks.findings import Finding
from slo.retest import Compared, compare
from slo.snapshot import Snapshot
from slo.verdict import Judgement

NAMED = ("5xx_rate", "unknown_status_rate")
"""The two that the runbook names."""


def between_drills(before: Judgement | None, after: Judgement, drilled: str = "") -> tuple[Finding, ...]:
    """What got worse by endpoint, 5xx and unknown status first; else how many endpoints were compared.

    ``drilled`` says when the drill from before was.
    """
    than = f" than in the drill of {drilled}" if drilled else " than before"
    if before is None:
        return (Finding("no drill from before to compare with", "unknown"),)
    retest = compare(before, after)
    if retest.worse:
        return tuple(_line(line) for line in sorted(retest.worse, key=lambda line: line.name not in NAMED))
    seen = {line.scope for line in retest.lines if line.name in NAMED and line.after is not None}
    if not seen:
        return (Finding(f"nothing can be compared: {retest.reason or 'nothing was measured'}", "unknown"),)
    return (Finding(f"5xx and unknown status are not worse{than}, on {len(seen)} endpoints", "ok"),)


def _line(line: Compared) -> Finding:
    name = f"{line.scope}: {line.name.replace('_', ' ')}".removeprefix(": ")
    if line.before is None or line.after is None:
        return Finding(f"{name}: {line.reason}", "bad")
    if line.unit == "rate":
        return Finding(f"{name} {line.before:.1%} → {line.after:.1%}", "bad")
    return Finding(f"{name} {line.before:g} → {line.after:g} {line.unit}".rstrip(), "bad")


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
            yield Finding(f"{name}: {old} → {new}", "ok" if new < old else "warn")


def _refusals(snapshot: Snapshot) -> int:
    outcomes = snapshot.rate_limit_pressure.by_bucket_outcome
    return sum(count for key, count in outcomes.items() if not key.endswith(":allowed"))
