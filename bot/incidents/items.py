"""The items of the post-incident checklist, and what the facts say to each (runbook, "Post-Incident Checklist").

The runbook has four items; the first two are asked in their parts, the last two only when their condition holds. A
person answers; the bot only says what it found, and refuses a confirmation that no fact bears.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.incidents.changes import Change
from bot.incidents.picture import Picture
from bot.redact import inert
from bot.store.checklist import Found

DRILL_KINDS = frozenset({"drill"})
GATE_KINDS = frozenset({"gate", "canary", "milestone", "region", "gameday"})
_SENTRY = re.compile(r"https:∕∕([\w.․-]*sentry[\w.․-]*)/(\S*issues/\d+)", re.IGNORECASE)
"""A Sentry issue in a timeline entry, as `inert` left it."""


@dataclass(frozen=True)
class Disk:
    """What stands in files: which reports are whole, the phase log, and what differs from before the incident."""

    sound: frozenset[str] = frozenset()
    """Names of reports whose files are there and as they were written."""
    phase_log: str | None = None
    """Text of ``reliability-phase-log.md`` in the runbook folder; None when there is none."""
    baseline: tuple[str, ...] = ()
    """Differences of ``slo-baseline.json`` since the incident was opened, one a line."""
    knobs: tuple[str, ...] = ()
    """Effective values that differ between the last snapshot before the incident and the newest one."""


@dataclass(frozen=True)
class Kind:
    """One item: its key, the number of its item in the runbook, how a card calls it, and how it is looked at."""

    key: str
    step: int
    label: str
    look: Callable[[Picture, Disk], Found]


def look(picture: Picture, disk: Disk) -> dict[str, Found]:
    """What the facts say to every item now."""
    return {kind.key: kind.look(picture, disk) for kind in ITEMS}


def mitigations(picture: Picture) -> tuple[Change, ...]:
    """Changes that stood in the end and touched something with a name."""
    return tuple(change for change in picture.changes if change.counts and change.names)


def new_mitigations(picture: Picture, phase_log: str | None) -> tuple[str, ...]:
    """Names of knobs and functions of this incident that the phase log does not know yet."""
    names = dict.fromkeys(name for change in mitigations(picture) for name in change.names)
    return tuple(name for name in names if name not in (phase_log or ""))


def sentry_links(picture: Picture) -> tuple[str, ...]:
    """Sentry issues that people put into the timeline or onto the checklist."""
    said = [
        "https://" + match[1].replace("․", ".") + "/" + match[2].replace("․", ".")
        for entry in picture.entries
        for match in _SENTRY.finditer(entry.text)
    ]
    said += [entry.link for entry in picture.entries if entry.link and entry.key.startswith("sentry:")]
    added = [value for item in picture.items if item.key == "sentry" for value in item.added]
    return tuple(dict.fromkeys([*added, *said]))


def _timeline(picture: Picture, disk: Disk) -> Found:
    count = len(picture.entries)
    people = sum(entry.kind != "system" for entry in picture.entries)
    return Found(
        ready=count >= 2,
        detail=f"{count} entr{'y' if count == 1 else 'ies'}, {people} by people",
        lacks="" if count >= 2 else "the timeline says only that it was opened: /sendcat incident note TEXT",
    )


def _endpoints(picture: Picture, disk: Disk) -> Found:
    paths = picture.incident.endpoints
    return Found(
        ready=bool(paths),
        detail=", ".join(f"`{path}`" for path in paths),
        lacks="" if paths else "none is named: /sendcat checklist add endpoints /api/chat",
        evidence=paths,
    )


def _reports(picture: Picture, disk: Disk, kinds: Mapping[str, str] | frozenset[str]) -> tuple[tuple[str, ...], int]:
    """Names of whole reports of these kinds, and how many are gone or were altered."""
    saved = [str(row["name"]) for row in picture.saved if row["kind"] in kinds]
    sound = tuple(name for name in saved if name in disk.sound)
    return sound, len(saved) - len(sound)


def _report_found(names: tuple[str, ...], lost: int, what: str, line: str, *, asked: bool = True) -> Found:
    detail = f"{len(names)}: `{names[-1]}`" if names else "none saved"
    if lost:
        detail += f", {lost} gone or altered"
    return Found(
        asked=asked,
        ready=bool(names),
        detail=detail,
        lacks="" if names else f"no {what} of this incident is on disk: {line}",
        evidence=names,
    )


def _snapshots(picture: Picture, disk: Disk) -> Found:
    names, lost = _reports(picture, disk, frozenset({"snapshot"}))
    return _report_found(names, lost, "snapshot", "/sendcat snapshot")


def _drill(picture: Picture, disk: Disk) -> Found:
    names, lost = _reports(picture, disk, DRILL_KINDS)
    return _report_found(names, lost, "drill report", "/sendcat drill --quick=true")


def _gates(picture: Picture, disk: Disk) -> Found:
    names, lost = _reports(picture, disk, GATE_KINDS)
    return _report_found(names, lost, "gate report", "run it again", asked=bool(names or lost))


def _sentry(picture: Picture, disk: Disk) -> Found:
    links = sentry_links(picture)
    return Found(
        ready=bool(links),
        detail=f"{len(links)} link{'' if len(links) == 1 else 's'}",
        lacks="" if links else "no link: /sendcat checklist add sentry LINK",
        evidence=links,
    )


def _phase_log(picture: Picture, disk: Disk) -> Found:
    new = new_mitigations(picture, disk.phase_log)
    written = picture.incident.id in (disk.phase_log or "") and bool(mitigations(picture))
    if not new and not written:
        return Found(asked=False, detail="no mitigation that the log does not know")
    if written:
        detail = f"the log names {picture.incident.id}"
    else:
        detail = "new to the log: " + ", ".join(f"`{inert(name, 60)}`" for name in new[:3])
    return Found(
        ready=written,
        detail=detail,
        lacks=""
        if written
        else f"reliability-phase-log.md does not name {picture.incident.id}: take the draft of "
        "/sendcat checklist export, or add a link to the entry",
        evidence=tuple(change.id for change in mitigations(picture)),
        basis=_basis(picture),
    )


def _baseline(picture: Picture, disk: Disk) -> Found:
    tuned = tuple(change for change in mitigations(picture) if not _is_function(change))
    if not (disk.baseline or disk.knobs or tuned):
        return Found(asked=False, detail="no threshold was tuned")
    parts = [f"{len(disk.baseline)} in slo-baseline.json"] if disk.baseline else []
    parts += [f"{len(disk.knobs)} knob{'' if len(disk.knobs) == 1 else 's'} not as before"] if disk.knobs else []
    parts += [f"{len(tuned)} change{'' if len(tuned) == 1 else 's'} on record"] if tuned and not parts else []
    return Found(
        ready=bool(disk.baseline),
        detail=", ".join(parts),
        lacks=""
        if disk.baseline
        else "slo-baseline.json is as before: add a link to its change and the runbook's, or say why none is needed",
        evidence=(*disk.baseline, *disk.knobs),
        basis=_basis(picture),
    )


def _basis(picture: Picture) -> str:
    return " ".join(change.id for change in mitigations(picture))


def _is_function(change: Change) -> bool:
    return all(":" in name for name in change.names)


ITEMS = (
    Kind("timeline", 1, "Timeline", _timeline),
    Kind("endpoints", 1, "Affected endpoints", _endpoints),
    Kind("snapshots", 2, "Reliability snapshots", _snapshots),
    Kind("drill", 2, "Load drill report", _drill),
    Kind("gates", 2, "Gate reports", _gates),
    Kind("sentry", 2, "Sentry links", _sentry),
    Kind("phase-log", 3, "Phase-log entry", _phase_log),
    Kind("baseline", 4, "SLO baseline and runbook", _baseline),
)
"""In the runbook's order; ``step`` is the number of the runbook's own item."""
KEYS = tuple(kind.key for kind in ITEMS)
LABELS = {kind.key: kind.label for kind in ITEMS}
