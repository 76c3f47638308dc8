"""Idempotency keys: each message of a webhook is claimed once; repeats are counted, not processed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bot.practice.sendcat.tables import IdempotencyKey, Ids, Series
from bot.practice.sendcat.values import Document, Json

GMAIL_SCOPE = "gmail_push_history"
WHATSAPP_SCOPE = "whatsapp_message"
GMAIL_LIFE_MS = 24 * 3_600_000
WHATSAPP_LIFE_MS = 72 * 3_600_000
DEFAULT_LIFE_MS = 24 * 3_600_000
SAMPLED_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Claim:
    duplicate: bool
    key_id: str
    first_seen_at: int
    hit_count: int


class Idempotency:
    """Keys by scope. A key that has expired but is not yet deleted still counts as a duplicate."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._rows: dict[tuple[str, str], IdempotencyKey] = {}
        self._by_first_sight: Series[IdempotencyKey] = Series(lambda row: row.first_seen_at)

    def claim(self, scope: str, key: str, life_ms: int, now_ms: int) -> Claim:
        row = self._rows.get((scope, key))
        if row is not None:
            row.hit_count += 1
            row.last_seen_at = now_ms
            row.expires_at = max(row.expires_at, now_ms + life_ms)
            return Claim(True, row.id, row.first_seen_at, row.hit_count)
        row = self.add(scope, key, first_seen_at=now_ms, last_seen_at=now_ms, hits=1, life_ms=life_ms)
        return Claim(False, row.id, now_ms, 1)

    def add(
        self, scope: str, key: str, *, first_seen_at: int, last_seen_at: int, hits: int, life_ms: int
    ) -> IdempotencyKey:
        """Store a key with a history."""
        row = IdempotencyKey(
            id=self._ids.new(),
            creation_time=self._ids.creation_time(first_seen_at),
            scope=scope,
            key=key,
            first_seen_at=first_seen_at,
            last_seen_at=last_seen_at,
            hit_count=hits,
            expires_at=last_seen_at + life_ms,
        )
        self._rows[scope, key] = row
        self._by_first_sight.add(row)
        return row

    def newest(self, scope: str, count: int) -> list[IdempotencyKey]:
        """At most ``count`` keys of a scope, newest first sight first."""
        rows = [row for row in self._by_first_sight if row.scope == scope]
        return rows[: -count - 1 : -1] if count > 0 else []

    def replay_section(self, window_start_ms: int) -> Document:
        """Snapshot section: keys first seen in the window, oldest first, cut at 1000."""
        rows = self._by_first_sight.since(window_start_ms)[:SAMPLED_KEYS]
        total: Counter[str] = Counter()
        repeated: Counter[str] = Counter()
        hits: Counter[str] = Counter()
        for row in rows:
            total[row.scope] += 1
            repeated[row.scope] += row.hit_count > 1
            hits[row.scope] += row.hit_count - 1
        by_scope: dict[str, Json] = {
            scope: {
                "totalKeys": total[scope],
                "duplicateKeys": repeated[scope],
                "duplicateHits": hits[scope],
            }
            for scope in sorted(total)
        }
        return {
            "keysInWindow": len(rows),
            "duplicateHitsInWindow": hits.total(),
            "byScope": by_scope,
        }

    def forget(self, scope: str) -> int:
        """Delete every key of a scope. No function of the product does this; it shows why none should."""
        keys = [identity for identity in self._rows if identity[0] == scope]
        for identity in keys:
            del self._rows[identity]
        self._by_first_sight.drop(lambda row: row.scope == scope)
        return len(keys)

    def cleanup(self, now_ms: int) -> int:
        dropped = self._by_first_sight.drop(lambda row: row.expires_at <= now_ms)
        for row in dropped:
            del self._rows[row.scope, row.key]
        return len(dropped)
