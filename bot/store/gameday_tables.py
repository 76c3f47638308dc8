"""Tables of game days: action items with what people said to them, and faults that were woven in."""

from __future__ import annotations

STATEMENTS = (
    """
    CREATE TABLE game_day_items (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        op TEXT NOT NULL,
        target TEXT NOT NULL,
        same_as TEXT NOT NULL,
        finding TEXT NOT NULL,
        owner TEXT NOT NULL,
        secondary TEXT NOT NULL,
        made_ms INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX game_day_items_by_target ON game_day_items (target, same_as)",
    """
    CREATE TRIGGER game_day_items_no_update BEFORE UPDATE ON game_day_items
    BEGIN SELECT RAISE(ABORT, 'an action item is written once'); END
    """,
    """
    CREATE TRIGGER game_day_items_no_delete BEFORE DELETE ON game_day_items
    BEGIN SELECT RAISE(ABORT, 'an action item is kept'); END
    """,
    """
    CREATE TABLE game_day_marks (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        item TEXT NOT NULL REFERENCES game_day_items (id),
        verb TEXT NOT NULL CHECK (verb IN ('seen', 'assign', 'done', 'reopen')),
        by_account TEXT NOT NULL,
        by_person TEXT,
        op TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        value TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX game_day_marks_by_item ON game_day_marks (item, n)",
    """
    CREATE TRIGGER game_day_marks_no_update BEFORE UPDATE ON game_day_marks
    BEGIN SELECT RAISE(ABORT, 'a mark is never changed'); END
    """,
    """
    CREATE TRIGGER game_day_marks_no_delete BEFORE DELETE ON game_day_marks
    BEGIN SELECT RAISE(ABORT, 'a mark is never taken away'); END
    """,
    """
    CREATE TABLE woven_faults (
        n INTEGER PRIMARY KEY AUTOINCREMENT,
        op TEXT NOT NULL,
        target TEXT NOT NULL,
        origin TEXT NOT NULL,
        fault TEXT NOT NULL,
        planned_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        begun_ms INTEGER,
        cleared_ms INTEGER,
        how TEXT CHECK ((how IS NULL) = (cleared_ms IS NULL))
    ) STRICT
    """,
    "CREATE INDEX woven_faults_in ON woven_faults (target) WHERE cleared_ms IS NULL",
)
