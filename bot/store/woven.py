"""Faults woven into a practice target: written down before they go in, so that somebody finds them after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from bot.store.tx import Tx


@dataclass(frozen=True)
class Woven:
    """One fault: when it was to go in and to end by itself at the latest, when it did, and how it was taken out."""

    n: int
    op: str
    target: str
    origin: str
    """Where that practice Sendcat listened; another one may have its name by now."""
    fault: str
    planned_ms: int
    until_ms: int
    begun_ms: int | None
    cleared_ms: int | None
    how: str | None


_COLUMNS = "n, op, target, origin, fault, planned_ms, until_ms, begun_ms, cleared_ms, how"


def plan(tx: Tx, *, op: str, target: str, origin: str, fault: str, planned_ms: int, until_ms: int) -> int:
    """Note that a fault is about to go in; answers its number."""
    row = tx.db.execute(
        "INSERT INTO woven_faults (op, target, origin, fault, planned_ms, until_ms) "
        "VALUES (?, ?, ?, ?, ?, ?) RETURNING n",
        (op, target, origin, fault, planned_ms, until_ms),
    ).fetchone()
    return int(row[0])


def begun(tx: Tx, n: int) -> None:
    """It is in."""
    tx.db.execute("UPDATE woven_faults SET begun_ms = ? WHERE n = ? AND begun_ms IS NULL", (tx.now_ms, n))


def cleared(tx: Tx, n: int, how: str) -> None:
    """It is out, or was never in."""
    tx.db.execute(
        "UPDATE woven_faults SET cleared_ms = ?, how = ? WHERE n = ? AND cleared_ms IS NULL", (tx.now_ms, how, n)
    )


def get(conn: Connection, n: int) -> Woven | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM woven_faults WHERE n = ?", (n,)).fetchone()
    return None if row is None else Woven(*row)


def left_in(conn: Connection) -> tuple[Woven, ...]:
    """Faults that may still be in."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM woven_faults WHERE cleared_ms IS NULL ORDER BY n")
    return tuple(Woven(*row) for row in rows)
