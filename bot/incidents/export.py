"""The report of an incident as data and as Markdown: a post-mortem draft built from evidence (runbook, "Post-Incident
Checklist"). Both come from one value, so that they cannot disagree.

Times stand in UTC and in a local zone. Every text is inert: no live markup, no spreadsheet formula (safety.md, R35).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from bot.card import resolve
from bot.incidents.board import ordered
from bot.incidents.items import ITEMS, LABELS, Disk, mitigations, new_mitigations, sentry_links
from bot.incidents.picture import Picture
from bot.incidents.words import is_link
from bot.redact import inert

Names = Callable[[str], str]
"""An account as people say it: ``slack:U0ONCALL`` is ``oncall``."""

_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\[]#!"})


def cell(text: object, limit: int = 300) -> str:
    """Text for an export: inert, and never the beginning of a formula."""
    said = inert(text, limit)
    return f"'{said}" if said[:1] in ("=", "+", "-", "@") else said


def markdown_text(text: str) -> str:
    """The same in Markdown: no heading, link or picture out of what somebody wrote."""
    return text.translate(_ESCAPED)


def report(picture: Picture, disk: Disk, *, zone: tzinfo | None, names: Names) -> dict[str, Any]:
    """Everything that is known, as plain JSON; numbers stay numbers, times are ms UTC with both spellings."""
    incident = picture.incident

    def moment(at_ms: int | None) -> dict[str, Any] | None:
        return None if at_ms is None else {"ms": at_ms, **spelled(at_ms, zone)}

    def said(text: str, limit: int = 300) -> str:
        return cell(resolve(text, lambda kind, value: names(value) if kind == "@" else value), limit)

    return {
        "kind": "post-incident",
        "incident": incident.id,
        "title": said(incident.title),
        "state": incident.state,
        "severity": incident.severity,
        "target": incident.target,
        "channel": incident.channel,
        "cause": said(incident.cause),
        "endpoints": [cell(path) for path in incident.endpoints],
        "owner": names(incident.owner),
        "openedBy": names(incident.opened_by),
        "closedBy": names(incident.closed_by) if incident.closed_by else None,
        "began": moment(incident.began_ms),
        "opened": moment(incident.opened_ms),
        "closed": moment(incident.closed_ms),
        "minutes": _minutes(incident.began_ms, incident.closed_ms),
        "timeline": [
            {
                "at": moment(entry.event_ms),
                "kind": entry.kind,
                "author": names(entry.author),
                "addedBy": names(entry.added_by),
                "text": said(entry.text),
                "link": entry.link,
                "run": entry.op,
            }
            for entry in picture.entries
        ],
        "changes": [
            {
                "id": change.id,
                "what": said(change.what),
                "by": names(change.by),
                "at": moment(change.at_ms),
                "state": said(change.state),
                "names": [cell(name) for name in change.names],
            }
            for change in picture.changes
        ],
        "verdicts": [
            {
                "command": cell(last.command),
                "verdict": last.verdict.value,
                "at": moment(last.at_ms),
                "run": last.op,
                "title": said(last.title),
            }
            for last in picture.verdicts
        ],
        "checklist": [
            {
                "item": item.key,
                "runbookItem": _step_of(item.key),
                "label": LABELS.get(item.key, item.key),
                "state": item.state,
                "found": said(item.found.detail),
                "lacks": said(item.found.lacks),
                "evidence": [_evidence(value) for value in item.found.evidence],
                "added": [_evidence(value) for value in item.added],
                "owner": names(item.owner or incident.owner),
                "due": moment(item.due_ms),
                "marks": [
                    {
                        "verb": mark.verb,
                        "by": names(mark.by),
                        "at": moment(mark.at_ms),
                        "value": _evidence(mark.value) if mark.value else None,
                        "reason": said(mark.reason) if mark.reason else None,
                    }
                    for mark in item.marks
                ],
            }
            for item in ordered(picture)
        ],
        "artifacts": [
            {
                "name": row["name"],
                "sha256": row["sha256"],
                "kind": row["kind"],
                "started": moment(row["started_ms"]),
                "run": row["op"],
                "sound": row["name"] in disk.sound,
            }
            for row in picture.saved
        ],
        "sentryLinks": [_evidence(link) for link in sentry_links(picture)],
        "newMitigations": [cell(name) for name in new_mitigations(picture, disk.phase_log)],
        "baselineChanges": [cell(line) for line in disk.baseline],
        "knobsNotAsBefore": [cell(line) for line in disk.knobs],
    }


def spelled(at_ms: int, zone: tzinfo | None) -> dict[str, str]:
    """A moment in UTC and in a zone; without one, the host's."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return {
        "utc": moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "local": moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


