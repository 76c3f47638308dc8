"""The cache of tool results: namespace, key, value, time to live."""

from __future__ import annotations

from collections import Counter

from bot.practice.sendcat.limiter import tally
from bot.practice.sendcat.tables import CacheEntry, Ids
from bot.practice.sendcat.values import Document

MAX_KEY = 512
MAX_VALUE = 65_536
SAMPLED_ENTRIES = 5_000


class ToolCache:
    """Entries by namespace and key; an expired entry is not served and not counted, and stays until deleted."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._rows: dict[tuple[str, str], CacheEntry] = {}

    def get(self, namespace: str, key: str, now_ms: int) -> str | None:
        row = self._rows.get((namespace, key.lower()[:MAX_KEY]))
        return row.value if row is not None and row.expires_at > now_ms else None

    def set(self, namespace: str, key: str, value: str, ttl_ms: int, now_ms: int) -> CacheEntry | None:
        """Store or overwrite (keeping the old ``createdAt``); a value that is too large is not stored."""
        if len(value) > MAX_VALUE:
            return None
        identity = (namespace, key.lower()[:MAX_KEY])
        row = self._rows.get(identity)
        if row is None:
            row = CacheEntry(
                id=self._ids.new(),
                creation_time=self._ids.creation_time(now_ms),
                namespace=namespace,
                key=identity[1],
                value=value,
                created_at=now_ms,
                expires_at=now_ms + ttl_ms,
            )
            self._rows[identity] = row
        row.value = value
        row.expires_at = now_ms + ttl_ms
        return row

    def stats(self, limit: int, now_ms: int) -> Document:
        """Active entries by namespace: the first ``limit`` by expiry."""
        active = (row for row in self._rows.values() if row.expires_at > now_ms)
        rows = sorted(active, key=lambda row: row.expires_at)[:limit]
        return {
            "sampledActiveEntries": len(rows),
            "byNamespace": tally(Counter(row.namespace for row in rows)),
        }

    def clear(self, namespace: str, most: int) -> Document:
        """Delete at most ``most`` rows of one namespace, expired ones too."""
        found = [identity for identity in self._rows if identity[0] == namespace]
        for identity in found[:most]:
            del self._rows[identity]
        return {"deleted": min(len(found), most), "hasMore": len(found) > most}

    def cleanup(self, now_ms: int) -> int:
        expired = [identity for identity, row in self._rows.items() if row.expires_at <= now_ms]
        for identity in expired:
            del self._rows[identity]
        return len(expired)
