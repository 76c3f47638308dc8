"""The tables, as small named functions that are applied in order and never changed afterwards.

To change a table, add a function at the end. Every table is STRICT, times are integer ms UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from sqlite3 import Connection
from typing import TYPE_CHECKING

from bot.store import audit_tables, gameday_tables, incident_tables

if TYPE_CHECKING:
    from sqlite_utils.db import Database

SET = "sendcat"
TABLE = "_sqlite_migrations"


def first(db: Database) -> None:
    """Epochs, inbox, operations, audit trail, outbox, offers, artifacts, schedule, settings."""
    for statement in _FIRST:
        db.conn.execute(statement)


def forms(db: Database) -> None:
    """A button may ask before it acts: the form stands with its offer."""
    db.conn.execute("ALTER TABLE offers ADD COLUMN form TEXT")


def walks(db: Database) -> None:
    """Playbooks under way, step by step."""
    for statement in _WALKS:
        db.conn.execute(statement)


def cases(db: Database) -> None:
    """Cases that people decide on, and their decisions; both keep what was written."""
    for statement in _CASES:
        db.conn.execute(statement)


def changes(db: Database) -> None:
    """Tuning changes, the knobs they move, and break-glass grants."""
    for statement in _CHANGES:
        db.conn.execute(statement)


def pins(db: Database) -> None:
    """A message may be pinned: whether it should be, whether Slack has it so, and when to try again."""
    db.conn.execute("ALTER TABLE outbox ADD COLUMN pin INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("ALTER TABLE outbox ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("ALTER TABLE outbox ADD COLUMN pin_due_ms INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("CREATE INDEX outbox_pins ON outbox (channel, id) WHERE pin OR pinned")


def incidents(db: Database) -> None:
    """Incidents, their timelines, checklists and reminders."""
    for statement in incident_tables.STATEMENTS:
        db.conn.execute(statement)


def checkpoints(db: Database) -> None:
    """Signed checkpoints of the audit trail."""
    for statement in audit_tables.CHECKPOINTS:
        db.conn.execute(statement)


def audit_search(db: Database) -> None:
    """What the search of the audit trail stands on: indexes, words of what was acted on, hours."""
    for statement in audit_tables.SEARCH:
        db.conn.execute(statement)


def game_days(db: Database) -> None:
    """Action items of game days, and faults that were woven into practice."""
    for statement in gameday_tables.STATEMENTS:
        db.conn.execute(statement)


def audit_words(db: Database) -> None:
    """The search finds words whatever their letters, also those of reasons; and how things ended."""
    for statement in audit_tables.WORDS:
        db.conn.execute(statement)


def bookmarks(db: Database) -> None:
    """The bookmark that leads to a pinned message, by Slack's id, so that it goes when the pin goes."""
    db.conn.execute("ALTER TABLE outbox ADD COLUMN bookmark TEXT")


ALL: tuple[Callable[[Database], None], ...] = (
    first,
    forms,
    walks,
    cases,
    changes,
    pins,
    incidents,
    checkpoints,
    audit_search,
    game_days,
    audit_words,
    bookmarks,
)
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

