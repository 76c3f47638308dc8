"""A walk as a card: drawn from its rows only, so that every redraw after a click or a restart is the same (ux.md, 1).

The signal first, then the numbered actions in the runbook's order, then the step that is next with what is true
beside it, and what to press.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from bot.card import SYMBOL, Button, Card, Confirm, Field, Form, Step, Tone, stop_button, when, who
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
        sections.append(_now(walk, here, seen))
    return Card(
        title=f"Playbook {page.letter} {word}: {page.title}"[:140],
        tone=tone,
        context=f"walk {walk.id} · {walk.target} · started by {who(walk.by)} {when(walk.started_ms)}",
        lead=str(seen.get("why", "Reading the deployment.")),
        steps=tuple(_row(walk, action, seen) for action in page.steps),
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
    """The first action that a person still has to do something about, and against which nothing speaks."""
    against = walk.seen.get("not_now", {})
    waiting = [a for a in page.steps if a.kind is not StepKind.READ and walk.step(a.number).state not in ENDED]
    if walk.seen.get("state") == "fired" and not any(taken.state == "done" for taken in walk.steps.values()):
        waiting = [
            a for a in waiting if a.kind is not StepKind.RETEST
        ]  # nothing was done yet that a retest could judge
    return next((a for a in waiting if str(a.number) not in against or walk.step(a.number).state != "open"), None)


def _row(walk: Walk, action: Action, seen: dict[str, Any]) -> Step:
    taken = walk.step(action.number)
    label = f"{action.number}. {action.kind}: {_first(action)}"
    if action.kind is StepKind.READ:
        found = lines_of(seen, action.number)
        if not found:
            return Step(label=label, tone=Tone.PLAIN)
        worst = min((finding.tone for finding in found), key=WORST.index)
        return Step(
            label=label, tone=TONES[worst] if worst != "plain" else Tone.OK, detail=f"· {_worst(found)[0].text}"
        )
    if taken.state == "open":
        reason = seen.get("not_now", {}).get(str(action.number), "")
        return Step(label=label, detail=f"· not now: {reason}" if reason else "")
    return Step(label=label, tone=_STATES[taken.state], detail=_told(taken))


def _told(taken: Taken) -> str:
    by = f"by {who(taken.by or '')}"
    if taken.state == "running":
        return f"{taken.lines[-1].text} · {by}" if taken.lines else f"running · {by}"
    if taken.state == "interrupted":
        return f"interrupted · {by}; nobody knows what of it happened, look first"
    return f"{taken.state} {by} {when(taken.at_ms or 0)}"


def _readings(seen: dict[str, Any]) -> Iterable[str]:
    """Live readings with limits and ages, those that fired first and marked."""
    lines = [f"• {text}{f' {SYMBOL[Tone.BAD]}' if fired else ''}" for fired, text in seen.get("readings", ())]
    lines += [f"• missing: {gap}" for gap in seen.get("missing", ())[:2]]
    if lines:
        yield "*Signal*\n" + "\n".join(lines)


def _evidence(walk: Walk, page: Page, seen: dict[str, Any], here: Action | None) -> Iterable[str]:
    """What was read and what people did; a read step's first finding stands on its row already."""
    for action in page.steps:
        taken = walk.step(action.number)
        found = _worst(taken.lines) if taken.lines and taken.state != "running" else ()
        if not found and action.kind is StepKind.READ:
            found = _worst(lines_of(seen, action.number))[1:]
        if found and action is not here:
            yield f"*{action.number}.* {_first(action)}\n" + _bullets(found)


def _worst(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: _URGENCY.index(finding.tone)))


def _bullets(found: tuple[Finding, ...]) -> str:
    more = [f"• and {len(found) - FINDINGS} more"] if len(found) > FINDINGS else []
    return "\n".join((*(f"• {_drawn(finding)}" for finding in found[:FINDINGS]), *more))


def _first(action: Action) -> str:
    """The first line of an action, without the colon that leads to its list."""
    return _words(action.text).splitlines()[0].rstrip(":.")


def _words(text: str) -> str:
    """A page's text without the names of its checks, whose findings stand beside it."""
    return _CHECK.sub("", text)


def _drawn(finding: Finding) -> str:
    return f"{finding.text} {SYMBOL[TONES[finding.tone]]}".rstrip() if finding.tone in ("bad", "warn") else finding.text


def _now(walk: Walk, action: Action, seen: dict[str, Any]) -> str:
    """The step that is next: the runbook's words, what is known for it, and what is true beside it."""
    found = _worst(walk.step(action.number).lines or lines_of(seen, action.number))
    notes = [f"> {note}" for note in action.notes]
    # Ranges of the knobs say what the list of their names says; every other list is the step itself.
    words = _first(action) if action.kind is StepKind.CHANGE and found else _words(action.text)
    return "\n".join(
        (f"*Now: step {action.number}, {action.kind}.* {words}", *([_bullets(found)] if found else ()), *notes)
    )


def _then(walk: Walk, here: Action | None) -> str:
    if walk.ended_ms is not None:
        return f"`/sendcat playbook {walk.page[:1].upper()}` walks it again"
    if here is None:
        if before := walk.seen.get("before"):
            return f"playbook {before} first, then look again"
        if walk.seen.get("state") == "quiet":
            return "the signal is quiet and nothing asks for a change: leave the walk, or watch it"
        return "nothing is left to do now; look again, or leave the walk"
    if walk.step(here.number).state in ("unclear", "interrupted"):
        return f"look before step {here.number} is tried again: nobody knows whether it happened (R26)"
    press = next((button.label for button in _of(walk, here)), "look again")
    return f"step {here.number}: {press}"


def _footer(walk: Walk, page: Page, seen: dict[str, Any]) -> str:
    parts = [f"looked {when(seen['at_ms'])}"] if "at_ms" in seen else []
    parts += [f"`{seen['artifact']}`"] if "artifact" in seen else []
    return " · ".join((*parts, f"Runbook, playbook {page.letter}"))


def _buttons(walk: Walk, page: Page, here: Action | None) -> Iterable[Button]:
    running = [taken for taken in walk.steps.values() if taken.state == "running" and taken.op is not None]
    yield from (stop_button(taken.op or "") for taken in running[:1])
    look = Button(label="Look again", line=f"walk look {walk.id}", name="walk.look")
    if before := walk.seen.get("before"):
        style: Literal["primary"] | None = "primary" if here is None else None
        yield Button(label=f"Open playbook {before}", line=f"playbook {before}", name="walk.before", style=style)
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
    against = walk.seen.get("not_now", {})
    for action in page.steps:
        if action is here or action.kind is StepKind.READ or walk.step(action.number).state in ENDED:
            continue
        if action.kind is StepKind.CHANGE and str(action.number) in against:
            continue
        for button in list(_of(walk, action))[:1]:
            yield button.model_copy(update={"label": f"{action.number}: {button.label}"[:75]})
    if here is None or not walk.seen.get("offers", {}).get(str(here.number), ({},))[0].get("line", "").startswith(
        "walk watch"
    ):
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
        line=re.sub(r"^(walk \w+) WALK", rf"\1 {walk.id}", raw["line"]),
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
