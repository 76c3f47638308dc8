"""The live card of an incident: handing over a shift is reading this one card (ux.md, rules 1, 3 and 11)."""

from __future__ import annotations

from bot.card import Button, Card, Confirm, Fact, Field, Form, Tone, clipped, when, who
from bot.incidents.picture import Picture
from bot.redact import inert
from bot.store.chronicle import Offered
from slo.scenarios import ENDPOINTS
from slo.verdict import Verdict

SEVERITIES = (("sev1", "sev1: users cannot work"), ("sev2", "sev2: degraded"), ("sev3", "sev3: small or unclear"))
_MINUTE = 60_000


def key(incident: str) -> str:
    """The outbox key of the live card: one message for each incident, edited in place."""
    return f"incident:{incident}"


def age(now_ms: int, at_ms: int) -> str:
    """How old something is, in steps coarse enough that a card need not be edited every minute."""
    minutes = max(0, now_ms - at_ms) // _MINUTE
    if minutes < 5:
        return "under 5 min old"
    if minutes < 60:
        return f"{minutes // 5 * 5} min old"
    if minutes < 48 * 60:
        return f"{minutes // 60} h old"
    return f"{minutes // (24 * 60)} days old"


def card(picture: Picture) -> Card:
    """Verdict first: state, severity and what; then who holds it, evidence, what is pending, and what to press."""
    incident = picture.incident
    severity = f" {incident.severity}" if incident.severity else ""
    if incident.open:
        title, tone = f"INCIDENT {incident.id}{severity}: {incident.title}", Tone.BAD
    else:
        title, tone = f"CLOSED {incident.id}{severity}: {incident.title}", Tone.OK
    return Card(
        title=clipped(title),
        tone=tone,
        context=_context(picture),
        lead=_lead(picture),
        facts=_facts(picture),
        sections=tuple(part for part in (_running(picture), _changes(picture), _verdicts(picture)) if part),
        next=next_decision(picture),
        buttons=buttons(picture) if incident.open else closed_buttons(picture),
        footer=_footer(picture),
        final=not incident.open,
    )


def _context(picture: Picture) -> str:
    incident = picture.incident
    parts = [f"owner {who(incident.owner)}", f"since {when(incident.began_ms)}"]
    if incident.closed_ms is not None and incident.closed_by is not None:
        parts.append(f"closed {when(incident.closed_ms)} by {who(incident.closed_by)}")
    if incident.target:
        parts.append(inert(incident.target, 40))
    return " · ".join([*parts, incident.id])


def _lead(picture: Picture) -> str:
    incident = picture.incident
    return f"*Cause:* {incident.cause or 'not known yet'}."


def _facts(picture: Picture) -> tuple[Fact, ...]:
    counts = len(picture.entries)
    done = sum(not item.open and item.found.asked for item in picture.items)
    asked = sum(item.found.asked or item.open for item in picture.items)
    facts = [
        Fact(label="Affected", value=", ".join(f"`{path}`" for path in picture.incident.endpoints) or "not named yet"),
        Fact(label="Timeline", value=f"{counts} entr{'y' if counts == 1 else 'ies'}"),
        Fact(label="Pending undos", value=", ".join(change.id for change in picture.undos) or "none"),
    ]
    if picture.items:
        facts.append(Fact(label="Checklist", value=f"{done} of {asked} done"))
    return tuple(facts)


def _running(picture: Picture) -> str:
    lines = [
        f"• {inert(deed.command, 40)} {deed.op} by {who(deed.by)} since {when(deed.created_ms)}"
        + (f", waits for {inert(deed.waits_for, 80)}" if deed.waits_for else "")
        for deed in picture.running[:4]
    ]
    lines += [f"• decision on {inert(offer.line, 60)} until {when(offer.expires_ms)}" for offer in _decisions(picture)]
    lines += [
        f"• reminder to {who(reminder.owner)} {when(reminder.base_ms)}, unless somebody writes before"
        for reminder in picture.reminders
        if picture.incident.open and reminder.ended_ms is None and reminder.about == "update"
    ]
    return "*Running:*\n" + "\n".join(lines) if lines else ""


def _decisions(picture: Picture) -> list[Offered]:
    """Waiting decisions, one for each run: approve and reject of one card are one decision."""
    by_run: dict[str | None, Offered] = {}
    for offer in picture.offered:
        by_run.setdefault(offer.op, offer)
    return list(by_run.values())[:3]


def _changes(picture: Picture) -> str:
    shown = picture.changes[-4:]
    if not shown:
        return "*Changed:* nothing on record."
    lines = [
        f"• {change.id} {change.what}: {change.state}, {who(change.by)} {when(change.at_ms)}"
        + (" · undo is open" if change.undo else "")
        for change in shown
    ]
    more = len(picture.changes) - len(shown)
    return "*Changed:*\n" + "\n".join([*([f"• {more} earlier"] if more else []), *lines])


