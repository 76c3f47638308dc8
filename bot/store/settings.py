"""Small durable facts by name: the pause flag, the masking key, a bound channel."""

from __future__ import annotations

import json
from sqlite3 import Connection
from typing import Any

from bot.store.tx import Tx


def get(conn: Connection, name: str) -> Any:
    """The fact of this name, or None."""
    row = conn.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return None if row is None else json.loads(row[0])


def put(tx: Tx, name: str, value: Any) -> None:
    """Remember a fact (anything that JSON can hold); None forgets it."""
    if value is None:
        tx.db.execute("DELETE FROM settings WHERE name = ?", (name,))
        return
    tx.db.execute(
        "INSERT INTO settings (name, value, at_ms) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, at_ms = excluded.at_ms",
        (name, json.dumps(value, ensure_ascii=False, allow_nan=False), tx.now_ms),
    )
