"""The tables, as small named functions that are applied in order and never changed afterwards.

To change a table, add a function at the end. Every table is STRICT, times are integer ms UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils.db import Database

SET = "sendcat"
TABLE = "_sqlite_migrations"


def first(db: Database) -> None:
    """Epochs, inbox, operations, audit trail, outbox, offers, artifacts, schedule, settings."""
    for statement in _FIRST:
        db.conn.execute(statement)


def checkpoints(db: Database) -> None:
    """Signed checkpoints of the audit trail."""
    for statement in _CHECKPOINTS:
        db.conn.execute(statement)


def audit_search(db: Database) -> None:
    """What the search of the audit trail stands on: indexes, words of what was acted on, hours."""
    for statement in _AUDIT_SEARCH:
        db.conn.execute(statement)


ALL: tuple[Callable[[Database], None], ...] = (first, checkpoints, audit_search)
"""In order, append only."""


def apply(connection: Connection) -> None:
    """Apply what is pending, each migration in its own transaction together with the note that it was applied."""
    if unknown(connection) == () and len(_applied(connection)) == len(ALL):
        return
    from sqlite_utils.db import Database  # costs 0.2 s, and is needed once in the life of a database
    from sqlite_utils.migrations import Migrations

    migrations = Migrations(SET)
    for step in ALL:
        migrations(name=step.__name__)(step)
    migrations.apply(Database(connection, execute_plugins=False, strict=True))


def unknown(connection: Connection) -> tuple[str, ...]:
    """Migrations that a newer program has applied and this one does not know."""
    known = {step.__name__ for step in ALL}
    return tuple(name for name in _applied(connection) if name not in known)


def _applied(connection: Connection) -> tuple[str, ...]:
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (TABLE,)).fetchone() is None:
        return ()
    rows = connection.execute(f"SELECT name FROM {TABLE} WHERE migration_set = ? ORDER BY rowid", (SET,))
    return tuple(name for (name,) in rows)


_FIRST = (
    """
    CREATE TABLE epochs (
        epoch INTEGER PRIMARY KEY CHECK (epoch > 0),
        pid INTEGER NOT NULL,
        started_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        clean INTEGER NOT NULL DEFAULT 0 CHECK (clean IN (0, 1))
    ) STRICT
    """,
    """
    CREATE TABLE counters (
        name TEXT PRIMARY KEY,
        last INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL CHECK (json_valid(value)),
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE ops (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        command TEXT NOT NULL,
        line TEXT NOT NULL,
        fields TEXT NOT NULL CHECK (json_valid(fields)),
        asker TEXT NOT NULL CHECK (json_valid(asker)),
        place TEXT NOT NULL CHECK (json_valid(place)),
        target TEXT,
        digest TEXT NOT NULL CHECK (length(digest) = 64),
        state TEXT NOT NULL CHECK (state IN
            ('accepted', 'running', 'done', 'failed', 'stopped', 'interrupted', 'refused')),
        waits_for TEXT,
        verdict TEXT,
        exit_status INTEGER,
        created_ms INTEGER NOT NULL,
        started_ms INTEGER,
        finished_ms INTEGER,
        epoch INTEGER NOT NULL REFERENCES epochs (epoch),
        card TEXT CHECK (card IS NULL OR json_valid(card)),
        data TEXT CHECK (data IS NULL OR json_valid(data)),
        channel TEXT GENERATED ALWAYS AS (json_extract(place, '$.channel')) VIRTUAL
    ) STRICT
    """,
    "CREATE INDEX ops_open ON ops (state, command) WHERE state IN ('accepted', 'running')",
    "CREATE INDEX ops_by_command ON ops (command, n)",
    "CREATE INDEX ops_by_target ON ops (target, n)",
    """
    CREATE TABLE inbox (
        key TEXT PRIMARY KEY CHECK (length(key) = 64),
        op TEXT REFERENCES ops (id),
        asker TEXT NOT NULL CHECK (json_valid(asker)),
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX inbox_by_time ON inbox (at_ms)",
    """
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        prev_hash TEXT NOT NULL CHECK (length(prev_hash) = 64),
        hash TEXT NOT NULL CHECK (length(hash) = 64),
        body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.seq') = seq),
        at_ms INTEGER GENERATED ALWAYS AS (json_extract(body, '$.at_ms')) VIRTUAL,
        actor TEXT GENERATED ALWAYS AS (json_extract(body, '$.actor')) VIRTUAL,
        person TEXT GENERATED ALWAYS AS (json_extract(body, '$.person')) VIRTUAL,
        door TEXT GENERATED ALWAYS AS (json_extract(body, '$.door')) VIRTUAL,
        phase TEXT GENERATED ALWAYS AS (json_extract(body, '$.phase')) VIRTUAL,
        action TEXT GENERATED ALWAYS AS (json_extract(body, '$.action')) VIRTUAL,
        object TEXT GENERATED ALWAYS AS (json_extract(body, '$.object')) VIRTUAL,
        target TEXT GENERATED ALWAYS AS (json_extract(body, '$.target')) VIRTUAL,
        op TEXT GENERATED ALWAYS AS (json_extract(body, '$.op')) VIRTUAL,
        outcome TEXT GENERATED ALWAYS AS (json_extract(body, '$.outcome')) VIRTUAL,
        CHECK (at_ms IS NOT NULL AND actor IS NOT NULL AND action IS NOT NULL),
        CHECK (phase IN ('intent', 'result', 'decision', 'refusal', 'system'))
    ) STRICT
    """,
    # A BEFORE INSERT trigger runs before a conflict is resolved: REPLACE cannot reach a row that exists, whatever
    # the connection says about recursive triggers. No other column is UNIQUE, for the same reason.
    """
    CREATE TRIGGER audit_only_next BEFORE INSERT ON audit
    WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
      OR NEW.prev_hash IS NOT coalesce((SELECT hash FROM audit ORDER BY seq DESC LIMIT 1), printf('%064d', 0))
    BEGIN SELECT RAISE(ABORT, 'the audit trail takes the next record only'); END
    """,
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append only'); END
    """,
    "CREATE INDEX audit_by_op ON audit (op, seq) WHERE op IS NOT NULL",
    "CREATE INDEX audit_by_action ON audit (action, seq)",
    """
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('card', 'reply', 'ephemeral', 'file')),
        card TEXT CHECK (card IS NULL OR json_valid(card)),
        text TEXT NOT NULL,
        file TEXT,
        thread_of TEXT REFERENCES outbox (key),
        thread_ts TEXT,
        user TEXT CHECK (kind <> 'ephemeral' OR user IS NOT NULL),
        op TEXT REFERENCES ops (id),
        urgent INTEGER NOT NULL CHECK (urgent IN (0, 1)),
        final INTEGER NOT NULL CHECK (final IN (0, 1)),
        revision INTEGER NOT NULL DEFAULT 1,
        sent_revision INTEGER NOT NULL DEFAULT 0,
        generation INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL CHECK (state IN ('due', 'sending', 'sent', 'unclear', 'failed')),
        ts TEXT,
        replaced_ts TEXT,
        due_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        reason TEXT,
        created_ms INTEGER NOT NULL,
        sent_ms INTEGER
    ) STRICT
    """,
    "CREATE INDEX outbox_waiting ON outbox (id) WHERE state IN ('due', 'sending', 'unclear')",
    """
    CREATE TABLE offers (
        id TEXT PRIMARY KEY CHECK (length(id) = 32),
        name TEXT NOT NULL,
        line TEXT NOT NULL,
        op TEXT REFERENCES ops (id),
        channel TEXT,
        decision INTEGER NOT NULL CHECK (decision IN (0, 1)),
        expires_ms INTEGER CHECK (expires_ms IS NOT NULL OR decision = 0),
        minted_ms INTEGER NOT NULL,
        used_by TEXT,
        used_ms INTEGER CHECK ((used_ms IS NULL) = (used_by IS NULL)),
        superseded_ms INTEGER,
        reason TEXT
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX offers_by_op ON offers (op, name)",
    """
    CREATE TABLE artifacts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
        size INTEGER NOT NULL CHECK (size >= 0),
        kind TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        target TEXT,
        op TEXT REFERENCES ops (id),
        at_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX artifacts_by_kind ON artifacts (kind, target, started_ms)",
    "CREATE INDEX artifacts_by_name ON artifacts (name)",
    """
    CREATE TABLE slots (
        schedule TEXT NOT NULL,
        slot_ms INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        op TEXT REFERENCES ops (id),
        PRIMARY KEY (schedule, slot_ms)
    ) STRICT, WITHOUT ROWID
    """,
)

_CHECKPOINTS = (
    """
    CREATE TABLE checkpoints (
        n INTEGER PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('checkpoint', 'restore')),
        size INTEGER NOT NULL CHECK (size > 0),
        head TEXT NOT NULL CHECK (length(head) = 64),
        at_ms INTEGER NOT NULL,
        why TEXT NOT NULL,
        line TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX checkpoints_by_size ON checkpoints (size)",
    """
    CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
    BEGIN SELECT RAISE(ABORT, 'checkpoints are append only'); END
    """,
    """
    CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
    BEGIN SELECT RAISE(ABORT, 'checkpoints are append only'); END
    """,
)

