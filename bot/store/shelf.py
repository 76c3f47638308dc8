"""What auditors may browse: a database of its own, with chosen columns of chosen tables and nothing else (R36).

It is made from a copy, so nothing of it leads back: no buttons, no letters, no deliveries, no cards, no settings. Times
are readable texts in UTC beside the milliseconds. The prepared queries ask it what auditors ask.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from bot.errors import Broken

_UTC = "strftime('%Y-%m-%d %H:%M:%S', {0} / 1000, 'unixepoch')"


def _at(column: str, name: str) -> str:
    return f"{_UTC.format(column)} AS {name}"


_TABLES: dict[str, str] = {
    "records": f"""
        SELECT seq, {_at("at_ms", "time_utc")}, at_ms, actor, person, door, phase, action, object, target, op AS run,
               outcome, json_extract(body, '$.why') AS why, json_extract(body, '$.authority') AS authority,
               json_extract(body, '$.detail.change') AS change,
               iif(seq <= (SELECT coalesce(max(size), 0) FROM src.checkpoints), 'yes', 'not yet') AS anchored, hash
        FROM src.audit
    """,
    "changes": f"""
        SELECT id, target, state, verdict, line, why, json_extract(proposer, '$.account') AS proposed_by,
               {_at("created_ms", "proposed_utc")}, json_extract(approver, '$.account') AS approved_by,
               {_at("approved_ms", "approved_utc")}, break_glass, json_extract(undo_by, '$.account') AS undone_by,
               undo_why, {_at("updated_ms", "last_moved_utc")}, created_ms, sent_ms, updated_ms
        FROM src.changes
    """,
    "change_knobs": """
        SELECT k.change, k.knob, c.target, json_extract(k.before, '$') AS before, json_extract(k.after, '$') AS after,
               k.stored AS stored_before, k.text AS stored_after, c.state, c.sent_ms
        FROM src.change_knobs k JOIN src.changes c ON c.id = k.change
    """,
    "break_glass": f"""
        SELECT id, change, json_extract(by, '$.account') AS used_by, why, {_at("at_ms", "used_utc")},
               json_extract(reviewer, '$.account') AS reviewed_by, finding, {_at("reviewed_ms", "reviewed_utc")}
        FROM src.break_glass
    """,
    "decisions": f"""
        SELECT d.id, d.case_id AS "case", c.kind, c.subject, c.target, c.verdict AS judged, d.verb,
               d.by_account AS decided_by, d.by_person AS person, d.reason, d.scenario, {_at("d.at_ms", "decided_utc")},
               d.audit AS record, d.at_ms
        FROM src.decisions d JOIN src.cases c ON c.id = d.case_id
    """,
    "checkpoints": f"SELECT n, kind, size, head, {_at('at_ms', 'anchored_utc')}, why FROM src.checkpoints",
}

QUERIES: dict[str, tuple[str, str]] = {
    "changes_this_week": (
        "Changes this week",
        """
        SELECT id, target, state, verdict, line, why, proposed_by, approved_by, proposed_utc FROM changes
        WHERE created_ms >= (strftime('%s', 'now') - 7 * 86400) * 1000 ORDER BY created_ms DESC
        """,
    ),
    "who_approved_what": (
        "Who approved what",
        """
        SELECT approved_by AS who, approved_utc AS time_utc, 'change' AS kind, id, line AS what, target,
               coalesce('break-glass ' || break_glass, 'approve') AS how, state AS became
        FROM changes WHERE approved_by IS NOT NULL
        UNION ALL
        SELECT decided_by, decided_utc, kind, "case", subject, target, verb, judged FROM decisions
        ORDER BY time_utc DESC
        """,
    ),
    "undone": (
        "Undone",
        """
        SELECT id, target, line, verdict, undone_by, undo_why, proposed_by, approved_by, last_moved_utc FROM changes
        WHERE state = 'undone' ORDER BY updated_ms DESC
        """,
    ),
    "break_glass_open": (
        "Break-glass open for review",
        """
        SELECT b.id, b.change, c.line, c.target, b.used_by, b.used_utc, b.why, c.state FROM break_glass b
        JOIN changes c ON c.id = b.change WHERE b.reviewed_by IS NULL ORDER BY b.used_utc
        """,
    ),
    "drift_per_knob": (
        "Drift per knob",
        """
        SELECT DISTINCT knob, target, count(*) OVER each AS changes, first_value(before) OVER along AS first_value,
               last_value(iif(state = 'undone', before, after)) OVER along AS value_now,
               round(1.0 * last_value(iif(state = 'undone', before, after)) OVER along
                     / nullif(first_value(before) OVER along, 0), 2) AS factor
        FROM change_knobs WHERE sent_ms IS NOT NULL AND state <> 'failed'
        WINDOW each AS (PARTITION BY knob, target),
               along AS (PARTITION BY knob, target ORDER BY sent_ms, change
                         ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
        ORDER BY changes DESC, knob
        """,
    ),
    "not_yet_anchored": (
        "Not yet anchored",
        "SELECT seq, time_utc, actor, action, object, outcome FROM records WHERE anchored <> 'yes' ORDER BY seq DESC",
    ),
}
"""Name to title and statement; they run on the shelf and read nothing else."""

_INDEXES = (
    "CREATE INDEX records_by_time ON records (at_ms)",
    "CREATE INDEX records_by_action ON records (action, seq)",
    "CREATE INDEX records_by_person ON records (person, seq)",
    "CREATE INDEX records_by_change ON records (change) WHERE change IS NOT NULL",
    "CREATE INDEX changes_by_time ON changes (created_ms)",
)


def build(copy: Path, shelf: Path) -> None:
    """Fill a new shelf from a copy that nobody writes to. Blocks on the disk; raises `Broken`."""
    try:
        os.close(os.open(shelf, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        with closing(sqlite3.connect(shelf.absolute().as_uri(), uri=True, isolation_level=None)) as db:
            db.execute("ATTACH ? AS src", (f"{copy.absolute().as_uri()}?mode=ro&immutable=1",))
            db.execute("BEGIN")
            for name, rows in _TABLES.items():
                db.execute(f"CREATE TABLE main.{name} AS {rows}")
            for statement in _INDEXES:
                db.execute(statement)
            db.execute("COMMIT")
            db.execute("DETACH src")
    except (sqlite3.Error, OSError) as error:
        raise Broken(f"The copy for browsing cannot be made: {error}.", then="is there room on the disk?") from error
