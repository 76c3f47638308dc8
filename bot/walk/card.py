"""A walk as a card: drawn from its rows only, so that every redraw after a click or a restart is the same (ux.md, 1).

The signal first, then the numbered actions in the runbook's order, then the step that is next with what is true
beside it, and what to press.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bot.card import SYMBOL, Button, Card, Confirm, Fact, Field, Form, Step, Tone, stop_button, when, who
from bot.store.walks import ENDED, Taken, Walk
from playbooks.findings import Finding
from playbooks.page import Page, StepKind
from playbooks.page import Step as Action
from playbooks.spans import CommandSpan

TONES = {"plain": Tone.PLAIN, "ok": Tone.OK, "warn": Tone.WARN, "bad": Tone.BAD, "unknown": Tone.UNKNOWN}
WORST = ("bad", "unknown", "warn", "ok", "plain")
FINDINGS = 5
_URGENCY = ("bad", "warn", "unknown", "plain", "ok")
_CHECK = re.compile(r":? *`check:[a-z-]+`;?")
_SIGNAL = {"fired": ("FIRED", Tone.BAD), "quiet": ("QUIET", Tone.OK), "not judged": ("NOT JUDGED", Tone.UNKNOWN)}
_STATES = {
    "done": Tone.OK,
    "skipped": Tone.REFUSED,
    "running": Tone.RUNNING,
    "failed": Tone.BAD,
    "unclear": Tone.UNKNOWN,
    "interrupted": Tone.UNKNOWN,
}


def card(walk: Walk, page: Page) -> Card:
    """The card of a walk as it stands."""
    seen = walk.seen
    word, tone = _SIGNAL.get(seen.get("state", ""), ("LOOKING", Tone.RUNNING))
    if walk.ended_ms is not None:
        word, tone = f"LEFT ({word.lower()})", Tone.PLAIN
    here = _next(walk, page)
    buttons = tuple(_buttons(walk, page, here)) if walk.ended_ms is None else ()
    sections = [*_readings(seen), *_evidence(walk, page, seen, here)]
    if here is not None and walk.ended_ms is None:
        sections.append(_now(here))
    return Card(
        title=f"Playbook {page.letter} {word}: {page.title}"[:140],
        tone=tone,
        context=f"walk {walk.id} · {walk.target} · started by {who(walk.by)} {when(walk.started_ms)}",
        lead=str(seen.get("why", "Reading the deployment.")),
        steps=tuple(_row(walk, action, seen) for action in page.steps),
        facts=tuple(Fact(label=label, value=value) for label, value in seen.get("figures", ())),
        sections=tuple(sections),
        next=_then(walk, here),
        buttons=buttons,
        footer=_footer(walk, page, seen),
        final=not any(taken.state == "running" for taken in walk.steps.values()) and bool(seen),
    )


def lines_of(seen: dict[str, Any], number: int) -> tuple[Finding, ...]:
    """What the newest look found for a step."""
    return tuple(Finding(text, tone) for tone, text in seen.get("found", {}).get(str(number), ()))


def _next(walk: Walk, page: Page) -> Action | None:
    """The first action that a person still has to do something about."""
    waiting = (a for a in page.steps if a.kind is not StepKind.READ and walk.step(a.number).state not in ENDED)
    return next(waiting, None)


def _row(walk: Walk, action: Action, seen: dict[str, Any]) -> Step:
    taken = walk.step(action.number)
    label = f"{action.number}. {action.kind}: {_first(action)}"
    if action.kind is StepKind.READ:
        found = lines_of(seen, action.number)
        if not found:
            return Step(label=label, tone=Tone.PLAIN)
        worst = min((finding.tone for finding in found), key=WORST.index)
        return Step(label=label, tone=TONES[worst] if worst != "plain" else Tone.OK)
    if taken.state == "open":
        return Step(label=label)
    return Step(label=label, tone=_STATES[taken.state], detail=_told(taken))


def _told(taken: Taken) -> str:
    by = f"by {who(taken.by or '')}"
    if taken.state == "running":
        return f"{taken.lines[-1].text} · {by}" if taken.lines else f"running · {by}"
    if taken.state == "interrupted":
        return "interrupted: nobody finished it; look again"
    return f"{taken.state} {by} {when(taken.at_ms or 0)}"


def _readings(seen: dict[str, Any]) -> Iterable[str]:
    lines = [f"• {line}" for line in seen.get("readings", ())]
    lines += [f"• missing: {gap}" for gap in seen.get("missing", ())[:2]]
    if lines:
        yield "*Signal*\n" + "\n".join(lines)


def _evidence(walk: Walk, page: Page, seen: dict[str, Any], here: Action | None) -> Iterable[str]:
    """What was read, what people did, and what is known for the step that is next; later steps wait for their turn."""
    for action in page.steps:
        taken = walk.step(action.number)
        found = taken.lines if taken.lines and taken.state != "running" else ()
        if not found and (action.kind is StepKind.READ or action is here):
            found = lines_of(seen, action.number)
        if found:
            more = [f"• and {len(found) - FINDINGS} more"] if len(found) > FINDINGS else []
            worst = sorted(found, key=lambda finding: _URGENCY.index(finding.tone))
            lines = [f"• {_drawn(finding)}" for finding in worst[:FINDINGS]]
            yield "\n".join((f"*{action.number}.* {_first(action)}", *lines, *more))


def _first(action: Action) -> str:
    """The first line of an action, without the colon that leads to its list."""
    return _words(action.text).splitlines()[0].rstrip(":.")


def _words(text: str) -> str:
    """A page's text without the names of its checks, whose findings stand beside it."""
    return _CHECK.sub("", text)


