"""Bulkheads: how many calls to one provider may be under way, tracked by leases that expire."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass

from bot.practice.sendcat.circuits import EBAY, GLOBAL, GMAIL, PRIMARY, SECONDARY, SERPER, WORKER
from bot.practice.sendcat.environment import Environment
from bot.practice.sendcat.sentry import Warnings
from bot.practice.sendcat.tables import Ids, Lease

_KNOBS = {
    PRIMARY: ("BULKHEAD_OR_PRI_MAX_CONCURRENT", "BULKHEAD_OR_PRI_LEASE_TTL_MS"),
    SECONDARY: ("BULKHEAD_OR_SEC_MAX_CONCURRENT", "BULKHEAD_OR_SEC_LEASE_TTL_MS"),
    "openrouter_chat": ("BULKHEAD_OPENROUTER_MAX_CONCURRENT", "BULKHEAD_OPENROUTER_LEASE_TTL_MS"),
    SERPER: ("BULKHEAD_SERPER_MAX_CONCURRENT", "BULKHEAD_SERPER_LEASE_TTL_MS"),
    GMAIL: ("BULKHEAD_GMAIL_OAUTH_MAX_CONCURRENT", "BULKHEAD_GMAIL_OAUTH_LEASE_TTL_MS"),
    EBAY: ("BULKHEAD_EBAY_MAX_CONCURRENT", "BULKHEAD_EBAY_LEASE_TTL_MS"),
    GLOBAL: ("BULKHEAD_GLOBAL_SEARCH_MAX_CONCURRENT", "BULKHEAD_GLOBAL_SEARCH_LEASE_TTL_MS"),
    WORKER: ("BULKHEAD_TOOL_JOB_MAX", "BULKHEAD_TOOL_JOB_LEASE_MS"),
}
MIN_LEASE_MS = 15_000
MIN_RETRY_MS = 1_000
DELETED_PER_CALL = 500


@dataclass(frozen=True, slots=True)
class Slot:
    """Answer to a request for a slot; on refusal the life of the lease that expires soonest."""

    acquired: bool
    in_flight: int
    retry_after_ms: int


class Bulkheads:
    """Leases of all providers. Expired rows stay in the table until somebody deletes them, and never count."""

    def __init__(self, ids: Ids, environment: Environment, warnings: Warnings) -> None:
        self._ids = ids
        self._environment = environment
        self._warnings = warnings
        self._leases: dict[str, dict[str, Lease]] = {}
        self._expiry: dict[str, list[tuple[int, str]]] = {}

    def limit(self, provider: str) -> int:
        return self._environment.number(_KNOBS[provider][0])

    def lease_ttl_ms(self, provider: str) -> int:
        return self._environment.number(_KNOBS[provider][1])

    def acquire(
        self,
        provider: str,
        lease_id: str,
        now_ms: int,
        *,
        limit: float | None = None,
        ttl_ms: float | None = None,
    ) -> Slot:
        """``bulkhead:acquireSlot``, with the configured capacity and lease time unless given."""
        leases = self._leases.setdefault(provider, {})
        self._delete_expired(provider, now_ms)
        active = self._active_count(provider, now_ms)
        if lease_id in leases:
            return Slot(True, active, 0)
        capacity = self.limit(provider) if limit is None else limit
        if active >= capacity:
            if provider in _KNOBS:
                self._warnings.bulkhead(
                    provider,
                    in_flight=active,
                    limit=int(capacity),
                    pause_ms=self._environment.number("BULKHEAD_SENTRY_COOLDOWN_MS"),
                    now_ms=now_ms,
                )
            expiries = (lease.expires_at for lease in leases.values() if lease.expires_at > now_ms)
            soonest = min(expiries, default=now_ms)
            return Slot(False, active, max(MIN_RETRY_MS, soonest - now_ms))
        life_ms = max(MIN_LEASE_MS, round(self.lease_ttl_ms(provider) if ttl_ms is None else ttl_ms))
        self.add(provider, lease_id, acquired_at=now_ms, expires_at=now_ms + life_ms)
        return Slot(True, active + 1, 0)

    def add(self, provider: str, lease_id: str, *, acquired_at: int, expires_at: int) -> Lease:
        """Store a lease as it is, also one that is already old."""
        lease = Lease(
            id=self._ids.new(),
            creation_time=self._ids.creation_time(acquired_at),
            provider=provider,
            lease_id=lease_id,
            acquired_at=acquired_at,
            expires_at=expires_at,
        )
        self._leases.setdefault(provider, {})[lease_id] = lease
        heapq.heappush(self._expiry.setdefault(provider, []), (expires_at, lease_id))
        return lease

    def release(self, provider: str, lease_id: str) -> bool:
        return self._leases.get(provider, {}).pop(lease_id, None) is not None

    def active(self, provider: str, now_ms: int) -> list[Lease]:
        """Unexpired leases of one provider, soonest expiry first."""
        leases = self._leases.get(provider, {}).values()
        return sorted((lease for lease in leases if lease.expires_at > now_ms), key=_expiry)

    def all_active(self, now_ms: int, count: int) -> list[Lease]:
        """The first ``count`` unexpired leases of all providers, soonest expiry first."""
        leases = (lease for rows in self._leases.values() for lease in rows.values())
        return sorted((lease for lease in leases if lease.expires_at > now_ms), key=_expiry)[:count]

    def in_flight(self, now_ms: int) -> Counter[str]:
        """Active leases by provider."""
        return Counter(lease.provider for lease in self.all_active(now_ms, 1_000_000))

    def cleanup(self, now_ms: int) -> int:
        """``bulkhead:cleanupExpiredLeases``: how many rows were deleted, at most 500."""
        deleted = 0
        for provider in list(self._leases):
            deleted += self._delete_expired(provider, now_ms, DELETED_PER_CALL - deleted)
        return deleted

    def _delete_expired(self, provider: str, now_ms: int, most: int = DELETED_PER_CALL) -> int:
        leases, expiry = self._leases.get(provider, {}), self._expiry.get(provider, [])
        deleted = 0
        while expiry and expiry[0][0] <= now_ms and deleted < most:
            expires_at, lease_id = heapq.heappop(expiry)
            lease = leases.get(lease_id)
            if lease is not None and lease.expires_at == expires_at:
                del leases[lease_id]
                deleted += 1
        while expiry and expiry[0][1] not in leases:
            heapq.heappop(expiry)
        return deleted

    def _active_count(self, provider: str, now_ms: int) -> int:
        leases, expiry = self._leases.get(provider, {}), self._expiry.get(provider, [])
        if expiry and expiry[0][0] <= now_ms:
            return len(self.active(provider, now_ms))
        return len(leases)


def _expiry(lease: Lease) -> tuple[int, float]:
    return lease.expires_at, lease.creation_time
