"""The bot is killed while a fault is in: the next start takes it out, and says that the day was interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.practice.demo import free_port
from bot.practice.house import house_process


async def _serve(state_dir: Path, port: int) -> asyncio.subprocess.Process:
    code = (
        "import asyncio,sys;from pathlib import Path;from bot.main import serve;"
        "from bot.practice.house import running_config;"
        "sys.exit(asyncio.run(serve(running_config(Path(sys.argv[1])),http=True,port=int(sys.argv[2]))))"
    )
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(state_dir), str(port), stderr=asyncio.subprocess.DEVNULL
    )


@pytest.mark.prove
@pytest.mark.timeout(120)
async def test_R28_killed_while_a_fault_is_in_the_next_start_takes_it_out(tmp_path: Path) -> None:
    import httpx

    state_dir, port = tmp_path / "practice", free_port()
    url = f"http://127.0.0.1:{port}"
    async with (
        house_process(f"--request-url={url}/slack/events", state_dir=state_dir) as house,
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):
        assert house.workspace is not None
        place = house.deployments["practice"]

        async def faults() -> Any:
            state = await client.get(f"{place.api_url}/_practice/state", headers={"X-Practice-Key": place.control_key})
            return state.json()["faults"]

        async def holds(wanted: list[str]) -> None:
            for _ in range(600):
                if await faults() == wanted:
                    return
                await asyncio.sleep(0.1)
            pytest.fail(f"the faults were never {wanted}")

        async def healthy() -> None:
            for _ in range(600):
                try:
                    if (await client.get(f"{url}/healthz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
            pytest.fail("the bot did not start")

        bot = await _serve(state_dir, port)
        try:
            await healthy()
            typed = {"as": "U0ONCALL", "channel": "C0INC", "text": "/sendcat gameday --profiles=soak --weave=E:stale"}
            await client.post(f"{house.workspace.url}/page/command", json=typed)
            await holds(["E:stale"])
            os.kill(bot.pid, signal.SIGKILL)
            await bot.wait()
            assert await faults() == ["E:stale"]
            again = await _serve(state_dir, port)
            try:
                await holds([])
            finally:
                again.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(again.wait(), 30) == 0
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()