def _drawn(finding: Finding) -> str:
    return f"{finding.text} {SYMBOL[TONES[finding.tone]]}".rstrip() if finding.tone in ("bad", "warn") else finding.text


def _now(action: Action) -> str:
    notes = [f"> {note}" for note in action.notes]
    return "\n".join((f"*Now: step {action.number}, {action.kind}.* {_words(action.text)}", *notes))


def _then(walk: Walk, here: Action | None) -> str:
    if walk.ended_ms is not None:
        return f"`/sendcat playbook {walk.page[:1].upper()}` walks it again"
    if here is None:
        return "every action is done; look again, or leave the walk"
    if walk.step(here.number).state == "unclear":
        return f"look before step {here.number} is tried again: nobody knows whether it happened (R26)"
    return f"step {here.number}: {_first(here)}"


def _footer(walk: Walk, page: Page, seen: dict[str, Any]) -> str:
    parts = [f"looked {when(seen['at_ms'])}"] if "at_ms" in seen else []
    parts += [f"`{seen['artifact']}`"] if "artifact" in seen else []
    return " · ".join((*parts, f"Runbook, playbook {page.letter}"))


def _buttons(walk: Walk, page: Page, here: Action | None) -> Iterable[Button]:
    running = [taken for taken in walk.steps.values() if taken.state == "running" and taken.op is not None]
    yield from (stop_button(taken.op or "") for taken in running[:1])
    look = Button(label="Look again", line=f"walk look {walk.id}", name="walk.look")
    if here is not None and not running:
        first, *others = [*_of(walk, here)] or [look]
        yield first.model_copy(update={"style": "primary"}) if first.style is None else first
        yield from others
        yield Button(
            label=f"Skip step {here.number}",
            line=f"walk skip {walk.id} {here.number}",
            name=f"walk.skip-{here.number}",
            form=Form(
                title=f"Skip step {here.number}",
                text=_first(here),
                submit="Skip",
                fields=(Field(flag="because", label="Why it is not needed", kind="text", optional=True),),
            ),
        )
    yield look
    for action in page.steps:
        if action is not here and action.kind is not StepKind.READ and walk.step(action.number).state not in ENDED:
            for button in list(_of(walk, action))[:1]:
                yield button.model_copy(update={"label": f"{action.number}: {button.label}"[:75]})
    yield Button(label="Watch 10 min", line=f"walk watch {walk.id}", name="walk.watch")
    yield Button(label="Leave", line=f"walk leave {walk.id}", name="walk.leave")


def _of(walk: Walk, action: Action) -> Iterable[Button]:
    """What can be pressed for one action."""
    number = action.number
    offered = [
        _offered(walk, number, at, raw) for at, raw in enumerate(walk.seen.get("offers", {}).get(str(number), ()))
    ]
    yield from offered
    match action.kind:
        case StepKind.CONFIRM:
            yield Button(label="Confirmed", line=f"walk confirm {walk.id} {number}", name=f"walk.confirm-{number}")
            yield Button(
                label="Answer …",
                line=f"walk confirm {walk.id} {number}",
                name=f"walk.answer-{number}",
                form=Form(
                    title=f"Step {number}",
                    text=_words(action.text),
                    submit="Record",
                    fields=(Field(flag="answer", label="What you found or decided", kind="long"),),
                ),
            )
        case StepKind.CHANGE if offered:
            yield Button(label="Done", line=f"walk confirm {walk.id} {number}", name=f"walk.confirm-{number}")
        case StepKind.CHANGE:
            yield Button(
                label="Not needed or done", line=f"walk confirm {walk.id} {number}", name=f"walk.confirm-{number}"
            )
        case StepKind.RETEST:
            yield Button(label="Run retest", line=f"walk retest {walk.id} {number}", name=f"walk.retest-{number}")
        case StepKind.RUN:
            yield from _runs(action)
            yield Button(label="Done", line=f"walk confirm {walk.id} {number}", name=f"walk.confirm-{number}")
        case StepKind.LINK:
            yield Button(label="Open the ticket", line=f"walk ticket {walk.id} {number}", name=f"walk.ticket-{number}")


def _offered(walk: Walk, number: int, at: int, raw: dict[str, Any]) -> Button:
    confirm = raw.get("confirm")
    return Button(
        label=raw["label"][:75],
        line=raw["line"].replace("walk mutate WALK ", f"walk mutate {walk.id} "),
        name=f"walk.offer-{number}-{at}",
        confirm=Confirm(title=raw["label"][:90], text=confirm, yes="Do it") if confirm else None,
        style="danger" if confirm else None,
        form=Form.model_validate(raw["form"]) if "form" in raw else None,
    )


def _runs(action: Action) -> Iterable[Button]:
    """Command lines of a step; what a person fills in is asked by a form."""
    for span in action.all(CommandSpan):
        blank = {flag: value for flag, value in span.line.flags.items() if value.startswith("<")}
        flags = {flag: value for flag, value in span.line.flags.items() if flag not in blank}
        line = type(span.line)(span.line.command, span.line.words, flags).text
        fields = tuple(
            Field(flag=flag, label=value.strip("<>").replace("-", " ").capitalize()) for flag, value in blank.items()
        )
        form = Form(title=span.line.command[:24], fields=fields) if fields else None
        name = f"walk.run-{span.line.command}"
        yield Button(label=f"Run {span.line.command}", line=line, name=name, form=form)