def _verdicts(picture: Picture) -> str:
    lines = [
        f"• {inert(last.command, 30)}: *{last.verdict}*, {when(last.at_ms)}"
        + (f" ({age(picture.now_ms, last.at_ms)})" if picture.incident.open else "")
        + f" · {last.op}"
        for last in picture.verdicts[:4]
    ]
    return "*Last verdicts:*\n" + "\n".join(lines) if lines else "*Last verdicts:* none yet; type `/sendcat triage`."


def next_decision(picture: Picture) -> str:
    """The next decision: what a person wrote, else what waits for one, else what the newest triage says."""
    incident = picture.incident
    if not incident.open:
        return ""
    if incident.next_step:
        return incident.next_step
    for change in picture.undos:
        return f"keep or undo {change.id}: /sendcat {change.undo}"
    for deed in picture.running:
        if deed.waits_for:
            return f"{deed.command} {deed.op} waits for {inert(deed.waits_for, 120)}"
    for offer in _decisions(picture):
        return f"decide on {inert(offer.line, 80)} before {when(offer.expires_ms)}"
    if picture.items:
        left = picture.open_items
        if not left:
            return "close it: every item of the checklist is done"
        return f"{len(left)} item{'' if len(left) == 1 else 's'} of the checklist, then close"
    triages = [deed for deed in picture.deeds if deed.command == "triage" and deed.finished_ms is not None]
    if triages and triages[-1].verdict is Verdict.PASS:
        return "it looks healthy: watch, then go through the checklist and close"
    if triages and triages[-1].next:
        return triages[-1].next[:600]
    return "run /sendcat triage"


def buttons(picture: Picture) -> tuple[Button, ...]:
    """Note, hand over, checklist, triage; the rest in the menu. To close is offered when it would not be refused."""
    incident = picture.incident
    begun, over = picture.checklist_begun, picture.checklist_begun and not picture.open_items
    first = Button(
        label="Checklist",
        line=f"checklist {incident.id}",
        name="checklist.open",
        style="primary" if begun and not over else None,
    )
    triage = Button(label="Run triage", line="triage", name="triage.rerun", style=None if begun else "primary")
    return (
        triage,
        note_button(incident.id),
        handoff_button(incident.id),
        first,
        update_button(picture),
        Button(label="Timeline", line=f"timeline {incident.id}", name="incident.timeline"),
        Button(label="Remind me in 1 h", line=f"checklist snooze {incident.id} --minutes=60", name="checklist.snooze"),
        Button(label="Export", line=f"checklist export {incident.id}", name="checklist.export"),
        *((close_button(incident.id).model_copy(update={"style": "primary"}),) if over else ()),
    )


def closed_buttons(picture: Picture) -> tuple[Button, ...]:
    incident = picture.incident
    return (
        Button(label="Checklist", line=f"checklist {incident.id}", name="checklist.open"),
        Button(label="Export", line=f"checklist export {incident.id}", name="checklist.export"),
    )


def note_button(incident: str) -> Button:
    form = Form(
        title="Note",
        fields=(Field(flag="text", label="What happened", kind="long"),),
        submit="Add",
        note=f"Stands in the timeline of {incident}; it cannot be changed afterwards.",
    )
    return Button(label="Add a note…", line=f"incident note --incident={incident}", name="incident.note", form=form)


def handoff_button(incident: str) -> Button:
    form = Form(
        title="Hand over",
        fields=(
            Field(flag="to", label="To whom", hint="a Slack member id, @mention, or a name in [people]"),
            Field(flag="note", label="What they must know", kind="long", optional=True),
        ),
        submit="Hand over",
    )
    return Button(
        label="Hand over…", line=f"incident handoff --incident={incident}", name="incident.handoff", form=form
    )


def update_button(picture: Picture) -> Button:
    """What a person knows and the bot does not: severity, cause, endpoints, the next decision."""
    incident = picture.incident
    form = Form(
        title="Update the incident",
        fields=(
            Field(
                flag="severity",
                label="Severity",
                kind="choice",
                options=SEVERITIES,
                value=incident.severity or "",
                optional=True,
            ),
            Field(flag="cause", label="Cause", value=incident.cause, optional=True),
            Field(
                flag="endpoints",
                label="Affected endpoints",
                value=",".join(incident.endpoints),
                hint=", ".join(ENDPOINTS.values()),
                optional=True,
            ),
            Field(flag="next", label="Next decision", value=incident.next_step, optional=True),
        ),
        submit="Update",
    )
    return Button(label="Update…", line=f"incident update --incident={incident.id}", name="incident.update", form=form)


def close_button(incident: str) -> Button:
    return Button(
        label="Close the incident",
        line=f"incident close {incident}",
        name="incident.close",
        confirm=Confirm(
            title=f"Close {incident}?",
            text="It closes when every required item of the checklist is answered; the report goes into the thread.",
            yes="Close",
        ),
    )


def _footer(picture: Picture) -> str:
    incident = picture.incident
    last = picture.entries[-1] if picture.entries else None
    parts = [f"opened by {who(incident.opened_by)} {when(incident.opened_ms)}"]
    if last is not None:
        parts.append(f"newest entry {when(last.event_ms)}")
    return " · ".join([*parts, "runbook: post-incident"])
