"""One leader per state folder (safety.md, R29)."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest
from store_kit import HandClock

from bot.errors import Broken, Busy
from bot.store.database import Store
from bot.store.leader import Leadership
from tests.conftest import SLOW


def test_the_folder_and_the_lock_are_private(state_dir: Path, leadership: Leadership) -> None:
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((state_dir / "leader.lock").stat().st_mode) == 0o600
    assert [path.name for path in state_dir.iterdir()] == ["leader.lock"]


async def test_R29_a_second_leader_is_refused_at_once_and_touches_nothing(state_dir: Path, store: Store) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in state_dir.iterdir()}
    started = time.monotonic()

    with pytest.raises(Busy, match=f"process {os.getpid()}") as refusal:
        Leadership.acquire(state_dir)

    assert time.monotonic() - started < 0.5 * SLOW
    assert refusal.value.exit_status == 75
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in state_dir.iterdir()}


def test_a_released_lock_is_free(state_dir: Path) -> None:
    first = Leadership.acquire(state_dir)
    first.release()
    first.release()
    assert not first.held
    second = Leadership.acquire(state_dir)
    assert second.held
    second.release()


def test_a_standby_waits_until_the_leader_is_gone(state_dir: Path) -> None:
    first = Leadership.acquire(state_dir)
    got: list[Leadership] = []
    standby = threading.Thread(target=lambda: got.append(Leadership.acquire(state_dir, wait=True)))
    standby.start()
    standby.join(0.1)
    assert not got

    first.release()
    standby.join(5)

    assert got[0].held
    got[0].release()


def test_a_lock_file_of_garbage_or_a_link_is_no_way_in(state_dir: Path, tmp_path: Path) -> None:
    state_dir.mkdir()
    (state_dir / "leader.lock").write_text("[nonsense")
    held = Leadership.acquire(state_dir)
    assert held.epoch == 0
    held.release()

    (state_dir / "leader.lock").unlink()
    (state_dir / "leader.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Broken):
        Leadership.acquire(state_dir)


async def test_R29_a_process_that_was_paused_cannot_write_late(
    state_dir: Path, leadership: Leadership, clock: HandClock
) -> None:
    """Even when the lock file was removed under a paused leader, its epoch is old and its writes are refused."""
    paused = Store.open(leadership, clock=clock)
    (state_dir / "leader.lock").unlink()
    successor = Leadership.acquire(state_dir)
    new = Store.open(successor, clock=clock)
    assert (paused.epoch, new.epoch) == (1, 2)

    with pytest.raises(Busy, match="Another process leads now"):
        await paused.write(lambda tx: tx.db.execute("INSERT INTO settings VALUES ('late', '1', 0)"))

    assert await new.read(lambda db: db.execute("SELECT count(*) FROM settings").fetchone()[0]) == 0
    await paused.close()
    await new.close()
    ended = await Store.open_reader(state_dir).read(
        lambda db: db.execute("SELECT epoch, clean FROM epochs ORDER BY epoch").fetchall()
    )
    assert ended == [(1, 0), (2, 1)]
    successor.release()
