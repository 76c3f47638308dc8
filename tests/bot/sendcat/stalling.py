"""A server that stalls on time: nothing is answered during the first 400 ms of every 2 s of the monotonic clock."""

from __future__ import annotations

import asyncio
import time

STALL_S, EVERY_S = 0.4, 2.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK"


def truth(p: float, seconds: float = 4.0, rate: float = 500.0) -> float:
    """What it does to requests that come by plan, as a percentile in ms: those of a stall wait for its end."""
    waits = sorted(max(0.0, STALL_S - (i / rate) % EVERY_S) * 1000 for i in range(int(seconds * rate)))
    return waits[-(-int(p * len(waits)) // 100) - 1]


class Stalling(asyncio.Protocol):
    """One connection of the stalling server; requests come one after the other on it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        self.rest += data
        head, found, body = self.rest.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) if found else 0
        if not found or len(body) < length:
            return
        self.rest = b""
        phase = time.monotonic() % EVERY_S
        if phase >= STALL_S:
            self.answer()
        else:
            asyncio.get_running_loop().call_later(STALL_S - phase, self.answer)

    def answer(self) -> None:
        self.transport.write(_OK)  # type: ignore[attr-defined]
