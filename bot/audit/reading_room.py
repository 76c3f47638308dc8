"""The child that serves a shelf with Datasette: loopback only, behind a secret path, and gone with its parent.

In: one line of JSON on stdin. Out: one line with the address once it listens. When stdin ends, it ends. What Datasette
says of itself (``/-/...``) is not served, nor is anything without the secret path: other people of the host are not
auditors. No plugin is loaded, since the parent's environment says so.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import json
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

_PR_SET_PDEATHSIG = 1
_HEADERS = ((b"referrer-policy", b"no-referrer"), (b"x-frame-options", b"DENY"), (b"cache-control", b"no-store"))


def main() -> int:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    wish = json.loads(sys.stdin.readline())
    return asyncio.run(_serve(wish))


async def _serve(wish: dict[str, Any]) -> int:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", int(wish["port"])))
    port = listener.getsockname()[1]
    secret = f"/{wish['secret']}/"
    datasette = importlib.import_module("datasette.app").Datasette(
        immutables=[wish["shelf"]],
        metadata=wish["metadata"],
        template_dir=wish["templates"],
        settings={
            "base_url": secret,
            "allow_download": False,
            "suggest_facets": False,
            "max_returned_rows": 1_000,
            "sql_time_limit_ms": 2_000,
            "num_sql_threads": 2,
        },
    )
    app = guarded(datasette.app(), secret, frozenset({f"127.0.0.1:{port}", f"localhost:{port}"}))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    for _ in range(3_000):
        if server.started or serving.done():
            break
        await asyncio.sleep(0.01)
    if not server.started:
        return 1
    sys.stdout.write(json.dumps({"ready": f"http://127.0.0.1:{port}{secret}"}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await serving
    return 0


def guarded(app: App, secret: str, hosts: frozenset[str]) -> App:
    """Let through what knows the secret path and came to this very address; nothing that is about Datasette itself."""

    async def asgi(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = str(scope.get("path", ""))
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        inside = path.removeprefix(secret)
        known = path.startswith(secret) and (not inside.startswith("-/") or inside.startswith("-/static/"))
        if not known or host not in hosts or scope["method"] not in ("GET", "HEAD"):
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"not here\n"})
            return

        async def sealed(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS]}
            await send(message)

        await app(scope, receive, sealed)

    return asgi


if __name__ == "__main__":
    sys.exit(main())
