"""Killed at any point of a change: nothing without a record, nothing lost, nothing doubled (safety.md, R28)."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from tuning_kit import CHAT
from tuning_victim import victim

from bot.practice.house import Deployment, RunFile, write_run_file
from bot.practice.sendcat import PracticeSendcat
from bot.tuning.failpoints import NAMES

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tuning_victim"])
pytestmark = pytest.mark.timeout(240)
"""Each life is a process of its own; on a busy machine it takes a while until it stands."""
UNDO = tuple(name for name in NAMES if name.startswith("undo."))


def prepare(folder: Path, sendcat: PracticeSendcat) -> Path:
    """A state folder with the run file of the practice Sendcat in this process."""
    state_dir = folder / "state"
    state_dir.mkdir(parents=True, mode=0o700)
    pool = folder / "pool.json"
    pool.write_text(json.dumps(sendcat.pool))
    place = Deployment(
        api_url=sendcat.api_url,
        site_url=sendcat.site_url,
        deploy_key=sendcat.deploy_key,
        control_key=sendcat.control_key,
        gmail_token=sendcat.gmail_token,
        whatsapp_secret=sendcat.whatsapp_secret,
        pool_file=pool,
    )
    write_run_file(state_dir, RunFile(pid=os.getpid(), deployments={"practice": place}))
    return state_dir


async def live(state_dir: Path, **how: Any) -> dict[str, Any] | None:
    """One life of the victim; what it wrote at its end, None when it was killed."""
    out = state_dir.parent / "out.json"
    out.unlink(missing_ok=True)
    process = _FORKS.Process(target=victim, args=(str(state_dir), str(out)), kwargs=how)
    process.start()
    try:
        await asyncio.wait_for(asyncio.to_thread(process.join), 240)
    finally:
        if process.is_alive():
            process.kill()
    return json.loads(out.read_text()) if out.exists() else None


async def killed_and_resolved(
    folder: Path, sendcat: PracticeSendcat, *, worse: bool, lives: list[dict[str, Any]]
) -> int:
    """Live and die as told, then live to the end; compare what Sendcat saw with what the record says.

    What Sendcat saw is counted at the practice Sendcat, not told by the bot. Returns how many lives ended by the kill.
    """
    killed = 0
    environment, counters = sendcat.deployment.environment, sendcat.counters.variable_changes
    environment.set(CHAT, None)
    before = counters[CHAT]
    state_dir = prepare(folder, sendcat)
    for how in lives:
        if await live(state_dir, worse=worse, **how) is not None:
            break
        killed += 1
    ended = await live(state_dir, worse=worse)

    assert ended is not None
    writes, story = counters[CHAT] - before, f"{lives} {ended}"
    assert ended["undoes"] <= 1 or ended["doubted"], story
    assert ended["in_doubt"] == [], story
    assert ended["resolved_s"] < 10, story
    assert ended["whole"], story
    assert ended["drawn"], story
    assert ended["state"] in ("kept", "undone", "failed", "void", "rejected", "expired"), story
    assert (environment.get(CHAT) == "28") is (ended["state"] == "kept"), story
    assert ended["intents"] <= 1, story
    assert writes <= (1 if ended["state"] == "kept" else 2), story
    if writes:
        assert ended["intents"] == 1, story
    if ended["state"] == "undone":
        assert writes == 2 * ended["intents"], story
    return killed


@pytest.mark.parametrize("name", ["write.sent", "settle.recorded"])
async def test_R28_killed_between_two_steps(tmp_path: Path, sendcat: PracticeSendcat, name: str) -> None:
    assert await killed_and_resolved(tmp_path, sendcat, worse=False, lives=[{"failpoint": name}]) == 1


@pytest.mark.parametrize("name", ["undo.sent"])
async def test_R28_killed_while_it_is_undone(tmp_path: Path, sendcat: PracticeSendcat, name: str) -> None:
    assert await killed_and_resolved(tmp_path, sendcat, worse=True, lives=[{"failpoint": name}]) == 1


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
async def test_R28_every_failpoint_five_times(tmp_path: Path, sendcat: PracticeSendcat, name: str) -> None:
    """Also killed again at the same place, or at another, while it recovers."""
    choose = random.Random(f"five times {name}")
    for turn in range(5):
        lives = [{"failpoint": name}]
        if name == "ambiguous.read":
            lives.insert(0, {"failpoint": "write.sent"})
        if turn > 2:
            lives.append({"failpoint": choose.choice(NAMES)})
        worse = name in UNDO or turn % 2 == 1
        assert await killed_and_resolved(tmp_path / str(turn), sendcat, worse=worse, lives=lives) >= 1, turn


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("batch", range(10))
async def test_R28_two_hundred_random_kills(tmp_path: Path, sendcat: PracticeSendcat, batch: int) -> None:
    """Twenty a batch, at any moment of a life, however long that is on this machine; half of them once more while it
    recovers."""
    choose = random.Random(200 + batch)
    await killed_and_resolved(tmp_path / "first", sendcat, worse=True, lives=[])  # loads what every later life shares
    began = time.monotonic()
    await killed_and_resolved(tmp_path / "whole", sendcat, worse=True, lives=[])
    whole_s = time.monotonic() - began
    for number in range(20):
        worse, latest_s = choose.random() < 0.5, whole_s
        for turn in range(20):
            lives = [{"after_s": choose.uniform(0.05, latest_s)} for _ in range(1 + number % 2)]
            if await killed_and_resolved(tmp_path / f"{number}-{turn}", sendcat, worse=worse, lives=lives):
                break
            latest_s *= 0.8  # it had ended before the kill: this life was a shorter one
        else:
            pytest.fail("no kill ever met a life")
