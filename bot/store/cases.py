"""Cases, kept as rows: written once, decided on together with their audit record (safety.md, R3, R10, R11).

A case and its states are `bot.store.case`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection
from typing import Any

import rfc8785

from bot.card import Card
from bot.store import audit, ids, offers
from bot.store.audit import AuditRecord
from bot.store.case import PREFIX, REPLACED, YES, Case, CaseConflict, Decision, Kind, State, Verb, digest_of, possible
from bot.store.tx import Tx
from slo.verdict import Verdict


def new(
    tx: Tx,
    *,
    kind: Kind,
    op: str,
    target: str | None,
    subject: str,
    commit: str | None,
    verdict: Verdict,
    starter: str,
    starter_person: str | None,
    binding: Mapping[str, Any],
    expires_ms: int,
    waivable: Iterable[str] = (),
    blocked: str = "",
    needs_reason: bool = False,
    card: Card | None = None,
) -> Case:
    """Open a case, on the record. Older cases about the same subject become void: a newer run replaces them (R11)."""
    case_id = ids.number(tx, PREFIX[kind])
    for older in _same(tx.db, kind, target, subject):
        if older.standing(tx.now_ms) in (State.WAITING, State.WAIVED, State.BLOCKED, State.APPROVED):
            void(tx, older.id, f"{REPLACED}: {case_id}")
    canonical = rfc8785.dumps(dict(binding)).decode()
    tx.db.execute(
        "INSERT INTO cases (id, kind, op, target, subject, commit_ref, verdict, waivable, blocked, needs_reason, "
        "starter, starter_person, binding, digest, made_ms, expires_ms, card) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            case_id,
            kind,
            op,
            target,
            subject,
            commit,
            verdict.value,
            json.dumps(list(waivable)),
            blocked,
            needs_reason,
            starter,
            starter_person,
            canonical,
            digest_of(binding),
            tx.now_ms,
            expires_ms,
            None if card is None else card.model_dump_json(exclude_defaults=True),
        ),
    )
    made = _must(tx.db, case_id)
    audit.append(tx, _system(made, made.standing(tx.now_ms).value, detail={"digest": made.digest}))
    tx.touch("cases")
    return made


def look(conn: Connection, case_id: str) -> Case | None:
    """One case as it stands, with its decisions."""
    row = conn.execute(f"{_CASE} WHERE c.id = ?", (case_id,)).fetchone()
    return None if row is None else _case(conn, row)


def newest(conn: Connection, kind: Kind, target: str | None, subject: str) -> Case | None:
    """The newest case about a subject on a target, or None."""
    return next(iter(_same(conn, kind, target, subject, limit=1)), None)


def recent(conn: Connection, kind: Kind | None = None, limit: int = 20) -> tuple[Case, ...]:
    """The newest cases first."""
    rows = conn.execute(f"{_CASE} WHERE (?1 IS NULL OR c.kind = ?1) ORDER BY c.n DESC LIMIT ?2", (kind, limit))
    return tuple(_case(conn, row) for row in rows.fetchall())


def unsettled(conn: Connection, now_ms: int, limit: int = 50) -> tuple[Case, ...]:
    """Cases whose card shows something else than how they stand: new, expired since, void, or left in the middle."""
    rows = conn.execute(
        f"{_CASE} WHERE c.drawn IS NULL OR c.drawn IN ('WAITING', 'WAIVED', 'BLOCKED', 'APPROVED', 'CHECKING') "
        "ORDER BY c.n DESC LIMIT 500"
    ).fetchall()
    found = (_case(conn, row) for row in rows)
    return tuple(case for case in found if case.drawn != case.standing(now_ms).value)[:limit]


def decide(
    tx: Tx,
    seen: Case,
    verb: Verb,
    *,
    by: str,
    person: str | None,
    reason: str = "",
    read: Sequence[str] = (),
    scenario: str | None = None,
    until_ms: int | None = None,
    offer: str | None = None,
    action: str | None = None,
) -> Case:
    """Add a decision if the case is still as ``seen``, together with its audit record; returns the case after it.

    ``seen`` is the case on which the right to decide was judged. Raises `CaseConflict` when anything was decided since,
    when it has expired or become void: of several people at once exactly one decides. An approval needs ``until_ms``.
    ``read`` are the warnings that were ticked as read; the record names them.
    """
    case = _must(tx.db, seen.id)
    state = case.standing(tx.now_ms)
    if (
        len(case.decisions) != len(seen.decisions)
        or case.void_ms != seen.void_ms
        or case.op_state != seen.op_state
        or not possible(verb, state)
    ):
        raise CaseConflict(case, state)
    if verb in YES and until_ms is None:
        raise ValueError("an approval needs an end")
    decision_id = ids.number(tx, "d")
    detail: dict[str, Any] = {
        "case": case.id,
        "decision": decision_id,
        "verb": verb,
        "digest": case.digest,
        "verdict": case.verdict.value,
        "subject": case.subject,
    }
    detail |= {"commit": case.commit} if case.commit else {}
    detail |= {"scenario": scenario} if scenario else {}
    detail |= {"read": list(read)} if read else {}
    number = audit.append(
        tx,
        AuditRecord(
            phase="decision",
            action=action or f"{case.kind}.decide",
            actor=by,
            person=person,
            door="slack",
            object=f"{case.id} {case.subject}",
            target=case.target,
            op=case.op,
            outcome=verb,
            why=reason or None,
            detail=detail,
        ),
    )
    try:
        tx.db.execute(
            "INSERT INTO decisions (id, case_id, verb, by_account, by_person, reason, scenario, at_ms, until_ms, "
            "offer, audit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (decision_id, case.id, verb, by, person, reason, scenario, tx.now_ms, until_ms, offer, number),
        )
    except sqlite3.IntegrityError:
        raise CaseConflict(case, state) from None
    tx.touch("cases")
    return _must(tx.db, case.id)


def void(tx: Tx, case_id: str, reason: str) -> Case:
    """What the case rested on has changed: it is out of date from now on, on the record; a second time is nothing."""
    changed = tx.db.execute(
        "UPDATE cases SET void_ms = ?, void_reason = ? WHERE id = ? AND void_ms IS NULL", (tx.now_ms, reason, case_id)
    ).rowcount
    case = _must(tx.db, case_id)
    if changed:
        offers.supersede(tx, case.op, reason)
        audit.append(tx, _system(case, State.VOID.value, why=reason))
        tx.touch("cases")
    return case


def drawn(tx: Tx, case_id: str, what: str) -> None:
    """Note what the card of a case shows now: a `State`, or ``CHECKING`` while a decision is on its way."""
    tx.db.execute("UPDATE cases SET drawn = ? WHERE id = ?", (what, case_id))


def _system(case: Case, outcome: str, *, why: str | None = None, detail: dict[str, Any] | None = None) -> AuditRecord:
    return AuditRecord(
        phase="system",
        action=f"{case.kind}.case",
        actor="system",
        door="system",
        object=f"{case.id} {case.subject}",
        target=case.target,
        op=case.op,
        outcome=outcome,
        why=why,
        detail=detail or {},
    )


_CASE = (
    "SELECT c.id, c.kind, c.op, o.state, c.target, c.subject, c.commit_ref, c.verdict, c.waivable, c.blocked, "
    "c.needs_reason, c.starter, c.starter_person, c.binding, c.digest, c.made_ms, c.expires_ms, c.void_ms, "
    "c.void_reason, c.drawn, c.card FROM cases c JOIN ops o ON o.id = c.op"
)


def _same(conn: Connection, kind: Kind, target: str | None, subject: str, limit: int = 100) -> tuple[Case, ...]:
    rows = conn.execute(
        f"{_CASE} WHERE c.kind = ? AND c.target IS ? AND c.subject = ? ORDER BY c.n DESC LIMIT ?",
        (kind, target, subject, limit),
    )
    return tuple(_case(conn, row) for row in rows.fetchall())


def _must(conn: Connection, case_id: str) -> Case:
    case = look(conn, case_id)
    if case is None:
        raise KeyError(case_id)
    return case


def _case(conn: Connection, row: tuple[Any, ...]) -> Case:
    rows = conn.execute(
        "SELECT id, case_id, verb, by_account, by_person, reason, scenario, at_ms, until_ms, offer, audit "
        "FROM decisions WHERE case_id = ? ORDER BY n",
        (row[0],),
    )
    names = tuple(Decision.model_fields)
    return Case(
        id=row[0],
        kind=row[1],
        op=row[2],
        op_state=row[3],
        target=row[4],
        subject=row[5],
        commit=row[6],
        verdict=Verdict(row[7]),
        waivable=tuple(json.loads(row[8])),
        blocked=row[9],
        needs_reason=bool(row[10]),
        starter=row[11],
        starter_person=row[12],
        binding=json.loads(row[13]),
        digest=row[14],
        made_ms=row[15],
        expires_ms=row[16],
        void_ms=row[17],
        void_reason=row[18],
        drawn=row[19],
        card=None if row[20] is None else Card.model_validate_json(row[20]),
        decisions=tuple(Decision(**dict(zip(names, each, strict=True))) for each in rows),
    )
