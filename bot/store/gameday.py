"""Action items of game days, as rows that outlive the day: each finding once, with an owner, until somebody ends it.

Runbook, "Game-Day Procedure", step 4. What people said is append only; an item stands as its last marks say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Literal

from bot.store import ids
from bot.store.tx import Tx

Verb = Literal["seen", "assign", "done", "reopen"]
SYSTEM = "system"
_NUMBERS = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Mark:
    """What happened to an item: found again by a later game day, handed to somebody, done, taken up again."""

    verb: Verb
    by: str
    person: str | None
    op: str
    at_ms: int
    value: str
    """The account it was handed to, or what was done."""


@dataclass(frozen=True)
class Item:
    """A finding with somebody to look after it. ``owner`` is a team of the ownership matrix."""

    id: str
    op: str
    target: str
    finding: str
    owner: str
    secondary: str
    made_ms: int
    marks: tuple[Mark, ...]

    @property
    def open(self) -> bool:
        """Whether somebody still has to look after it."""
        last = next((mark.verb for mark in reversed(self.marks) if mark.verb in ("done", "reopen")), None)
        return last != "done"

    @property
    def holder(self) -> str | None:
        """The account that it was handed to last; None while only the team is known."""
        return next((mark.value for mark in reversed(self.marks) if mark.verb == "assign"), None)

    @property
    def done(self) -> Mark | None:
        """How it was ended."""
        return None if self.open else next(mark for mark in reversed(self.marks) if mark.verb == "done")

    @property
    def words(self) -> str:
        """The finding with the figures of the newest day that found it."""
        return next((mark.value for mark in reversed(self.marks) if mark.verb == "seen"), self.finding)

    @property
    def times(self) -> int:
        """On how many game days it was found."""
        return 1 + sum(mark.verb == "seen" for mark in self.marks)


def same_as(finding: str) -> str:
    """What makes two findings the same one: their words without the figures of the day."""
    return _NUMBERS.sub("#", finding)


def note(tx: Tx, *, op: str, target: str, findings: Sequence[tuple[str, str, str]]) -> tuple[Item, ...]:
    """Write down the findings of a day (text, owner, secondary): a new item each, or a mark on the one that is open."""
    made = []
    for finding, owner, secondary in findings:
        known = {same_as(item.finding): item for item in opened(tx.db, target)}
        item = known.get(same_as(finding))
        if item is not None:
            _mark(tx, item.id, "seen", by=SYSTEM, person=None, op=op, value=finding)
            identity = item.id
        else:
            identity = ids.number(tx, "gi")
            tx.db.execute(
                "INSERT INTO game_day_items (id, op, target, same_as, finding, owner, secondary, made_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (identity, op, target, same_as(finding), finding, owner, secondary, tx.now_ms),
            )
        found = get(tx.db, identity)
        assert found is not None
        made.append(found)
    return tuple(made)


def mark(tx: Tx, item: str, verb: Verb, *, by: str, person: str | None, op: str, value: str = "") -> Item:
    """Hand an item over, end it, or take it up again; the caller has looked that it exists and may be."""
    _mark(tx, item, verb, by=by, person=person, op=op, value=value)
    found = get(tx.db, item)
    assert found is not None
    return found


def _mark(tx: Tx, item: str, verb: Verb, *, by: str, person: str | None, op: str, value: str) -> None:
    tx.db.execute(
        "INSERT INTO game_day_marks (item, verb, by_account, by_person, op, at_ms, value) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (item, verb, by, person, op, tx.now_ms, value),
    )


_COLUMNS = "id, op, target, finding, owner, secondary, made_ms"


def get(conn: Connection, item: str) -> Item | None:
    """One item by its id."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM game_day_items WHERE id = ?", (item,)).fetchone()
    return None if row is None else Item(*(*row, _marks(conn, item)))


def items(conn: Connection, target: str | None = None, limit: int = 200) -> tuple[Item, ...]:
    """Items of a target or of all, the oldest first; the newest ``limit`` of them."""
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM game_day_items WHERE ? IS NULL OR target = ? ORDER BY n DESC LIMIT ?",
        (target, target, limit),
    ).fetchall()
    return tuple(Item(*(*row, _marks(conn, row[0]))) for row in reversed(rows))


def opened(conn: Connection, target: str) -> tuple[Item, ...]:
    """What the next game day of a target opens with."""
    return tuple(item for item in items(conn, target) if item.open)


def _marks(conn: Connection, item: str) -> tuple[Mark, ...]:
    rows = conn.execute(
        "SELECT verb, by_account, by_person, op, at_ms, value FROM game_day_marks WHERE item = ? ORDER BY n", (item,)
    )
    return tuple(Mark(*row) for row in rows)
