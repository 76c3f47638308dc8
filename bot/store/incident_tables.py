"""The tables of incidents, as the migration ``incidents`` makes them: never changed afterwards."""

from __future__ import annotations

STATEMENTS = (
    """
    CREATE TABLE incidents (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
        channel TEXT,
        target TEXT,
        severity TEXT CHECK (severity IN ('sev1', 'sev2', 'sev3')),
        cause TEXT NOT NULL DEFAULT '',
        endpoints TEXT NOT NULL CHECK (json_valid(endpoints)),
        owner TEXT NOT NULL,
        next_step TEXT NOT NULL DEFAULT '',
        began_ms INTEGER NOT NULL,
        opened_by TEXT NOT NULL,
        opened_ms INTEGER NOT NULL,
        opened_seq INTEGER NOT NULL,
        before TEXT NOT NULL CHECK (json_valid(before)),
        closed_by TEXT,
        closed_ms INTEGER CHECK ((closed_ms IS NULL) = (state = 'open'))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX incidents_open ON incidents (channel) WHERE state = 'open' AND channel IS NOT NULL",
    """
    CREATE TABLE timeline (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        incident TEXT NOT NULL REFERENCES incidents (id),
        kind TEXT NOT NULL CHECK (kind IN ('system', 'message', 'note')),
        key TEXT NOT NULL,
        event_ms INTEGER NOT NULL,
        added_ms INTEGER NOT NULL,
        author TEXT NOT NULL,
        added_by TEXT NOT NULL,
        channel TEXT,
        ts TEXT,
        link TEXT,
        text TEXT NOT NULL,
        op TEXT REFERENCES ops (id)
    ) STRICT
    """,
    "CREATE INDEX timeline_by_time ON timeline (incident, event_ms, n)",
    "CREATE INDEX timeline_by_key ON timeline (incident, key)",
    # The trigger runs before a conflict would be resolved, so that REPLACE cannot reach a line that stands either.
    """
    CREATE TRIGGER timeline_once BEFORE INSERT ON timeline
    WHEN EXISTS (SELECT 1 FROM timeline WHERE incident = NEW.incident AND key = NEW.key)
    BEGIN SELECT RAISE(IGNORE); END
    """,
    """
    CREATE TRIGGER timeline_no_update BEFORE UPDATE ON timeline
    BEGIN SELECT RAISE(ABORT, 'the timeline is append only'); END
    """,
    """
    CREATE TRIGGER timeline_no_delete BEFORE DELETE ON timeline
    BEGIN SELECT RAISE(ABORT, 'the timeline is append only'); END
    """,
    """
    CREATE TABLE checklist_items (
        incident TEXT NOT NULL REFERENCES incidents (id),
        item TEXT NOT NULL,
        owner TEXT,
        due_ms INTEGER,
        found TEXT NOT NULL CHECK (json_valid(found)),
        looked_ms INTEGER NOT NULL,
        PRIMARY KEY (incident, item)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE checklist_marks (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        incident TEXT NOT NULL,
        item TEXT NOT NULL,
        verb TEXT NOT NULL CHECK (verb IN ('confirm', 'add', 'skip', 'reopen')),
        by TEXT NOT NULL,
        person TEXT,
        at_ms INTEGER NOT NULL,
        value TEXT CHECK (verb <> 'add' OR value IS NOT NULL),
        reason TEXT CHECK (verb <> 'skip' OR reason IS NOT NULL),
        basis TEXT NOT NULL,
        FOREIGN KEY (incident, item) REFERENCES checklist_items (incident, item)
    ) STRICT
    """,
    "CREATE INDEX checklist_marks_by_item ON checklist_marks (incident, item, n)",
    """
    CREATE TRIGGER checklist_marks_no_update BEFORE UPDATE ON checklist_marks
    BEGIN SELECT RAISE(ABORT, 'marks of a checklist are append only'); END
    """,
    """
    CREATE TRIGGER checklist_marks_no_delete BEFORE DELETE ON checklist_marks
    BEGIN SELECT RAISE(ABORT, 'marks of a checklist are append only'); END
    """,
    """
    CREATE TABLE reminders (
        incident TEXT NOT NULL REFERENCES incidents (id),
        about TEXT NOT NULL,
        owner TEXT NOT NULL,
        base_ms INTEGER NOT NULL,
        every_ms INTEGER NOT NULL CHECK (every_ms >= 60000),
        sent INTEGER NOT NULL DEFAULT 0,
        raised_ms INTEGER,
        ended_ms INTEGER,
        PRIMARY KEY (incident, about)
    ) STRICT, WITHOUT ROWID
    """,
)
