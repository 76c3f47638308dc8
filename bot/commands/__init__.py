"""The wall: every command, in the order in which people read them. Adding one is a file and a line here."""

from __future__ import annotations

from bot.catalog import Catalog
from bot.commands import (
    ceiling,
    diagnose,
    doctor,
    drill,
    gate,
    gate_decisions,
    help,
    inspect,
    owners,
    playbook,
    probe,
    snapshot,
    status,
    stop,
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
    *ceiling.COMMANDS,
    gate.COMMAND,
    *gate_decisions.COMMANDS,
    diagnose.COMMAND,
    inspect.COMMAND,
    playbook.COMMAND,
    *walk.COMMANDS,
    owners.COMMAND,
    doctor.COMMAND,
    help.COMMAND,
)


def catalog() -> Catalog:
    """The catalog of every command."""
    return Catalog(ALL)
