"""Slots of the timer: each has at most one effect, whatever restarts, pauses or clock jumps happen (safety.md, R30)."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from bot.store.tx import Tx

KEEP_MS = 400 * 24 * 60 * 60 * 1000
"""Slots are remembered for more than a year: no clock jump of a lesser size can repeat one."""


@dataclass(frozen=True)
class Slot:
    """A slot that was taken: when, and for which operation (None: skipped)."""

    schedule: str
    slot_ms: int
    at_ms: int
    op: str | None


def claim(tx: Tx, schedule: str, slot_ms: int, op_id: str | None = None) -> bool:
    """Take a slot; False when it was taken before: then nothing may be done for it."""
    return (
        tx.db.execute(
            "INSERT INTO slots (schedule, slot_ms, at_ms, op) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (schedule, slot_ms, tx.now_ms, op_id),
        ).rowcount
        == 1
    )


def last(conn: Connection, schedule: str) -> Slot | None:
    """The newest slot that was taken."""
    row = conn.execute(
        "SELECT schedule, slot_ms, at_ms, op FROM slots WHERE schedule = ? ORDER BY slot_ms DESC LIMIT 1",
        (schedule,),
    ).fetchone()
    return None if row is None else Slot(*row)


def forget(tx: Tx) -> int:
    """Drop slots that are older than `KEEP_MS`; returns how many."""
    return tx.db.execute("DELETE FROM slots WHERE slot_ms < ?", (tx.now_ms - KEEP_MS,)).rowcount
