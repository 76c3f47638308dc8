"""Delivery to the app: over the socket, or as a signed HTTP request; copies, delays and event retries included."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal
from urllib.parse import urlencode

import httpx
from starlette.types import ASGIApp

from bot.clock import Clock
from bot.practice.slack.ack import ACK_TIMEOUT_S, Ack, not_sent
from bot.practice.slack.faults import Faults
from bot.practice.slack.refusal import Json
from bot.practice.slack.socket_mode import SocketHub

Kind = Literal["slash_commands", "interactive", "events_api"]
KEPT = 2_000
_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """``X-Slack-Signature``: v0, HMAC-SHA256 over version, timestamp and raw body."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def encode(kind: Kind, payload: Json) -> tuple[bytes, str]:
    """The body and content type that Slack uses for this kind of delivery."""
    if kind == "slash_commands":
        return urlencode(payload).encode(), "application/x-www-form-urlencoded"
    text = json.dumps(payload, separators=(",", ":"))
    if kind == "interactive":
        return urlencode({"payload": text}).encode(), "application/x-www-form-urlencoded"
    return text.encode(), "application/json"


class HttpDelivery:
    """Signed POSTs to a request URL, or straight into an ASGI application.

    An answer later than three seconds is not awaited further; the application's work goes on, as it does with Slack.
    ``requests`` keeps the latest bodies with their headers, so that a test can replay one.
    """

    def __init__(self, *, secret: str, clock: Clock, url: str | None = None, app: ASGIApp | None = None) -> None:
        if (url is None) == (app is None):
            raise ValueError("HTTP delivery needs either a request URL or an ASGI application")
        self.secret, self.clock = secret, clock
        self.url = url or "http://127.0.0.1/slack/events"
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False) if app is not None else None
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=30.0, limits=limits)
        self._running: set[asyncio.Task[httpx.Response]] = set()
        self.requests: deque[tuple[bytes, dict[str, str]]] = deque(maxlen=KEPT)

    def signed(self, body: bytes, content_type: str) -> dict[str, str]:
        """The headers of a genuine request with this body, now."""
        timestamp = str(self.clock.now_ms() // 1000)
        return {
            "Content-Type": content_type,
            "User-Agent": _AGENT,
            "Accept": "application/json,*/*",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self.secret, timestamp, body),
        }

    async def send(self, body: bytes, headers: dict[str, str], timeout_s: float) -> Ack:
        """One POST, exactly as given; also the way to send a forged or an old one."""
        self.requests.append((body, headers))
        task = asyncio.ensure_future(self._client.post(self.url, content=body, headers=headers))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        began = time.perf_counter()
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        elapsed_ms = (time.perf_counter() - began) * 1000
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            return Ack(0, elapsed_ms=elapsed_ms, error="operation_timeout")
        try:
            answer = task.result()
        except httpx.HTTPError:
            return Ack(0, elapsed_ms=elapsed_ms, error="dispatch_failed")
        error = None if answer.status_code < 300 else _error_of(answer.status_code)
        return Ack(answer.status_code, answer.text, elapsed_ms, error)

    async def close(self) -> None:
        """Stop waiting for anything."""
        for task in list(self._running):
            task.cancel()
        await self._client.aclose()


def _error_of(status: int) -> str:
    return "http_service_error" if status >= 500 else "http_client_error"


class Delivery:
    """The way from a person's hand to the app. HTTP once it was chosen, the socket otherwise."""

    def __init__(self, hub: SocketHub, faults: Faults) -> None:
        self.hub, self.faults = hub, faults
        self.http: HttpDelivery | None = None
        self.timeout_s = ACK_TIMEOUT_S
        self.sent: deque[tuple[Kind, Json]] = deque(maxlen=KEPT)
        self._background: set[asyncio.Task[None]] = set()

    @property
    def mode(self) -> Literal["socket", "http"]:
        return "http" if self.http is not None else "socket"

    @property
    def connected(self) -> bool:
        """Whether somebody is there to deliver to, as far as Slack can know."""
        return self.http is not None or self.hub.connected > 0

    async def deliver(self, kind: Kind, payload: Json) -> Ack:
        """One interaction: sent once (or as often as a fault says), the first answer counts."""
        copies, concurrent, delay_s = self.faults.for_delivery()
        self.sent.append((kind, payload))
        await asyncio.sleep(delay_s)
        send = self._sender(kind, payload)
        if concurrent:
            acks = list(await asyncio.gather(*(send(0, "") for _ in range(copies))))
        else:
            acks = [await send(0, "") for _ in range(copies)]
        return replace(acks[0], others=tuple(acks[1:]))

    async def deliver_event(self, payload: Json) -> Ack:
        """An event: when it is not acknowledged, tried again up to three times in the background."""
        ack = await self.deliver("events_api", payload)
        if not ack.ok:
            task = asyncio.ensure_future(self._retry(payload, ack))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return ack

    async def _retry(self, payload: Json, failed: Ack) -> None:
        for number, wait_s in enumerate(self.faults.event_retry_delays_s, start=1):
            await asyncio.sleep(wait_s)
            reason = "http_timeout" if failed.error == "operation_timeout" else "http_error"
            failed = await self._sender("events_api", payload)(number, reason)
            if failed.ok:
                return

    def _sender(self, kind: Kind, payload: Json) -> Callable[[int, str], Awaitable[Ack]]:
        """How this payload travels: signed once, so that copies and retries carry the same body."""
        http = self.http
        if http is None:

            async def by_socket(retry: int, reason: str) -> Ack:
                return await self.hub.send(kind, payload, retry, reason, self.timeout_s)

            return by_socket
        body, content_type = encode(kind, payload)
        headers = http.signed(body, content_type)

        async def by_http(retry: int, reason: str) -> Ack:
            if retry:
                fresh = http.signed(body, content_type)
                again = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason}
                return await http.send(body, fresh | again, self.timeout_s)
            return await http.send(body, headers, self.timeout_s)

        return by_http

    async def verify_url(self) -> Ack:
        """Slack's ``url_verification`` of a request URL: the challenge has to come back."""
        if self.http is None:
            return not_sent("no_request_url")
        challenge = hashlib.sha256(self.http.url.encode()).hexdigest()
        body = json.dumps({"type": "url_verification", "token": "practice", "challenge": challenge}).encode()
        ack = await self.http.send(body, self.http.signed(body, "application/json"), self.timeout_s)
        echoed = ack.body.strip() == challenge or ack.json.get("challenge") == challenge
        return ack if not ack.ok or echoed else ack.refused("challenge_failed")

    async def close(self) -> None:
        """Stop retries and close the HTTP client."""
        for task in list(self._background):
            task.cancel()
        if self.http is not None:
            await self.http.close()
