"""Whether a Convex read counted everything, by the function's own limits (contract, "Exact or sampled?"; pure).

A figure from a part of the data is too low, and is labelled so wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVENTS_READ = 2_000
"""Rows that `rateLimit:getEventSummary` looks at, whatever the window; as many mean that older ones were left out."""
_ROWS: Mapping[str, tuple[int, str]] = {
    "rateLimit:listRecentAlerts": (50, "the newest alerts only"),
    "rateLimit:listRecentEvents": (50, "the newest events only"),
    "circuitBreaker:listStatuses": (20, "the last updated circuits only"),
    "bulkhead:listInFlightByProvider": (100, "the leases that end first only"),
    "idempotency:listRecentByScope": (20, "the keys first seen last only, whatever their hits"),
    "toolJobs:listDeadLetters": (100, "the last updated dead letters only"),
    "toolJobs:listRecentQueueAlerts": (50, "the newest alerts only"),
}
"""Rows where no limit is given, and what a full list leaves out."""
_COUNTED: Mapping[str, tuple[str, str]] = {
    "toolCache:listNamespaceStats": ("sampledActiveEntries", "the entries that end last are left out"),
    "toolJobs:getQueueStats": ("sampled", "the oldest jobs are the first to be left out"),
}
"""Field that says how many rows were counted, and what is left out at the limit."""
_COUNT_LIMIT = 5_000
_SECTIONS = {
    "rateLimitPressure": "older events",
    "circuitBreakers": "circuits updated longest ago",
    "bulkheads": "long leases",
    "replayProtection": "the newest keys",
    "toolCache": "the entries that end last",
    "toolJobs": "the oldest queued jobs",
    "toolQueueAlerts": "older alerts",
}


def sampled(function: str, args: Mapping[str, object], value: Any) -> str:
    """What an answer left out, in words; empty when everything was counted, or nothing is known about it."""
    limit = args.get("limit")
    if function == "rateLimit:getEventSummary" and isinstance(value, dict):
        return f"only the newest {EVENTS_READ} events were read" if value.get("total", 0) >= EVENTS_READ else ""
    if function in _ROWS and isinstance(value, list):
        rows, words = _ROWS[function]
        if function == "rateLimit:listRecentEvents" and "bucket" in args:
            return "filtered from the newest rows of all buckets: there may be more"
        return words if len(value) >= (limit if isinstance(limit, int) else rows) else ""
    if function in _COUNTED and isinstance(value, dict):
        name, words = _COUNTED[function]
        return words if value.get(name, 0) >= (limit if isinstance(limit, int) else _COUNT_LIMIT) else ""
    if function == "ops:getReliabilitySnapshot" and isinstance(value, dict):
        return _snapshot(value, limit)
    return ""


def _snapshot(value: Mapping[str, Any], limit: object) -> str:
    from slo.errors import BadSnapshot
    from slo.snapshot import Snapshot

    try:
        cut = Snapshot.parse(value).truncated_sections(limit if isinstance(limit, int) else 50)
    except BadSnapshot:
        return ""
    found = dict.fromkeys(part.section.partition(".")[0] for part in cut if part.certain)
    return "; ".join(f"{section}: {_SECTIONS.get(section, 'a part')} left out" for section in found)
