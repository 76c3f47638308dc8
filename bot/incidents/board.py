"""The card of the post-incident checklist (ux.md, sketch 4): what is done and by whom, what is found, what lacks."""

from __future__ import annotations

from typing import Any

from bot.card import Button, Card, Field, Form, Link, Step, Tone, when, who
from bot.incidents.items import ITEMS, LABELS
from bot.incidents.live import close_button
from bot.incidents.picture import Picture
from bot.incidents.words import is_link
from bot.redact import inert
from bot.store.checklist import Item

DIFFERENCES = 6
"""So many thresholds that differ stand on the card; the report has them all."""


def key(incident: str) -> str:
    """The outbox key of the checklist card: one message for each incident, edited in place."""
    return f"checklist:{incident}"


def ordered(picture: Picture) -> tuple[Item, ...]:
    """The items in the runbook's order."""
    place = {kind.key: number for number, kind in enumerate(ITEMS)}
    return tuple(sorted(picture.items, key=lambda item: place.get(item.key, len(place))))


def ready(picture: Picture) -> tuple[Item, ...]:
    """Open items whose facts are there: they only wait for a person's word."""
    return tuple(item for item in ordered(picture) if item.open and item.found.ready)


def counts(picture: Picture) -> tuple[int, int]:
    """Done, and asked in all."""
    asked = [item for item in picture.items if item.state != "not asked"]
    return sum(not item.open for item in asked), len(asked)


def data(picture: Picture) -> dict[str, Any]:
    """What a terminal reads with ``--json``: each item with its state and what was found."""
    answered, asked = counts(picture)
    return {
        "incident": picture.incident.id,
        "done": answered,
        "asked": asked,
        "items": {
            item.key: {"state": item.state, "ready": item.found.ready, "found": item.found.detail}
            for item in ordered(picture)
        },
    }


def card(picture: Picture) -> Card:
    """Drawn from state; each tick says who and when."""
    incident = picture.incident
    done, asked = counts(picture)
    items = ordered(picture)
    over = done == asked
    title = f"Post-incident checklist {incident.id} · {done} of {asked} done"
    unasked = [LABELS.get(item.key, item.key) for item in items if item.state == "not asked"]
    return Card(
        title=title,
        tone=Tone.OK if over else Tone.WARN,
        context=_context(picture),
        lead=incident.title,
        steps=tuple(_step(item, picture) for item in items if item.state != "not asked"),
        sections=_differences(picture),
        next=_next(picture),
        buttons=_buttons(picture) if incident.open else _closed_buttons(picture),
        links=_links(picture),
        footer=(f"not asked: {', '.join(unasked)} · " if unasked else "") + "runbook: post-incident checklist",
        final=not incident.open,
    )


def _context(picture: Picture) -> str:
    incident = picture.incident
    due = [item.due_ms for item in picture.items if item.open and item.due_ms is not None]
    parts = [f"owner {who(incident.owner)}"]
    if due and incident.open:
        parts.append(f"due {when(min(due))}")
    parts.append(
        f"incident {when(incident.began_ms)}" + (f" to {when(incident.closed_ms)}" if incident.closed_ms else "")
    )
    return " · ".join(parts)


def _step(item: Item, picture: Picture) -> Step:
    label = LABELS.get(item.key, item.key)
    last = item.last
    if item.open or last is None:
        mine = f" · {who(item.owner)}" if item.owner and item.owner != picture.incident.owner else ""
        again = " · answered before, but the facts have changed" if item.outdated else ""
        if item.found.ready:
            return Step(
                label=label, tone=Tone.PLAIN, detail=f"{item.found.detail} · found, to be confirmed{mine}{again}"
            )
        return Step(label=label, tone=Tone.WARN, detail=f"{item.found.lacks or item.found.detail}{mine}{again}")
    said = {
        "confirmed": item.found.detail,
        "added": f"added: {inert(last.value, 80)}",
        "skipped": f"not needed: {inert(last.reason, 120)}",
    }.get(item.state, "")
    return Step(label=label, tone=Tone.OK, detail=f"{said} · {who(last.by)} {when(last.at_ms)}")


def _links(picture: Picture) -> tuple[Link, ...]:
    """What was added or found and can be opened: Sentry's issues first, then links that people gave to other items."""
    sentry = [value for item in picture.items if item.key == "sentry" for value in item.found.evidence]
    others = [item for item in ordered(picture) if item.key != "sentry" and item.added and is_link(item.added[-1])]
    return (
        *(Link(label=f"Sentry {number}", url=url) for number, url in enumerate(sentry[:4], 1)),
        *(Link(label=LABELS.get(item.key, item.key), url=item.added[-1]) for item in others),
    )


