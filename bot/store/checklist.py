"""The post-incident checklist of an incident: what the bot found for each item, and what people said to it.

Marks are append only; an item stands as its last mark says, as long as what the mark rested on (``basis``) has not
changed since. So a later change of a knob opens again what was called unnecessary before it (runbook, "Post-Incident
Checklist").
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bot.store.incidents import TOPIC
from bot.store.tx import Tx

Verb = Literal["confirm", "add", "skip", "reopen"]
ItemState = Literal["open", "confirmed", "added", "skipped", "not asked"]
_STATES: dict[Verb, ItemState] = {"confirm": "confirmed", "add": "added", "skip": "skipped", "reopen": "open"}


class Found(BaseModel):
    """What the bot knows of an item: whether it is asked at all, whether the facts are there, and which."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    asked: bool = True
    """False for an item whose condition does not hold: no gate ran, nothing was tuned."""
    ready: bool = False
    """The facts are there; a person only has to confirm."""
    detail: str = ""
    """One line for the card."""
    lacks: str = ""
    """What is missing, and what to type."""
    evidence: tuple[str, ...] = ()
    """Names of artifacts, changes, links."""
    basis: str = ""
    """What an answer rests on, where a newer fact makes it void: the changes that were made."""


@dataclass(frozen=True)
class Mark:
    """What a person said to an item. ``value`` is a link or name that was added."""

    n: int
    item: str
    verb: Verb
    by: str
    person: str | None
    at_ms: int
    value: str | None
    reason: str | None
    basis: str


@dataclass(frozen=True)
class Item:
    """One item as it stands, with every mark in order."""

    incident: str
    key: str
    owner: str | None
    due_ms: int | None
    found: Found
    marks: tuple[Mark, ...]

    @property
    def last(self) -> Mark | None:
        return self.marks[-1] if self.marks else None

    @property
    def state(self) -> ItemState:
        if self.last is not None and self.last.verb != "reopen" and not self.outdated:
            return _STATES[self.last.verb]
        return "open" if self.found.asked else "not asked"

    @property
    def outdated(self) -> bool:
        """Whether the facts no longer bear an answer: a newer change, or a confirmed file that is gone."""
        if self.last is None or self.last.verb == "reopen":
            return False
        return self.last.basis != self.found.basis or (self.last.verb == "confirm" and not self.found.ready)

    @property
    def open(self) -> bool:
        """Whether somebody must still answer it."""
        return self.state == "open"

    @property
    def added(self) -> tuple[str, ...]:
        """Every link or name that people added, each once."""
        return tuple(dict.fromkeys(mark.value for mark in self.marks if mark.value))


def look(
    tx: Tx, incident: str, found: dict[str, Found], *, owner: str | None = None, due_ms: int | None = None
) -> bool:
    """Write down what was found for each item; owner and due time only where none stand yet. True when it is news."""
    news = False
    for item, facts in found.items():
        drawn = facts.model_dump_json()
        news |= bool(
            tx.db.execute(
                "INSERT INTO checklist_items (incident, item, owner, due_ms, found, looked_ms) "
                "VALUES (:incident, :item, :owner, :due, :found, :now) ON CONFLICT DO UPDATE SET "
                "found = excluded.found, looked_ms = excluded.looked_ms, owner = coalesce(owner, excluded.owner), "
                "due_ms = coalesce(due_ms, excluded.due_ms) WHERE found <> excluded.found OR "
                "(owner IS NULL AND excluded.owner IS NOT NULL) OR (due_ms IS NULL AND excluded.due_ms IS NOT NULL)",
                {
                    "incident": incident,
                    "item": item,
                    "owner": owner,
                    "due": due_ms,
                    "found": drawn,
                    "now": tx.now_ms,
                },
            ).rowcount
        )
    if news:
        tx.touch(TOPIC)
    return news


def mark(
    tx: Tx,
    incident: str,
    item: str,
    verb: Verb,
    *,
    by: str,
    basis: str,
    person: str | None = None,
    value: str | None = None,
    reason: str | None = None,
) -> None:
    """Write down what a person said; unticking is recorded too (ux.md, sketch 4)."""
    tx.db.execute(
        "INSERT INTO checklist_marks (incident, item, verb, by, person, at_ms, value, reason, basis) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (incident, item, verb, by, person, tx.now_ms, value, reason, basis),
    )
    tx.touch(TOPIC)


def assign(
    tx: Tx, incident: str, items: Collection[str], *, owner: str | None = None, due_ms: int | None = None
) -> None:
    """Give items to a person, or another due time."""
    for item in items:
        tx.db.execute(
            "UPDATE checklist_items SET owner = coalesce(?, owner), due_ms = coalesce(?, due_ms) "
            "WHERE incident = ? AND item = ?",
            (owner, due_ms, incident, item),
        )
    tx.touch(TOPIC)


def items(conn: Connection, incident: str) -> tuple[Item, ...]:
    """The items that were looked at, by key; empty when the checklist was not begun."""
    marks: dict[str, list[Mark]] = {}
    for row in conn.execute(
        "SELECT n, item, verb, by, person, at_ms, value, reason, basis FROM checklist_marks WHERE incident = ? "
        "ORDER BY n",
        (incident,),
    ):
        marks.setdefault(row[1], []).append(Mark(*row))
    rows = conn.execute("SELECT item, owner, due_ms, found FROM checklist_items WHERE incident = ?", (incident,))
    return tuple(_item(incident, row, tuple(marks.get(row[0], ()))) for row in rows)


def _item(incident: str, row: tuple[Any, ...], marks: tuple[Mark, ...]) -> Item:
    return Item(incident, row[0], row[1], row[2], Found.model_validate_json(row[3]), marks)
