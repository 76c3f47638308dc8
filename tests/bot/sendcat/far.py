"""Servers in a process of their own, so that what they do is not measured as the generator's doing.

``python -m tests.bot.sendcat.far stall`` is the server of `stalling`, ``... hang`` that of `hanging`;
``... practice '{"connect_ms": 200, ...}'`` is a practice Sendcat with steady chats. Each prints one line of JSON and
lives until its stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.bot.sendcat.hanging import Hanging, Ledger
from tests.bot.sendcat.stalling import Stalling


async def _stall() -> dict[str, Any]:
    server = await asyncio.get_running_loop().create_server(Stalling, "127.0.0.1", 0, backlog=1024)
    await server.start_serving()
    return {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "keep": id(server)}


async def _hang() -> dict[str, Any]:
    ledger = Ledger()
    server = await asyncio.get_running_loop().create_server(lambda: Hanging(ledger), "127.0.0.1", 0, backlog=1024)
    await server.start_serving()
    return {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "keep": id(server)}


async def _practice(wish: dict[str, Any]) -> dict[str, Any]:
    from bot.practice.sendcat import PracticeSendcat
    from bot.practice.sendcat.circuits import PRIMARY

    variables = {"RATE_LIMIT_CHAT_STREAM_MAX": "1000", "BULKHEAD_OR_PRI_MAX_CONCURRENT": "200"}
    practice = PracticeSendcat(seed=1, environment=variables, pool_users=wish.get("users", 50))
    model = practice.deployment.upstreams[PRIMARY]
    model.connect_ms = (wish["connect_ms"], wish["connect_ms"])
    model.token_ms, model.tokens = wish["token_ms"], wish["tokens"]
    await practice.start()
    return {
        "url": practice.site_url,
        "api_url": practice.api_url,
        "deploy_key": practice.deploy_key,
        "pool": practice.pool,
        "gmail_token": practice.gmail_token,
        "whatsapp_secret": practice.whatsapp_secret,
    }


async def _main() -> None:
    kind, *rest = sys.argv[1:]
    alone = {"stall": _stall, "hang": _hang}.get(kind)
    told = await (alone() if alone is not None else _practice(json.loads(rest[0])))
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def far(kind: str, **wish: Any) -> AsyncIterator[dict[str, Any]]:
    """Start one; what it printed. It is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bot.sendcat.far",
        kind,
        json.dumps(wish),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 22,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
