"""Operations: every accepted wish and what became of it, a small state machine changed by compare-and-set.

accepted -> running -> done | failed | stopped | interrupted | refused
accepted -> failed | stopped | interrupted | refused
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from sqlite3 import Connection
from typing import Any, Literal, get_args

import rfc8785
from pydantic import BaseModel, ConfigDict

from bot.card import Card
from bot.command import Actor, Ask, Place
from bot.errors import Refused
from bot.store import ids
from bot.store.tx import Tx
from slo.verdict import Verdict

State = Literal["accepted", "running", "done", "failed", "stopped", "interrupted", "refused"]
End = Literal["done", "failed", "stopped", "interrupted", "refused"]


class Op(BaseModel):
    """One operation as it stands. Times in ms UTC; ``epoch`` is the start of the bot that it belongs to."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    command: str
    line: str
    fields: dict[str, str]
    by: Actor
    place: Place
    target: str | None
    digest: str
    """SHA-256 over command, line, fields and target: what exactly was asked."""
    state: State
    waits_for: str | None
    """What a person must do before it goes on, for example ``approval by another responder``."""
    verdict: Verdict | None
    exit_status: int | None
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    epoch: int
    card: Card | None
    """The newest one."""
    data: dict[str, Any] | None

    @property
    def open(self) -> bool:
        return self.state in ("accepted", "running")


class StateConflict(Refused):
    """The operation is not in a state from which that is possible: somebody was faster. ``op`` is how it stands."""

    def __init__(self, op: Op, wish: str) -> None:
        super().__init__(f"{op.id} is {op.state}, so it cannot become {wish}.")
        self.op = op


_COLUMNS = (
    "id, command, line, fields, asker, place, target, digest, state, waits_for, verdict, exit_status, "
    "created_ms, started_ms, finished_ms, epoch, card, data"
)


def new(tx: Tx, ask: Ask, command: str, line: str, target: str | None, *, prefix: str = "r") -> Op:
    """Write an accepted operation down. ``line`` is the scrubbed line, which may differ from what was typed (R36)."""
    fields = json.dumps(ask.fields, ensure_ascii=False)
    digest = rfc8785.dumps({"command": command, "line": line, "fields": dict(ask.fields), "target": target})
    row = tx.db.execute(
        "INSERT INTO ops (id, command, line, fields, asker, place, target, digest, state, created_ms, epoch) "
        f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'accepted', ?, ?) RETURNING {_COLUMNS}",
        (
            ids.code(tx, prefix),
            command,
            line,
            fields,
            ask.by.model_dump_json(),
            ask.place.model_dump_json(),
            target,
            hashlib.sha256(digest).hexdigest(),
            tx.now_ms,
            tx.epoch,
        ),
    ).fetchone()
    tx.touch("ops")
    return _op(row)


def start(tx: Tx, op_id: str) -> Op:
    """accepted -> running, once; raises `StateConflict` otherwise."""
    return _move(
        tx,
        op_id,
        ("accepted",),
        "running",
        "state = 'running', started_ms = :now, epoch = :epoch",
        {"now": tx.now_ms, "epoch": tx.epoch},
    )


def progress(tx: Tx, op_id: str, card: Card, *, waits_for: str | None = None) -> Op:
    """Keep the newest card of a running operation; raises `StateConflict` when it does not run (any more)."""
    return _move(
        tx,
        op_id,
        ("running",),
        "further",
        "card = :card, waits_for = :waits_for",
        {"card": _card(card), "waits_for": waits_for},
    )


def finish(
    tx: Tx,
    op_id: str,
    state: End,
    *,
    verdict: Verdict | None = None,
    exit_status: int | None = None,
    card: Card | None = None,
    data: dict[str, Any] | None = None,
) -> Op:
    """End an operation, once; raises `StateConflict` when it has ended. Without a card the newest one stays."""
    return _move(
        tx,
        op_id,
        ("running",) if state == "done" else ("accepted", "running"),
        state,
        "state = :state, verdict = :verdict, exit_status = :exit_status, card = coalesce(:card, card), "
        "data = :data, finished_ms = :now, waits_for = NULL",
        {
            "state": state,
            "verdict": verdict,
            "exit_status": exit_status,
            "card": None if card is None else _card(card),
            "data": None if data is None else json.dumps(data, ensure_ascii=False, allow_nan=False),
            "now": tx.now_ms,
        },
    )