# Words and hours are an index, not evidence: triggers derive them from the record, and the verifier reads neither.
_FILL_WORDS = """
    INSERT OR IGNORE INTO audit_words (word, seq)
    SELECT value, {row}.seq
    FROM json_each('[' || replace(replace(replace(replace(
        json_quote({row}.object), ',', '","'), ' ', '","'), '=', '","'), ';', '","') || ']')
    WHERE length(value) BETWEEN 2 AND 100
    UNION ALL
    SELECT iif(typeof(key) = 'text', key, value), {row}.seq FROM json_each({row}.body, '$.detail.knobs')
"""
_AUDIT_SEARCH = (
    "CREATE INDEX audit_by_person ON audit (person, seq) WHERE person IS NOT NULL",
    "CREATE INDEX audit_by_actor ON audit (actor, seq)",
    "CREATE INDEX audit_by_target ON audit (target, seq) WHERE target IS NOT NULL",
    "CREATE INDEX audit_by_phase ON audit (phase, seq)",
    "CREATE TABLE audit_words (word TEXT, seq INTEGER, PRIMARY KEY (word, seq)) STRICT, WITHOUT ROWID",
    """
    CREATE TABLE audit_hours (
        hour INTEGER PRIMARY KEY,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL
    ) STRICT
    """,
    _FILL_WORDS.format(row="audit").replace("FROM json_each", "FROM audit, json_each"),
    "INSERT INTO audit_hours SELECT at_ms / 3600000, min(seq), max(seq) FROM audit GROUP BY 1",
    f"""
    CREATE TRIGGER audit_indexed AFTER INSERT ON audit
    BEGIN
        {_FILL_WORDS.format(row="NEW")};
        INSERT INTO audit_hours (hour, first, last) VALUES (NEW.at_ms / 3600000, NEW.seq, NEW.seq)
        ON CONFLICT (hour) DO UPDATE SET last = excluded.last;
    END
    """,
)
