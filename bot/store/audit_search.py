"""Searching the audit trail: newest first, a page at a time, at a cost that does not grow with the trail.

Pages go by number (keyset), never by OFFSET. Of several wishes the rarest one leads; the others are asked of the
indexes only. A page looks at a bounded number of candidates: when few of them fit, it says how far it has looked and
where to go on, instead of keeping a person waiting.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sqlite3 import Connection

Column = Literal["word", "person", "actor", "action", "target", "outcome", "phase", "op"]

SLICES = (200, 2_000, *[20_000] * 10)
"""Candidates that the statements of one page look at: few when many fit, and never more than some 0.2 s of them."""
_COUNTED = 2_000
"""Beyond this many a wish counts as frequent; which of two frequent ones leads matters little."""
_HOUR_MS = 3_600_000
_INDEXES: dict[Column, str] = {
    "person": "audit_by_person",
    "actor": "audit_by_actor",
    "action": "audit_by_action",
    "target": "audit_by_target",
    "outcome": "audit_by_outcome",
    "phase": "audit_by_phase",
    "op": "audit_by_op",
}


@dataclass(frozen=True)
class Source:
    """One list of records: those of a column's value, or with a word (in small letters)."""

    column: Column
    value: str


@dataclass(frozen=True)
class Wanted:
    """What is looked for: of every inner tuple at least one must hold. Times in ms UTC, both ends included."""

    all_of: tuple[tuple[Source, ...], ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True)
class Hit:
    """One record as it is shown; everything in it is as recorded, and foreign."""

    seq: int
    at_ms: int
    actor: str
    person: str | None
    door: str
    phase: str
    action: str
    object: str
    target: str | None
    op: str | None
    outcome: str
    why: str
    authority: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """Some records, newest first. ``older`` continues before this number; None: there are no more.

    ``cut`` says that the page is not full because few records fit, and not because there are no more.
    """

    hits: tuple[Hit, ...]
    older: int | None
    cut: bool = False


def search(
    conn: Connection,
    wanted: Wanted,
    *,
    before: int | None = None,
    limit: int = 10,
    slices: Sequence[int] = SLICES,
) -> Page:
    """One page of the records that fit, newest first; ``before`` is the ``older`` of the page before it."""
    span = _span(conn, wanted)
    if span is None:
        return Page((), None)
    first, last = span
    top = min(last + 1, before if before is not None else last + 1)
    lists = sorted(wanted.all_of, key=lambda sources: _frequency(conn, sources, first, top))
    found: list[int] = []
    for size in slices:
        more, top = _slice(conn, lists, wanted, first, top, size, limit + 1 - len(found))
        found += more
        if len(found) > limit:
            return Page(hits(conn, found[:limit]), found[limit - 1])
        if top <= first:
            return Page(hits(conn, found), None)
    return Page(hits(conn, found), top, cut=True)


def hits(conn: Connection, seqs: Sequence[int]) -> tuple[Hit, ...]:
    """These records, in this order."""
    marks = ", ".join("?" * len(seqs))
    rows = dict(conn.execute(f"SELECT seq, body FROM audit WHERE seq IN ({marks})", tuple(seqs)))
    return tuple(hit(seq, rows[seq]) for seq in seqs if seq in rows)


def hit(seq: int, body: str) -> Hit:
    """A record from its canonical text."""
    told = json.loads(body)
    return Hit(
        seq=seq,
        at_ms=told["at_ms"],
        actor=told["actor"],
        person=told.get("person"),
        door=told.get("door", ""),
        phase=told["phase"],
        action=told["action"],
        object=told.get("object", ""),
        target=told.get("target"),
        op=told.get("op"),
        outcome=told.get("outcome", ""),
        why=told.get("why", ""),
        authority=told.get("authority", ""),
        detail=told.get("detail", {}),
    )


def word(text: str) -> str:
    """A word as the index knows it: the letters of ASCII small, as SQLite's ``lower`` makes them."""
    return "".join(char.lower() if char.isascii() else char for char in text)


