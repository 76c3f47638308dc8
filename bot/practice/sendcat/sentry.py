"""Warnings that the deployment sends to Sentry, kept so that a stand-in can show them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 500


@dataclass(frozen=True, slots=True)
class SentryWarning:
    """One message as Sentry would receive it."""

    at_ms: int
    logger: str
    message: str
    tags: dict[str, str]
    extra: dict[str, float]


class Warnings:
    """Where monitors and bulkheads report; nothing is sent while no DSN is configured."""

    def __init__(self, variable: Callable[[str], str | None]) -> None:
        self._variable = variable
        self._quiet_until: dict[str, int] = {}
        self.sent: deque[SentryWarning] = deque(maxlen=KEPT)

    def rate_limit(self, bucket: str, outcome: str, *, observed: float, threshold: float, now_ms: int) -> int:
        """Tell of a rate-limit alert; 1 when it was sent."""
        return self._send(
            ("RATE_LIMIT_SENTRY_DSN", "SENTRY_DSN"),
            SentryWarning(
                now_ms,
                "convex.rateLimit.monitor",
                f"Rate limit alert: {bucket} {outcome}",
                {"feature": "rate_limit_monitor", "bucket": bucket, "outcome": outcome},
                {"observed": observed, "threshold": threshold, "windowMinutes": 5},
            ),
        )

    def queue(self, kind: str, *, observed: float, threshold: float, now_ms: int) -> int:
        """Tell of a tool queue alert; 1 when it was sent."""
        return self._send(
            ("TOOL_QUEUE_SENTRY_DSN", "SENTRY_DSN"),
            SentryWarning(
                now_ms,
                "convex.toolJobs.monitor",
                f"Tool queue alert: {kind}",
                {"feature": "tool_queue_monitor", "kind": kind},
                {"observed": observed, "threshold": threshold},
            ),
        )

    def bulkhead(self, provider: str, *, in_flight: int, limit: int, pause_ms: int, now_ms: int) -> int:
        """Tell of a full bulkhead, at most once in ``pause_ms`` for each provider; 1 when it was sent."""
        if self._quiet_until.get(provider, 0) > now_ms:
            return 0
        self._quiet_until[provider] = now_ms + pause_ms
        return self._send(
            ("SENTRY_DSN", "RATE_LIMIT_SENTRY_DSN"),
            SentryWarning(
                now_ms,
                "convex.bulkhead",
                f"Bulkhead saturation: {provider}",
                {"feature": "bulkhead", "provider": provider},
                {"inFlight": in_flight, "maxConcurrent": limit},
            ),
        )

    def _send(self, variables: tuple[str, ...], warning: SentryWarning) -> int:
        if not any(self._variable(name) for name in variables):
            return 0
        self.sent.append(warning)
        return 1
