"""Artifacts: report files with their original names, each also a row (INTERFACES.md, section 5)."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from bot.clock import token
from bot.errors import Broken, Refused
from bot.store.tx import Tx

FIXED = frozenset({"slo-dashboard.json", "slo-dashboard.md", "slo-dashboard.html"})
"""Names that are written again and again (operator commands, section 8)."""
_REISSUED = "release-passport-"
"""A passport is issued anew at each look; every version keeps its own row."""
_GROWING = re.compile(r"checklist-i-[0-9]+\.(?:md|json)")
"""The report of an incident, which is written anew as long as people work on its checklist."""
_POOL = re.compile(r"chat-auth-pool-[A-Za-z0-9._-]{1,160}\.json")
"""A pool grows user by user, and its tokens are renewed; it holds live credentials and never leaves the machine."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def holds_secrets(name: str) -> bool:
    """Whether a file of this name holds credentials: it is written 0600, and never sent or attached (R36)."""
    return _POOL.fullmatch(name) is not None


@dataclass(frozen=True)
class Artifact:
    """A report on disk. ``name`` is inside the artifact directory, ``size`` in bytes, ``sha256`` of its bytes."""

    name: str
    sha256: str
    size: int
    kind: str
    started_ms: int
    target: str | None
    op: str | None


def write_file(
    directory: Path,
    name: str,
    payload: Mapping[str, Any] | list[Any] | str | bytes,
    *,
    kind: str,
    started_ms: int,
    target: str | None = None,
    op: str | None = None,
) -> Artifact:
    """Write a report: to a temporary name in the same folder, synced, then under its own name, whole or not at all.

    Objects become JSON as the original scripts write it: two spaces, no final newline. Blocks on the disk: call it off
    the event loop. Raises `Refused` for a name with a path in it or one that is taken, `Broken` when the disk refuses.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise Refused(f"{name!r} cannot be the name of an artifact.", rule="artifacts are plain names in one folder")
    if isinstance(payload, bytes):
        content = payload
    elif isinstance(payload, str):
        content = payload.encode()
    else:
        content = json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False).encode()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Broken(f"{name} cannot be written: {error.strerror}.", then="sendcat doctor") from error
    try:
        _place(directory, name, (content,))
    except FileExistsError:
        raise Refused(f"{name} exists already.", rule="a report is never overwritten") from None
    except OSError as error:
        raise Broken(f"{name} cannot be written: {error.strerror}.", then="sendcat doctor") from error
    return Artifact(name, hashlib.sha256(content).hexdigest(), len(content), kind, started_ms, target, op)


def write_parts(
    directory: Path,
    name: str,
    parts: Iterable[bytes],
    *,
    kind: str,
    started_ms: int,
    target: str | None = None,
    op: str | None = None,
) -> Artifact:
    """As `write_file`, for what is too long to be held in memory: written part by part, whole or not at all."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise Refused(f"{name!r} cannot be the name of an artifact.", rule="artifacts are plain names in one folder")
    sha, size = hashlib.sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for part in parts:
            sha.update(part)
            size += len(part)
            yield part

    try:
        directory.mkdir(parents=True, exist_ok=True)
        _place(directory, name, counted())
    except FileExistsError:
        raise Refused(f"{name} exists already.", rule="a report is never overwritten") from None
    except OSError as error:
        raise Broken(f"{name} cannot be written: {error.strerror}.", then="sendcat doctor") from error
    return Artifact(name, sha.hexdigest(), size, kind, started_ms, target, op)


def _place(directory: Path, name: str, content: Iterable[bytes]) -> None:
    final, draft = directory / name, directory / f".{name[:150]}.{token()[:8]}.tmp"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if name in FIXED or name.startswith(_REISSUED) or _GROWING.fullmatch(name) or holds_secrets(name):
            os.replace(draft, final)
        else:
            _name_once(draft, final)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
    folder = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _name_once(draft: Path, final: Path) -> None:
    """Give the file its name unless it is taken: a hard link decides that in one step, a rename would overwrite."""
    try:
        os.link(draft, final)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        if final.exists():
            raise FileExistsError(final) from error
        os.rename(draft, final)


def register(tx: Tx, artifact: Artifact) -> None:
    """Note a written report."""
    tx.db.execute(
        "INSERT INTO artifacts (name, sha256, size, kind, started_ms, target, op, at_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            artifact.name,
            artifact.sha256,
            artifact.size,
            artifact.kind,
            artifact.started_ms,
            artifact.target,
            artifact.op,
            tx.now_ms,
        ),
    )


_COLUMNS = "name, sha256, size, kind, started_ms, target, op"


def latest(conn: Connection, kind: str, target: str | None = None) -> Artifact | None:
    """The report of a kind that was started last, on one target or on any; by time, not by name."""
    return next(iter(listing(conn, kind, target, limit=1)), None)


def listing(
    conn: Connection, kind: str | None = None, target: str | None = None, limit: int = 50
) -> tuple[Artifact, ...]:
    """Reports, the last started first; of a file that is written again only the newest."""
    rows = conn.execute(
        f"""
        SELECT {_COLUMNS} FROM artifacts a
        WHERE (:kind IS NULL OR kind = :kind) AND (:target IS NULL OR target = :target)
          AND id = (SELECT max(id) FROM artifacts b WHERE b.name = a.name)
        ORDER BY started_ms DESC, id DESC LIMIT :limit
        """,
        {"kind": kind, "target": target, "limit": limit},
    )
    return tuple(Artifact(*row) for row in rows)


def around(conn: Connection, kind: str, target: str, at_ms: int) -> tuple[Artifact, ...]:
    """The report nearest to a moment that was started before it, then the first one after it, as far as there are."""
    before = f"SELECT {_COLUMNS} FROM artifacts WHERE kind = ? AND target = ? AND started_ms <= ? "
    after = f"SELECT {_COLUMNS} FROM artifacts WHERE kind = ? AND target = ? AND started_ms > ? "
    rows = conn.execute(before + "ORDER BY started_ms DESC, id DESC LIMIT 1", (kind, target, at_ms)).fetchall()
    rows += conn.execute(after + "ORDER BY started_ms, id LIMIT 1", (kind, target, at_ms)).fetchall()
    return tuple(Artifact(*row) for row in rows)


def owners(conn: Connection, kinds: tuple[str, ...]) -> dict[str, tuple[str | None, str]]:
    """Target and digest of every report of these kinds, by name."""
    marks = ", ".join("?" * len(kinds))
    rows = conn.execute(f"SELECT name, target, sha256 FROM artifacts WHERE kind IN ({marks}) ORDER BY id", kinds)
    return {name: (target, sha256) for name, target, sha256 in rows}


def named(conn: Connection, name: str) -> Artifact | None:
    """The newest report of this name."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM artifacts WHERE name = ? ORDER BY id DESC LIMIT 1", (name,)).fetchone()
    return None if row is None else Artifact(*row)
