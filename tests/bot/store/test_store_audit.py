"""The audit trail is append only, chained, and says the same in its columns as in its text (safety.md, R39)."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any

import pytest

from bot.store import audit
from bot.store.tx import Tx


def record(**more: Any) -> audit.AuditRecord:
    return audit.AuditRecord.model_validate(
        {"phase": "intent", "action": "drill", "actor": "slack:U0ONCALL", "door": "slack", **more}
    )


def test_R28_a_record_says_who_what_why_and_with_which_authority(tx: Tx) -> None:
    seq = audit.append(
        tx,
        record(
            person="oncall",
            object="BULKHEAD_SERPER_MAX_CONCURRENT",
            target="production",
            op="r-8f2k",
            outcome="allowed",
            why="429 everywhere",
            authority="responder",
            detail={"old": 40, "new": 48},
        ),
    )
    row = tx.db.execute(
        "SELECT at_ms, actor, person, door, phase, action, object, target, op, outcome FROM audit"
    ).fetchone()
    body = json.loads(audit.rows(tx.db)[0].body)

    assert seq == 1
    assert row == (
        tx.now_ms,
        "slack:U0ONCALL",
        "oncall",
        "slack",
        "intent",
        "drill",
        "BULKHEAD_SERPER_MAX_CONCURRENT",
        "production",
        "r-8f2k",
        "allowed",
    )
    assert (body["why"], body["authority"], body["epoch"], body["seq"]) == ("429 everywhere", "responder", 1, 1)
    assert "audit" in tx.topics


def test_R39_the_chain_can_be_recomputed_from_the_stored_text_alone(tx: Tx) -> None:
    """The formula, written out: whoever verifies needs nothing of ours."""
    for n in range(5):
        audit.append(tx, record(detail={"n": n, "ü": "é", "f": 1.5}))
    before = "0" * 64
    for row in audit.rows(tx.db):
        digest = hashlib.sha256(b"sendcat audit record v1\x00" + bytes.fromhex(before) + row.body.encode())
        assert (row.prev_hash, row.hash) == (before, digest.hexdigest())
        assert row.body == json.dumps(json.loads(row.body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        before = row.hash
    assert audit.head(tx.db) == (5, before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = '{}'",
        "UPDATE audit SET hash = prev_hash WHERE seq = 2",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE seq = 3",
        "INSERT INTO audit (seq, prev_hash, hash, body) SELECT 9, hash, hash, body FROM audit WHERE seq = 3",
        "INSERT INTO audit (prev_hash, hash, body) SELECT hash, hash, body FROM audit WHERE seq = 3",
        "INSERT OR REPLACE INTO audit (seq, prev_hash, hash, body) SELECT seq, prev_hash, hash, body FROM audit",
        "REPLACE INTO audit (seq, prev_hash, hash, body) SELECT 2, prev_hash, hash, body FROM audit WHERE seq = 2",
        "INSERT INTO audit (seq, prev_hash, hash, body) SELECT 4, prev_hash, hash, body FROM audit WHERE seq = 3",
        "INSERT INTO audit (seq, prev_hash, hash, body) SELECT 4, hash, hash, body FROM audit WHERE seq = 3",
        "INSERT INTO audit (seq, prev_hash, hash, body) SELECT 2, prev_hash, hash, body FROM audit WHERE seq = 2 "
        "ON CONFLICT (seq) DO UPDATE SET hash = excluded.hash",
    ],
)
@pytest.mark.parametrize("recursive", [0, 1])
def test_R39_triggers_refuse_everything_but_the_next_record(tx: Tx, statement: str, recursive: int) -> None:
    for n in range(3):
        audit.append(tx, record(detail={"n": n}))
    before = audit.rows(tx.db)
    tx.db.execute(f"PRAGMA recursive_triggers = {recursive}")

    with pytest.raises(sqlite3.IntegrityError):
        tx.db.execute(statement)

    assert audit.rows(tx.db) == before
    assert audit.tail_ok(tx.db, 10)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE audit SET body = replace(body, 'drill', 'probe') WHERE seq = 15",
        "UPDATE audit SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 15",
        "UPDATE audit SET prev_hash = hash WHERE seq = 15",
        "DELETE FROM audit WHERE seq = 15",
    ],
)
def test_R39_the_tail_check_names_the_first_bad_record(tx: Tx, harm: str) -> None:
    for n in range(20):
        audit.append(tx, record(detail={"n": n}))
    for name in ("audit_no_update", "audit_no_delete", "audit_only_next"):
        tx.db.execute(f"DROP TRIGGER {name}")
    assert audit.first_bad(tx.db, 10) is None
    tx.db.execute("PRAGMA ignore_check_constraints = 1")
    tx.db.execute(harm)

    assert audit.first_bad(tx.db, 10) == 15
    assert audit.first_bad(tx.db, 1000) == 15
    assert not audit.tail_ok(tx.db, 10)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 100])
def test_a_tail_of_any_length_of_a_good_trail_is_good(tx: Tx, n: int) -> None:
    assert audit.tail_ok(tx.db, n)
    for _ in range(3):
        audit.append(tx, record())
    assert audit.tail_ok(tx.db, n)


def test_a_missing_row_before_the_tail_is_seen(tx: Tx) -> None:
    for _ in range(5):
        audit.append(tx, record())
    tx.db.execute("DROP TRIGGER audit_no_delete")
    tx.db.execute("DELETE FROM audit WHERE seq = 3")
    assert audit.first_bad(tx.db, 2) == 3


def test_pages_of_records_follow_a_number(tx: Tx) -> None:
    for _ in range(7):
        audit.append(tx, record())
    assert [row.seq for row in audit.rows(tx.db, 0, 3)] == [1, 2, 3]
    assert [row.seq for row in audit.rows(tx.db, 6, 3)] == [7]


def test_a_number_that_json_cannot_carry_is_refused(tx: Tx) -> None:
    with pytest.raises(ValueError):
        audit.append(tx, record(detail={"n": float("nan")}))
    assert audit.head(tx.db) == (0, audit.ZERO)
