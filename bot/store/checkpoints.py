"""Checkpoints: signed statements of how long the audit trail was and how it ended (decision 11; R39, R40).

One is a line ``sendcat-audit-1 KIND ORIGIN SIZE HEAD AT_MS SIGNATURE``. It is a row here, a line of the anchor file and
a message in the anchor channel. The row comes first, in a transaction after the records it speaks of: so no anchor ever
tells of a record that was not committed. ``restore`` says that a backup was put back by a person.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Literal

from bot.errors import Broken
from bot.store import audit, signing
from bot.store.signing import Signer
from bot.store.tx import Tx

FILE = "anchors.txt"
WORD = "sendcat-audit-1"
_LINE = re.compile(
    rf"({WORD} (checkpoint|restore) (\S{{1,80}}) (\d{{1,15}}) ([0-9a-f]{{64}}) (\d{{1,15}})) ([A-Za-z0-9+/]{{86}}==)"
)

Kind = Literal["checkpoint", "restore"]


@dataclass(frozen=True)
class Checkpoint:
    """``size`` records, the last with the hash ``head``, at ``at_ms`` (ms UTC). ``n`` counts checkpoints from 1."""

    n: int
    kind: str
    size: int
    head: str
    at_ms: int
    why: str
    line: str


_COLUMNS = "n, kind, size, head, at_ms, why, line"


def make(tx: Tx, signer: Signer, why: str, *, kind: Kind = "checkpoint", after_ms: int = -1) -> Checkpoint | None:
    """Sign how the trail stands; None when there is nothing newer than the last checkpoint.

    The time of a checkpoint is later than that of the one before, whatever the clock says: their order is a fact.
    ``after_ms`` is the time of the last one that is only filed, after a backup was put back.
    """
    size, head = audit.head(tx.db)
    last = latest(tx.db)
    if size == 0 or (last is not None and last.size == size):
        return None
    at_ms = max(tx.now_ms, last.at_ms + 1 if last else 0, after_ms + 1)
    text = f"{WORD} {kind} {signer.origin} {size} {head} {at_ms}"
    line = f"{text} {signer.sign(text)}"
    row = tx.db.execute(
        f"INSERT INTO checkpoints (kind, size, head, at_ms, why, line) VALUES (?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
        (kind, size, head, at_ms, why[:200], line),
    ).fetchone()
    return Checkpoint(*row)


def latest(conn: Connection) -> Checkpoint | None:
    """The newest checkpoint."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM checkpoints ORDER BY n DESC LIMIT 1").fetchone()
    return None if row is None else Checkpoint(*row)


