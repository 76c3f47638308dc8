"""What the signals are judged from: looks at the deployment, and what else was read beside them.

Everything but the looks is optional; a signal that needs what is not there says so (`Signal.missing`). Rows are the
documents that Convex returns, with customers' keys already masked: only their being different counts here.
"""

from __future__ import annotations

from dataclasses import dataclass

from slo.reports import DrillReport, ProbeReport
from slo.snapshot import Snapshot
from slo.wire import Count, Millis, Wire


class Event(Wire):
    """A row of ``rateLimit:listRecentEvents``."""

    bucket: str
    key: str
    outcome: str
    reason: str | None = None
    created_at: Millis


class Lease(Wire):
    """A row of ``bulkhead:listInFlightByProvider``."""

    provider: str
    acquired_at: Millis
    expires_at: Millis


class ReplayKey(Wire):
    """A row of ``idempotency:listRecentByScope``."""

    scope: str
    first_seen_at: Millis
    last_seen_at: Millis
    hit_count: Count


@dataclass(frozen=True)
class CachedAnswer:
    """One question answered by the cache and afresh; only whether they differ is kept."""

    namespace: str
    differs: bool


@dataclass(frozen=True)
class MilestoneWish:
    """A release candidate that needs evidence: which milestone, its pool, and whether a run has passed.

    ``pool_size`` and ``pool_age_ms`` are None when no pool file is known; ``passed`` is None before a run.
    """

    milestone: str
    pool_size: int | None = None
    pool_age_ms: int | None = None
    passed: bool | None = None


@dataclass(frozen=True)
class Facts:
    """Looks from oldest to newest, and what was read beside the newest one.

    ``events``, ``leases`` and ``replay_keys`` are None when not read, empty when nothing was there. ``drills`` are
    earlier drill reports, oldest first (the drill of this triage is ``drill``). ``expected_peak_streams`` is a
    forecast of concurrent streams. ``limit`` is the snapshot limit that was asked for.
    """

    looks: tuple[Snapshot, ...]
    probe: ProbeReport | None = None
    drill: DrillReport | None = None
    events: tuple[Event, ...] | None = None
    leases: tuple[Lease, ...] | None = None
    replay_keys: tuple[ReplayKey, ...] | None = None
    cached: tuple[CachedAnswer, ...] | None = None
    drills: tuple[DrillReport, ...] | None = None
    expected_peak_streams: int | None = None
    milestone: MilestoneWish | None = None
    limit: int = 50

    @property
    def now(self) -> Snapshot | None:
        """The newest look."""
        return self.looks[-1] if self.looks else None

    @property
    def span_ms(self) -> int:
        """Time between the first and the last look."""
        return self.looks[-1].generated_at - self.looks[0].generated_at if self.looks else 0

    def truncated(self, section: str) -> str | None:
        """What is missing from a section of the newest look; None when it is complete."""
        if self.now is None:
            return None
        parts = self.now.truncated_sections(self.limit)
        return next((part.bias for part in parts if part.section == section and part.certain), None)
