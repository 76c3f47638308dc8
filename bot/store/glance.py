"""Small reads across tables for who only glances: where cards stand, and what was decided last."""

from __future__ import annotations

import json
from collections.abc import Collection
from sqlite3 import Connection

from bot.store.chronicle import Ruling


def places(conn: Connection, keys: Collection[str]) -> dict[str, tuple[str, str]]:
    """Channel and timestamp of the messages with these keys that stand in a channel; the others are left out."""
    marks = ", ".join("?" * len(keys))
    found = conn.execute(
        f"SELECT key, channel, ts FROM outbox WHERE ts IS NOT NULL AND key IN ({marks})", tuple(keys)
    ).fetchall()
    return {key: (channel, ts) for key, channel, ts in found if channel[:1] in ("C", "G", "D")}


def rulings(conn: Connection, limit: int) -> tuple[Ruling, ...]:
    """The newest decisions, newest first."""
    rows = conn.execute(
        "SELECT seq, phase, at_ms, actor, action, object, outcome, body, op FROM audit WHERE phase = 'decision' "
        "ORDER BY seq DESC LIMIT ?",
        (limit,),
    )
    return tuple(
        Ruling(seq, phase, at, actor, action, obj or "", outcome or "", str(json.loads(body).get("why") or ""), op)
        for seq, phase, at, actor, action, obj, outcome, body, op in rows.fetchall()
    )


def case_of(conn: Connection, decision: str) -> str | None:
    """The case that a decision was made on, or None."""
    row = conn.execute("SELECT case_id FROM decisions WHERE id = ?", (decision,)).fetchone()
    return None if row is None else str(row[0])
