"""The guard in front of Bolt in HTTP mode: authentic or nothing (safety.md, R1, R6 and decision 4).

Size, then the form of the headers, then the time window, then the HMAC over the raw bytes; only then is anything
parsed. What is malformed gets a 4xx and no effect; its body is never logged. Bolt checks the signature once more.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

from bot.clock import Clock
from bot.errors import Busy
from bot.slack.admission import Admission
from bot.slack.payload import Payload, Slash, is_stop, parse, read

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 256 * 1024
WINDOW_S = 300
BODY_WITHIN_S = 5.0
UNREAD_BYTES = 32 * 1024 * 1024
"""Memory for bodies that nobody has verified yet, all connections together."""
EVENTS_PATH = "/slack/events"
HEALTH_PATH = "/healthz"

_FORMS = ("application/x-www-form-urlencoded", "application/json")
_ONCE = (b"content-length", b"content-type", b"x-slack-request-timestamp", b"x-slack-signature")

log = structlog.get_logger("slack")


@dataclass(frozen=True)
class Delivery:
    """A verified, well-formed request. ``arrived`` is a reading of the monotonic clock, in seconds."""

    raw: str
    headers: dict[str, str]
    body: dict[str, Any]
    payload: Payload
    arrived: float


@dataclass(frozen=True)
class Answer:
    status: int
    body: str = ""
    content_type: str = "text/plain;charset=utf-8"


class _Malformed(Exception):
    """Not a request of Slack: answered with this status and nothing else."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Ingress:
    """An ASGI application: ``POST /slack/events`` for Slack, ``GET /healthz`` for the supervisor."""

    def __init__(
        self,
        inner: Callable[[Delivery], Awaitable[Answer]],
        *,
        signing_secret: str,
        clock: Clock,
        health: Callable[[], dict[str, Any]],
        admission: Admission | None = None,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        if not signing_secret:
            raise ValueError("a signing secret is needed: anybody could sign with an empty one")
        self._inner = inner
        self._secret = signing_secret.encode()
        self._clock = clock
        self._health = health
        self._admission = admission or Admission()
        self._body_within_s = body_within_s
        self._unread = UNREAD_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            answer = await self._answer(scope, receive)
            if answer is not None:
                await _send(send, answer)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        arrived = self._clock.monotonic()
        if scope["path"] == HEALTH_PATH and scope["method"] in ("GET", "HEAD"):
            state = self._health()
            return Answer(200 if state.get("ok") else 503, json.dumps(state), "application/json")
        try:
            delivery = await self._verified(scope, receive, arrived)
        except _Malformed as refused:
            log.info("request refused", status=refused.status, why=refused.why)
            return Answer(refused.status, f"{refused.why}\n")
        except _Gone:
            return None
        try:
            async with self._admission.turn(stop=is_stop(delivery.payload)):
                answer = await self._inner(delivery)
        except Busy as busy:
            return _busy(delivery.payload, busy)
        except Exception as error:
            log.error("request failed", error=type(error).__name__)  # never the body, never the traceback's values
            return Answer(400, "not understood\n")
        return answer if answer.status < 500 else Answer(400, "not understood\n")

    async def _verified(self, scope: Scope, receive: Receive, arrived: float) -> Delivery:
        if scope["path"] != EVENTS_PATH:
            raise _Malformed(404, "not found")
        if scope["method"] != "POST":
            raise _Malformed(405, "method not allowed")
        headers = _headers(scope)
        length = _length(headers)
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in _FORMS or headers.get("content-encoding", "identity") != "identity":
            raise _Malformed(415, "unsupported media type")
        stamp = headers.get("x-slack-request-timestamp", "")
        signature = headers.get("x-slack-signature", "")
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
            raise _Malformed(401, "not signed")
        if abs(self._clock.now_ms() - int(stamp) * 1000) > WINDOW_S * 1000:
            raise _Malformed(401, "too old")
        raw = await self._read(receive, MAX_BODY if length is None else length)
        digest = hmac.new(self._secret, b"v0:" + stamp.encode() + b":" + raw, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"v0={digest}", signature):
            raise _Malformed(401, "wrong signature")
        try:
            body = parse(raw, content_type)
            return Delivery(raw.decode("utf-8"), headers, body, read(body), arrived)
        except (ValueError, RecursionError):
            raise _Malformed(400, "malformed") from None

    async def _read(self, receive: Receive, expected: int) -> bytes:
        """The body, within bounds of size, time and of the memory that all unverified bodies share."""
        if expected > self._unread:
            raise _Malformed(429, "busy")
        self._unread -= expected
        try:
            async with asyncio.timeout(self._body_within_s):
                return await _collect(receive)
        except TimeoutError:
            raise _Malformed(408, "too slow") from None
        finally:
            self._unread += expected


class _Gone(Exception):
    """The other side hung up."""


async def _collect(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _Malformed(413, "too large")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; those we decide on may stand there once only."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        name = name.lower()
        if name in _ONCE and name.decode("latin-1") in found:
            raise _Malformed(400, "a header stands twice")
        found[name.decode("latin-1")] = value.decode("latin-1").strip()
    return found


def _length(headers: dict[str, str]) -> int | None:
    value = headers.get("content-length")
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", value):
        raise _Malformed(400, "malformed content-length")
    if int(value) > MAX_BODY:
        raise _Malformed(413, "too large")
    return int(value)


def _busy(payload: Payload, busy: Busy) -> Answer:
    """A command is told in words; Slack marks a failed click, keeps a form open and sends an event again."""
    if isinstance(payload, Slash):
        said = {"response_type": "ephemeral", "text": f"⏳ {busy}"}
        return Answer(200, json.dumps(said, ensure_ascii=False), "application/json;charset=utf-8")
    return Answer(429, "busy\n")


async def _send(send: Send, answer: Answer) -> None:
    body = answer.body.encode()
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