def redraw(tx: Tx, op_id: str, card: Card) -> Op:
    """Change the card of an operation that has ended, for example after a decision on it; the state stays."""
    return _move(tx, op_id, get_args(End), "redrawn", "card = :card", {"card": _card(card)})


def get(conn: Connection, op_id: str) -> Op | None:
    """One operation by its id."""
    return _one(conn.execute(f"SELECT {_COLUMNS} FROM ops WHERE id = ?", (op_id,)).fetchone())


def open_ops(conn: Connection) -> tuple[Op, ...]:
    """Everything accepted or running, oldest first."""
    return _many(conn.execute(f"SELECT {_COLUMNS} FROM ops WHERE {_OPEN} ORDER BY n"))


def waiting(conn: Connection, limit: int) -> tuple[Op, ...]:
    """What was accepted and has not begun, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM ops WHERE state = 'accepted' ORDER BY n LIMIT ?"
    return _many(conn.execute(sql, (limit,)))


def recent(
    conn: Connection,
    limit: int = 20,
    command: str | None = None,
    target: str | None = None,
    before: str | None = None,
) -> tuple[Op, ...]:
    """The newest operations first; ``before`` is the id of the last one of the page before (keyset paging)."""
    wanted, values = ["1"], []
    for column, value in (("command", command), ("target", target)):
        if value is not None:
            wanted.append(f"{column} = ?")
            values.append(value)
    if before is not None:
        wanted.append("n < (SELECT n FROM ops WHERE id = ?)")
        values.append(before)
    sql = f"SELECT {_COLUMNS} FROM ops WHERE {' AND '.join(wanted)} ORDER BY n DESC LIMIT ?"
    return _many(conn.execute(sql, (*values, limit)))


def running(conn: Connection, command: str, channel: str | None = None) -> tuple[Op, ...]:
    """Open operations of a command, in one channel or anywhere: one triage per incident channel asks this."""
    sql = f"SELECT {_COLUMNS} FROM ops WHERE {_OPEN} AND command = ? AND (? IS NULL OR channel = ?) ORDER BY n"
    return _many(conn.execute(sql, (command, channel, channel)))


def left_open(conn: Connection, epoch: int) -> tuple[Op, ...]:
    """What older starts of the bot left open: each is resolved within 10 s of start (R28)."""
    return _many(conn.execute(f"SELECT {_COLUMNS} FROM ops WHERE {_OPEN} AND epoch < ? ORDER BY n", (epoch,)))


_OPEN = "state IN ('accepted', 'running')"


def _move(tx: Tx, op_id: str, sources: tuple[State, ...], wish: str, change: str, values: dict[str, Any]) -> Op:
    allowed = ", ".join(f"'{state}'" for state in sources)
    row = tx.db.execute(
        f"UPDATE ops SET {change} WHERE id = :id AND state IN ({allowed}) RETURNING {_COLUMNS}",
        {**values, "id": op_id},
    ).fetchone()
    if row is None:
        op = get(tx.db, op_id)
        if op is None:
            raise KeyError(op_id)
        raise StateConflict(op, wish)
    tx.touch("ops")
    return _op(row)


def _card(card: Card) -> str:
    return card.model_dump_json(exclude_defaults=True)


def _one(row: sqlite3.Row | tuple[Any, ...] | None) -> Op | None:
    return None if row is None else _op(row)


def _many(rows: Iterable[tuple[Any, ...]]) -> tuple[Op, ...]:
    return tuple(_op(row) for row in rows)


def _op(row: sqlite3.Row | tuple[Any, ...]) -> Op:
    return Op(
        id=row[0],
        command=row[1],
        line=row[2],
        fields=json.loads(row[3]),
        by=Actor.model_validate_json(row[4]),
        place=Place.model_validate_json(row[5]),
        target=row[6],
        digest=row[7],
        state=row[8],
        waits_for=row[9],
        verdict=None if row[10] is None else Verdict(row[10]),
        exit_status=row[11],
        created_ms=row[12],
        started_ms=row[13],
        finished_ms=row[14],
        epoch=row[15],
        card=None if row[16] is None else Card.model_validate_json(row[16]),
        data=None if row[17] is None else json.loads(row[17]),
    )
