"""Tuning changes: kept as rows, moved by compare-and-set with their audit record (safety.md, R24-R28).

A change and its states are `bot.store.change`. One change of a target is open at a time: the row is the lock, with its
owner and reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from sqlite3 import Connection, IntegrityError
from typing import Any

import rfc8785
from pydantic import BaseModel, TypeAdapter

from bot.errors import Refused
from bot.store import audit, ids
from bot.store.audit import AuditRecord, Phase
from bot.store.change import AT_WORK, CLOSED, MOVES, By, Change, State
from bot.store.tx import Tx
from playbooks.change_set import ChangeSet, Step

_PHASES: dict[State, Phase] = {
    "proposed": "decision",
    "approved": "decision",
    "rejected": "decision",
    "undoing": "decision",
    "intent": "intent",
    "reverting": "intent",
}
_ACTIONS: dict[State, str] = {
    "approved": "tune.approve",
    "undoing": "undo",
    "reverting": "undo",
    "doubtful": "undo",
    "undone": "undo",
}


class Moved(Refused):
    """The change is not in a state from which that is possible: somebody was faster. ``change`` is how it stands."""

    def __init__(self, change: Change, wish: str) -> None:
        super().__init__(
            f"{change.id} is {change.state}, so it cannot become {wish}.",
            rule="a change moves one step at a time (R24)",
            then=f"/sendcat tune show {change.id}",
        )
        self.change = change


_COLUMNS = (
    "id, target, deployment, state, line, why, steps, notes, second, policy, binding, op, proposer, approver, "
    "approved_ms, break_glass, before, after, retest, verdict, undo_by, undo_why, undo_knobs, note, attempts, "
    "created_ms, expires_ms, sent_ms, due_ms, raised_ms, updated_ms, epoch"
)
_JSON = frozenset(
    {"steps", "notes", "second", "proposer", "approver", "before", "after", "retest", "undo_by", "undo_knobs"}
)
_NAMES = tuple(name.strip() for name in _COLUMNS.split(","))
_STEPS = TypeAdapter(tuple[Step, ...])


def binding_of(*, target: str, deployment: str, policy: str, steps: Sequence[Step]) -> str:
    """What an approval is bound to: knobs, values, what they were computed from, target, deployment, policy (R10)."""
    bound = {
        "target": target,
        "deployment": deployment,
        "policy": policy,
        "steps": [[s.knob, s.stored, s.before, s.text, s.after] for s in steps],
    }
    return hashlib.sha256(rfc8785.dumps(bound)).hexdigest()


def propose(
    tx: Tx,
    change_set: ChangeSet,
    *,
    op: str,
    by: By,
    target: str,
    deployment: str,
    policy: str,
    expires_ms: int,
    notes: Iterable[str] = (),
) -> Change:
    """Write a proposal down; it holds the target's lock until its story ends. Raises `Refused` with the open one."""
    if held := open_on(tx.db, target):
        raise locked(held)
    try:
        row = tx.db.execute(
            "INSERT INTO changes (id, target, deployment, state, line, why, steps, notes, second, policy, binding, op, "
            "proposer, created_ms, expires_ms, updated_ms, epoch) "
            "VALUES (?, ?, ?, 'proposed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            f"RETURNING {_COLUMNS}",
            (
                ids.number(tx, "c"),
                target,
                deployment,
                change_set.line,
                change_set.why,
                _dump([asdict(step) for step in change_set.steps]),
                _dump([*change_set.notes, *notes]),
                _dump(change_set.second),
                policy,
                binding_of(target=target, deployment=deployment, policy=policy, steps=change_set.steps),
                op,
                by.model_dump_json(),
                tx.now_ms,
                expires_ms,
                tx.now_ms,
                tx.epoch,
            ),
        ).fetchone()
    except IntegrityError:  # two proposals in one group of steps: the index decides
        found = open_on(tx.db, target)
        if found is None:
            raise
        raise locked(found) from None
    change = _change(row)
    tx.db.executemany(
        "INSERT INTO change_knobs (change, knob, stored, before, text, after) VALUES (?, ?, ?, ?, ?, ?)",
        [(change.id, s.knob, s.stored, _dump(s.before), s.text, _dump(s.after)) for s in change.steps],
    )
    _record(tx, change, None, by, "proposed", change.why or None)
    tx.touch("changes")
    return change


