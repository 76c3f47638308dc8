"""The inbox: which deliveries are known. The same key is the same wish (safety.md, R2, R3, R4).

A key may hold what came with a request, so only its digest is stored; so is no line and no form value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from sqlite3 import Connection

from bot.command import Actor, Ask
from bot.store.tx import Tx

KEEP_MS = 24 * 60 * 60 * 1000
"""Records are kept at least a day (R2)."""


@dataclass(frozen=True)
class Delivery:
    """The first delivery of a key: what it started, who sent it and when. ``duplicate``: this was not the first."""

    op: str | None
    by: Actor
    at_ms: int
    duplicate: bool


def seen(conn: Connection, key: str) -> Delivery | None:
    """The first delivery of this key, marked as duplicate, or None."""
    row = conn.execute("SELECT op, asker, at_ms FROM inbox WHERE key = ?", (_digest(key),)).fetchone()
    return None if row is None else Delivery(row[0], Actor.model_validate_json(row[1]), row[2], duplicate=True)


def accept(tx: Tx, ask: Ask, op_id: str | None) -> Delivery:
    """Write the delivery down; a known key changes nothing and returns the first delivery.

    ``op_id`` is an operation that exists, or None when nothing was started. Ask `seen` before making an operation.
    """
    if known := seen(tx.db, ask.key):
        return known
    tx.db.execute(
        "INSERT INTO inbox (key, op, asker, at_ms) VALUES (?, ?, ?, ?)",
        (_digest(ask.key), op_id, ask.by.model_dump_json(), tx.now_ms),
    )
    return Delivery(op_id, ask.by, tx.now_ms, duplicate=False)


def forget(tx: Tx, before_ms: int) -> int:
    """Drop records from before a moment, but none younger than a day; returns how many."""
    return tx.db.execute("DELETE FROM inbox WHERE at_ms < ?", (min(before_ms, tx.now_ms - KEEP_MS),)).rowcount


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
