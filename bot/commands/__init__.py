"""The wall: every command, in the order in which people read them. Adding one is a file and a line here."""

from __future__ import annotations

from bot.catalog import Catalog
from bot.commands import (
    checklist,
    diagnose,
    doctor,
    drill,
    help,
    incident,
    inspect,
    owners,
    playbook,
    probe,
    snapshot,
    status,
    stop,
    timeline,
    triage,
    walk,
)

ALL = (
    triage.COMMAND,
    stop.COMMAND,
    status.COMMAND,
    snapshot.COMMAND,
    probe.COMMAND,
    drill.COMMAND,
    diagnose.COMMAND,
    inspect.COMMAND,
    playbook.COMMAND,
    *walk.COMMANDS,
    *incident.COMMANDS,
    *timeline.COMMANDS,
    *checklist.COMMANDS,
    owners.COMMAND,
    doctor.COMMAND,
    help.COMMAND,
)


def catalog() -> Catalog:
    """The catalog of every command."""
    return Catalog(ALL)
