"""Backups: whole copies of the database, made by SQLite's own backup while the bot goes on (safety.md, R39, R41).

A backup is one file, ``backups/sendcat-<stamp>.db`` in the state folder (0600), without a log beside it, so that it can
be carried away, verified offline, and put back. It is complete or not there: a draft becomes a backup by its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import Broken, Unknown
from bot.store import audit, connection, health

FOLDER = "backups"
_NAME = re.compile(r"sendcat-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z)\.db")


@dataclass(frozen=True)
class Backup:
    """One backup: when it was made (ms UTC), how many audit records it holds, and the hash of the last one."""

    name: str
    path: Path
    at_ms: int
    size: int
    records: int
    head: str


def copy(state_dir: Path, target: Path) -> None:
    """Copy the database as it stands now, consistent and without a log. Blocks on the disk; raises `Broken`.

    The writer goes on meanwhile: the copy is one reader's snapshot. ``target`` must not exist.
    """
    source = state_dir / connection.FILE
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        with closing(connection.reader(source)) as from_, closing(sqlite3.connect(target)) as to:
            from_.backup(to)
            to.execute("PRAGMA journal_mode = DELETE").fetchone()
        sync(target)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            target.unlink()
        raise Broken(
            f"The database cannot be copied: {error}.", then="is there room on the disk? sendcat doctor"
        ) from error


def make(state_dir: Path, now_ms: int) -> Backup:
    """Make a backup and look at it: what is not whole is no backup. Blocks on the disk; raises `Broken`."""
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H-%M-%S")
    name = f"sendcat-{stamp}-{now_ms % 1000:03d}Z.db"
    draft = folder / f".{name}.tmp"
    draft.unlink(missing_ok=True)
    copy(state_dir, draft)
    if wrong := whole(draft):
        draft.unlink()
        raise Broken(f"The copy is not whole: {wrong}", then="sendcat audit verify")
    final = folder / name
    os.rename(draft, final)
    sync(folder)
    return look(final)


def whole(path: Path) -> str | None:
    """A sentence that says why a file is no whole database of ours, or None."""
    try:
        with closing(open_(path)) as conn:
            return health.look(conn, path.name, 0)
    except sqlite3.DatabaseError as error:
        return f"{path.name} is damaged or not a database ({error})."


def look(path: Path) -> Backup:
    """What a backup holds; raises `Broken` when it cannot be read."""
    found = _NAME.fullmatch(path.name)
    made = datetime.strptime(found[1], "%Y-%m-%dT%H-%M-%S-%fZ").replace(tzinfo=UTC) if found else None
    try:
        with closing(open_(path)) as conn:
            records, head = audit.head(conn)
        size = path.stat().st_size
        at_ms = round((made.timestamp() if made else path.stat().st_mtime) * 1000)
    except (sqlite3.Error, OSError) as error:
        raise Broken(f"The backup {path.name} cannot be read: {error}.", then="sendcat audit restore") from error
    return Backup(path.name, path, at_ms, size, records, head)


def listing(state_dir: Path) -> tuple[Path, ...]:
    """The backups of a folder, newest first."""
    folder = state_dir / FOLDER
    names = (
        sorted((p.name for p in folder.iterdir() if _NAME.fullmatch(p.name)), reverse=True) if folder.is_dir() else ()
    )
    return tuple(folder / name for name in names)


def named(state_dir: Path, name: str) -> Path:
    """The backup of this name, or ``newest``. Raises `Unknown` with what there is."""
    known = listing(state_dir)
    if name == "newest" and known:
        return known[0]
    for path in known:
        if path.name in (name, f"sendcat-{name}.db"):
            return path
    there = ", ".join(path.name for path in known[:5]) or "none yet"
    raise Unknown(f"There is no backup of this name. Backups: {there}.", then="sendcat audit restore")


def prune(state_dir: Path, keep: int) -> tuple[str, ...]:
    """Remove all but the newest ``keep`` backups; returns the names of those that went."""
    old = listing(state_dir)[max(1, keep) :]
    for path in old:
        path.unlink(missing_ok=True)
    return tuple(path.name for path in old)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_(path: Path) -> sqlite3.Connection:
    """A file that nobody changes."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
