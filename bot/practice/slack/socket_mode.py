"""Socket Mode: connections with hello, envelopes and their acknowledgements, refreshes, and sockets that fail."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
import uuid

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.practice.slack.ack import Ack
from bot.practice.slack.faults import Faults
from bot.practice.slack.refusal import Json

MAX_CONNECTIONS = 10
TICKET_LIFE_MS = 30_000


class SocketHub:
    """Every open socket of the app. A payload goes to one of them, in turn; its ack may come over any."""

    def __init__(self, app_id: str, faults: Faults) -> None:
        self.app_id, self.faults = app_id, faults
        self._sockets: list[WebSocket] = []
        self._turn = itertools.count()
        self._waiting: dict[str, asyncio.Future[Json | None]] = {}
        self.acknowledged: list[str] = []

    @property
    def connected(self) -> int:
        """How many sockets are open."""
        return len(self._sockets)

    async def serve(self, socket: WebSocket) -> None:
        """Hold one accepted connection until either side ends it."""
        await socket.accept()
        if len(self._sockets) >= MAX_CONNECTIONS:
            await self._say(socket, {"type": "disconnect", "reason": "too_many_websockets"})
            await socket.close()
            return
        self._sockets.append(socket)
        hello = {
            "type": "hello",
            "num_connections": len(self._sockets),
            "debug_info": {"host": "practice", "approximate_connection_time": 18060},
            "connection_info": {"app_id": self.app_id},
        }
        try:
            await self._say(socket, hello)
            while True:
                await self._heard(socket, await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._gone(socket)

    async def send(self, kind: str, payload: Json, retry: int, reason: str, timeout_s: float) -> Ack:
        """One envelope; waits for its ack. A further copy is a new envelope around the same payload."""
        if not self._sockets:
            return Ack(0, error="dispatch_failed")
        envelope_id = str(uuid.uuid4())
        envelope: Json = {"envelope_id": envelope_id, "type": kind, "payload": payload}
        envelope["accepts_response_payload"] = kind != "events_api"
        if kind == "events_api":
            envelope |= {"retry_attempt": retry, "retry_reason": "timeout" if retry else reason}
        answered: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = answered
        began = time.perf_counter()
        try:
            if not self.faults.silent_socket:
                await self._hand_over(envelope)
            async with asyncio.timeout(timeout_s):
                said = await answered
        except TimeoutError:
            return Ack(0, elapsed_ms=(time.perf_counter() - began) * 1000, error="operation_timeout")
        finally:
            self._waiting.pop(envelope_id, None)
        self.acknowledged.append(envelope_id)
        body = json.dumps(said) if said else ""
        return Ack(200, body, (time.perf_counter() - began) * 1000)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask every connection to come back on a new one, then close it, as Slack does all the time."""
        for socket in list(self._sockets):
            await self._say(socket, {"type": "disconnect", "reason": reason, "debug_info": {"host": "practice"}})
            await self.drop(socket)

    async def close(self) -> None:
        """Close every socket."""
        for socket in list(self._sockets):
            await self.drop(socket)

    async def drop(self, socket: WebSocket) -> None:
        """Close one socket."""
        self._gone(socket)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(1001)

    async def _hand_over(self, envelope: Json) -> None:
        socket = self._sockets[next(self._turn) % len(self._sockets)]
        await self._say(socket, envelope)
        if self.faults.socket_close == "before_ack":
            self.faults.socket_close = "no"
            await self.drop(socket)

    async def _heard(self, socket: WebSocket, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        waiting = self._waiting.get(str(said.get("envelope_id")))
        if waiting is None or waiting.done():
            return
        payload = said.get("payload")
        waiting.set_result(payload if isinstance(payload, dict) else None)
        if self.faults.socket_close == "after_ack":
            self.faults.socket_close = "no"
            await self.drop(socket)

    async def _say(self, socket: WebSocket, message: Json) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(json.dumps(message))

    def _gone(self, socket: WebSocket) -> None:
        if socket in self._sockets:
            self._sockets.remove(socket)
