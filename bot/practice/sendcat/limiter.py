"""The rate limiter: fixed windows on the clock, refusals written as events, alerts from the monitor."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from bot.practice.sendcat.sentry import Warnings
from bot.practice.sendcat.tables import Ids, RateLimitAlert, RateLimitEvent, RateLimitWindow, Series
from bot.practice.sendcat.values import Document, Json

EVENT_SLOT_MS = 5_000
ALERT_SLOT_MS = 30 * 60_000
MONITOR_WINDOW_MINUTES = 5
EVENT_LIFE_MS = 7 * 86_400_000
ALERT_LIFE_MS = 14 * 86_400_000

ALERT_RULES: tuple[tuple[str, str, int], ...] = (
    ("whatsapp_webhook", "blocked", 40),
    ("whatsapp_webhook", "contention_fallback", 5),
    ("gmail_push", "blocked", 40),
    ("gmail_push", "contention_fallback", 5),
    ("chat_stream", "blocked", 25),
    ("chat_stream", "contention_fallback", 3),
    ("chat_admission", "blocked", 25),
    ("chat_admission", "contention_fallback", 3),
)
"""Bucket, outcome, and how many events in five minutes raise an alert (``observed >= threshold``)."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Answer of the limiter for some requests on one key in one window."""

    allowed: int
    refused: int
    remaining: int
    retry_after_ms: int


