"""Is the database that lies here the one we left? Asked at start, before anything is written (safety.md, R41)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

from bot.store import audit, checkpoints, connection, epochs, migrations

TAIL = 1_000
"""So many records at the end of the audit trail are checked at each start; `audit verify` checks all."""
GUARDS = frozenset({"audit_only_next", "audit_no_update", "audit_no_delete"})


def damage(path: Path, known_epoch: int) -> str | None:
    """A sentence that says what is wrong with the database, or None. Changes neither the file nor its log.

    ``known_epoch`` is what the lock file remembers: a missing database, or an older one put back, is noticed by it.
    """
    if not path.exists() or path.stat().st_size == 0:
        if known_epoch:
            return f"The database {path.name} is missing, though the bot has started here {known_epoch} times."
        return None
    try:
        with closing(connection.reader(path)) as conn:
            return look(conn, path.name, known_epoch) or checkpoints.damage(conn, path.parent)
    except sqlite3.DatabaseError as error:
        return f"The database {path.name} is damaged or not a database ({error})."


def look(conn: Connection, name: str, known_epoch: int) -> str | None:
    """The same of an open database, without its anchors."""
    found = conn.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        return f"The database {name} is damaged ({' '.join(str(found).split())})."
    schema = {row[0] for row in conn.execute("SELECT name FROM sqlite_schema")}
    if "epochs" not in schema:
        started = schema <= {migrations.TABLE, f"idx_{migrations.TABLE}_migration_set_name"}
        if started and not known_epoch:
            return None  # a first start that was cut short before its first migration
        return f"The file {name} is not our database."
    if newer := migrations.unknown(conn):
        return f"The database {name} was written by a newer sendcat (it knows {', '.join(newer)})."
    if missing := GUARDS - schema:
        return f"The guards of the audit trail are missing ({', '.join(sorted(missing))})."
    if (newest := epochs.newest(conn)) < known_epoch:
        return f"The database {name} is older than this folder (start {newest} of {known_epoch})."
    if (bad := audit.first_bad(conn, TAIL)) is not None:
        return f"The audit trail does not hold together at record {bad}."
    return None
