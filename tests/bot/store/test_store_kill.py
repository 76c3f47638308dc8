"""A process that is killed or paused at any point: every answered write is there, and none is half there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.store import audit, epochs
from bot.store.database import Store
from bot.store.leader import Leadership
from tests.conftest import SLOW

ROOT = Path(__file__).resolve().parents[3]
VICTIM = Path(__file__).with_name("store_victim.py")


@contextmanager
def victim(state_dir: Path, out: Path) -> Iterator[subprocess.Popen[bytes]]:
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, str(VICTIM), str(state_dir)], stdout=stdout, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def lines(out: Path) -> list[str]:
    """The whole lines only: the last one may have been cut by the kill."""
    return [line for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]


def wait_for(out: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(lines(out)) < count:
        assert time.monotonic() < deadline, "the victim does not write"
        time.sleep(0.005)


async def inspect(state_dir: Path, answered: set[int]) -> None:
    """Open as the next leader would, and compare what is there with what was answered."""
    leadership = Leadership.acquire(state_dir)
    store = Store.open(leadership, clock=SystemClock())
    assert store.damage is None
    records = await store.read(lambda db: {row[0] for row in db.execute("SELECT seq FROM audit")})
    letters = await store.read(lambda db: {int(row[0]) for row in db.execute("SELECT text FROM outbox")})
    assert answered <= records, "an answered write is lost"
    assert records == letters == set(range(1, len(records) + 1)), "a step is half there"
    assert await store.read(lambda db: audit.tail_ok(db, 10**9))
    cleanly = await store.read(lambda db: [e.clean for n in range(1, store.epoch) if (e := epochs.get(db, n))])
    assert len(cleanly) == store.epoch - 1
    assert not all(cleanly)
    await store.close()
    leadership.release()


async def kill_at_random_points(tmp_path: Path, kills: int, seed: int) -> None:
    """Two kills of three while it writes; one anywhere from its birth on, so also while it repairs what the last left."""
    dice = random.Random(seed)
    state_dir, answered = tmp_path / "state", set[int]()
    for n in range(kills):
        out = tmp_path / f"out{n}"
        early = n % 3 == 1
        with victim(state_dir, out) as process:
            if early:
                time.sleep(dice.uniform(0.1, 0.5))
            else:
                wait_for(out, 1)
                time.sleep(dice.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
        answered |= {int(line) for line in lines(out) if line[0].isdigit()}
        if n % 3 != 0:  # after every third kill the next victim, not we, finds what is left
            await inspect(state_dir, answered)
    assert answered


@pytest.mark.timeout(120)
async def test_R4_R28_killed_at_ten_points_nothing_answered_is_lost(tmp_path: Path) -> None:
    await kill_at_random_points(tmp_path, 10, seed=4)


@pytest.mark.prove
@pytest.mark.timeout(900)
async def test_R4_R28_killed_at_two_hundred_points_nothing_answered_is_lost(tmp_path: Path) -> None:
    await kill_at_random_points(tmp_path, 200, seed=28)


@pytest.mark.prove
@pytest.mark.timeout(120)
async def test_R29_a_process_paused_over_a_change_of_leaders_writes_nothing_more(tmp_path: Path) -> None:
    """Its lock file is taken away while it stands still; woken up, every waiting write is refused."""
    state_dir, out = tmp_path / "state", tmp_path / "out"
    with victim(state_dir, out) as process:
        wait_for(out, 30)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        (state_dir / "leader.lock").unlink()
        leadership = Leadership.acquire(state_dir)
        for _ in range(20):  # it may have been stopped inside a transaction, which only it can end
            try:
                store = Store.open(leadership, clock=SystemClock())
                break
            except Exception:
                process.send_signal(signal.SIGCONT)
                time.sleep(0.01)
                process.send_signal(signal.SIGSTOP)
        before = await store.read(audit.head)
        process.send_signal(signal.SIGCONT)
        assert process.wait(20) == 0

        refused = [line for line in lines(out) if line.startswith("refused")]
        assert refused == ["refused Busy\n"] * 20
        assert await store.read(audit.head) == before
        await store.close()
        leadership.release()


@pytest.mark.timeout(60)
async def test_R29_a_second_process_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    state_dir, out = tmp_path / "state", tmp_path / "out"
    with victim(state_dir, out) as process:
        wait_for(out, 5)
        started = time.monotonic()
        with pytest.raises(Exception, match=f"process {process.pid}"):
            Leadership.acquire(state_dir)
        assert time.monotonic() - started < 0.5 * SLOW
        reader = Store.open_reader(state_dir)
        assert (await reader.read(audit.head))[0] >= 4
        await reader.close()
