"""A server that leaves every third request without an answer, and tells at ``/seen`` what came to it and when."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"


@dataclass
class Ledger:
    """Moments are of the monotonic clock, which all processes of a machine share."""

    requests: int = 0
    last_at: float = 0.0
    open: int = 0
    closed_at: float = 0.0


class Hanging(asyncio.Protocol):
    """One connection; requests come one after the other on it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.rest = b""
        self.asks = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.ledger.open += 1

    def data_received(self, data: bytes) -> None:
        self.rest += data
        head, found, body = self.rest.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] if found else b""
        if not found or len(body) < int(length or 0):
            return
        self.rest = b""
        if head.startswith(b"GET /seen"):
            self._tell()
            return
        self.ledger.requests += 1
        self.ledger.last_at = time.monotonic()
        if self.ledger.requests % 3:
            self.transport.write(_OK)

    def _tell(self) -> None:
        self.asks = True
        self.ledger.open -= 1
        told = json.dumps(vars(self.ledger)).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told)
        )
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.asks:
            self.ledger.open -= 1
            self.ledger.closed_at = time.monotonic()


async def seen(url: str) -> Ledger:
    """What the server has seen so far."""

    def ask() -> bytes:
        with urlopen(f"{url}/seen", timeout=10) as answer:
            found: bytes = answer.read()
            return found

    return Ledger(**json.loads(await asyncio.to_thread(ask)))