def _span(conn: Connection, wanted: Wanted) -> tuple[int, int] | None:
    """First and last number that can lie in the window of time; None when nothing can."""
    low, high = 1, conn.execute("SELECT coalesce(max(seq), 0) FROM audit").fetchone()[0]
    if wanted.since_ms is not None:
        (found,) = conn.execute(
            "SELECT min(first) FROM audit_hours WHERE hour >= ?", (wanted.since_ms // _HOUR_MS,)
        ).fetchone()
        low = high + 1 if found is None else found
    if wanted.until_ms is not None:
        (found,) = conn.execute(
            "SELECT max(last) FROM audit_hours WHERE hour <= ?", (wanted.until_ms // _HOUR_MS,)
        ).fetchone()
        high = min(high, found or 0)
    return (low, high) if low <= high else None


def _frequency(conn: Connection, sources: Sequence[Source], first: int, top: int) -> int:
    total = 0
    for source in sources:
        rows, values = _rows(source, first, top, _COUNTED)
        total += conn.execute(f"SELECT count(*) FROM ({rows})", values).fetchone()[0]
    return total


def _slice(
    conn: Connection,
    lists: Sequence[Sequence[Source]],
    wanted: Wanted,
    first: int,
    top: int,
    size: int,
    limit: int,
) -> tuple[list[int], int]:
    """Numbers that fit among the next candidates below ``top``, and the number below which to go on."""
    leads, others = (lists[0], lists[1:]) if lists else ((), ())
    parts, values = [], []
    if leads:
        for source in leads:
            rows, some = _rows(source, first, top, size)
            parts.append(f"SELECT seq FROM ({rows})")
            values += some
    else:
        parts.append("SELECT seq FROM audit WHERE seq >= ? AND seq < ?")
        values += [first, top]
    candidates = f"SELECT seq FROM ({' UNION '.join(parts)}) ORDER BY seq DESC LIMIT {size}"
    conditions = ["1"]
    checks: list[Any] = []
    for sources in others:
        conditions.append("(" + " OR ".join(_holds(source) for source in sources) + ")")
        checks += [source.value for source in sources]
    if wanted.since_ms is not None or wanted.until_ms is not None:
        conditions.append("(SELECT at_ms FROM audit t WHERE t.seq = s.seq) BETWEEN ? AND ?")
        checks += [wanted.since_ms or 0, wanted.until_ms if wanted.until_ms is not None else 2**62]
    found = [
        seq
        for (seq,) in conn.execute(
            f"SELECT s.seq FROM ({candidates}) s WHERE {' AND '.join(conditions)} LIMIT ?", (*values, *checks, limit)
        )
    ]
    if len(found) == limit:
        return found, found[-1]
    reached, count = conn.execute(f"SELECT min(seq), count(*) FROM ({candidates})", values).fetchone()
    return found, reached if count == size else first


def _rows(source: Source, first: int, top: int, limit: int) -> tuple[str, list[Any]]:
    """The newest numbers of a list below ``top``, from an index alone."""
    if source.column == "word":
        table = "audit_words WHERE word"
    else:
        table = f"audit INDEXED BY {_INDEXES[source.column]} WHERE {source.column}"
    rows = f"SELECT seq FROM {table} = ? AND seq >= ? AND seq < ? ORDER BY seq DESC LIMIT {limit}"
    return rows, [source.value, first, top]


def _holds(source: Source) -> str:
    if source.column == "word":
        return "EXISTS (SELECT 1 FROM audit_words w WHERE w.word = ? AND w.seq = s.seq)"
    index = _INDEXES[source.column]
    return f"EXISTS (SELECT 1 FROM audit x INDEXED BY {index} WHERE x.{source.column} = ? AND x.seq = s.seq)"


def hashes(conn: Connection, seqs: Sequence[int]) -> dict[int, str]:
    """The hashes of these records, by number."""
    marks = ", ".join("?" * len(seqs))
    return dict(conn.execute(f"SELECT seq, hash FROM audit WHERE seq IN ({marks})", tuple(seqs)))