def covering(conn: Connection, seq: int) -> Checkpoint | None:
    """The first checkpoint that vouches for a record, or None: not yet anchored."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM checkpoints WHERE size >= ? ORDER BY size LIMIT 1", (seq,)).fetchone()
    return None if row is None else Checkpoint(*row)


def unanchored(conn: Connection) -> int:
    """How many records are newer than the newest checkpoint."""
    last = latest(conn)
    return audit.head(conn)[0] - (last.size if last else 0)


def oldest_fresh_ms(conn: Connection) -> int | None:
    """When the oldest record was written that no checkpoint vouches for; None when there is none."""
    last = latest(conn)
    row = conn.execute("SELECT at_ms FROM audit WHERE seq = ?", (last.size + 1 if last else 1,)).fetchone()
    return None if row is None else int(row[0])


@dataclass(frozen=True)
class Fact:
    """What a record is about, in four words; ``subject`` is the first one of its object."""

    action: str
    phase: str
    outcome: str
    subject: str


def fresh(conn: Connection, limit: int = 200) -> tuple[Fact, ...]:
    """What the records are about that no checkpoint vouches for, newest first."""
    last = latest(conn)
    rows = conn.execute(
        "SELECT action, phase, coalesce(outcome, ''), coalesce(object, '') FROM audit "
        "WHERE seq > ? ORDER BY seq DESC LIMIT ?",
        (last.size if last else 0, limit),
    )
    return tuple(Fact(action, phase, outcome, words.partition(" ")[0]) for action, phase, outcome, words in rows)


def number_of(conn: Connection, line: str) -> int:
    """The number of the checkpoint with this line; 0 when it is none of ours."""
    found = _LINE.fullmatch(line)
    size = int(found[4]) if found else 0
    row = conn.execute("SELECT n FROM checkpoints WHERE size = ? AND line = ?", (size, line)).fetchone()
    return 0 if row is None else int(row[0])


def lines_after(conn: Connection, n: int) -> tuple[tuple[int, str], ...]:
    """Number and line of every checkpoint after a number, in order."""
    return tuple(conn.execute("SELECT n, line FROM checkpoints WHERE n > ? ORDER BY n", (n,)))


# The anchor file. It is only ever added to.


def filed(state_dir: Path) -> tuple[str, ...]:
    """The whole lines of the anchor file; one that was cut by a crash does not count. Blocks on the disk."""
    try:
        text = (state_dir / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    lines = text.split("\n")
    return tuple(line for line in lines[:-1] if line)


def append(state_dir: Path, lines: tuple[str, ...]) -> None:
    """Add lines to the anchor file, synced to the disk; a line that a crash cut is ended first. Blocks on the disk.

    Raises `Broken` when the disk refuses.
    """
    path = state_dir / FILE
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            content = ("\n" if torn else "") + "".join(f"{line}\n" for line in lines)
            rest = content.encode()
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        if size == 0:
            _sync_folder(state_dir)
    except OSError as error:
        raise Broken(
            f"The anchor file {path.name} cannot be written: {error.strerror}.",
            rule="around every change the audit trail is anchored (R40)",
            then="sendcat doctor",
        ) from error


@dataclass(frozen=True)
class Filed:
    """One line of the anchor file that our key has signed."""

    size: int
    head: str
    at_ms: int


def in_force(state_dir: Path) -> tuple[Filed, ...]:
    """What the anchor file states, in its order; a restore makes those of a longer trail before it void.

    Lines that our key has not signed are left out. Blocks on the disk.
    """
    public = signing.public_key(state_dir)
    if public is None:
        return ()
    found: list[Filed] = []
    for text in filed(state_dir):
        line = _LINE.fullmatch(text)
        if line is None or not signing.signed(public, line[1], line[7]):
            continue
        one = Filed(int(line[4]), line[5], int(line[6]))
        if line[2] == "restore":
            found = [former for former in found if former.size < one.size]
        found.append(one)
    return tuple(found)


def damage(conn: Connection, state_dir: Path) -> str | None:
    """Compare the trail with the last anchor, at start (R41): a sentence that says what is wrong, or None."""
    known = conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'checkpoints'").fetchone() is not None
    try:
        lines = filed(state_dir)
    except OSError as error:
        return f"The anchor file {FILE} cannot be read ({error.strerror})."
    if not lines:
        if known and latest(conn) is not None and not (state_dir / FILE).exists():
            return f"The anchor file {FILE} is missing, though checkpoints were written into it."
        return None
    found = _LINE.fullmatch(lines[-1])
    if found is None:
        return f"The last line of the anchor file {FILE} is no anchor."
    text, _, _, size, head, _, signature = found.groups()
    public = signing.public_key(state_dir)
    if public is None:
        return f"The public key {signing.PUBLIC} is missing or damaged, though the audit trail was anchored."
    if not signing.signed(public, text, signature):
        return f"The last line of the anchor file {FILE} is not signed by our key."
    row = conn.execute("SELECT hash FROM audit WHERE seq = ?", (int(size),)).fetchone()
    if row is None:
        have = audit.head(conn)[0]
        return (
            f"The audit trail was cut off, or an older one was put back: it has {have} records, {size} were anchored."
        )
    if row[0] != head:
        return f"The audit trail was written anew: record {size} is not the one that was anchored."
    return None


def _sync_folder(directory: Path) -> None:
    folder = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