def locked(held: Change) -> Refused:
    """One change set at a time: who holds the lock, and why."""
    return Refused(
        f"{held.words} is open on {held.target} ({held.state}), proposed by {held.proposer.person or 'somebody else'}.",
        rule="one change set at a time (runbook, tuning rules; R17)",
        then=f"/sendcat tune show {held.id}",
    )


def move(
    tx: Tx,
    change_id: str,
    to: State,
    *,
    by: By,
    frm: tuple[State, ...] | None = None,
    why: str | None = None,
    authority: str | None = None,
    **columns: Any,
) -> Change:
    """Move a change one step, once, and record it in the same transaction. Raises `Moved` when somebody was faster.

    ``frm`` narrows the states from which `MOVES` allows it; ``columns`` are set together with the state.
    """
    sources = tuple(state for state, to_states in MOVES.items() if to in to_states and (frm is None or state in frm))
    found = get(tx.db, change_id)
    if found is None:
        raise KeyError(change_id)
    values = {name: _column(name, value) for name, value in columns.items()}
    sets = "".join(f", {name} = :{name}" for name in values)
    row = tx.db.execute(
        f"UPDATE changes SET state = :to, updated_ms = :now, epoch = :epoch{sets} "
        f"WHERE id = :id AND state IN ({', '.join(repr(state) for state in sources) or 'NULL'}) RETURNING {_COLUMNS}",
        {**values, "to": to, "now": tx.now_ms, "epoch": tx.epoch, "id": change_id},
    ).fetchone()
    if row is None:
        raise Moved(found, to)
    change = _change(row)
    _record(tx, change, found.state, by, to, why, authority)
    tx.touch("changes")
    return change


def defer(tx: Tx, change_id: str, due_ms: int, *, raised: bool = False) -> None:
    """Look again later: no step, so no audit row (VERDICTS, Checkpoints). ``raised`` notes that people were told."""
    tx.db.execute(
        "UPDATE changes SET due_ms = ?, raised_ms = iif(?, ?, raised_ms) WHERE id = ?",
        (due_ms, raised, tx.now_ms, change_id),
    )


def raised(tx: Tx, change_id: str) -> None:
    """Note that the channel was told of a change that has not ended (R27)."""
    tx.db.execute("UPDATE changes SET raised_ms = ? WHERE id = ?", (tx.now_ms, change_id))


