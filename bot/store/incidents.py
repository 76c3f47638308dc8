"""Incidents: what is going wrong, in which channel, who holds it; and its timeline.

An incident is bound to one channel, and a channel to one open incident at most. The timeline is append only: entries
of the system, of people's messages and of their notes, each once by its key, whoever adds it how often (ux.md, rule
11). Texts are inert before they come here (safety.md, R34).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

from bot.errors import Refused
from bot.store import ids
from bot.store.tx import Tx

TOPIC = "incidents"
"""Rings after every change to an incident, its timeline, its checklist or its reminders."""

Severity = Literal["sev1", "sev2", "sev3"]
EntryKind = Literal["system", "message", "note"]


@dataclass(frozen=True)
class Incident:
    """One incident as it stands. Times in ms UTC; people are accounts (``slack:U0ONCALL``, ``os:oncall``)."""

    id: str
    title: str
    state: Literal["open", "closed"]
    channel: str | None
    """Where it is held; None when it was opened at a terminal without a channel."""
    target: str | None
    severity: Severity | None
    cause: str
    endpoints: tuple[str, ...]
    owner: str
    next_step: str
    """The next decision, as a person wrote it."""
    began_ms: int
    """When it began: the first failing triage of its channel, else the moment it was opened."""
    opened_by: str
    opened_ms: int
    opened_seq: int
    """Number of the newest audit record from before it began."""
    before: dict[str, Any]
    """What was true before it: the SLO baseline, and the name of the newest snapshot of the target."""
    closed_by: str | None
    closed_ms: int | None

    @property
    def open(self) -> bool:
        return self.state == "open"


@dataclass(frozen=True)
class Entry:
    """One line of the timeline. ``event_ms`` is when it happened, ``added_ms`` when it was written down."""

    n: int
    kind: EntryKind
    key: str
    event_ms: int
    added_ms: int
    author: str
    added_by: str
    channel: str | None
    ts: str | None
    link: str | None
    text: str
    op: str | None


_COLUMNS = (
    "id, title, state, channel, target, severity, cause, endpoints, owner, next_step, began_ms, opened_by, opened_ms, "
    "opened_seq, before, closed_by, closed_ms"
)
_ENTRY = "n, kind, key, event_ms, added_ms, author, added_by, channel, ts, link, text, op"


def open_one(
    tx: Tx,
    *,
    title: str,
    channel: str | None,
    target: str | None,
    by: str,
    owner: str,
    severity: Severity | None = None,
    cause: str = "",
    endpoints: Collection[str] = (),
    began_ms: int | None = None,
    opened_seq: int = 0,
    before: dict[str, Any] | None = None,
) -> Incident:
    """Open an incident and bind its channel; raises `Refused` when the channel has an open one already."""
    if channel is not None and (there := open_in(tx.db, channel)) is not None:
        raise Refused(
            f"{there.id} is open in this channel: {there.title}.",
            rule="one incident to a channel",
            then=f"/sendcat incident status {there.id}",
        )
    row = tx.db.execute(
        "INSERT INTO incidents (id, title, state, channel, target, severity, cause, endpoints, owner, began_ms, "
        "opened_by, opened_ms, opened_seq, before) VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        f"RETURNING {_COLUMNS}",
        (
            ids.number(tx, "i"),
            title,
            channel,
            target,
            severity,
            cause,
            json.dumps(list(endpoints)),
            owner,
            tx.now_ms if began_ms is None else began_ms,
            by,
            tx.now_ms,
            opened_seq,
            json.dumps(before or {}),
        ),
    ).fetchone()
    tx.touch(TOPIC)
    return _incident(row)


def change(
    tx: Tx,
    incident: str,
    *,
    owner: str | None = None,
    severity: Severity | None = None,
    cause: str | None = None,
    endpoints: Collection[str] | None = None,
    next_step: str | None = None,
    title: str | None = None,
) -> Incident:
    """Change what is given and leave the rest; raises `Refused` when the incident is not open."""
    row = tx.db.execute(
        "UPDATE incidents SET owner = coalesce(?, owner), severity = coalesce(?, severity), cause = coalesce(?, cause),"
        " endpoints = coalesce(?, endpoints), next_step = coalesce(?, next_step), title = coalesce(?, title) "
        f"WHERE id = ? AND state = 'open' RETURNING {_COLUMNS}",
        (
            owner,
            severity,
            cause,
            None if endpoints is None else json.dumps(sorted(set(endpoints))),
            next_step,
            title,
            incident,
        ),
    ).fetchone()
    if row is None:
        raise closed(incident)
    tx.touch(TOPIC)
    return _incident(row)


def close(tx: Tx, incident: str, by: str) -> Incident:
    """open -> closed, once; the channel is free again."""
    row = tx.db.execute(
        "UPDATE incidents SET state = 'closed', closed_by = ?, closed_ms = ? WHERE id = ? AND state = 'open' "
        f"RETURNING {_COLUMNS}",
        (by, tx.now_ms, incident),
    ).fetchone()
    if row is None:
        raise closed(incident)
    tx.touch(TOPIC)
    return _incident(row)


def closed(incident: str) -> Refused:
    """The refusal of a change to what is over."""
    return Refused(f"{incident} is closed.", then="/sendcat incident open")


def get(conn: Connection, incident: str) -> Incident | None:
    return _one(conn, "id = ?", incident)


def open_in(conn: Connection, channel: str) -> Incident | None:
    """The open incident of a channel."""
    return _one(conn, "channel = ? AND state = 'open'", channel)


def open_ones(conn: Connection) -> tuple[Incident, ...]:
    """Every open incident, the oldest first."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM incidents WHERE state = 'open' ORDER BY n")
    return tuple(_incident(row) for row in rows)


