"""Epochs: each start of a leader has a number, compared inside every transaction (safety.md, decision 3; R29)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from sqlite3 import Connection

from bot.errors import Busy
from bot.store.tx import Tx


@dataclass(frozen=True)
class Epoch:
    """One leader's time. ``seen_ms`` is its last sign of life; ``clean`` says that it ended in order."""

    epoch: int
    pid: int
    started_ms: int
    seen_ms: int
    ended_ms: int | None
    clean: bool


def newest(conn: Connection) -> int:
    """The number of the newest epoch; 0 before the first start."""
    number: int = conn.execute("SELECT coalesce(max(epoch), 0) FROM epochs").fetchone()[0]
    return number


def check(conn: Connection, epoch: int) -> None:
    """Raise `Busy` when another process has become leader meanwhile: this one may not write any more."""
    now = newest(conn)
    if now != epoch:
        raise Busy(
            f"Another process leads now (start {now}, this one is start {epoch}): nothing was recorded.",
            rule="one leader per state folder",
            then="end this process",
        )


def begin(tx: Tx) -> None:
    """Open the epoch ``tx.epoch`` for this process."""
    tx.db.execute(
        "INSERT INTO epochs (epoch, pid, started_ms, seen_ms) VALUES (?, ?, ?, ?)",
        (tx.epoch, os.getpid(), tx.now_ms, tx.now_ms),
    )


def beat(tx: Tx) -> None:
    """Note a sign of life."""
    tx.db.execute("UPDATE epochs SET seen_ms = ? WHERE epoch = ?", (tx.now_ms, tx.epoch))


def end(tx: Tx, *, clean: bool) -> None:
    """Note the end of this epoch."""
    tx.db.execute(
        "UPDATE epochs SET seen_ms = ?, ended_ms = ?, clean = ? WHERE epoch = ?",
        (tx.now_ms, tx.now_ms, clean, tx.epoch),
    )


def get(conn: Connection, epoch: int) -> Epoch | None:
    """One epoch, for example the one before ours: was its end clean, and when was it last seen?"""
    row = conn.execute(
        "SELECT epoch, pid, started_ms, seen_ms, ended_ms, clean FROM epochs WHERE epoch = ?", (epoch,)
    ).fetchone()
    return None if row is None else Epoch(row[0], row[1], row[2], row[3], row[4], bool(row[5]))
