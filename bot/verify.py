"""An independent verifier of the audit trail: one file, offline, sharing no code with what wrote it (safety.md, R39).

    python -m bot.verify TRAIL [--anchors FILE]... [--key FILE] [--json]

``TRAIL`` is a copy of the database or an export in JSON lines; ``--anchors`` is the anchor file, or lines copied out of
the anchor channel into a file; ``--key`` is the public key (``audit.pub``). Nothing of this project is imported: the
formulas stand here a second time, so that one mistake cannot hide in both. Exit status: 0 verified up to the last
anchor, 1 something was changed, 3 cannot be told (nothing anchors these records), 2 wrong use.

A record is number, hash before, hash, text; ``hash = sha256(domain + hash before + text)``. An anchor is a line
``sendcat-audit-1 KIND ORIGIN SIZE HEAD AT_MS SIGNATURE``: Ed25519 over everything before the signature. ``KIND`` is
``checkpoint``, or ``restore`` where a person put a backup back: anchors of longer trails before it are void then.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_DOMAIN = b"sendcat audit record v1\x00"
_NOTHING = "0" * 64
_WORD = "sendcat-audit-1"
_SHAPE = re.compile(
    rf"(?P<signed>{_WORD} (?P<kind>checkpoint|restore) (?P<origin>[\x21-\x7e]{{1,80}}) (?P<size>[0-9]{{1,15}})"
    r" (?P<head>[0-9a-f]{64}) (?P<at_ms>[0-9]{1,15})) (?P<signature>[A-Za-z0-9+/]{86}==)"
)
_GUARDS = ("audit_no_delete", "audit_no_update", "audit_only_next")

Row = tuple[object, object, object, object]


@dataclass(frozen=True)
class Anchor:
    """A signed statement: at ``at_ms`` the trail had ``size`` records, the last with the hash ``head``."""

    kind: str
    origin: str
    size: int
    head: str
    at_ms: int


@dataclass(frozen=True)
class Problem:
    """Something that was changed: ``record`` is the first one in doubt (None: not about a record)."""

    record: int | None
    what: str


@dataclass
class Report:
    """What was found. ``anchored`` records are verified; what is newer is consistent, and not yet anchored."""

    records: int = 0
    head: str = _NOTHING
    anchors: int = 0
    anchored: int = 0
    anchored_ms: int | None = None
    origin: str | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def first_bad(self) -> int | None:
        """The number of the first record in doubt."""
        return min((p.record for p in self.problems if p.record is not None), default=None)

    @property
    def exit_status(self) -> int:
        if self.problems:
            return 1
        return 0 if self.anchored else 3

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        if self.problems:
            first = self.first_bad
            return f"CHANGED: first bad record {first}." if first is not None else f"CHANGED: {self.problems[0].what}"
        if not self.records:
            return "The trail is empty."
        fresh = self.records - self.anchored
        if not self.anchored:
            return f"NOT ANCHORED: {self.records} records hold together, but no anchor vouches for them."
        newer = "newer one holds together and is" if fresh == 1 else "newer ones hold together and are"
        late = f" {fresh} {newer} not yet anchored." if fresh else ""
        reach = f"{self.anchored} of {self.records} records, up to the anchor of {_utc(self.anchored_ms)}"
        return f"VERIFIED: {reach}.{late}"


def verify(records: Iterable[Row], anchors: Sequence[Anchor] = ()) -> Report:
    """Walk the whole trail and compare it with what was anchored."""
    report = Report(anchors=len(anchors))
    valid, set_aside = _in_force(anchors)
    report.notes += set_aside
    wanted = {anchor.size: "" for anchor in valid}
    restores = {anchor.size for anchor in valid if anchor.kind == "restore"}
    report.problems += _walk(records, report, wanted, restores)
    broken = bool(report.problems)
    for anchor in sorted(valid, key=lambda a: a.size):
        when = _utc(anchor.at_ms)
        if anchor.size > report.records:
            if not broken:
                what = f"cut off: the trail ends at record {report.records}; {anchor.size} were anchored at {when}"
                report.problems.append(Problem(report.records + 1, what))
                if report.records > report.anchored:
                    report.notes.append(f"no anchor vouches for the records {report.anchored + 1} to {report.records}")
            break
        if wanted[anchor.size] != anchor.head:
            first = report.anchored + 1
            span = f"{first} to {anchor.size}" if anchor.size > first else f"{first}"
            what = f"written anew: record {span} is not what was anchored at {when}"
            report.problems.insert(0, Problem(first, what))
            break
        report.anchored, report.anchored_ms, report.origin = anchor.size, anchor.at_ms, anchor.origin
    return report


def _walk(records: Iterable[Row], report: Report, wanted: dict[int, str], restores: set[int]) -> list[Problem]:
    """Go along the chain up to the first record that does not fit; notes the hashes that anchors ask for."""
    before, expected = _NOTHING, 1
    wanted[0] = _NOTHING
    for seq, prev_hash, digest, body in records:
        if expected > 1 and seq == expected and _follows_another(prev_hash, digest, body, before):
            return [
                Problem(expected - 1, f"record {expected - 1} is not the one that record {expected} was written after")
            ]
        what = _fault(seq, prev_hash, digest, body, before, expected)
        if what is not None:
            return [Problem(expected, what)]
        assert isinstance(digest, str)
        assert isinstance(body, str)
        if expected in restores and json.loads(body).get("action") != "restore":
            return [Problem(expected, f"record {expected} is anchored as a restore, and tells of none")]
        if expected in wanted:
            wanted[expected] = digest
        report.records, report.head = expected, digest
        before, expected = digest, expected + 1
    return []


def _fault(seq: object, prev_hash: object, digest: object, body: object, before: str, expected: int) -> str | None:
    """What is wrong with one record, or None."""
    if not (type(seq) is int and isinstance(prev_hash, str) and isinstance(digest, str) and isinstance(body, str)):
        return f"record {expected} is not a record"
    if seq > expected:
        return f"record {expected} is missing: {seq} comes after {expected - 1}"
    if seq < expected:
        return f"record {seq} stands where {expected} belongs"
    if prev_hash != before:
        return f"record {seq} does not follow the one before it"
    try:
        text = body.encode()
        told = json.loads(text)
    except (ValueError, RecursionError):
        return f"record {seq} is not JSON"
    if hashlib.sha256(_DOMAIN + bytes.fromhex(before) + text).hexdigest() != digest:
        return f"record {seq} was changed: its text does not give its hash"
    if not isinstance(told, dict) or told.get("seq") != seq:
        return f"record {seq} bears another number in its text"
    return None


def _follows_another(prev_hash: object, digest: object, body: object, before: str) -> bool:
    """Whether a record is whole but names another record before it: then that one was changed, and not this one."""
    if prev_hash == before or not (isinstance(prev_hash, str) and isinstance(body, str)):
        return False
    try:
        return hashlib.sha256(_DOMAIN + bytes.fromhex(prev_hash) + body.encode()).hexdigest() == digest
    except ValueError:
        return False


def _in_force(anchors: Sequence[Anchor]) -> tuple[list[Anchor], list[str]]:
    """The anchors that count, in order of time; a restore makes those of a longer trail before it void."""
    valid: list[Anchor] = []
    notes = []
    for anchor in sorted(anchors, key=lambda a: a.at_ms):
        if anchor.kind == "restore":
            void = max((a.size for a in valid if a.size >= anchor.size), default=0)
            valid = [a for a in valid if a.size < anchor.size]
            notes.append(
                f"restored at {_utc(anchor.at_ms)}: a backup was put back, record {anchor.size} tells of it"
                + (f"; the former records {anchor.size} to {void} were set aside" if void else "")
            )
        valid.append(anchor)
    return valid, notes


def read_anchors(text: str, key: bytes) -> tuple[list[Anchor], list[Problem]]:
    """The anchors in a text, each with its signature checked by the public key (32 bytes).

    Lines without our word are passed over, so that a channel's messages can be pasted as they are. A line that was cut
    by a crash is known by the whole line that follows it, or by the missing end of the file.
    """
    public = Ed25519PublicKey.from_public_bytes(key)
    origin = origin_of(key)
    found: list[Anchor] = []
    problems: list[Problem] = []
    lines = [line.strip().strip("`") for line in text.splitlines()]
    ours = [line for line in lines if line.startswith(f"{_WORD} ")]
    open_end = not text.endswith("\n") and bool(lines) and lines[-1:] == ours[-1:]
    for number, (line, following) in enumerate(zip(ours, [*ours[1:], ""], strict=True), 1):
        shape = _SHAPE.fullmatch(line)
        if shape is None and (following.startswith(line) or (open_end and number == len(ours))):
            continue
        try:
            anchor = _anchor(shape, public)
        except (ValueError, InvalidSignature):
            problems.append(Problem(None, f"anchor {number} is not signed by this key, or was changed"))
            continue
        if anchor.origin != origin:
            problems.append(Problem(None, f"anchor {number} belongs to {anchor.origin[:60]}, not to {origin}"))
            continue
        found.append(anchor)
    return found, problems


def _anchor(shape: re.Match[str] | None, public: Ed25519PublicKey) -> Anchor:
    if shape is None:
        raise ValueError("not an anchor")
    public.verify(base64.b64decode(shape["signature"]), shape["signed"].encode())
    return Anchor(shape["kind"], shape["origin"], int(shape["size"]), shape["head"], int(shape["at_ms"]))


def origin_of(key: bytes) -> str:
    """The name of a trail: it follows from its public key, so compare it with the one in the anchor channel."""
    return f"sendcat/{hashlib.sha256(key).hexdigest()[:16]}"


def read_key(text: str) -> bytes:
    """The 32 bytes in a public key file: ``sendcat-audit-key ORIGIN BASE64``. Raises ValueError."""
    word, origin, encoded = text.split()
    key = base64.b64decode(encoded, validate=True)
    if word != "sendcat-audit-key" or len(key) != 32 or origin != origin_of(key):
        raise ValueError("not a public key of an audit trail")
    return key


def rows_of_lines(lines: Iterable[str]) -> Iterator[Row]:
    """Records of an export in JSON lines; what is not one becomes a record that cannot fit."""
    for line in lines:
        if not line.strip():
            continue
        try:
            told: Any = json.loads(line)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            yield (None, None, None, None)
            return
        yield (told.get("seq"), told.get("prev_hash"), told.get("hash"), told.get("body"))


def rows_of_database(db: sqlite3.Connection) -> Iterator[Row]:
    """Records of a database in the order of their numbers."""
    yield from db.execute("SELECT seq, prev_hash, hash, body FROM audit ORDER BY seq")


def open_copy(path: str) -> sqlite3.Connection:
    """Open a database for reading; without a log beside it as a file that nobody changes."""
    alone = not os.path.exists(f"{path}-wal")
    return sqlite3.connect(f"file:{quote(path)}?mode=ro{'&immutable=1' if alone else ''}", uri=True)


def missing_guards(db: sqlite3.Connection) -> list[str]:
    """Triggers that keep the trail append only and are gone; ``audit`` when it is not a table."""
    named = dict(db.execute("SELECT name, type FROM sqlite_schema"))
    gone = [name for name in _GUARDS if named.get(name) != "trigger"]
    return gone if named.get("audit") == "table" else ["audit"]


def verify_file(path: str, anchors: Sequence[Anchor] = ()) -> Report:
    """Verify a database or an export; which of the two is told by its first bytes."""
    with open(path, "rb") as file:
        is_database = file.read(16) == b"SQLite format 3\x00"
    if not is_database:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            return verify(rows_of_lines(lines), anchors)
    report = Report()
    try:
        with closing(open_copy(path)) as db:
            if gone := missing_guards(db):
                report.problems.append(Problem(None, f"the guards of the trail are gone: {', '.join(gone)}"))
            if "audit" in gone:
                return report
            guards = report.problems
            report = verify(rows_of_database(db), anchors)
            report.problems += guards
    except sqlite3.DatabaseError as error:
        report.problems.append(Problem(None, f"the database is damaged ({error})"))
    return report


def _utc(at_ms: int | None) -> str:
    try:
        return datetime.fromtimestamp((at_ms or 0) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="verify", description="Verify an audit trail, offline.")
    parser.add_argument("trail", help="a copy of sendcat.db, or an export in JSON lines")
    parser.add_argument("--anchors", action="append", default=[], help="anchors.txt, or lines of the anchor channel")
    parser.add_argument("--key", help="audit.pub")
    parser.add_argument("--json", action="store_true", help="the whole report as JSON")
    wish = parser.parse_args(argv)
    if wish.anchors and not wish.key:
        parser.error("--anchors needs --key: without it no signature can be checked")
    found: list[Anchor] = []
    problems: list[Problem] = []
    try:
        for name in wish.anchors:
            with open(wish.key, encoding="utf-8") as file:
                key = read_key(file.read())
            with open(name, encoding="utf-8", errors="replace") as file:
                some, wrong = read_anchors(file.read(), key)
            found += some
            problems += wrong
        report = verify_file(wish.trail, found)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    report.problems += problems
    if wish.json:
        told = {
            **asdict(report),
            "sentence": report.sentence,
            "first_bad": report.first_bad,
            "exit_status": report.exit_status,
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        lines = [report.sentence, *(f"- {p.what}" for p in report.problems), *(f"- {n}" for n in report.notes)]
        sys.stdout.write("\n".join(lines) + "\n")
    return report.exit_status


if __name__ == "__main__":
    sys.exit(main())
