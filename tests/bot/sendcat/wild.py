"""Small loopback servers that behave badly on purpose; each records what reached it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Writer = asyncio.StreamWriter


@dataclass
class Seen:
    """One request as it arrived."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Seen, Writer], Awaitable[None]]


@dataclass
class Wild:
    """A server: ``url``, what it ``seen``, how many connections it holds ``open``, and when the last one closed."""

    handler: Handler
    url: str = ""
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    open: int = 0
    accepted: int = 0
    closed_at: float = 0.0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self, tls: ssl.SSLContext | None = None) -> Wild:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        self.accepted += 1
        try:
            while (seen := await _request(reader)) is not None:
                self.seen.append(seen)
                answer = asyncio.create_task(_answered(self.handler, seen, writer))
                gone = asyncio.create_task(_gone(reader))
                self._tasks |= {answer, gone}
                await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
                if not answer.done():
                    answer.cancel()
                    return
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self.closed_at = time.monotonic()
            writer.close()


async def _answered(handler: Handler, seen: Seen, writer: Writer) -> None:
    try:
        await handler(seen, writer)
        await writer.drain()
    except ConnectionError:
        pass


async def _gone(reader: asyncio.StreamReader) -> None:
    """Done when the far side closed; looks without taking bytes of the next request."""
    while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    at = time.monotonic()
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(at, method, path, headers, body)


def response(status: int, body: bytes = b"", *headers: str, kind: str = "application/json") -> bytes:
    """A whole HTTP/1.1 answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def always(status: int, body: bytes = b"", *headers: str, kind: str = "application/json") -> Handler:
    """Answers everything the same."""
    whole = response(status, body, *headers, kind=kind)

    async def handler(_: Seen, writer: Writer) -> None:
        writer.write(whole)

    return handler


def value(answer: Any) -> Handler:
    """Convex's success with this value."""
    return always(200, json.dumps({"status": "success", "value": answer}).encode())


def in_turn(*handlers: Handler) -> Handler:
    """The first request gets the first handler, and so on; the last one repeats."""
    left = list(handlers)

    async def handler(seen: Seen, writer: Writer) -> None:
        chosen = left.pop(0) if len(left) > 1 else left[0]
        await chosen(seen, writer)

    return handler


def over_and_over(*handlers: Handler) -> Handler:
    """The first request gets the first handler, and so on, and after the last one again the first."""
    count = 0

    async def handler(seen: Seen, writer: Writer) -> None:
        nonlocal count
        count += 1
        await handlers[(count - 1) % len(handlers)](seen, writer)

    return handler


async def never(_: Seen, __: Writer) -> None:
    """Accepts and never answers."""
    await asyncio.Event().wait()


async def slams(_: Seen, writer: Writer) -> None:
    """Closes without a word."""
    writer.transport.abort()


def slow(seconds: float, then: Handler) -> Handler:
    async def handler(seen: Seen, writer: Writer) -> None:
        await asyncio.sleep(seconds)
        await then(seen, writer)

    return handler


def events(*items: dict[str, Any], pause: float = 0.0, cut: bool = False) -> Handler:
    """A chat stream, chunked; ``cut`` slams the door instead of ending it."""

    async def handler(_: Seen, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for item in items:
            data = b"data: " + json.dumps(item).encode() + b"\n\n"
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if cut:
            writer.transport.abort()
        else:
            writer.write(b"0\r\n\r\n")

    return handler


GOOD_CHAT = events(
    {"type": "start", "messageId": "m1"},
    {"type": "content", "content": "hello"},
    {"type": "usage", "usage": {}},
    {"type": "done"},
)


def healthy(chat: Handler = GOOD_CHAT, webhook: Handler | None = None) -> Handler:
    """A Sendcat that is well: webhooks say OK, chats stream."""
    hook = webhook or always(200, b"OK", kind="text/plain")

    async def handler(seen: Seen, writer: Writer) -> None:
        await (chat if seen.path.startswith("/api/chat") else hook)(seen, writer)

    return handler