def _differences(picture: Picture) -> tuple[str, ...]:
    """What is not as it was before the incident, to be read before anybody answers (runbook, item 4)."""
    found = next((item.found for item in picture.items if item.key == "baseline" and item.state != "not asked"), None)
    if found is None or not found.evidence:
        return ()
    lines = [f"• {inert(line, 120)}" for line in found.evidence[:DIFFERENCES]]
    more = len(found.evidence) - len(lines)
    lines += [f"• and {more} more, in the report"] if more > 0 else []
    return ("*Not as before the incident:*\n" + "\n".join(lines),)


def _next(picture: Picture) -> str:
    if not picture.incident.open:
        return ""
    found = ready(picture)
    if found:
        return f"confirm what was found ({len(found)}), then answer the rest"
    left = [item for item in ordered(picture) if item.open]
    if left:
        names = ", ".join(LABELS.get(item.key, item.key) for item in left[:3])
        return f"answer {names}: add what is missing, or say why it is not needed"
    return "close the incident"


def _buttons(picture: Picture) -> tuple[Button, ...]:
    incident = picture.incident
    left = [item for item in ordered(picture) if item.open]
    found = ready(picture)
    buttons: list[Button] = []
    if found:
        line = f"checklist confirm ready --incident={incident.id}"
        buttons.append(Button(label="Confirm what is found", line=line, name="checklist.confirm", style="primary"))
    if left:
        buttons += [add_button(incident.id, left), skip_button(incident.id, left)]
    else:
        buttons.append(close_button(incident.id).model_copy(update={"style": "primary"}))
    if any(item.key == "phase-log" and not item.found.ready for item in left):
        line = f"checklist export {incident.id}"
        buttons.append(Button(label="Draft the log entry", line=line, name="checklist.draft"))
    buttons.append(assign_button(incident.id, left))
    buttons.append(Button(label="Export", line=f"checklist export {incident.id}", name="checklist.export"))
    buttons.append(
        Button(
            label="Snooze reminders 1 h", line=f"checklist snooze {incident.id} --minutes=60", name="checklist.snooze"
        )
    )
    answered = [item for item in ordered(picture) if not item.open and item.state != "not asked"]
    if answered:
        buttons.append(reopen_button(incident.id, answered))
    return tuple(buttons)


def _closed_buttons(picture: Picture) -> tuple[Button, ...]:
    line = f"checklist export {picture.incident.id}"
    return (Button(label="Export", line=line, name="checklist.export"),)


def _choice(items: list[Item]) -> Field:
    options = tuple((item.key, LABELS.get(item.key, item.key)) for item in items)
    lacking = [item.key for item in items if not item.found.ready]
    return Field(flag="item", label="Item", kind="choice", options=options, value=(lacking or [options[0][0]])[0])


def add_button(incident: str, items: list[Item]) -> Button:
    form = Form(
        title="Add to the checklist",
        fields=(_choice(items), Field(flag="value", label="Link, report name or endpoint")),
        submit="Add",
    )
    return Button(label="Add…", line=f"checklist add --incident={incident}", name="checklist.add", form=form)


def skip_button(incident: str, items: list[Item]) -> Button:
    form = Form(
        title="Not needed",
        fields=(_choice(items), Field(flag="reason", label="Because", kind="long")),
        submit="Not needed",
        note="The reason stands on the card, in the record and in the report.",
    )
    return Button(label="Not needed…", line=f"checklist skip --incident={incident}", name="checklist.skip", form=form)


def assign_button(incident: str, items: list[Item]) -> Button:
    options = (("all", "Everything that is open"), *((item.key, LABELS.get(item.key, item.key)) for item in items))
    form = Form(
        title="Hand over items",
        fields=(
            Field(flag="item", label="Item", kind="choice", options=options, value="all"),
            Field(flag="to", label="To whom", hint="a Slack member id, @mention, or a name in [people]"),
            Field(flag="hours", label="Due in hours", kind="number", value="24"),
        ),
        submit="Hand over",
    )
    return Button(
        label="Hand over…", line=f"checklist assign --incident={incident}", name="checklist.assign", form=form
    )


def reopen_button(incident: str, items: list[Item]) -> Button:
    form = Form(title="Untick an item", fields=(_choice(items),), submit="Untick", note="Unticking is recorded too.")
    return Button(label="Untick…", line=f"checklist reopen --incident={incident}", name="checklist.reopen", form=form)
