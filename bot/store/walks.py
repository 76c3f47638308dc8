"""Walks: a playbook that a channel goes through together, step by step; what was found and who did what.

A step is taken by compare-and-set, so that of two people who press at once the second learns who was first. A step that
runs belongs to an operation; when that operation is over and the step still says running, it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, Literal, get_args

from bot.card import when, who
from bot.errors import Refused
from bot.store import ids
from bot.store.tx import Tx
from playbooks.findings import Finding

State = Literal["open", "running", "done", "skipped", "failed", "unclear", "interrupted"]
ENDED: frozenset[State] = frozenset({"done", "skipped"})
UNCLEAR_MS = 60_000
"""An effect whose answer was lost may still be under way for so long (safety.md, R26)."""
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Taken:
    """One step as it stands; ``by`` is an account, ``lines`` is what was found or done."""

    number: int
    state: State = "open"
    by: str | None = None
    at_ms: int | None = None
    op: str | None = None
    lines: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Walk:
    """A playbook under way. ``card_op`` is the operation whose card shows it; ``seen`` holds signals as drawn."""

    id: str
    page: str
    target: str
    channel: str | None
    card_op: str
    by: str
    started_ms: int
    before: str | None
    """Artifact of the first look."""
    seen: dict[str, Any] = field(hash=False)
    ended_ms: int | None = None
    ended_by: str | None = None
    steps: Mapping[int, Taken] = field(default_factory=dict, hash=False)

    def step(self, number: int) -> Taken:
        """The step, open when nothing was done about it yet."""
        return self.steps.get(number, Taken(number))


_COLUMNS = "id, page, target, channel, card_op, by, started_ms, before, seen, ended_ms, ended_by"


def start(tx: Tx, page: str, *, target: str, channel: str | None, op: str, by: str) -> Walk:
    """Begin a walk; one page is walked once at a time in a channel and on a target."""
    walk = ids.number(tx, "w")
    tx.db.execute(
        "INSERT INTO walks (id, page, target, channel, card_op, by, started_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (walk, page, target, channel, op, by, tx.now_ms),
    )
    return _known(tx.db, walk)


def get(conn: Connection, walk: str) -> Walk | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM walks WHERE id = ?", (walk,)).fetchone()
    if row is None:
        return None
    steps = conn.execute(
        """
        SELECT s.number, iif(s.state = 'running' AND o.state NOT IN ('accepted', 'running'), 'interrupted', s.state),
               s.by, s.at_ms, s.op, s.lines
        FROM walk_steps s LEFT JOIN ops o ON o.id = s.op WHERE s.walk = ? ORDER BY s.number
        """,
        (walk,),
    )
    taken = {number: Taken(number, state, by, at, op, _lines(text)) for number, state, by, at, op, text in steps}
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Walk(**{**fields, "seen": json.loads(fields["seen"]), "steps": taken})


def under_way(conn: Connection, page: str, *, target: str, channel: str | None) -> Walk | None:
    """The walk of this page that is open here, if any."""
    row = conn.execute(
        "SELECT id FROM walks WHERE page = ? AND target = ? AND channel IS ? AND ended_ms IS NULL "
        "ORDER BY started_ms DESC LIMIT 1",
        (page, target, channel),
    ).fetchone()
    return None if row is None else get(conn, row[0])


def listing(conn: Connection, *, channel: str | None = None, since_ms: int = 0, limit: int = 20) -> tuple[Walk, ...]:
    """Walks of a channel (or of all), the newest first."""
    rows = conn.execute(
        "SELECT id FROM walks WHERE (:channel IS NULL OR channel = :channel) AND started_ms >= :since "
        "ORDER BY started_ms DESC LIMIT :limit",
        {"channel": channel, "since": since_ms, "limit": limit},
    )
    return tuple(_known(conn, walk) for (walk,) in rows.fetchall())


def move(tx: Tx, walk: str, op: str) -> None:
    """From now on this operation's card shows the walk."""
    tx.db.execute("UPDATE walks SET card_op = ? WHERE id = ?", (op, walk))


def observe(tx: Tx, walk: str, seen: dict[str, Any], before: str | None) -> Walk:
    """The newest signal; the first look stays the one to compare with."""
    tx.db.execute(
        "UPDATE walks SET seen = ?, before = coalesce(before, ?) WHERE id = ?",
        (json.dumps(seen, ensure_ascii=False), before, walk),
    )
    return _known(tx.db, walk)