class RateLimiter:
    """Windows, events and alerts of one deployment."""

    def __init__(self, ids: Ids, warnings: Warnings, seed: int) -> None:
        self._ids = ids
        self._warnings = warnings
        self._random = random.Random(f"limiter-{seed}")
        self._windows: dict[str, RateLimitWindow] = {}
        self._dedupe: set[str] = set()
        self.events: Series[RateLimitEvent] = Series(lambda row: row.creation_time)
        self.alerts: Series[RateLimitAlert] = Series(lambda row: row.created_at)
        self.contention: dict[str, float] = {}
        """Share (0..1) of the requests of a bucket that lose a write conflict."""

    def admit(self, key: str, limit: int, window_ms: int, now_ms: int, requests: int = 1) -> Admission:
        """Count ``requests`` that arrive at once; what is over the limit is refused and not counted."""
        start_ms = now_ms - now_ms % window_ms
        window = self._windows.get(key)
        if window is None or window.window_start != start_ms:
            window = RateLimitWindow(
                id=self._ids.new(),
                creation_time=now_ms,
                key=key,
                window_start=start_ms,
                count=0,
                expires_at=start_ms + 2 * window_ms,
                updated_at=now_ms,
            )
            self._windows[key] = window
        allowed = max(0, min(requests, limit - window.count))
        if allowed:
            window.count += allowed
            window.updated_at = now_ms
        refused = requests - allowed
        return Admission(
            allowed=allowed,
            refused=refused,
            remaining=max(0, limit - window.count),
            retry_after_ms=start_ms + window_ms - now_ms if refused else 0,
        )

    def loses_write(self, bucket: str) -> bool:
        """Whether this request loses its write to others on the same key (only under contention)."""
        share = self.contention.get(bucket, 0.0)
        return share > 0 and self._random.random() < share

    def record(
        self,
        source: str,
        bucket: str,
        key: str,
        outcome: str,
        now_ms: int,
        *,
        reason: str | None = None,
        retry_after_ms: int | None = None,
        path: str | None = None,
        method: str | None = None,
    ) -> None:
        """Write an event, at most one for each source, bucket, key, outcome and reason in five seconds."""
        slot = now_ms - now_ms % EVENT_SLOT_MS
        dedupe_key = f"{source}|{bucket}|{key}|{outcome}|{reason or ''}|{slot}"
        if dedupe_key in self._dedupe:
            return
        self._dedupe.add(dedupe_key)
        self.events.add(
            RateLimitEvent(
                id=self._ids.new(),
                creation_time=self._ids.creation_time(now_ms),
                source=source,
                bucket=bucket,
                key=key,
                outcome=outcome,
                reason=reason,
                retry_after_ms=retry_after_ms,
                path=path,
                method=method,
                dedupe_key=dedupe_key,
                created_at=now_ms,
                expires_at=now_ms + EVENT_LIFE_MS,
            )
        )

    def summary(self, minutes: float, now_ms: int) -> Document:
        """``rateLimit:getEventSummary``: the newest 2000 events, then cut to the window."""
        by_source: Counter[str] = Counter()
        by_outcome: Counter[str] = Counter()
        by_reason: Counter[str] = Counter()
        total = 0
        for event in self.events.newest(2000):
            if event.created_at < now_ms - minutes * 60_000:
                continue
            total += 1
            outcome = f"{event.bucket}:{event.outcome}"
            by_source[f"{event.source}:{outcome}"] += 1
            by_outcome[outcome] += 1
            by_reason[f"{outcome}:{event.reason or 'none'}"] += 1
        return {
            "total": total,
            "windowMinutes": minutes,
            "bySourceBucketOutcome": tally(by_source),
            "byBucketOutcome": tally(by_outcome),
            "byBucketOutcomeReason": tally(by_reason),
        }

    def monitor(self, now_ms: int) -> Document:
        """``rateLimit:monitorAndAlert``: hold the last five minutes against the rules."""
        counts = Counter(
            (event.bucket, event.outcome)
            for event in self.events.newest(2000)
            if now_ms - MONITOR_WINDOW_MINUTES * 60_000 <= event.created_at <= now_ms
        )
        created = sent = 0
        for bucket, outcome, threshold in ALERT_RULES:
            observed = counts[bucket, outcome]
            alert_id = self.raise_alert(bucket, outcome, threshold, observed, MONITOR_WINDOW_MINUTES, now_ms=now_ms)
            if alert_id is None:
                continue
            created += 1
            sent += self._warnings.rate_limit(bucket, outcome, observed=observed, threshold=threshold, now_ms=now_ms)
        return {"createdAlerts": created, "sentryAlerts": sent, "windowMinutes": MONITOR_WINDOW_MINUTES}

    def raise_alert(
        self,
        bucket: str,
        outcome: str,
        threshold: float,
        observed: float,
        window_minutes: float,
        *,
        now_ms: int,
    ) -> str | None:
        """Store an alert, once for each rule and half-hour slot of the clock; its id, or None."""
        if observed < threshold:
            return None
        alert_key = f"{bucket}|{outcome}|{now_ms - now_ms % ALERT_SLOT_MS}"
        if any(alert.alert_key == alert_key for alert in self.alerts):
            return None
        alert = RateLimitAlert(
            id=self._ids.new(),
            creation_time=self._ids.creation_time(now_ms),
            alert_key=alert_key,
            bucket=bucket,
            outcome=outcome,
            threshold=threshold,
            observed=observed,
            window_minutes=window_minutes,
            created_at=now_ms,
            expires_at=now_ms + ALERT_LIFE_MS,
        )
        self.alerts.add(alert)
        return alert.id

    def cleanup(self, now_ms: int) -> Document:
        """``rateLimit:cleanupExpired``."""
        stale = [key for key, window in self._windows.items() if window.expires_at <= now_ms]
        for key in stale:
            del self._windows[key]
        events = self.events.drop(lambda row: row.expires_at <= now_ms)
        self._dedupe.difference_update(row.dedupe_key for row in events if row.dedupe_key)
        alerts = self.alerts.drop(lambda row: row.expires_at <= now_ms)
        return {
            "deleted": len(stale) + len(events) + len(alerts),
            "deletedWindows": len(stale),
            "deletedEvents": len(events),
            "deletedAlerts": len(alerts),
        }


def tally(counts: Counter[str]) -> Document:
    """Counts as a document."""
    result: dict[str, Json] = dict(sorted(counts.items()))
    return result
