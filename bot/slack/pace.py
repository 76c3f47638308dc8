"""How fast Slack may be called: tiers, the channel's pace, and Retry-After for everybody (platform.md, 3.1-3.3)."""

from __future__ import annotations

from dataclasses import dataclass

from bot.clock import Clock


@dataclass
class _Bucket:
    """``level`` tokens at the moment ``at_s``; refilled at ``per_s`` up to ``burst``."""

    per_s: float
    burst: float
    level: float
    at_s: float


LIMITS: dict[str, tuple[float, float]] = {
    "chat.postMessage": (1.0, 5.0),
    "chat.update": (50 / 60, 12.0),
    "chat.postEphemeral": (100 / 60, 20.0),
    "files.completeUploadExternal": (100 / 60, 10.0),
    "pins.add": (20 / 60, 5.0),
    "views.publish": (100 / 60, 20.0),
    "conversations.history": (50 / 60, 10.0),
    "conversations.replies": (50 / 60, 10.0),
}
"""Calls a second and burst; posts are counted per channel, everything else for the workspace."""

RESERVE = 4.0
"""Edits of running cards leave this many for final states and answers to clicks."""


class Pace:
    """Tells when a call may be made. All senders of a method wait together behind a 429."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._held_until_s: dict[str, float] = {}

    def wait_s(self, method: str, channel: str, *, reserve: float = 0.0) -> float:
        """Seconds until this call may be made; 0 for now."""
        now = self._clock.monotonic()
        held = self._held_until_s.get(method, now) - now
        bucket = self._bucket(method, channel)
        if bucket is None:
            return max(0.0, held)
        return max(0.0, held, (1.0 + reserve - bucket.level) / bucket.per_s)

    def take(self, method: str, channel: str) -> None:
        """Count a call."""
        bucket = self._bucket(method, channel)
        if bucket is not None:
            bucket.level -= 1.0

    def hold(self, method: str, seconds: float) -> None:
        """Slack answered 429: nobody calls this method before then."""
        until = self._clock.monotonic() + seconds
        self._held_until_s[method] = max(until, self._held_until_s.get(method, 0.0))

    def _bucket(self, method: str, channel: str) -> _Bucket | None:
        if method not in LIMITS:
            return None
        per_s, burst = LIMITS[method]
        now = self._clock.monotonic()
        key = (method, channel if method == "chat.postMessage" else "")
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(per_s, burst, burst, now)
        bucket.level = min(burst, bucket.level + max(0.0, now - bucket.at_s) * per_s)
        bucket.at_s = now
        return bucket
