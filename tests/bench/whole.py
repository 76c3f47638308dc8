"""What a person waits for, with real processes: first card, triage, `--help`; and what an idle bot weighs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx

from bot.practice.demo import free_port, stoppable
from bot.practice.house import house_process
from tests.bench.figure import Figure

_SERVE = (
    "import asyncio,sys;from pathlib import Path;from bot.main import serve;"
    "from bot.practice.house import running_config;"
    "sys.exit(asyncio.run(serve(running_config(Path(sys.argv[1])),http=True,port=int(sys.argv[2]))))"
)


async def measure() -> list[Figure]:
    """First card and triage on a healthy practice Sendcat; memory of the bot before it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        state_dir = Path(name) / "practice"
        async with (
            house_process(f"--request-url=http://127.0.0.1:{port}/slack/events", state_dir=state_dir) as house,
            httpx.AsyncClient(trust_env=False, timeout=10) as client,
        ):
            assert house.workspace is not None
            page = house.workspace.url
            bot = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _SERVE, str(state_dir), str(port), stderr=asyncio.subprocess.DEVNULL
            )
            try:
                for _ in range(200):
                    try:
                        if (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                            break
                    except httpx.HTTPError:
                        await asyncio.sleep(0.05)
                await asyncio.sleep(3)
                resident = _resident_mib(bot.pid)
                first, whole = [], []
                for _ in range(2):
                    began = time.perf_counter()
                    before = len(await _cards(client, page))
                    await client.post(
                        f"{page}/page/command", json={"as": "U0ONCALL", "channel": "C0INC", "text": "/sendcat triage"}
                    )
                    await _until(partial(_more, client, page, before))
                    first.append(time.perf_counter() - began)
                    await _until(partial(_final, client, page))
                    whole.append(time.perf_counter() - began)
                    await asyncio.sleep(11)
            finally:
                bot.terminate()
                await asyncio.wait_for(bot.wait(), 10)
    return [
        Figure("first card", "s", first, 1.0, of="max"),
        Figure("triage, healthy", "s", whole, 10.0, of="max"),
        Figure("idle bot", "MiB", [resident], 150),
    ]


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(3_000):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("the card did not come")


async def _more(client: httpx.AsyncClient, page: str, before: int) -> bool:
    return len(await _cards(client, page)) > before


async def _final(client: httpx.AsyncClient, page: str) -> bool:
    return not stoppable((await _cards(client, page))[-1]["blocks"])


async def _cards(client: httpx.AsyncClient, page: str) -> list[dict[str, list[dict[str, object]]]]:
    state = (await client.get(f"{page}/page/state", params={"as": "U0ONCALL", "channel": "C0INC"})).json()
    return [m for m in state["messages"] if m["bot"] and m["blocks"]]


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def start_up() -> list[Figure]:
    """`sendcat --help`, beside the interpreter with the two libraries that draw and check it."""
    ours, peer = [], []
    for _ in range(9):
        ours.append(_seconds("-m", "bot", "--help"))
        peer.append(_seconds("-c", "import typer, pydantic, rich.console"))
    return [Figure("sendcat --help", "s", ours[2:], 0.4, peer="python with typer and pydantic", peer_values=peer[2:])]


def _seconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