_CHANGES = (
    """
    CREATE TABLE changes (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL,
        deployment TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('proposed', 'approved', 'taken', 'intent', 'ambiguous', 'written', 'confirmed', 'settling', 'retested',
             'undoing', 'reverting', 'doubtful', 'unknown',
             'kept', 'undone', 'rejected', 'expired', 'void', 'failed')),
        line TEXT NOT NULL,
        why TEXT NOT NULL,
        steps TEXT NOT NULL CHECK (json_valid(steps)),
        notes TEXT NOT NULL CHECK (json_valid(notes)),
        second TEXT NOT NULL CHECK (json_valid(second)),
        policy TEXT NOT NULL CHECK (length(policy) = 64),
        binding TEXT NOT NULL CHECK (length(binding) = 64),
        op TEXT NOT NULL REFERENCES ops (id),
        proposer TEXT NOT NULL CHECK (json_valid(proposer)),
        approver TEXT CHECK (approver IS NULL OR json_valid(approver)),
        approved_ms INTEGER CHECK ((approved_ms IS NULL) = (approver IS NULL)),
        break_glass TEXT,
        before TEXT CHECK (before IS NULL OR json_valid(before)),
        after TEXT CHECK (after IS NULL OR json_valid(after)),
        retest TEXT CHECK (retest IS NULL OR json_valid(retest)),
        verdict TEXT CHECK (verdict IN ('BETTER', 'SAME', 'WORSE', 'INCOMPLETE')),
        undo_by TEXT CHECK (undo_by IS NULL OR json_valid(undo_by)),
        undo_why TEXT,
        undo_knobs TEXT CHECK (undo_knobs IS NULL OR json_valid(undo_knobs)),
        note TEXT NOT NULL DEFAULT '',
        attempts INTEGER NOT NULL DEFAULT 0,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        sent_ms INTEGER,
        due_ms INTEGER,
        raised_ms INTEGER,
        updated_ms INTEGER NOT NULL,
        epoch INTEGER NOT NULL REFERENCES epochs (epoch),
        CHECK (state IN ('proposed', 'rejected', 'expired', 'void') OR approver IS NOT NULL),
        CHECK (state NOT IN ('ambiguous', 'doubtful', 'unknown', 'settling') OR due_ms IS NOT NULL)
    ) STRICT
    """,
    # One change set at a time: the lock is a row, so a crash cannot leave it behind without an owner and a reason.
    """
    CREATE UNIQUE INDEX changes_one_open ON changes (target) WHERE state NOT IN
        ('kept', 'undone', 'rejected', 'expired', 'void', 'failed')
    """,
    "CREATE INDEX changes_by_target ON changes (target, n)",
    # What was approved is what is applied.
    """
    CREATE TRIGGER changes_are_bound BEFORE UPDATE ON changes
    WHEN NEW.id IS NOT OLD.id OR NEW.target IS NOT OLD.target OR NEW.deployment IS NOT OLD.deployment
      OR NEW.steps IS NOT OLD.steps OR NEW.policy IS NOT OLD.policy OR NEW.binding IS NOT OLD.binding
      OR NEW.proposer IS NOT OLD.proposer
      OR (OLD.approver IS NOT NULL AND NEW.approver IS NOT OLD.approver)
    BEGIN SELECT RAISE(ABORT, 'a change is bound to what was proposed and approved'); END
    """,
    """
    CREATE TRIGGER changes_stay BEFORE DELETE ON changes
    BEGIN SELECT RAISE(ABORT, 'changes are kept for ever'); END
    """,
    """
    CREATE TABLE change_knobs (
        change TEXT NOT NULL REFERENCES changes (id),
        knob TEXT NOT NULL,
        stored TEXT,
        before TEXT NOT NULL CHECK (json_valid(before)),
        text TEXT NOT NULL,
        after TEXT NOT NULL CHECK (json_valid(after)),
        PRIMARY KEY (change, knob)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX change_knobs_by_knob ON change_knobs (knob, change)",
    """
    CREATE TABLE break_glass (
        id TEXT PRIMARY KEY,
        change TEXT NOT NULL REFERENCES changes (id),
        by TEXT NOT NULL CHECK (json_valid(by)),
        why TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        reviewer TEXT CHECK (reviewer IS NULL OR json_valid(reviewer)),
        finding TEXT,
        reviewed_ms INTEGER CHECK ((reviewed_ms IS NULL) = (reviewer IS NULL))
    ) STRICT, WITHOUT ROWID
    """,
)

_WALKS = (
    """
    CREATE TABLE walks (
        id TEXT PRIMARY KEY,
        page TEXT NOT NULL,
        target TEXT NOT NULL,
        channel TEXT,
        card_op TEXT NOT NULL REFERENCES ops (id),
        by TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        before TEXT,
        seen TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(seen)),
        ended_ms INTEGER,
        ended_by TEXT CHECK ((ended_ms IS NULL) = (ended_by IS NULL))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX walks_open ON walks (page, target, coalesce(channel, '')) WHERE ended_ms IS NULL",
    """
    CREATE TABLE walk_steps (
        walk TEXT NOT NULL REFERENCES walks (id),
        number INTEGER NOT NULL CHECK (number > 0),
        state TEXT NOT NULL CHECK (state IN ('open', 'running', 'done', 'skipped', 'failed', 'unclear')),
        by TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        op TEXT REFERENCES ops (id),
        lines TEXT NOT NULL CHECK (json_valid(lines)),
        PRIMARY KEY (walk, number)
    ) STRICT, WITHOUT ROWID
    """,
)

