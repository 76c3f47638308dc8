"""Signed requests as Slack sends them, to a listening bot or straight into its ASGI application."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections import deque
from typing import Literal, Protocol
from urllib.parse import urlencode

import aiohttp
import httpx
from starlette.types import ASGIApp

from bot.clock import Clock
from bot.practice.slack.ack import Ack
from bot.practice.slack.refusal import Json

Kind = Literal["slash_commands", "interactive", "events_api"]
Answer = tuple[int, str]
"""Status and body."""
KEPT = 2_000
_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"
_ANYWHERE = "http://127.0.0.1/slack/events"
_LATEST_S = 30.0


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


class _Wire(Protocol):
    """Carries one POST; raises ``OSError`` or ``aiohttp.ClientError`` when nobody answers."""

    async def post(self, body: bytes, headers: dict[str, str]) -> Answer: ...

    async def close(self) -> None: ...


class _Port:
    """To a request URL. One session, made at the first use because it belongs to the running loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_LATEST_S)
            connector = aiohttp.TCPConnector(limit=256)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        async with self._session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(errors="replace")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _InProcess:
    """Into an ASGI application of this process, without a port. An exception in it is its 500."""

    def __init__(self, app: ASGIApp) -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, trust_env=False)

    async def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        answer = await self._client.post(_ANYWHERE, content=body, headers=headers)
        return answer.status_code, answer.text

    async def close(self) -> None:
        await self._client.aclose()


class HttpDelivery:
    """Signed POSTs to a request URL, or straight into an ASGI application.

    An answer later than three seconds is not awaited further; the application's work goes on, as it does with Slack.
    ``requests`` keeps the latest bodies with their headers, so that a test can replay one.
    """

    def __init__(self, *, secret: str, clock: Clock, url: str | None = None, app: ASGIApp | None = None) -> None:
        if (url is None) == (app is None):
            raise ValueError("HTTP delivery needs either a request URL or an ASGI application")
        self.secret, self.clock = secret, clock
        self.url = url or _ANYWHERE
        self._wire: _Wire = _InProcess(app) if app is not None else _Port(self.url)
        self._running: set[asyncio.Task[Answer]] = set()
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
        task = asyncio.ensure_future(self._wire.post(body, headers))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        began = time.perf_counter()
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        elapsed_ms = (time.perf_counter() - began) * 1000
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            return Ack(0, elapsed_ms=elapsed_ms, error="operation_timeout")
        try:
            status, text = task.result()
        except (aiohttp.ClientError, OSError):
            return Ack(0, elapsed_ms=elapsed_ms, error="dispatch_failed")
        return Ack(status, text, elapsed_ms, None if status < 300 else _error_of(status))

    async def close(self) -> None:
        """Stop waiting for anything."""
        for task in list(self._running):
            task.cancel()
        await self._wire.close()


def _error_of(status: int) -> str:
    return "http_service_error" if status >= 500 else "http_client_error"
