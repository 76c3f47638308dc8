"""Connections to the database: one that writes, some that read (safety.md, decision 2)."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from sqlite3 import Connection
from urllib.parse import quote

from bot.errors import Broken, Busy, SendcatError

FILE = "sendcat.db"
BUSY_TIMEOUT_MS = 5_000

_WRITER: dict[str, int | str] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a committed transaction survives the machine, not only the process
    "foreign_keys": 1,
    "busy_timeout": BUSY_TIMEOUT_MS,
    "recursive_triggers": 1,  # so that REPLACE fires delete triggers
    "cell_size_check": 1,
}
_READER: dict[str, int | str] = {
    "query_only": 1,
    "busy_timeout": BUSY_TIMEOUT_MS,
    "wal_autocheckpoint": 0,
}

_DAMAGE = {
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is not a database",
    sqlite3.SQLITE_IOERR: "could not be read or written: the disk reports an error",
}
_TROUBLE = _DAMAGE | {
    sqlite3.SQLITE_FULL: "has no room: the disk is full",
    sqlite3.SQLITE_READONLY: "may not be written",
    sqlite3.SQLITE_PERM: "may not be opened",
    sqlite3.SQLITE_CANTOPEN: "could not be opened",
    sqlite3.SQLITE_NOMEM: "could not be used: out of memory",
}


class Unwritable(Broken):
    """Nothing can be recorded any more, or for now: so nothing may begin, and what runs ends (R38)."""


def writer(path: Path) -> Connection:
    """Open the connection that writes, creating the file with mode 0600 when it is missing.

    Raises `Broken` when one of the promises (WAL, FULL, foreign keys, busy time-out) does not hold.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    db = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    _promise(db, _WRITER)
    return db


def reader(path: Path) -> Connection:
    """Open a connection that only reads and never checkpoints; the file must exist."""
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
    )
    _promise(db, _READER)
    return db


def _promise(db: Connection, pragmas: dict[str, int | str]) -> None:
    try:
        for name, wanted in pragmas.items():
            db.execute(f"PRAGMA {name} = {wanted}").fetchall()
            got = db.execute(f"PRAGMA {name}").fetchone()
            if got is None or got[0] != wanted:
                raise Broken(
                    f"SQLite did not accept {name} = {wanted} (it says {got[0] if got else 'nothing'}).",
                    rule="the database is opened with WAL, FULL and foreign keys, on a local disk",
                    then="move state_dir to a local disk",
                )
    except BaseException:
        db.close()
        raise


def is_damage(error: BaseException) -> bool:
    """True when the file itself is in doubt: nothing may be written any more (R41)."""
    return _code(error) in _DAMAGE


def explain(error: BaseException) -> BaseException:
    """Turn trouble of the database into a sentence for a person; everything else stays what it is (R4, R38)."""
    if isinstance(error, SendcatError):
        return error
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy("Another process holds the database: nothing was recorded.", then="try again")
    if code in _TROUBLE:
        return Unwritable(
            f"The database {_TROUBLE[code]}; nothing was recorded and nothing was started.",
            rule="what cannot be recorded is not done",
            then="sendcat doctor",
        )
    return error


def _code(error: BaseException) -> int | None:
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None
