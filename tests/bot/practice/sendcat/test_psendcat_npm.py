"""The official `convex` command line works against the practice Sendcat (what the runbook's own lines use)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from bot.practice.sendcat import PracticeSendcat

pytestmark = [pytest.mark.node, pytest.mark.prove, pytest.mark.timeout(240)]


async def run(*command: str, cwd: Path, env: dict[str, str], within_s: float = 90) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), within_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, "", "timed out"
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_npm_package_convex_runs_functions_and_sets_variables(
    tmp_path: Path, sendcat: PracticeSendcat
) -> None:
    """`convex run` prints the snapshot, `convex env set` changes a knob that the next snapshot shows."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the official convex command line was NOT tried")
    (tmp_path / "package.json").write_text(json.dumps({"name": "practice", "private": True}))
    quiet = {"npm_config_audit": "false", "npm_config_fund": "false", "npm_config_update_notifier": "false"}
    status, _, err = await run("npm", "install", "--silent", "convex@1", cwd=tmp_path, env=quiet, within_s=120)
    if status != 0:
        pytest.skip(f"npm could not install convex, so it was NOT tried: {err[-200:]}")
    env = {
        "CONVEX_SELF_HOSTED_URL": sendcat.api_url,
        "CONVEX_SELF_HOSTED_ADMIN_KEY": sendcat.deploy_key,
        "CI": "1",
    }
    convex = str(tmp_path / "node_modules/.bin/convex")

    status, out, err = await run(
        convex, "run", "ops:getReliabilitySnapshot", '{"minutes":15,"limit":50}', cwd=tmp_path, env=env
    )
    assert status == 0, err
    assert json.loads(out)["windowMinutes"] == 15

    status, _, err = await run(convex, "env", "set", "TOOL_JOB_RUNMAX_WEB", "3", cwd=tmp_path, env=env)
    assert status == 0, err
    status, out, err = await run(convex, "run", "ops:getReliabilitySnapshot", "{}", cwd=tmp_path, env=env)
    assert status == 0, err
    assert json.loads(out)["config"]["toolJobs"]["maxRunningByTool"]["search_web"] == 3
