"""The audit trail: who did what, why, with which authority; append only, each record chained to the one before.

``hash = sha256(DOMAIN + prev_hash + body)``, where ``prev_hash`` is the 32 bytes of the hash before (zeros for the
first record) and ``body`` is canonical JSON (RFC 8785), stored as the very text that was hashed. The search columns
are generated from the body, so they cannot say anything else than the record (safety.md, decision 11; R38, R39).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict

from bot.store.tx import Tx

DOMAIN = b"sendcat audit record v1\x00"
ZERO = "0" * 64

Phase = Literal["intent", "result", "decision", "refusal", "system"]


class AuditRecord(BaseModel):
    """One record, before it has a number. Nothing in it may be a secret or unmasked customer data (R36, R37).

    Numbers are finite, whole ones within 2**53 (RFC 8785); anything else raises ``ValueError`` at `append`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, ser_json_inf_nan="constants")

    phase: Phase
    action: str
    """Row of the authority table or what the system did, for example ``drill``, ``tune.approve``, ``start``."""
    actor: str
    """Verified account: ``slack:U0ONCALL``, ``os:oncall``, ``timer:watch``, or ``system``."""
    door: Literal["slack", "terminal", "timer", "system"]
    person: str | None = None
    """The human behind the account, when known."""
    object: str | None = None
    """What was acted on: a knob, a function, a run, an offer."""
    target: str | None = None
    op: str | None = None
    outcome: str | None = None
    """How it ended: ``PASS``, ``stopped``, ``not allowed``."""
    why: str | None = None
    authority: str | None = None
    """By which rule it was allowed or refused."""
    intent: int | None = None
    """Number of the intent that this record answers."""
    detail: dict[str, Any] = {}


@dataclass(frozen=True)
class AuditRow:
    """A stored record: ``body`` is the text as hashed."""

    seq: int
    prev_hash: str
    hash: str
    body: str


def append(tx: Tx, record: AuditRecord) -> int:
    """Append a record and return its number; together with the step that it tells of, or not at all (R28)."""
    seq, prev_hash = head(tx.db)
    body = rfc8785.dumps(
        record.model_dump(mode="json", exclude_none=True)
        | {"v": 1, "seq": seq + 1, "at_ms": tx.now_ms, "epoch": tx.epoch}
    )
    tx.db.execute(
        "INSERT INTO audit (seq, prev_hash, hash, body) VALUES (?, ?, ?, ?)",
        (seq + 1, prev_hash, link(prev_hash, body), body.decode()),
    )
    tx.touch("audit")
    return seq + 1


def link(prev_hash: str, body: bytes) -> str:
    """The hash of a record."""
    return hashlib.sha256(DOMAIN + bytes.fromhex(prev_hash) + body).hexdigest()


def head(conn: Connection) -> tuple[int, str]:
    """Number and hash of the newest record; 0 and zeros in an empty trail."""
    row = conn.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return (0, ZERO) if row is None else (row[0], row[1])


def rows(conn: Connection, after_seq: int = 0, limit: int = 1_000) -> tuple[AuditRow, ...]:
    """Records in order, after a number (keyset paging)."""
    found = conn.execute(
        "SELECT seq, prev_hash, hash, body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, limit)
    )
    return tuple(AuditRow(*row) for row in found)


def tail_ok(conn: Connection, n: int) -> bool:
    """True when the newest ``n`` records hold together."""
    return first_bad(conn, n) is None


def first_bad(conn: Connection, n: int) -> int | None:
    """Number of the first of the newest ``n`` records that does not fit, or None."""
    start = max(0, head(conn)[0] - n)
    before = rows(conn, start - 1, 1) if start else ()
    if start and (not before or before[0].seq != start):
        return start
    prev_hash, seq = (before[0].hash if before else ZERO), start
    for row in rows(conn, start, n):
        seq += 1
        if row.seq != seq or row.prev_hash != prev_hash or row.hash != link(prev_hash, row.body.encode()):
            return seq
        prev_hash = row.hash
    return None
