"""Cases and decisions: written once, decided once, state as a pure function of rows and time."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from store_kit import MORNING_MS, HandClock

from bot.command import Ask
from bot.store import audit, cases, ops
from bot.store.case import Case, CaseConflict, State
from bot.store.database import Store
from bot.store.tx import Tx
from slo.verdict import Verdict

HOUR = 3_600_000


def opened(tx: Tx, ask: Ask, **changes: Any) -> Case:
    """A gate on 2026.11.23-2, its run ended."""
    op = ops.new(tx, ask, "gate", "gate --release=2026.11.23-2", "production")
    ops.start(tx, op.id)
    values: dict[str, Any] = {
        "kind": "gate",
        "op": op.id,
        "target": "production",
        "subject": "2026.11.23-2",
        "commit": "4c1e9ab",
        "verdict": Verdict.PASS,
        "starter": "slack:U0ONCALL",
        "starter_person": "oncall",
        "binding": {"report": "a" * 64, "release": "2026.11.23-2"},
        "expires_ms": tx.now_ms + 4 * HOUR,
    }
    case = cases.new(tx, **{**values, **changes})
    ops.finish(tx, op.id, "done", verdict=case.verdict)
    found = cases.look(tx.db, case.id)
    assert found is not None
    return found


def approve(tx: Tx, case: Case, by: str = "slack:U0RELMGR", **more: Any) -> Case:
    return cases.decide(tx, case, "approve", by=by, person="relmgr", until_ms=tx.now_ms + HOUR, **more)


def test_ids_are_counted_by_kind(tx: Tx, ask: Callable[..., Ask]) -> None:
    gates = [opened(tx, ask()) for _ in range(2)]
    canary = opened(tx, ask(), kind="canary")

    assert [case.id for case in gates] == ["g-1", "g-2"]
    assert canary.id == "cn-1"


def test_a_decision_and_its_audit_record_are_one_row_each_that_agree(tx: Tx, ask: Callable[..., Ask]) -> None:
    case = approve(tx, opened(tx, ask()), reason="gmail slow because of backfill")

    decision = case.answer
    assert decision is not None
    (row,) = audit.rows(tx.db, decision.audit - 1, 1)
    body = json.loads(row.body)
    assert decision.id == "d-1"
    assert body["detail"]["decision"] == "d-1"
    assert body["detail"]["digest"] == case.digest
    assert (body["actor"], body["person"], body["outcome"], body["why"]) == (
        decision.by,
        decision.person,
        "approve",
        "gmail slow because of backfill",
    )
    assert case.standing(tx.now_ms) is State.APPROVED


STANDINGS = [
    ({}, (), 0, State.WAITING),
    ({}, (), 4 * HOUR, State.EXPIRED),
    ({"verdict": Verdict.FAIL}, (), 0, State.BLOCKED),
    ({"verdict": Verdict.FAIL}, (), 4 * HOUR, State.EXPIRED),
    ({"verdict": Verdict.INCOMPLETE}, (), 0, State.BLOCKED),
    ({"verdict": Verdict.INCOMPLETE, "waivable": ("chat_stream_http",)}, (), 0, State.WAITING),
    ({"verdict": Verdict.INCOMPLETE, "waivable": ("a",), "blocked": "the generator"}, (), 0, State.BLOCKED),
    ({"verdict": Verdict.INCOMPLETE, "waivable": ("a",)}, ("waive:a",), 0, State.WAIVED),
    ({"verdict": Verdict.INCOMPLETE, "waivable": ("a", "b")}, ("waive:a",), 0, State.WAITING),
    ({"verdict": Verdict.INCOMPLETE, "waivable": ("a",)}, ("waive:a", "approve"), 0, State.APPROVED),
    ({"verdict": Verdict.INCOMPLETE, "waivable": ("a",)}, ("waive:a",), 4 * HOUR, State.EXPIRED),
    ({}, ("approve",), HOUR - 1, State.APPROVED),
    ({}, ("approve",), HOUR, State.EXPIRED),
    ({}, ("approve", "revoke"), 0, State.REVOKED),
    ({}, ("approve", "revoke"), 9 * HOUR, State.REVOKED),
    ({}, ("approve", "void"), 0, State.VOID),
    ({}, ("void",), 0, State.VOID),
    ({}, ("reject",), 0, State.REJECTED),
    ({}, ("reject", "void"), 9 * HOUR, State.REJECTED),
    ({"verdict": Verdict.FAIL}, ("reject",), 0, State.REJECTED),
]


@pytest.mark.parametrize(("changes", "steps", "later_ms", "expected"), STANDINGS)
def test_standing_is_a_function_of_rows_and_time(
    tx: Tx, ask: Callable[..., Ask], changes: dict[str, Any], steps: tuple[str, ...], later_ms: int, expected: State
) -> None:
    case = opened(tx, ask(), **changes)
    for step in steps:
        verb, _, scenario = step.partition(":")
        if verb == "void":
            case = cases.void(tx, case.id, "a knob was changed")
        elif verb == "approve":
            case = approve(tx, case)
        else:
            case = cases.decide(tx, case, verb, by="slack:U0RELMGR", person="relmgr", scenario=scenario or None)  # type: ignore[arg-type]

    assert case.standing(tx.now_ms + later_ms) is expected


@pytest.mark.parametrize("end", ["failed", "stopped", "interrupted"])
def test_R18_a_run_that_did_not_end_well_makes_its_case_void(tx: Tx, ask: Callable[..., Ask], end: str) -> None:
    op = ops.new(tx, ask(), "gate", "gate", "production")
    ops.start(tx, op.id)
    case = cases.new(
        tx, kind="gate", op=op.id, target="production", subject="r", commit=None, verdict=Verdict.PASS,
        starter="slack:U0ONCALL", starter_person=None, binding={}, expires_ms=tx.now_ms + HOUR,
    )  # fmt: skip
    ops.finish(tx, op.id, end)  # type: ignore[arg-type]

    after = cases.look(tx.db, case.id)
    assert after is not None
    assert after.standing(tx.now_ms) is State.VOID


def test_R3_a_decision_on_what_was_seen_before_somebody_else_decided_is_refused(
    tx: Tx, ask: Callable[..., Ask]
) -> None:
    seen = opened(tx, ask())
    cases.decide(tx, seen, "reject", by="slack:U0LEAD", person="lead")

    with pytest.raises(CaseConflict) as conflict:
        approve(tx, seen)

    assert conflict.value.state is State.REJECTED
    assert conflict.value.exit_status == 4


def test_an_approval_needs_an_end(tx: Tx, ask: Callable[..., Ask]) -> None:
    case = opened(tx, ask())

    with pytest.raises(ValueError, match="end"):
        cases.decide(tx, case, "approve", by="slack:U0RELMGR", person=None)


def test_R11_a_newer_run_makes_older_cases_of_the_subject_void_and_leaves_others(
    tx: Tx, ask: Callable[..., Ask]
) -> None:
    approved = approve(tx, opened(tx, ask()))
    other = opened(tx, ask(), subject="2026.11.24-1")
    elsewhere = opened(tx, ask(), target="staging")
    newer = opened(tx, ask(), commit="ffffff0")

    states = {c.id: c.standing(tx.now_ms) for c in cases.recent(tx.db)}
    assert states == {
        approved.id: State.VOID,
        other.id: State.WAITING,
        elsewhere.id: State.WAITING,
        newer.id: State.WAITING,
    }
    assert newer.id in (cases.look(tx.db, approved.id) or newer).void_reason  # type: ignore[operator]
    assert (cases.newest(tx.db, "gate", "production", "2026.11.23-2") or other).id == newer.id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET reason = 'better'",
        "DELETE FROM decisions",
        "UPDATE cases SET verdict = 'PASS'",
        "UPDATE cases SET binding = '{}'",
        "UPDATE cases SET expires_ms = expires_ms + 1",
        "UPDATE cases SET void_ms = NULL, void_reason = NULL",
        "DELETE FROM cases",
        "INSERT INTO decisions (id, case_id, verb, by_account, reason, at_ms, until_ms, audit) "
        "VALUES ('d-9', 'g-1', 'approve', 'slack:U', '', 1, 2, 1)",
    ],
)
def test_what_was_written_stays_as_it_was_written(tx: Tx, ask: Callable[..., Ask], statement: str) -> None:
    case = approve(tx, opened(tx, ask(), verdict=Verdict.PASS))
    cases.void(tx, case.id, "for the test")

    with pytest.raises(sqlite3.IntegrityError):
        tx.db.execute(statement)


def test_cards_that_show_something_else_than_the_state_are_found(tx: Tx, ask: Callable[..., Ask]) -> None:
    expired, settled = opened(tx, ask()), opened(tx, ask(), subject="other")
    cases.drawn(tx, expired.id, "WAITING")
    cases.drawn(tx, settled.id, "CHECKING")

    found = {case.id for case in cases.unsettled(tx.db, tx.now_ms)}
    later = {case.id for case in cases.unsettled(tx.db, tx.now_ms + 5 * HOUR)}

    assert found == {settled.id}
    assert later == {expired.id, settled.id}


async def test_R3_of_forty_people_at_once_exactly_one_decides(
    store: Store, clock: HandClock, ask: Callable[..., Ask]
) -> None:
    case = await store.write(lambda tx: opened(tx, ask()))

    def decide(n: int) -> Callable[[Tx], Case]:
        if n % 2:
            return lambda tx: approve(tx, case, by=f"slack:U{n}")
        return lambda tx: cases.decide(tx, case, "reject", by=f"slack:U{n}", person=None)

    ended = await asyncio.gather(*(store.write(decide(n)) for n in range(40)), return_exceptions=True)

    assert sum(isinstance(item, Case) for item in ended) == 1
    assert sum(isinstance(item, CaseConflict) for item in ended) == 39
    rows = await store.read(lambda conn: audit.rows(conn, 0, 1_000))
    assert sum(json.loads(row.body)["phase"] == "decision" for row in rows) == 1
    assert clock.at_ms == MORNING_MS
