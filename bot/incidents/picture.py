"""Everything that is known of one incident, gathered in one look at the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.incidents.changes import Change, recorded
from bot.store import checklist, chronicle, incidents, reminders
from bot.store.checklist import Item
from bot.store.chronicle import Deed, Offered, Ruling
from bot.store.incidents import Entry, Incident
from bot.store.reminders import Reminder
from slo.verdict import Verdict

if TYPE_CHECKING:
    from sqlite3 import Connection


@dataclass(frozen=True)
class LastVerdict:
    """The newest verdict of a command: what it said, when, in which run."""

    command: str
    verdict: Verdict
    at_ms: int
    op: str
    title: str


@dataclass(frozen=True)
class Picture:
    """One incident with all that belongs to it. Pure values: cards and exports are drawn from nothing else."""

    incident: Incident
    now_ms: int
    entries: tuple[Entry, ...]
    deeds: tuple[Deed, ...]
    rulings: tuple[Ruling, ...]
    offered: tuple[Offered, ...]
    changes: tuple[Change, ...]
    items: tuple[Item, ...]
    reminders: tuple[Reminder, ...]
    saved: tuple[dict[str, Any], ...]

    @property
    def running(self) -> tuple[Deed, ...]:
        return tuple(deed for deed in self.deeds if deed.state in ("accepted", "running"))

    @property
    def verdicts(self) -> tuple[LastVerdict, ...]:
        """The newest verdict of each command, the newest first."""
        newest: dict[str, LastVerdict] = {}
        for deed in self.deeds:
            if deed.verdict is not None and deed.finished_ms is not None:
                newest[deed.command] = LastVerdict(deed.command, deed.verdict, deed.finished_ms, deed.op, deed.title)
        return tuple(sorted(newest.values(), key=lambda v: -v.at_ms))

    @property
    def undos(self) -> tuple[Change, ...]:
        """Changes that can be undone and whose fate is not decided."""
        return tuple(change for change in self.changes if change.undo)

    @property
    def open_items(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.open)

    @property
    def checklist_begun(self) -> bool:
        return bool(self.items)


def gather(conn: Connection, incident_id: str, commands: Collection[str], now_ms: int) -> Picture | None:
    """The picture of an incident, or None when there is none of that id. ``commands`` are those that count."""
    incident = incidents.get(conn, incident_id)
    if incident is None:
        return None
    rulings = chronicle.rulings(conn, incident)
    return Picture(
        incident=incident,
        now_ms=now_ms,
        entries=incidents.timeline(conn, incident_id),
        deeds=chronicle.deeds(conn, incident, commands),
        rulings=rulings,
        offered=chronicle.offered(conn, incident, now_ms) if incident.open else (),
        changes=recorded(rulings),
        items=checklist.items(conn, incident_id),
        reminders=reminders.of(conn, incident_id),
        saved=chronicle.saved(conn, incident),
    )