_CASES = (
    """
    CREATE TABLE cases (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        op TEXT NOT NULL REFERENCES ops (id),
        target TEXT,
        subject TEXT NOT NULL,
        commit_ref TEXT,
        verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'FAIL', 'INCOMPLETE')),
        waivable TEXT NOT NULL CHECK (json_valid(waivable)),
        blocked TEXT NOT NULL,
        needs_reason INTEGER NOT NULL CHECK (needs_reason IN (0, 1)),
        starter TEXT NOT NULL,
        starter_person TEXT,
        binding TEXT NOT NULL CHECK (json_valid(binding)),
        digest TEXT NOT NULL CHECK (length(digest) = 64),
        made_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL,
        void_ms INTEGER,
        void_reason TEXT CHECK ((void_reason IS NULL) = (void_ms IS NULL)),
        drawn TEXT,
        card TEXT CHECK (card IS NULL OR json_valid(card))
    ) STRICT
    """,
    "CREATE INDEX cases_by_subject ON cases (kind, subject, n)",
    "CREATE INDEX cases_drawn ON cases (drawn) WHERE drawn IS NOT NULL",
    """
    CREATE TRIGGER cases_written_once BEFORE UPDATE OF
        n, id, kind, op, target, subject, commit_ref, verdict, waivable, blocked, needs_reason, starter,
        starter_person, binding, digest, made_ms, expires_ms, card ON cases
    BEGIN SELECT RAISE(ABORT, 'a case is written once'); END
    """,
    """
    CREATE TRIGGER cases_void_once BEFORE UPDATE OF void_ms, void_reason ON cases WHEN OLD.void_ms IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'a case becomes void once'); END
    """,
    """
    CREATE TRIGGER cases_kept BEFORE DELETE ON cases
    BEGIN SELECT RAISE(ABORT, 'a case is kept'); END
    """,
    """
    CREATE TABLE decisions (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        case_id TEXT NOT NULL REFERENCES cases (id),
        verb TEXT NOT NULL CHECK (verb IN ('approve', 'reject', 'revoke', 'waive', 'promote', 'roll-back')),
        by_account TEXT NOT NULL,
        by_person TEXT,
        reason TEXT NOT NULL,
        scenario TEXT CHECK ((scenario IS NOT NULL) = (verb = 'waive')),
        at_ms INTEGER NOT NULL,
        until_ms INTEGER CHECK (until_ms IS NOT NULL OR verb NOT IN ('approve', 'promote')),
        offer TEXT,
        audit INTEGER NOT NULL UNIQUE REFERENCES audit (seq)
    ) STRICT
    """,
    # One answer, one revocation, one waiver of each scenario: nor can a program that does not ask first do it twice.
    "CREATE UNIQUE INDEX decisions_answer ON decisions (case_id) "
    "WHERE verb IN ('approve', 'reject', 'promote', 'roll-back')",
    "CREATE UNIQUE INDEX decisions_revoked ON decisions (case_id) WHERE verb = 'revoke'",
    "CREATE UNIQUE INDEX decisions_waived ON decisions (case_id, scenario) WHERE verb = 'waive'",
    """
    CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'a decision is never changed'); END
    """,
    """
    CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions
    BEGIN SELECT RAISE(ABORT, 'a decision is never taken away'); END
    """,
)
