"""The record as a file: JSON lines that the verifier takes, or a table for spreadsheets in which nothing runs (R35).

JSON lines are the chain itself, whole, each record as it was hashed. The table is for people: text cells that a
spreadsheet could take for a formula begin with an apostrophe, also behind other separators than ours; numbers stay
numbers. Both are read in one snapshot and written part by part.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from bot.store import audit, audit_search, checkpoints
from bot.store.audit_search import Hit, Wanted

if TYPE_CHECKING:
    from sqlite3 import Connection

Format = Literal["csv", "jsonl"]

CHUNK = 1_000
COLUMNS = (
    "seq",
    "time_utc",
    "at_ms",
    "actor",
    "person",
    "door",
    "phase",
    "action",
    "object",
    "target",
    "run",
    "outcome",
    "why",
    "authority",
    "detail",
    "anchored",
    "hash",
)
_FORMULA = re.compile(r"(^|[;,|\t])([\s'\"]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_BREAKS = re.compile(r"[\r\n\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def jsonl(conn: Connection) -> Iterator[bytes]:
    """The whole chain, one record a line."""
    after = 0
    while rows := audit.rows(conn, after, CHUNK):
        lines = (
            json.dumps({"seq": r.seq, "prev_hash": r.prev_hash, "hash": r.hash, "body": r.body}, ensure_ascii=False)
            for r in rows
        )
        yield ("\n".join(lines) + "\n").encode()
        after = rows[-1].seq


def table(conn: Connection, wanted: Wanted) -> Iterator[bytes]:
    """The records that fit, newest first, as CSV with a heading."""
    last = checkpoints.latest(conn)
    anchored = last.size if last else 0
    yield _lines([list(COLUMNS)])
    before: int | None = None
    while True:
        page = audit_search.search(conn, wanted, before=before, limit=CHUNK)
        if page.hits:
            seqs = [hit.seq for hit in page.hits]
            hashes = audit_search.hashes(conn, seqs)
            yield _lines([_row(hit, hit.seq <= anchored, hashes[hit.seq]) for hit in page.hits])
        if page.older is None:
            return
        before = page.older


def cell(text: str | None) -> str:
    """A text that no spreadsheet runs: no formula at its start, nor behind a separator; no lines of its own."""
    return _FORMULA.sub(r"\1\2'", _BREAKS.sub(" ", text or ""))


def _row(hit: Hit, anchored: bool, digest: str) -> list[str | int]:
    moment = datetime.fromtimestamp(hit.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    detail = json.dumps(hit.detail, ensure_ascii=False, sort_keys=True) if hit.detail else ""
    return [
        hit.seq,
        moment,
        hit.at_ms,
        *map(
            cell,
            (
                hit.actor,
                hit.person,
                hit.door,
                hit.phase,
                hit.action,
                hit.object,
                hit.target,
                hit.op,
                hit.outcome,
                hit.why,
                hit.authority,
                detail,
                "yes" if anchored else "not yet",
                digest,
            ),
        ),
    ]


def _lines(rows: list[list[str | int]] | list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode("utf-8")