def markdown(data: dict[str, Any]) -> str:
    """The report as a post-mortem draft: what is known stands there, what only people know is asked."""
    text = markdown_text
    lines = [f"# {data['incident']}: {text(data['title'])}", ""]
    lines += [
        f"- State: {data['state']}" + (f", {data['severity']}" if data["severity"] else ""),
        f"- Target: {text(str(data['target'] or 'none'))}",
        f"- Began: {_when(data['began'])}",
        f"- Closed: {_when(data['closed'])}" + (f" ({data['minutes']} min)" if data["minutes"] is not None else ""),
        f"- Owner: {text(data['owner'])}",
        f"- Affected endpoints: {', '.join(map(text, data['endpoints'])) or 'not named'}",
        f"- Cause: {text(data['cause']) or 'not known'}",
        "",
        "## What happened",
        "",
        "| UTC | Local | Who | What |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {entry['at']['utc'][:-4]} | {entry['at']['local']} | {text(entry['author'])} | "
        f"{text(entry['text'])}{_source(entry)} |"
        for entry in data["timeline"]
    ]
    lines += ["", "## What was changed", ""]
    lines += [
        f"- {change['id']}: {text(change['what'])}, {text(change['state'])}, by {text(change['by'])}, "
        f"{_when(change['at'])}"
        for change in data["changes"]
    ] or ["- Nothing is on record."]
    for title, name in (
        ("SLO baseline since the incident was opened", "baselineChanges"),
        ("Knobs that are not as before", "knobsNotAsBefore"),
        ("Mitigations that are new to the phase log", "newMitigations"),
    ):
        if data[name]:
            lines += ["", f"### {title}", "", *(f"- {text(line)}" for line in data[name])]
    lines += ["", "## Last verdicts", ""]
    lines += [
        f"- {text(last['command'])}: {last['verdict']}, {_when(last['at'])} ({last['run']}): {text(last['title'])}"
        for last in data["verdicts"]
    ] or ["- None."]
    lines += ["", "## Evidence", ""]
    lines += [
        f"- `{row['name']}` sha256 `{row['sha256']}`" + ("" if row["sound"] else " (gone or altered)")
        for row in data["artifacts"]
    ] or ["- No report was saved."]
    lines += [f"- {link}" for link in data["sentryLinks"]]
    lines += ["", "## Post-incident checklist", ""]
    lines += [_item(item) for item in data["checklist"]] or ["- Not begun."]
    lines += ["", "## To be written by people", "", "- Why it happened:", "- What helped:", "- What will be done:", ""]
    return "\n".join(lines)


def phase_log_draft(picture: Picture, disk: Disk, *, zone: tzinfo | None, names: Names) -> str | None:
    """A short entry for the phase log (runbook, "Post-Incident Checklist", item 3); None when nothing is new to it."""
    new = new_mitigations(picture, disk.phase_log)
    if not new:
        return None
    incident = picture.incident
    day = spelled(incident.began_ms, zone)["utc"][:10]
    lines = [f"## {day} {incident.id}: {markdown_text(cell(incident.title))}", ""]
    lines += [f"- Signal: {markdown_text(cell(incident.cause)) or 'not known'}"]
    for change in mitigations(picture):
        fresh = [name for name in change.names if name in new]
        if fresh:
            what = markdown_text(cell(change.what))
            lines.append(
                f"- New mitigation: {what} ({change.id}, {change.state}, by {markdown_text(names(change.by))})"
            )
    for last in picture.verdicts[:2]:
        lines.append(f"- Afterwards: {cell(last.command)} {last.verdict.value} ({last.op})")
    return "\n".join([*lines, ""])


def baseline_draft(picture: Picture, disk: Disk) -> str | None:
    """What item 4 of the runbook's checklist asks to look at; None when no threshold was tuned."""
    if not (disk.baseline or disk.knobs):
        return None
    lines = [f"# Thresholds after {picture.incident.id}", ""]
    if disk.baseline:
        lines += [
            "## slo-baseline.json, before to now",
            "",
            *(f"- {markdown_text(cell(x))}" for x in disk.baseline),
            "",
        ]
    if disk.knobs:
        lines += ["## Knobs, before -> now", "", *(f"- {markdown_text(cell(x))}" for x in disk.knobs), ""]
    lines += ["Take over what is to stay into `scripts/reliability/slo-baseline.json` and the runbook.", ""]
    return "\n".join(lines)


def _item(item: dict[str, Any]) -> str:
    done = item["state"] in ("confirmed", "added", "skipped")
    mark = next(iter(reversed(item["marks"])), None)
    if item["state"] == "not asked":
        said = f"not asked: {markdown_text(item['found'])}"
    elif mark is not None and done:
        why = mark["reason"] or mark["value"] or item["found"]
        said = f"{item['state']} by {markdown_text(mark['by'])}, {_when(mark['at'])}: {markdown_text(str(why))}"
    else:
        said = f"open: {markdown_text(item['lacks'] or item['found'])}"
    return f"- {'☑' if done else '☐'} {item['runbookItem']}. {item['label']}: {said}"


def _source(entry: dict[str, Any]) -> str:
    return f" ({entry['link']})" if entry["link"] else ""


def _evidence(value: str) -> str:
    """A link stays one, since it was checked when it was added; anything else is inert."""
    return value if is_link(value) else cell(value)


def _when(moment: dict[str, Any] | None) -> str:
    return "not yet" if moment is None else f"{moment['utc']} / {moment['local']}"


def _minutes(began_ms: int, closed_ms: int | None) -> int | None:
    return None if closed_ms is None else max(0, closed_ms - began_ms) // 60_000


def _step_of(key: str) -> int | None:
    return next((kind.step for kind in ITEMS if kind.key == key), None)