def get(conn: Connection, change_id: str) -> Change | None:
    """One change by its id."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM changes WHERE id = ?", (change_id,)).fetchone()
    return None if row is None else _change(row)


def open_on(conn: Connection, target: str) -> Change | None:
    """The open change of a target: who holds its lock."""
    return next(iter(_select(conn, f"target = ? AND {_OPEN}", (target,))), None)


def open_changes(conn: Connection) -> tuple[Change, ...]:
    """Every change whose story has not ended, oldest first."""
    return _select(conn, _OPEN)


def unfinished(conn: Connection) -> tuple[Change, ...]:
    """Changes that were sent and have no finished retest: at work, or kept with an incomplete one (R27)."""
    states = ", ".join(repr(state) for state in AT_WORK)
    return _select(
        conn, f"state IN ({states}) OR (state = 'kept' AND verdict IS NOT 'BETTER' AND verdict IS NOT 'SAME')"
    )


def left_open(conn: Connection, epoch: int) -> tuple[Change, ...]:
    """What older starts of the bot left in the middle of a step (R28)."""
    return _select(conn, f"{_OPEN} AND epoch < ?", (epoch,))


def recent(
    conn: Connection, target: str | None = None, *, limit: int = 10, before: str | None = None
) -> tuple[Change, ...]:
    """The newest changes first; ``before`` is the id of the last one of the page before."""
    return _select(
        conn,
        "(:target IS NULL OR target = :target) AND (:before IS NULL OR n < (SELECT n FROM changes WHERE id = :before))",
        {"target": target, "before": before, "limit": limit},
        "n DESC LIMIT :limit",
    )


def last_of(conn: Connection, target: str, knob: str) -> Change | None:
    """The newest change of a knob that was written and is not undone; None when there is none."""
    return next(
        iter(
            _select(
                conn,
                "target = ? AND sent_ms IS NOT NULL AND state NOT IN ('undone', 'failed') "
                "AND id IN (SELECT change FROM change_knobs WHERE knob = ?)",
                (target, knob),
                "n DESC LIMIT 1",
            )
        ),
        None,
    )


def first_since(conn: Connection, target: str, knob: str, since_ms: int) -> Change | None:
    """The first change of a knob that was sent since a moment: its ``before`` is what the knob was then (R23)."""
    return next(
        iter(
            _select(
                conn,
                "target = ? AND sent_ms >= ? AND state <> 'failed' "
                "AND id IN (SELECT change FROM change_knobs WHERE knob = ?)",
                (target, since_ms, knob),
                "n LIMIT 1",
            )
        ),
        None,
    )


def knobs_since(conn: Connection, target: str, since_ms: int) -> tuple[str, ...]:
    """The knobs that changes of a target sent since a moment have moved."""
    rows = conn.execute(
        "SELECT DISTINCT k.knob FROM change_knobs k JOIN changes c ON c.id = k.change "
        "WHERE c.target = ? AND c.sent_ms >= ? AND c.state <> 'failed' ORDER BY k.knob",
        (target, since_ms),
    )
    return tuple(row[0] for row in rows)


def retested_since(conn: Connection, target: str, since_ms: int) -> tuple[Change, ...]:
    """Changes of a target that were kept since a moment with a retest that was not worse."""
    return _select(
        conn,
        "target = ? AND sent_ms >= ? AND state = 'kept' AND verdict IN ('BETTER', 'SAME')",
        (target, since_ms),
    )


_OPEN = f"state NOT IN ({', '.join(repr(state) for state in CLOSED)})"


def _select(conn: Connection, where: str, values: Any = (), order: str = "n") -> tuple[Change, ...]:
    rows = conn.execute(f"SELECT {_COLUMNS} FROM changes WHERE {where} ORDER BY {order}", values)
    return tuple(_change(row) for row in rows)


def _record(
    tx: Tx,
    change: Change,
    frm: State | None,
    by: By,
    to: State,
    why: str | None,
    authority: str | None = None,
) -> None:
    detail: dict[str, Any] = {
        "change": change.id,
        "from": frm or "",
        "to": to,
        "knobs": {s.knob: {"stored": s.stored, "before": s.before, "after": s.after} for s in change.steps},
        "binding": change.binding,
    }
    if change.note:
        detail["note"] = change.note
    for side, taken in (("before", change.before), ("after", change.after)):
        if taken is not None:
            detail[side] = {"snapshot": taken.snapshot, "drill": taken.drill or ""}
    if change.verdict is not None:
        detail["verdict"] = change.verdict.value
    audit.append(
        tx,
        AuditRecord(
            phase=_PHASES.get(to, "result"),
            action=_ACTIONS.get(to, "tune"),
            actor=by.account,
            person=by.person,
            door=by.door,
            object=change.words,
            target=change.target,
            op=change.op,
            outcome=to,
            why=why,
            authority=authority,
            detail=detail,
        ),
    )


def _column(name: str, value: Any) -> Any:
    if name not in _NAMES or name in ("id", "state", "steps", "binding", "policy", "proposer"):
        raise ValueError(f"{name} is no column that a move may set")
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return _dump(value) if name in _JSON and value is not None else value


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _change(row: Sequence[Any]) -> Change:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _JSON:
        if values[name] is not None:
            values[name] = json.loads(values[name])
    values["steps"] = _STEPS.validate_python(values["steps"])
    return Change.model_validate(values)
