"""What can be pressed on the card of a walk: the step that is next, the other steps, and the walk itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from bot.card import Button, Confirm, Field, Form, stop_button
from bot.store.walks import ENDED, Walk
from bot.walk.steps import first_line, reason_against, words
from playbooks.page import Page, StepKind
from playbooks.page import Step as Action
from playbooks.spans import CommandSpan


def buttons(walk: Walk, page: Page, here: Action | None, *, every: bool) -> Iterable[Button]:
    """The buttons in reading order; with ``every`` also those of functions against which the newest look speaks."""
    running = [taken for taken in walk.steps.values() if taken.state == "running" and taken.op is not None]
    watched = walk.seen.get("watch")
    yield from (stop_button(taken.op or "") for taken in running[:1])
    if watched is not None and not running:
        yield stop_button(watched["op"]).model_copy(update={"label": "Stop watching"})
    look = Button(label="Look again", line=f"walk look {walk.id}", name="walk.look")
    if before := walk.seen.get("before"):
        style: Literal["primary"] | None = "primary" if here is None else None
        yield Button(label=f"Open playbook {before}", line=f"playbook {before}", name="walk.before", style=style)
    if here is not None and not running:
        first, *others = [*of_step(walk, here)] or [look]
        yield first.model_copy(update={"style": "primary"}) if first.style is None else first
        yield from others
        yield Button(
            label=f"Skip step {here.number}",
            line=f"walk skip {walk.id} {here.number}",
            name=f"walk.skip-{here.number}",
            form=Form(
                title=f"Skip step {here.number}",
                text=first_line(here),
                submit="Skip",
                fields=(Field(flag="because", label="Why it is not needed", kind="text", optional=True),),
            ),
        )
    yield look
    left = [a for a in page.steps if a is not here and a.kind is not StepKind.READ]
    left = [action for action in left if walk.step(action.number).state not in ENDED]
    yield from _of_others(walk, (action for action in left if not reason_against(walk, action)))
    offered = walk.seen.get("offers", {}).get(str(here.number), ()) if here is not None else ()
    if watched is None and not any(offer["line"].startswith("walk watch") for offer in offered):
        yield Button(label="Watch 10 min", line=f"walk watch {walk.id}", name="walk.watch")
    yield Button(label="Leave", line=f"walk leave {walk.id}", name="walk.leave")
    # What speaks against a change of a knob is for tuning to hear; the four functions can be pressed all the same.
    if every:
        yield from _of_others(walk, (a for a in left if reason_against(walk, a) and a.kind is not StepKind.CHANGE))


def _of_others(walk: Walk, actions: Iterable[Action]) -> Iterable[Button]:
    """The first button of other steps, with their number."""
    for action in actions:
        for button in list(of_step(walk, action))[:1]:
            yield button.model_copy(update={"label": f"{action.number}: {button.label}"[:75]})


def of_step(walk: Walk, action: Action) -> Iterable[Button]:
    """What can be pressed for one action."""
    number = action.number
    offered = [
        _offered(walk, number, at, raw) for at, raw in enumerate(walk.seen.get("offers", {}).get(str(number), ()))
    ]
    yield from (button for button in offered if "watch" not in walk.seen or not button.line.startswith("walk watch"))
    match action.kind:
        case StepKind.CONFIRM:
            yield Button(label="Confirmed", line=f"walk confirm {walk.id} {number}", name=f"walk.confirm-{number}")
            yield Button(
                label="Answer …",
                line=f"walk confirm {walk.id} {number}",
                name=f"walk.answer-{number}",
                form=Form(
                    title=f"Step {number}",
                    text=words(action.text),
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