def take(tx: Tx, walk: str, number: int, *, op: str, by: str, again: bool = False, effect: bool = False) -> Walk:
    """Begin a step. Raises `Refused` when the walk is over, when it runs, or when somebody has done it already.

    ``again`` lets a step that is done be done once more (a read, a retest); one whose outcome is unclear never is,
    before somebody has looked (safety.md, R26). ``effect`` says that it changes the deployment: then one that was
    interrupted is as unclear as one whose answer was lost (R28).
    """
    found = _open(tx, walk)
    step = found.step(number)
    if step.state == "running":
        raise Refused(f"Step {number} runs already, started by {who(step.by or '')}.", then="wait for the card")
    if step.state in ENDED and not again:
        raise Refused(
            f"Step {number} was {step.state} by {who(step.by or '')} {when(step.at_ms or 0)}.",
            rule="of two people the first one decides",
            then=f"/sendcat walk look {walk}",
        )
    if step.state == "unclear" or (effect and step.state == "interrupted"):
        why = "its answer was lost" if step.state == "unclear" else "it was interrupted"
        raise Refused(
            f"Nobody knows whether step {number} happened: {why} {when(step.at_ms or 0)}.",
            rule=f"an unclear write is never repeated blindly: wait {UNCLEAR_MS // 1000} s, look, then decide (R26)",
            then=f"/sendcat walk look {walk}, then decide",
        )
    _put(tx, walk, number, "running", op=op, by=by)
    return _known(tx.db, walk)


def settle(
    tx: Tx, walk: str, number: int, state: State, lines: Sequence[Finding] = (), *, by: str, op: str | None = None
) -> Walk:
    """How a step ended, with what was found or done."""
    _put(tx, walk, number, state, op=op, by=by, lines=lines)
    return _known(tx.db, walk)


def give_back(tx: Tx, walk: str, before: Taken) -> Walk:
    """A step that was taken and refused before anything happened stands as it did."""
    if before.by is None or before.at_ms is None:
        tx.db.execute("DELETE FROM walk_steps WHERE walk = ? AND number = ?", (walk, before.number))
    else:
        state = "running" if before.state == "interrupted" else before.state
        tx.db.execute(
            "UPDATE walk_steps SET state = ?, by = ?, at_ms = ?, op = ?, lines = ? WHERE walk = ? AND number = ?",
            (state, before.by, before.at_ms, before.op, _text(before.lines), walk, before.number),
        )
    tx.touch("walks")
    return _known(tx.db, walk)


def looked(tx: Tx, walk: str, shows: Finding) -> None:
    """Somebody looked: what was unclear or interrupted a minute ago or longer may be decided anew.

    ``shows`` is what the look found; it stands on the step, below what was known when its answer was lost (R26).
    """
    known = get(tx.db, walk)
    for step in known.steps.values() if known is not None else ():
        if step.state in ("unclear", "interrupted") and tx.now_ms - (step.at_ms or 0) >= UNCLEAR_MS:
            text = _text((*step.lines, shows))
            tx.db.execute(
                "UPDATE walk_steps SET state = 'open', lines = ? WHERE walk = ? AND number = ?",
                (text, walk, step.number),
            )


def leave(tx: Tx, walk: str, by: str) -> Walk:
    """End a walk; raises `Refused` when it is over already."""
    _open(tx, walk)
    tx.db.execute("UPDATE walks SET ended_ms = ?, ended_by = ? WHERE id = ?", (tx.now_ms, by, walk))
    return _known(tx.db, walk)


def _open(tx: Tx, walk: str) -> Walk:
    found = _known(tx.db, walk)
    if found.ended_ms is not None:
        raise Refused(
            f"Walk {walk} was ended by {who(found.ended_by or '')} {when(found.ended_ms)}.",
            then=f"/sendcat playbook {found.page}",
        )
    return found


def _known(conn: Connection, walk: str) -> Walk:
    found = get(conn, walk)
    if found is None:
        raise Refused(f"There is no walk {walk[:20]}.", then="/sendcat playbook")
    return found


def _put(
    tx: Tx, walk: str, number: int, state: State, *, op: str | None, by: str, lines: Sequence[Finding] = ()
) -> None:
    text = _text(lines)
    tx.db.execute(
        """
        INSERT INTO walk_steps (walk, number, state, by, at_ms, op, lines) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (walk, number) DO UPDATE SET
            state = excluded.state, by = excluded.by, at_ms = excluded.at_ms,
            op = coalesce(excluded.op, op), lines = excluded.lines
        """,
        (walk, number, state, by, tx.now_ms, op, text),
    )
    tx.touch("walks")


def _text(lines: Sequence[Finding]) -> str:
    return json.dumps([[line.tone, line.text] for line in lines], ensure_ascii=False)


def _lines(text: str) -> tuple[Finding, ...]:
    return tuple(Finding(line, tone) for tone, line in json.loads(text))
