"""Break-glass grants: a lone on-call approves their own change, on the record, until somebody reviews it (R12)."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from bot.errors import Refused
from bot.store import audit, ids
from bot.store.audit import AuditRecord
from bot.store.change import By
from bot.store.tx import Tx


@dataclass(frozen=True)
class Grant:
    """One use of break-glass. ``until_ms`` is when it lapses if nothing was written; ``reviewer`` None: open."""

    id: str
    change: str
    by: By
    why: str
    at_ms: int
    until_ms: int
    reviewer: By | None
    finding: str | None
    reviewed_ms: int | None


_COLUMNS = "id, change, by, why, at_ms, until_ms, reviewer, finding, reviewed_ms"


def grant(tx: Tx, change: str, *, by: By, why: str, until_ms: int, target: str, op: str | None) -> Grant:
    """Write a grant down; it stays open until it is reviewed."""
    row = tx.db.execute(
        "INSERT INTO break_glass (id, change, by, why, at_ms, until_ms) VALUES (?, ?, ?, ?, ?, ?) "
        f"RETURNING {_COLUMNS}",
        (ids.number(tx, "b"), change, by.model_dump_json(), why, tx.now_ms, until_ms),
    ).fetchone()
    found = _grant(row)
    _record(tx, found, by, "break-glass", "open", why, target, op)
    return found


def review(tx: Tx, grant_id: str, *, by: By, finding: str, target: str | None, op: str | None) -> Grant:
    """Close a review, once. Raises `Refused` when there is none of that id or it was reviewed before."""
    row = tx.db.execute(
        "UPDATE break_glass SET reviewer = ?, finding = ?, reviewed_ms = ? WHERE id = ? AND reviewer IS NULL "
        f"RETURNING {_COLUMNS}",
        (by.model_dump_json(), finding, tx.now_ms, grant_id),
    ).fetchone()
    if row is None:
        known = get(tx.db, grant_id)
        what = f"{grant_id} was reviewed already." if known else f"There is no break-glass {grant_id[:20]}."
        raise Refused(what, rule="a review is closed once (R12)", then="/sendcat break-glass review")
    found = _grant(row)
    _record(tx, found, by, "break-glass.review", "reviewed", finding, target, op)
    return found


def get(conn: Connection, grant_id: str) -> Grant | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM break_glass WHERE id = ?", (grant_id,)).fetchone()
    return None if row is None else _grant(row)


def unreviewed(conn: Connection) -> tuple[Grant, ...]:
    """Open review items, oldest first."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM break_glass WHERE reviewer IS NULL ORDER BY at_ms, id")
    return tuple(_grant(row) for row in rows)


def _record(
    tx: Tx, found: Grant, by: By, action: str, outcome: str, why: str, target: str | None, op: str | None
) -> None:
    audit.append(
        tx,
        AuditRecord(
            phase="decision",
            action=action,
            actor=by.account,
            person=by.person,
            door=by.door,
            object=f"{found.id} for {found.change}",
            target=target,
            op=op,
            outcome=outcome,
            why=why,
            authority="break-glass (R12)",
            detail={"break_glass": found.id, "change": found.change, "until_ms": found.until_ms},
        ),
    )


def _grant(row: tuple[Any, ...]) -> Grant:
    return Grant(
        id=row[0],
        change=row[1],
        by=By.model_validate_json(row[2]),
        why=row[3],
        at_ms=row[4],
        until_ms=row[5],
        reviewer=None if row[6] is None else By.model_validate_json(row[6]),
        finding=row[7],
        reviewed_ms=row[8],
    )
