"""Tables beside the audit trail: signed checkpoints, and what the search stands on (safety.md, R40)."""

from __future__ import annotations

CHECKPOINTS = (
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
SEARCH = (
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

_SIGNS = ("','", "'='", "';'", "':'", "'('", "')'", "'\"'", "''''", "char(10)")
"""What parts words besides a blank."""
_TEXT = """coalesce({row}.object, '') || ' ' || coalesce({row}.outcome, '') || ' '
        || coalesce(json_extract({row}.body, '$.why'), '')"""
_PARTED = "lower(" + "replace(" * len(_SIGNS) + _TEXT + "".join(f", {sign}, ' ')" for sign in _SIGNS) + ")"
_FILL_ALL = f"""
    INSERT OR IGNORE INTO audit_words (word, seq)
    SELECT rtrim(value, '.!?'), {{row}}.seq
    FROM {{more}}json_each('[' || replace(json_quote({_PARTED}), ' ', '","') || ']')
    WHERE length(value) BETWEEN 2 AND 100
    UNION ALL
    SELECT lower(iif(typeof(key) = 'text', key, value)), {{row}}.seq
    FROM {{more}}json_each({{row}}.body, '$.detail.knobs')
"""
WORDS = (
    "DROP TRIGGER audit_indexed",
    "DELETE FROM audit_words",
    _FILL_ALL.format(row="audit", more="audit, "),
    f"""
    CREATE TRIGGER audit_indexed AFTER INSERT ON audit
    BEGIN
        {_FILL_ALL.format(row="NEW", more="")};
        INSERT INTO audit_hours (hour, first, last) VALUES (NEW.at_ms / 3600000, NEW.seq, NEW.seq)
        ON CONFLICT (hour) DO UPDATE SET last = excluded.last;
    END
    """,
    "CREATE INDEX audit_by_outcome ON audit (outcome, seq) WHERE outcome IS NOT NULL",
)
"""Words in small letters, of what was acted on, how it ended and why; and an index of how things ended."""
