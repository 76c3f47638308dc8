"""Cases: what a person decides on evidence, and the decisions on it (safety.md, R10, R11; ux.md, rule 6).

A case is one judgement that waits for a human: a release gate, a canary, a milestone, a region decision, a load above
the ceilings. It is written once and never changed, except that it can be made void; decisions are only added. Its state
is a pure function of these rows and of the time, so that card and audit trail cannot disagree:

    WAITING -> WAIVED (every gap waived) -> APPROVED -> REVOKED | EXPIRED | VOID
    WAITING | WAIVED -> REJECTED | EXPIRED | VOID          BLOCKED -> REJECTED | EXPIRED | VOID
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from sqlite3 import Connection
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict

from bot.card import Card
from bot.errors import Refused
from bot.store import audit, ids, offers
from bot.store.audit import AuditRecord
from bot.store.ops import State as OpState
from bot.store.tx import Tx
from slo.verdict import Verdict

Kind = Literal["gate", "canary", "milestone", "region", "ceiling"]
Verb = Literal["approve", "reject", "revoke", "waive", "promote", "roll-back"]

PREFIX: Mapping[Kind, str] = {"gate": "g", "canary": "cn", "milestone": "ms", "region": "rg", "ceiling": "ce"}
"""Ids as people see them: ``g-77`` is a gate."""
TRIGGERED: frozenset[Kind] = frozenset({"region"})
"""Kinds whose FAIL is a trigger: what has fired is the very thing that a person decides about."""
YES: frozenset[Verb] = frozenset({"approve", "promote"})
NO: frozenset[Verb] = frozenset({"reject", "roll-back"})


class State(StrEnum):
    """How a case stands. BLOCKED: nobody can approve it, since it failed or lacks what cannot be waived."""

    WAITING = "WAITING"
    WAIVED = "WAIVED"
    BLOCKED = "BLOCKED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    VOID = "VOID"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Decision(_Row):
    """What a person decided. ``until_ms`` ends an approval; ``scenario`` is what a waiver names."""

    id: str
    case: str
    verb: Verb
    by: str
    """Verified account, ``slack:U0RELMGR``."""
    person: str | None
    reason: str
    scenario: str | None
    at_ms: int
    until_ms: int | None
    offer: str | None
    """The button it was made with; None when it was typed."""
    audit: int
    """Number of the audit record that was written with it."""


class Case(_Row):
    """One case with its decisions, oldest first. Times in ms UTC."""

    id: str
    kind: Kind
    op: str
    op_state: OpState
    """State of the run that made it: only a run that has ended well can be decided on."""
    target: str | None
    subject: str
    """What is decided about: the release's name, a milestone, an operation."""
    commit: str | None
    verdict: Verdict
    waivable: tuple[str, ...]
    """Required scenarios that were not run: each needs a waiver before an approval."""
    blocked: str
    """What is lacking and cannot be waived, in a sentence; empty when there is nothing such."""
    needs_reason: bool
    starter: str
    starter_person: str | None
    binding: dict[str, Any]
    """What an approval is bound to: report, policy, target, deployment, release, commit."""
    digest: str
    """SHA-256 over the canonical JSON (RFC 8785) of the binding."""
    made_ms: int
    expires_ms: int
    void_ms: int | None
    void_reason: str | None
    drawn: str | None
    """What its card shows: a `State`, or None."""
    card: Card | None
    """The card of the run without the decision, from which the decided one is drawn."""
    decisions: tuple[Decision, ...] = ()

    @property
    def said(self) -> str:
        """The verdict as people read it: what a trigger has fired on is TRIGGERED, not failed."""
        fired = self.verdict is Verdict.FAIL and self.kind in TRIGGERED
        return "TRIGGERED" if fired else self.verdict.value

    @property
    def answer(self) -> Decision | None:
        """The yes or no, when there is one."""
        return next((item for item in self.decisions if item.verb in YES | NO), None)

    @property
    def revoked(self) -> Decision | None:
        return next((item for item in self.decisions if item.verb == "revoke"), None)

    @property
    def waivers(self) -> tuple[Decision, ...]:
        return tuple(item for item in self.decisions if item.verb == "waive")

    @property
    def not_waived(self) -> tuple[str, ...]:
        """Scenarios that still need a waiver."""
        named = {item.scenario for item in self.waivers}
        return tuple(name for name in self.waivable if name not in named)


class CaseConflict(Refused):
    """The case is not as it was when the decision was judged: somebody was faster. ``case`` is how it stands."""

    def __init__(self, case: Case, state: State) -> None:
        super().__init__(f"{case.id} is {state.value} by now.", rule="one decision for each case (R3)")
        self.case = case
        self.state = state


def standing(case: Case, now_ms: int) -> State:
    """The state of a case at a moment; what a person said last wins over time, time wins over waiting."""
    answer = case.answer
    if case.revoked is not None:
        return State.REVOKED
    if answer is not None and answer.verb in NO:
        return State.REJECTED
    if case.void_ms is not None or case.op_state in ("failed", "stopped", "interrupted", "refused"):
        return State.VOID
    if answer is not None:
        return State.APPROVED if answer.until_ms is not None and now_ms < answer.until_ms else State.EXPIRED
    if now_ms >= case.expires_ms:
        return State.EXPIRED
    failed = case.verdict is Verdict.FAIL and case.kind not in TRIGGERED
    if failed or case.blocked or (case.verdict is Verdict.INCOMPLETE and not case.waivable):
        return State.BLOCKED
    if case.verdict is Verdict.INCOMPLETE and not case.not_waived:
        return State.WAIVED
    return State.WAITING


def digest_of(binding: Mapping[str, Any]) -> str:
    """The digest of a binding; raises ValueError for what has no canonical JSON (NaN)."""
    return hashlib.sha256(rfc8785.dumps(dict(binding))).hexdigest()


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
        if standing(older, tx.now_ms) in (State.WAITING, State.WAIVED, State.BLOCKED, State.APPROVED):
            void(tx, older.id, f"a newer run replaced it: {case_id}")
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
    audit.append(tx, _system(made, standing(made, tx.now_ms).value, detail={"digest": made.digest}))
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
    return tuple(case for case in found if case.drawn != standing(case, now_ms).value)[:limit]


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
    state = standing(case, tx.now_ms)
    if (
        len(case.decisions) != len(seen.decisions)
        or case.void_ms != seen.void_ms
        or case.op_state != seen.op_state
        or state not in _POSSIBLE[verb]
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


_OPEN = frozenset({State.WAITING, State.WAIVED, State.BLOCKED})
_POSSIBLE: Mapping[Verb, frozenset[State]] = {
    "approve": frozenset({State.WAITING, State.WAIVED}),
    "promote": frozenset({State.WAITING, State.WAIVED}),
    "reject": _OPEN,
    "roll-back": _OPEN,
    "waive": frozenset({State.WAITING}),
    "revoke": frozenset({State.APPROVED}),
}


def possible(verb: Verb, state: State) -> bool:
    """Whether a decision of this kind fits a case in this state."""
    return state in _POSSIBLE[verb]


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
