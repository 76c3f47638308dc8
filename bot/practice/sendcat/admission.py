"""Chat admission by counters in a simulated Redis: user and global in-flight, message and tool rates."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bot.practice.sendcat.environment import Environment
from bot.practice.sendcat.limiter import RateLimiter
from bot.practice.sendcat.upstreams import Upstreams


@dataclass(frozen=True, slots=True)
class Entry:
    """Whether a chat may start. ``retry_after_ms`` is set when it may not; ``limiter`` = ask the user limiter too."""

    allowed: bool
    limiter: bool
    ticket: str | None = None
    retry_after_ms: int = 0


class ChatAdmission:
    """Off, in shadow mode (observe only) or enforcing, as the variables say at each call."""

    def __init__(self, environment: Environment, limiter: RateLimiter, upstreams: Upstreams, seed: int) -> None:
        self._environment = environment
        self._limiter = limiter
        self._upstreams = upstreams
        self._random = random.Random(f"admission-{seed}")
        self._tickets: dict[str, tuple[str, int]] = {}
        self._rates: dict[tuple[str, int], int] = {}
        self._number = 0

    def enforced(self) -> bool:
        """Whether the effective mode is enforce: the feature flag wins over shadow mode."""
        flag = self._environment.flag
        return flag("FF_ADMISSION_ENFORCE") or not flag("ADMISSION_REDIS_SHADOW_MODE")

    def enter(self, user_id: str, now_ms: int) -> Entry:
        environment = self._environment
        if not environment.flag("ADMISSION_REDIS_ENABLED"):
            return Entry(True, limiter=True)
        enforce = self.enforced()
        bucket = "chat_admission" if enforce else "chat_admission_shadow"
        if not self._redis_answers():
            self._record(bucket, user_id, "contention_fallback", "redis_unavailable", now_ms)
            if enforce and environment.flag("FF_FAIL_CLOSED_ON_REDIS_ERROR"):
                return Entry(False, limiter=False, retry_after_ms=self._retry_ms())
            return Entry(True, limiter=True)
        reason = self._refusal(user_id, now_ms)
        if reason is not None:
            self._record(bucket, user_id, "blocked", reason, now_ms)
            if enforce:
                return Entry(False, limiter=False, retry_after_ms=self._retry_ms())
            return Entry(True, limiter=True)
        if self._random.uniform(0, 100) < environment.number("ADMISSION_ALLOWED_EVENT_SAMPLE_PCT"):
            self._record(bucket, user_id, "allowed", None, now_ms)
        self._number += 1
        ticket = f"ticket-{self._number}"
        self._tickets[ticket] = (user_id, now_ms + environment.number("ADMISSION_TICKET_TTL_MS"))
        return Entry(True, limiter=not enforce, ticket=ticket)

    def leave(self, ticket: str | None) -> None:
        if ticket is not None:
            self._tickets.pop(ticket, None)

    def _redis_answers(self) -> bool:
        environment = self._environment
        configured = environment.text("ADMISSION_REDIS_URL") and environment.text("ADMISSION_REDIS_TOKEN")
        return bool(configured) and self._upstreams["redis"].health.kind == "ok"

    def _refusal(self, user_id: str, now_ms: int) -> str | None:
        environment = self._environment
        number, flag = environment.number, environment.flag
        for ticket in [ticket for ticket, (_, until) in self._tickets.items() if until <= now_ms]:
            del self._tickets[ticket]
        second = now_ms // 1000
        self._rates = {key: count for key, count in self._rates.items() if key[1] == second}
        own = sum(owner == user_id for owner, _ in self._tickets.values())
        tools = number("ADMISSION_EST_TOOL_CALLS_PER_MSG")
        messages, calls = self._rates.get(("messages", second), 0), self._rates.get(("tools", second), 0)
        if flag("ADMISSION_ENFORCE_USER_INFLIGHT") and own >= number("ADMISSION_USER_MAX_INFLIGHT"):
            return "user_inflight"
        if flag("ADMISSION_ENFORCE_GLOBAL_INFLIGHT") and len(self._tickets) >= number("ADMISSION_GLOBAL_MAX_INFLIGHT"):
            return "global_inflight"
        if flag("ADMISSION_ENFORCE_GLOBAL_MSG_RATE") and messages >= number("ADMISSION_GLOBAL_MAX_MSG_PER_SEC"):
            return "global_msg_rate"
        if flag("ADMISSION_ENFORCE_GLOBAL_TOOL_RATE") and calls + tools > number("ADMISSION_GLOBAL_MAX_TOOL_PER_SEC"):
            return "global_tool_rate"
        self._rates["messages", second] = messages + 1
        self._rates["tools", second] = calls + tools
        return None

    def _retry_ms(self) -> int:
        base_ms = self._environment.number("ADMISSION_RETRY_AFTER_MS")
        spread = base_ms * self._environment.number("ADMISSION_RETRY_AFTER_JITTER_PCT") / 100
        return round(base_ms + self._random.uniform(-spread, spread))

    def _record(self, bucket: str, user_id: str, outcome: str, reason: str | None, now_ms: int) -> None:
        self._limiter.record(
            "chat_http",
            bucket,
            f"{bucket}:user:{user_id}",
            outcome,
            now_ms,
            reason=reason,
            path="/api/chat",
            method="POST",
        )
