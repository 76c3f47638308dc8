"""Simulated callers of a practice deployment: chats, webhook senders, tool jobs.

They take the same ways through limiter, circuits, bulkheads, dedupe and queue as real requests, on the agenda instead
of the wire, so that a fault can grow old in an instant and a stepped clock replays it exactly.
"""

from __future__ import annotations

import itertools
import json
from collections import deque

from bot.practice.sendcat.agenda import Event
from bot.practice.sendcat.calls import Refused
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.idempotency import GMAIL_LIFE_MS, GMAIL_SCOPE, WHATSAPP_LIFE_MS, WHATSAPP_SCOPE
from bot.practice.sendcat.jobs import WEB, QueueSaturated
from bot.practice.sendcat.routes import chat_routes

WEBHOOKS = {
    "gmail_push": ("GMAIL_PUSH", "/api/gmail/push", GMAIL_SCOPE, GMAIL_LIFE_MS),
    "whatsapp_webhook": ("WHATSAPP", "/api/whatsapp/webhook", WHATSAPP_SCOPE, WHATSAPP_LIFE_MS),
}
"""Bucket to knob stem, path, dedupe scope and life of its keys."""
WORK_MS = 0.06
"""How much later each webhook answer comes for every admitted request of the last minute beyond the free ones."""
FREE_WORK = 2_000


class Traffic:
    """Callers by kind; each method is one call that begins at ``at_ms``."""

    def __init__(self, deployment: Deployment) -> None:
        self._on = deployment
        self._numbers = itertools.count(1)
        self._admitted: deque[tuple[int, int]] = deque()
        deployment.site_delays.append(self._delay_ms)

    def every(self, period_ms: int, call: object, *, start_ms: int) -> Event:
        """Repeat a call from a moment on, which may lie in the past."""
        assert callable(call)
        return self._on.agenda.every(period_ms, call, start_ms=start_ms)

    def chat(self, at_ms: int) -> None:
        """One chat: the provider routes in order, each until its headers."""
        self._try_routes(at_ms, [(r.provider, r.timeout_ms) for r in chat_routes(self._on.environment)])

    def call(self, provider: str, at_ms: int, timeout_ms: int = 20_000) -> None:
        """One call to a provider, as a tool or an OAuth callback makes it."""
        self._try_routes(at_ms, [(provider, timeout_ms)])

    def _try_routes(self, at_ms: int, routes: list[tuple[str, int]]) -> None:
        if not routes:
            return
        (provider, timeout_ms), rest = routes[0], routes[1:]
        call = self._on.calls.begin(provider, at_ms, timeout_ms)
        if isinstance(call, Refused):
            self._try_routes(at_ms, rest)
            return
        pending = call

        def answered(then_ms: int) -> None:
            if not self._on.calls.end(pending, then_ms).ok:
                self._try_routes(then_ms, rest)

        self._on.agenda.at(at_ms + pending.wait_ms, answered)

    def webhook(self, bucket: str, ip: str, at_ms: int, *, requests: int = 1, message: str | None = None) -> None:
        """Deliveries of one address that arrive together; refused ones leave an event, admitted ones are claimed."""
        stem, path, scope, life_ms = WEBHOOKS[bucket]
        limiter, number = self._on.limiter, self._on.environment.number
        key = f"{bucket}:ip:{ip}"
        if limiter.loses_write(bucket):
            limiter.record("http", bucket, key, "contention_fallback", at_ms, path=path, method="POST")
            return
        maximum, window_ms = number(f"RATE_LIMIT_{stem}_MAX"), number(f"RATE_LIMIT_{stem}_WINDOW_MS")
        answer = limiter.admit(key, maximum, window_ms, at_ms, requests)
        if answer.refused:
            wait_ms = answer.retry_after_ms
            limiter.record("http", bucket, key, "blocked", at_ms, retry_after_ms=wait_ms, path=path, method="POST")
        if not answer.allowed:
            return
        self._admitted.append((at_ms, answer.allowed))
        for _ in range(min(answer.allowed, 3)):
            name = message or f"{bucket}-{next(self._numbers)}@example.com:{at_ms}"
            claim = self._on.idempotency.claim(scope, name, life_ms, at_ms)
            if not claim.duplicate:
                self._on.process(scope, name)

    def user_chat(self, user_id: str, at_ms: int) -> None:
        """One chat request of an account at the per-user limiter; an admitted one goes on to the provider."""
        limiter, number = self._on.limiter, self._on.environment.number
        key = f"chat_stream:user:{user_id}"
        outcome, wait_ms = "contention_fallback", None
        if not limiter.loses_write("chat_stream"):
            maximum, window_ms = number("RATE_LIMIT_CHAT_STREAM_MAX"), number("RATE_LIMIT_CHAT_STREAM_WINDOW_MS")
            answer = limiter.admit(key, maximum, window_ms, at_ms)
            if answer.allowed:
                self.chat(at_ms)
                return
            outcome, wait_ms = "blocked", answer.retry_after_ms
        limiter.record(
            "chat_http", "chat_stream", key, outcome, at_ms, retry_after_ms=wait_ms, path="/api/chat", method="POST"
        )

    def job(self, at_ms: int, tool: str = WEB) -> None:
        """A chat that needs a tool; a full queue refuses it, as the product does."""
        query = f"practice question {next(self._numbers)}"
        try:
            self._on.workers.enqueue("chat_http", tool, json.dumps({"query": query}), at_ms)
        except QueueSaturated:
            return

    def _delay_ms(self, now_ms: int) -> float:
        """Admitted work makes every answer later: raising a limit against abuse has its price."""
        while self._admitted and self._admitted[0][0] < now_ms - 60_000:
            self._admitted.popleft()
        return max(0, sum(count for _, count in self._admitted) - FREE_WORK) * WORK_MS


class Background:
    """What a quiet day looks like: a few chats, pushes and searches, none of them refused."""

    def __init__(self, deployment: Deployment, traffic: Traffic) -> None:
        self._on = deployment
        self._traffic = traffic
        self._events: dict[str, Event] = {}
        start_ms = deployment.clock.now_ms() - 10 * 60_000 - 2_500
        for kind in ("chats", "pushes", "messages", "jobs"):
            self.resume(kind, start_ms=start_ms)

    def pause(self, kind: str) -> None:
        """No more ``chats``, ``pushes``, ``messages`` or ``jobs`` until resumed."""
        event = self._events.pop(kind, None)
        if event is not None:
            event.cancel()

    def resume(self, kind: str, *, start_ms: int | None = None) -> None:
        """Let them come again."""
        if kind in self._events:
            return
        traffic = self._traffic
        periods = {
            "chats": (6_000, traffic.chat),
            "pushes": (9_000, lambda at: traffic.webhook("gmail_push", "66.249.93.10", at)),
            "messages": (11_000, lambda at: traffic.webhook("whatsapp_webhook", "173.252.88.20", at)),
            "jobs": (20_000, traffic.job),
        }
        period_ms, call = periods[kind]
        start = self._on.clock.now_ms() + period_ms if start_ms is None else start_ms
        self._events[kind] = traffic.every(period_ms, call, start_ms=start)
