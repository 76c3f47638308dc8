"""What waits for a person: open incidents, and items of checklists that are theirs (the Home tab asks this)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from sqlite3 import Connection

from bot.store import checklist, incidents
from bot.store.checklist import Item
from bot.store.incidents import Incident


@dataclass(frozen=True)
class Waiting:
    """``incidents`` are all that are open, oldest first; ``mine`` those that the person holds; ``items`` theirs."""

    incidents: tuple[Incident, ...]
    mine: tuple[Incident, ...]
    items: tuple[Item, ...]


def for_person(conn: Connection, accounts: Collection[str]) -> Waiting:
    """What waits for whoever owns these accounts: one human may have several.

    An item without an owner is the holder's of its incident.
    """
    live = incidents.open_ones(conn)
    theirs = [
        item
        for incident in live
        for item in checklist.items(conn, incident.id)
        if item.open and (item.owner or incident.owner) in accounts
    ]
    return Waiting(live, tuple(i for i in live if i.owner in accounts), tuple(theirs))
