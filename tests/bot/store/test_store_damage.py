"""Damage is noticed at start, named, and left untouched (safety.md, R41)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from store_kit import HandClock

from bot.errors import Broken
from bot.store import audit, migrations
from bot.store.database import Store
from bot.store.leader import Leadership


async def fill(leadership: Leadership, clock: HandClock, records: int = 30) -> None:
    store = Store.open(leadership, clock=clock)
    for n in range(records):
        record = audit.AuditRecord(
            phase="system", action="tick", actor="system", door="system", detail={"n": n, "pad": "x" * 400}
        )
        await store.write(lambda tx, record=record: audit.append(tx, record))  # type: ignore[misc]
    await store.close()


def alter(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()


def guard(name: str, path: Path) -> str:
    db = sqlite3.connect(path)
    sql: str = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    db.close()
    return sql


def garbage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 4] = b"\xa5" * (4096 * 2)
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 3])


def other_file(path: Path) -> None:
    path.write_text("this is a letter, not a database\n" * 200)


def other_database(path: Path) -> None:
    path.unlink()
    alter(path, "CREATE TABLE recipes (name TEXT)")


def gone(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def edited(path: Path) -> None:
    sql = guard("audit_no_update", path)
    alter(
        path,
        "DROP TRIGGER audit_no_update",
        "UPDATE audit SET body = replace(body, 'tick', 'tock') WHERE seq = 17",
        sql,
    )


def cut_out(path: Path) -> None:
    sql = guard("audit_no_delete", path)
    alter(path, "DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE seq = 17", sql)


def unguarded(path: Path) -> None:
    alter(path, "DROP TRIGGER audit_no_delete")


def from_the_future(path: Path) -> None:
    alter(
        path,
        f"INSERT INTO {migrations.TABLE} (migration_set, name, applied_at) VALUES ('{migrations.SET}', 'ninth', '')",
    )


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (garbage, "damaged"),
        (cut, "damaged"),
        (other_file, "not a database"),
        (other_database, "not our database"),
        (gone, "missing"),
        (emptied, "missing"),
        (edited, "record 17"),
        (cut_out, "record 17"),
        (unguarded, "guards"),
        (from_the_future, "newer sendcat"),
    ],
)
async def test_R41_damage_is_named_refused_and_left_untouched(
    harm: Callable[[Path], None], word: str, state_dir: Path, leadership: Leadership, clock: HandClock
) -> None:
    await fill(leadership, clock)
    path = state_dir / "sendcat.db"
    harm(path)
    before = path.read_bytes() if path.exists() else None

    store = Store.open(leadership, clock=clock)

    assert store.damage is not None
    assert word in store.damage
    with pytest.raises(Broken):
        await store.write(lambda tx: None)
    await store.close()
    assert (path.read_bytes() if path.exists() else None) == before


async def test_R41_an_older_database_put_back_is_noticed(
    state_dir: Path, leadership: Leadership, clock: HandClock, tmp_path: Path
) -> None:
    path = state_dir / "sendcat.db"
    await fill(leadership, clock)
    shutil.copy(path, tmp_path / "older")
    await fill(leadership, clock)
    shutil.copy(tmp_path / "older", path)

    store = Store.open(leadership, clock=clock)
    assert store.damage is not None
    assert "older" in store.damage
    assert await store.read(lambda db: audit.head(db)[0]) == 30  # what can be read may be read
    await store.close()


async def test_R41_a_log_left_by_a_killed_process_is_no_damage_and_survives_a_refused_start(
    state_dir: Path, leadership: Leadership, clock: HandClock, tmp_path: Path
) -> None:
    """Looking at the database with its log in place, and refusing it, changes neither of the two."""
    store = Store.open(leadership, clock=clock)
    await store.write(
        lambda tx: audit.append(tx, audit.AuditRecord(phase="system", action="a", actor="system", door="system"))
    )
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("sendcat.db", "sendcat.db-wal"):
        shutil.copy(state_dir / name, crashed / name)
    await store.close()

    later = Leadership.acquire(crashed)
    later.remember(7)  # this folder has seen more starts than the copy
    before = {name: (crashed / name).read_bytes() for name in ("sendcat.db", "sendcat.db-wal")}
    refused = Store.open(later, clock=clock)
    assert refused.damage is not None
    await refused.close()
    assert before == {name: (crashed / name).read_bytes() for name in before}
    assert len(before["sendcat.db-wal"]) > 0

    later.remember(1)
    good = Store.open(later, clock=clock)
    assert good.damage is None
    assert await good.read(lambda db: audit.head(db)[0]) == 1
    await good.close()
    later.release()
