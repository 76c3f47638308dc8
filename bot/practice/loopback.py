"""One ASGI application on one loopback port: how every face of the practice world is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from bot.clock import rung

BACKLOG = 4096
START_LIMIT_S = 10.0
GRACE_S = 1


class _Server(uvicorn.Server):
    """Leaves the signals of its process alone, says when it listens, and ends as soon as it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening, self.leaving = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Uvicorn's own looks ten times a second whether to end, and needs it only for the date of its answers."""
        while not await self.on_tick(0):
            await rung(self.leaving, 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody is connected: nobody to wait for."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()


class LoopbackServer:
    """Serves inside the event loop that starts it. Port 0 takes a free one; ``url`` says which.

    Raises ValueError for a host that is not this machine. ``options`` go to uvicorn.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, **options: Any) -> None:
        if host not in ("127.0.0.1", "localhost", "::1", "[::1]"):
            raise ValueError(f"the practice world listens on the loopback only, not on {host}")
        address = host.strip("[]")
        self._socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        shown = f"[{address}]" if ":" in address else address
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"
        settings: dict[str, Any] = {
            "http": "httptools",
            "ws": "none",
            "lifespan": "off",
            "access_log": False,
            "log_config": None,
            "log_level": "critical",
            "proxy_headers": False,
            "server_header": False,
            "backlog": BACKLOG,
            "timeout_graceful_shutdown": GRACE_S,
        }
        self._config = uvicorn.Config(app, **(settings | options))
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; returns when requests are answered."""
        server = self._server = _Server(self._config)
        self._task = asyncio.create_task(server.serve(sockets=[self._socket]))
        listening = asyncio.create_task(server.listening.wait())
        async with asyncio.timeout(START_LIMIT_S):
            await asyncio.wait({self._task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            await self._task
            raise RuntimeError("the practice server ended before it had started")

    async def stop(self) -> None:
        """Stop serving; open streams get a second to end. Safe to call twice."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            self._server.leaving.set()
            await self._task
        self._server = self._task = None
        self._socket.close()
