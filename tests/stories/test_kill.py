"""The bot is killed; what it left open is resolved by the next one (safety.md, R28; issue: within 10 s of start)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bot.practice.house import house_process
from bot.store.leader import Leadership
from tests.conftest import SLOW


async def _serve(state_dir: Path, port: int) -> asyncio.subprocess.Process:
    """The real `sendcat serve` on the practice house of that folder."""
    code = (
        "import asyncio,sys;from pathlib import Path;from bot.main import serve;"
        "from bot.practice.house import running_config;"
        "sys.exit(asyncio.run(serve(running_config(Path(sys.argv[1])),http=True,port=int(sys.argv[2]))))"
    )
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(state_dir), str(port), stderr=asyncio.subprocess.DEVNULL
    )


@pytest.mark.timeout(120)
async def test_R28_R32_killed_in_mid_triage_the_card_says_interrupted_within_ten_seconds_of_start(
    tmp_path: Path,
) -> None:
    """kill -9 while the drill runs: the load ends, the next start finds the run, and the channel is told."""
    import httpx

    from bot.practice.demo import free_port

    state_dir, port = tmp_path / "practice", free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        house_process(f"--request-url={url}/slack/events", state_dir=state_dir) as house,
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):
        assert house.workspace is not None
        page = house.workspace.url

        async def healthy() -> None:
            for _ in range(600):
                try:
                    if (await client.get(f"{url}/healthz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
            pytest.fail("the bot did not start")

        async def card() -> str:
            state = (await client.get(f"{page}/page/state", params={"as": "U0ONCALL", "channel": "C0INC"})).json()
            found = [m for m in state["messages"] if m["bot"]]
            return json.dumps(found[-1], ensure_ascii=False) if found else ""

        async def seen(word: str, within_s: float) -> None:
            for _ in range(int(within_s / 0.1)):
                if word in await card():
                    return
                await asyncio.sleep(0.1)
            pytest.fail(f"the card never said {word!r}: {(await card())[:400]}")

        bot = await _serve(state_dir, port)
        try:
            await healthy()
            await client.post(
                f"{page}/page/command", json={"as": "U0ONCALL", "channel": "C0INC", "text": "/sendcat triage"}
            )
            await seen("Quick drill", 10 * SLOW)
            os.kill(bot.pid, signal.SIGKILL)
            await bot.wait()

            again = await _serve(state_dir, port)
            began = time.monotonic()
            try:
                await seen("INTERRUPTED", 10 * SLOW)
                assert time.monotonic() - began < 10 * SLOW
                assert "Run again" in await card()
            finally:
                again.send_signal(signal.SIGTERM)  # R32: ends in good order within ten seconds, the socket with it
                assert await asyncio.wait_for(again.wait(), 10 * SLOW) == 0
            assert not (state_dir / "sendcat.sock").exists()
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()


async def test_R29_a_second_serve_exits_with_75_without_touching_anything(tmp_path: Path) -> None:
    state_dir = tmp_path / "practice"
    leadership = Leadership.acquire(state_dir)
    try:
        async with house_process("--sendcat-only", state_dir=state_dir):
            bot = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "import asyncio,sys;from pathlib import Path;from bot.cli import _guarded;from bot.main import serve;"
                "from bot.practice.house import running_config;"
                "sys.exit(_guarded(lambda: asyncio.run(serve(running_config(Path(sys.argv[1])),http=True,port=0))))",
                str(state_dir),
                stderr=asyncio.subprocess.PIPE,
            )
            _, err = await asyncio.wait_for(bot.communicate(), 20 * SLOW)
        assert bot.returncode == 75
        assert str(os.getpid()).encode() in err
        assert not (state_dir / "sendcat.db").exists()
    finally:
        leadership.release()
