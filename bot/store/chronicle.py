"""What the bot itself knows of an incident: its operations, decisions and verdicts, read from where they stand.

Of an incident is what was done in its channel, or on its target, since it began. Quiet answers (help, status) are not:
who calls names the commands that count.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any

from bot.store.incidents import Incident
from slo.verdict import Verdict

MOST = 500
"""Operations of one incident that are looked at; the newest."""
CHANGING = ("mutate", "pause", "resume", "break-glass")
"""Rows of the authority table whose carrying out changed something; tuning changes name themselves in their detail."""


@dataclass(frozen=True)
class Deed:
    """One operation that belongs to an incident. ``title`` is the headline of its card, already inert."""

    op: str
    command: str
    line: str
    by: str
    state: str
    verdict: Verdict | None
    title: str
    next: str
    waits_for: str | None
    created_ms: int
    finished_ms: int | None


@dataclass(frozen=True)
class Ruling:
    """One decision or change on the record: an approval, a pause. ``seq`` is its number in the audit trail."""

    seq: int
    phase: str
    at_ms: int
    actor: str
    action: str
    object: str
    outcome: str
    why: str
    op: str | None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Offered:
    """A decision that waits on a card: which button, on which run, until when."""

    name: str
    line: str
    op: str | None
    expires_ms: int


_SCOPE = "(channel = :channel OR target = :target)"


def _values(incident: Incident, **more: object) -> dict[str, object]:
    until = incident.closed_ms if incident.closed_ms is not None else 2**62
    return {"channel": incident.channel, "target": incident.target, "since": incident.began_ms, "until": until, **more}


def deeds(conn: Connection, incident: Incident, commands: Collection[str]) -> tuple[Deed, ...]:
    """Operations of these commands, in the order in which they were asked for."""
    names = json.dumps(sorted(commands))
    rows = conn.execute(
        f"""
        SELECT id, command, line, json_extract(asker, '$.account'), state, verdict, json_extract(card, '$.title'),
               json_extract(card, '$.next'), waits_for, created_ms, finished_ms
        FROM ops WHERE {_SCOPE} AND created_ms >= :since AND created_ms <= :until
          AND command IN (SELECT value FROM json_each(:names))
        ORDER BY n DESC LIMIT :most
        """,
        _values(incident, names=names, most=MOST),
    )
    found = []
    for op, command, line, by, state, verdict, title, then, *rest in rows:
        judged = None if verdict is None else Verdict(verdict)
        found.append(Deed(op, command, line, by, state, judged, title or "", then or "", *rest))
    return tuple(reversed(found))


def rulings(conn: Connection, incident: Incident) -> tuple[Ruling, ...]:
    """Decisions that people made, and changes that were carried out, since the incident was opened; in order."""
    rows = conn.execute(
        """
        SELECT seq, phase, at_ms, actor, action, coalesce(object, ''), coalesce(outcome, ''),
               coalesce(json_extract(body, '$.why'), ''), op, coalesce(json_extract(body, '$.detail'), '{}')
        FROM audit
        WHERE seq > :seq AND at_ms <= :until
          AND (target = :target OR op IN (SELECT id FROM ops WHERE channel = :channel))
          AND (phase = 'decision' OR json_extract(body, '$.detail.change') IS NOT NULL
               OR (phase = 'result' AND action IN (SELECT value FROM json_each(:changing))))
        ORDER BY seq DESC LIMIT :most
        """,
        _values(incident, seq=incident.opened_seq, changing=json.dumps(CHANGING), most=MOST),
    )
    found = []
    for seq, phase, at_ms, actor, action, what, outcome, why, op, detail in rows:
        found.append(Ruling(seq, phase, at_ms, actor, action, what, outcome, why, op, json.loads(detail)))
    return tuple(reversed(found))


def offered(conn: Connection, incident: Incident, now_ms: int) -> tuple[Offered, ...]:
    """Decisions that wait on cards of this channel, the first to expire first."""
    rows = conn.execute(
        """
        SELECT name, line, op, expires_ms FROM offers
        WHERE channel = ? AND decision = 1 AND used_ms IS NULL AND superseded_ms IS NULL AND expires_ms > ?
        ORDER BY expires_ms, name LIMIT 10
        """,
        (incident.channel, now_ms),
    )
    return tuple(Offered(*row) for row in rows)


def began_ms(conn: Connection, channel: str | None, target: str | None, since_ms: int) -> int | None:
    """When the first failing triage of a channel or target was asked for, of those since a moment."""
    found: int | None = conn.execute(
        f"SELECT min(created_ms) FROM ops WHERE {_SCOPE} AND command = 'triage' AND verdict = 'FAIL' "
        "AND created_ms >= :since",
        {"channel": channel, "target": target, "since": since_ms},
    ).fetchone()[0]
    return found


def seq_before(conn: Connection, at_ms: int) -> int:
    """Number of the newest audit record from before a moment; 0 when there is none."""
    found: int = conn.execute("SELECT coalesce(max(seq), 0) FROM audit WHERE at_ms < ?", (at_ms,)).fetchone()[0]
    return found


def saved(conn: Connection, incident: Incident) -> tuple[dict[str, Any], ...]:
    """Reports that were saved for the incident, in order: name, sha256, kind, started, target, and who asked."""
    rows = conn.execute(
        """
        SELECT a.name, a.sha256, a.kind, a.started_ms, a.target, a.op, ops.channel
        FROM artifacts a LEFT JOIN ops ON ops.id = a.op
        WHERE a.started_ms >= :since AND a.started_ms <= :until
          AND (a.target = :target OR ops.channel = :channel)
          AND a.id = (SELECT max(id) FROM artifacts b WHERE b.name = a.name)
        ORDER BY a.started_ms, a.id LIMIT :most
        """,
        _values(incident, most=MOST),
    )
    keys = ("name", "sha256", "kind", "started_ms", "target", "op")
    return tuple(dict(zip(keys, row, strict=False)) for row in rows)
