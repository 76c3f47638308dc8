"""Pins: which messages of the outbox should hang at the top of their channel, and which do (ux.md, rule 11).

A bookmark beside the pin leads to the message; it comes and goes with the pin, where the bot may set one.

A pin is a wish on a letter, not a message: it is carried out once the message stands, again when the message had to be
posted anew, and given up quietly where the bot may not pin.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from bot.store.tx import Tx


@dataclass(frozen=True)
class Pin:
    """One pin to add (``wanted``) or to take away, on the message ``ts`` of a channel."""

    letter: int
    key: str
    channel: str
    ts: str
    wanted: bool
    bookmark: str | None = None
    """Slack's id of the bookmark that leads to it."""


def pin(tx: Tx, key: str, wanted: bool = True) -> None:
    """Want the message of this key pinned, or no longer; the same wish again changes nothing."""
    changed = tx.db.execute(
        "UPDATE outbox SET pin = ?, pin_due_ms = 0 WHERE key = ? AND pin <> ?", (wanted, key, wanted)
    ).rowcount
    if changed:
        tx.touch("outbox")


def wanted_in(conn: Connection, channel: str, since_ms: int) -> bool:
    """Whether a message of this channel, younger than that moment, is pinned or about to be."""
    return (
        conn.execute(
            "SELECT 1 FROM outbox WHERE pin AND channel = ? AND created_ms >= ? LIMIT 1", (channel, since_ms)
        ).fetchone()
        is not None
    )


def due(conn: Connection, now_ms: int, limit: int = 20) -> tuple[Pin, ...]:
    """What differs from the wish and may be tried now: only messages that stand in a channel."""
    rows = conn.execute(
        "SELECT id, key, channel, ts, pin, bookmark FROM outbox "
        "WHERE (pin OR pinned) AND pin <> pinned AND ts IS NOT NULL "
        "AND substr(channel, 1, 1) IN ('C', 'G') AND pin_due_ms <= ? ORDER BY id LIMIT ?",
        (now_ms, limit),
    )
    return tuple(
        Pin(number, key, channel, ts, bool(wanted), bookmark)
        for number, key, channel, ts, wanted, bookmark in rows.fetchall()
    )


def next_due_ms(conn: Connection, after_ms: int) -> int | None:
    """When the next postponed pin may be tried."""
    found: int | None = conn.execute(
        "SELECT min(pin_due_ms) FROM outbox WHERE (pin OR pinned) AND pin <> pinned AND ts IS NOT NULL "
        "AND pin_due_ms > ?",
        (after_ms,),
    ).fetchone()[0]
    return found


def settled(tx: Tx, done: Pin, bookmark: str | None = None) -> None:
    """Slack has it as wished, or never will: either way it is not tried again. ``bookmark`` leads to it from now on."""
    tx.db.execute(
        "UPDATE outbox SET pinned = ?, bookmark = ? WHERE id = ? AND ts = ?",
        (done.wanted, bookmark, done.letter, done.ts),
    )


def later(tx: Tx, waiting: Pin, due_ms: int) -> None:
    """Try again then."""
    tx.db.execute("UPDATE outbox SET pin_due_ms = ? WHERE id = ?", (due_ms, waiting.letter))
    tx.touch("outbox")
