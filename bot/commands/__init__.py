"""The wall: every command, in the order in which people read them. Adding one is a file and a line here."""

from __future__ import annotations

from bot.catalog import Catalog
from bot.commands import (
    audit,
    audit_export,
    audit_keep,
    audit_reconcile,
    audit_serve,
    breakglass,
    ceiling,
    checklist,
    dashboard,
    diagnose,
    doctor,
    drill,
    gameday,
    gate,
    gate_decisions,
    help,
    incident,
    inspect,
    judge,
    knobs,
    owners,
    pause,
    playbook,
    probe,
    snapshot,
    status,
    stop,
    timeline,
    triage,
    tune,
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
    *gameday.COMMANDS,
    diagnose.COMMAND,
    inspect.COMMAND,
    judge.COMMAND,
    dashboard.COMMAND,
    playbook.COMMAND,
    *walk.COMMANDS,
    *tune.COMMANDS,
    knobs.COMMAND,
    *pause.COMMANDS,
    *breakglass.COMMANDS,
    *incident.COMMANDS,
    *timeline.COMMANDS,
    *checklist.COMMANDS,
    *audit.COMMANDS,
    *audit_export.COMMANDS,
    *audit_keep.COMMANDS,
    *audit_reconcile.COMMANDS,
    *audit_serve.COMMANDS,
    owners.COMMAND,
    doctor.COMMAND,
    help.COMMAND,
)


def catalog() -> Catalog:
    """The catalog of every command."""
    return Catalog(ALL)
