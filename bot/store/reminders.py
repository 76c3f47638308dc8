"""Reminders: rows that somebody owns, each with a grid of slots (safety.md, R30; ux.md, rule 11).

The slots of a reminder are ``base_ms``, ``base_ms + every_ms`` and so on. A slot is claimed in the transaction that
writes its message, so each has at most one effect, whatever restarts, pauses and clock jumps happen; those that were
missed meanwhile are one message, not many. A reminder ends by itself after `AT_MOST` messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from bot.store import schedule
from bot.store.incidents import TOPIC
from bot.store.tx import Tx

AT_MOST = 3
"""After so many messages the escalation channel hears of it once, and then it is quiet (ux.md, 5)."""


@dataclass(frozen=True)
class Reminder:
    """``about`` is ``update`` or an item of the checklist; ``owner`` an account; times in ms UTC."""

    incident: str
    about: str
    owner: str
    base_ms: int
    every_ms: int
    sent: int
    raised_ms: int | None
    ended_ms: int | None

    @property
    def schedule(self) -> str:
        """The name of its slots."""
        return f"reminder:{self.incident}:{self.about}"

    def slot(self, now_ms: int) -> int | None:
        """The newest slot that has come, or None when the first is still ahead."""
        if now_ms < self.base_ms:
            return None
        return now_ms - (now_ms - self.base_ms) % self.every_ms


_COLUMNS = "incident, about, owner, base_ms, every_ms, sent, raised_ms, ended_ms"


def begin(tx: Tx, incident: str, about: str, *, owner: str, base_ms: int, every_ms: int) -> None:
    """Begin to remind, or begin anew from another moment: what was sent before does not count any more."""
    changed = tx.db.execute(
        "INSERT INTO reminders (incident, about, owner, base_ms, every_ms) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET owner = excluded.owner, base_ms = excluded.base_ms, every_ms = excluded.every_ms, "
        "sent = 0, raised_ms = NULL, ended_ms = NULL "
        "WHERE owner <> excluded.owner OR base_ms <> excluded.base_ms OR ended_ms IS NOT NULL",
        (incident, about, owner, base_ms, every_ms),
    ).rowcount
    if changed:
        tx.touch(TOPIC)


def snooze(tx: Tx, incident: str, until_ms: int, *, about: str | None = None) -> int:
    """Be quiet until a moment: every reminder of the incident, or one; returns how many."""
    return tx.db.execute(
        "UPDATE reminders SET base_ms = ?, sent = 0, raised_ms = NULL "
        "WHERE incident = ? AND ended_ms IS NULL AND (? IS NULL OR about = ?)",
        (until_ms, incident, about, about),
    ).rowcount


def end(tx: Tx, incident: str, about: str | None = None) -> int:
    """End one reminder, or all of an incident; they can begin again."""
    return tx.db.execute(
        "UPDATE reminders SET ended_ms = ? WHERE incident = ? AND ended_ms IS NULL AND (? IS NULL OR about = ?)",
        (tx.now_ms, incident, about, about),
    ).rowcount


def due(conn: Connection, now_ms: int) -> tuple[Reminder, ...]:
    """What may have a slot now; `take` decides."""
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM reminders WHERE ended_ms IS NULL AND base_ms <= ? "
        "AND (sent < ? OR raised_ms IS NULL) ORDER BY incident, about",
        (now_ms, AT_MOST),
    )
    return tuple(Reminder(*row) for row in rows)


def take(tx: Tx, reminder: Reminder, now_ms: int) -> bool:
    """Claim the newest slot that has come; False when it was taken before: then nothing may be said for it."""
    slot = reminder.slot(now_ms)
    if slot is None or not schedule.claim(tx, reminder.schedule, slot):
        return False
    raised = reminder.sent >= AT_MOST
    tx.db.execute(
        "UPDATE reminders SET sent = sent + ?, raised_ms = iif(?, ?, raised_ms) WHERE incident = ? AND about = ?",
        (0 if raised else 1, raised, tx.now_ms, reminder.incident, reminder.about),
    )
    return True


def of(conn: Connection, incident: str) -> tuple[Reminder, ...]:
    """Every reminder of an incident, also those that ended."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM reminders WHERE incident = ? ORDER BY about", (incident,))
    return tuple(Reminder(*row) for row in rows)