def unsettled(conn: Connection) -> tuple[Incident, ...]:
    """Every open incident, and those closed ones whose card has not been drawn for the last time."""
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM incidents WHERE state = 'open' OR id IN "
        "(SELECT substr(key, 10) FROM outbox WHERE key GLOB 'incident:*' AND final = 0) ORDER BY n"
    )
    return tuple(_incident(row) for row in rows)


def recent(conn: Connection, limit: int = 10) -> tuple[Incident, ...]:
    """Open and closed ones, the newest first."""
    rows = conn.execute(f"SELECT {_COLUMNS} FROM incidents ORDER BY n DESC LIMIT ?", (limit,))
    return tuple(_incident(row) for row in rows)


def latest_in(conn: Connection, channel: str) -> Incident | None:
    """The newest incident of a channel, open or closed."""
    return _one(conn, "channel = ? ORDER BY n DESC LIMIT 1", channel)


def bound(conn: Connection) -> frozenset[str]:
    """Channels that an open incident is bound to: they count as listed incident channels (INTERFACES.md, 3)."""
    rows = conn.execute("SELECT channel FROM incidents WHERE state = 'open' AND channel IS NOT NULL")
    return frozenset(channel for (channel,) in rows)


def add_entry(
    tx: Tx,
    incident: str,
    kind: EntryKind,
    key: str,
    *,
    event_ms: int,
    author: str,
    added_by: str,
    text: str,
    channel: str | None = None,
    ts: str | None = None,
    link: str | None = None,
    op: str | None = None,
) -> bool:
    """Write one line of the timeline; False when the line of this key stands already, and then nothing changes."""
    added = tx.db.execute(
        "INSERT INTO timeline (incident, kind, key, event_ms, added_ms, author, added_by, channel, ts, link, text, op) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (incident, kind, key, event_ms, tx.now_ms, author, added_by, channel, ts, link, text, op),
    ).rowcount
    if added == 1:
        tx.touch(TOPIC)
    return added == 1


def message_key(channel: str, ts: str) -> str:
    """The key of a Slack message in a timeline: menu and emoji mean the same line."""
    return f"message:{channel}:{ts}"


def timeline(conn: Connection, incident: str, *, newest: int | None = None) -> tuple[Entry, ...]:
    """Lines in order of what happened when; ``newest`` keeps only the last so many."""
    rows = conn.execute(
        f"SELECT {_ENTRY} FROM (SELECT {_ENTRY} FROM timeline WHERE incident = ? ORDER BY event_ms DESC, n DESC "
        "LIMIT ?) ORDER BY event_ms, n",
        (incident, -1 if newest is None else newest),
    )
    return tuple(Entry(*row) for row in rows)


def entry_count(conn: Connection, incident: str) -> dict[str, int]:
    """How many lines there are of each kind."""
    rows = conn.execute("SELECT kind, count(*) FROM timeline WHERE incident = ? GROUP BY kind", (incident,))
    return dict(rows.fetchall())


def last_word_ms(conn: Connection, incident: str) -> int | None:
    """When somebody last wrote to the timeline; what the system adds by itself does not count."""
    found: int | None = conn.execute(
        "SELECT max(added_ms) FROM timeline WHERE incident = ? AND kind <> 'system'", (incident,)
    ).fetchone()[0]
    return found


def _one(conn: Connection, where: str, value: str) -> Incident | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM incidents WHERE {where}", (value,)).fetchone()
    return None if row is None else _incident(row)


def _incident(row: tuple[Any, ...]) -> Incident:
    values = list(row)
    values[7] = tuple(json.loads(row[7]))
    values[14] = json.loads(row[14])
    return Incident(*values)
