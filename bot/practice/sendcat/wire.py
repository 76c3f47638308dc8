"""Requests and answers of both faces, and the ways a connection can break."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from bot.practice.sendcat.switches import Script
from bot.practice.sendcat.values import dumps

Headers = list[tuple[bytes, bytes]]
TEXT_TYPE = b"text/plain;charset=UTF-8"
JSON_TYPE = b"application/json"
LARGEST_BODY = 16 * 1024 * 1024 + 2000


class ConnectionDropped(ConnectionResetError):
    """The practice deployment closed the connection on purpose (seen only without a socket in between)."""


class BodyTooLarge(Exception):
    """The body is longer than the platform takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, completely read. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes
    peer: str

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def parameter(self, name: str) -> str | None:
        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return values[0] if values else None

    @property
    def is_json(self) -> bool:
        return JSON_TYPE in self.headers.get(b"content-type", b"").lower()

    @property
    def declared_length(self) -> int:
        """``Content-Length``, 0 when missing or odd: a chunked body is not measured."""
        text = self.headers.get(b"content-length", b"")
        return int(text) if text.isdigit() else 0

    def json(self) -> object:
        """The body as JSON; ``ValueError`` when it is not."""
        value: object = json.loads(self.body)
        return value


@dataclass(slots=True)
class Answer:
    """A complete response."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)

    @classmethod
    def json(cls, value: object, status: int = 200) -> Answer:
        return cls(status, dumps(value), [(b"content-type", JSON_TYPE)])

    @classmethod
    def text(cls, text: str, status: int = 200) -> Answer:
        return cls(status, text.encode(), [(b"content-type", TEXT_TYPE)])

    @classmethod
    def canned(cls, script: Script) -> Answer:
        """What a script prescribes instead of an answer."""
        content_type = script.content_type.encode("latin-1")
        return cls(script.status or 200, (script.body or "").encode(), [(b"content-type", content_type)])


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read the whole request; raises :class:`BodyTooLarge` beyond the platform's limit."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > LARGEST_BODY:
                raise BodyTooLarge
            parts.append(part)
        body = b"".join(parts)
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=dict(scope["headers"]),
        body=body,
        peer=client[0] if client else "",
    )


async def received(
    scope: Scope, receive: Receive, send: Send, peers: set[tuple[str, int]], *, too_large: Answer
) -> Request | None:
    """The whole request, with its peer noted; None when it is none, or was too large and has been answered."""
    if scope["type"] != "http":
        return None
    note_peer(scope, peers)
    try:
        return await read_request(scope, receive)
    except BodyTooLarge:
        await deliver(too_large, send)
        return None


async def deliver(answer: Answer, send: Send, *, half: bool = False) -> None:
    """Send an answer; with ``half`` only half of the body, then the connection closes."""
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if half:
        await send(
            {
                "type": "http.response.body",
                "body": answer.body[: len(answer.body) // 2],
                "more_body": True,
            }
        )
        drop(send)
        return
    await send({"type": "http.response.body", "body": answer.body})


def drop(send: Send) -> None:
    """Close the connection without a further byte.

    Behind the practice server this reaches for the socket; called in process it raises
    :class:`ConnectionDropped`, the nearest thing to a closed connection there.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionDropped("the practice deployment closed the connection")
    transport.close()


def note_peer(scope: Scope, peers: set[tuple[str, int]]) -> None:
    client = scope.get("client")
    if client:
        peers.add((client[0], client[1]))
