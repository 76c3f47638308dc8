"""A walk as a card: drawn from its rows only, so that every redraw after a click or a restart is the same (ux.md, 1).

In a channel the card fits a phone: the signal, the step that is next with what to press, and one line about the other
steps. The whole list stands in the card's thread, edited in place as the card is. A terminal, which has no thread, is
shown all of it at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.card import SYMBOL, Button, Card, Step, Tone, clipped, when, who
from bot.redact import inert
from bot.store.walks import Walk
from bot.walk import steps
from bot.walk.buttons import buttons, of_step
from playbooks.findings import Finding
from playbooks.page import Page, StepKind
from playbooks.page import Step as Action

READINGS = 2
"""Readings that fired, and read findings that ask for somebody's eye, on the card of a channel."""
REASON_CHARS = 60
_SIGNAL = {"fired": ("FIRED", Tone.BAD), "quiet": ("QUIET", Tone.OK), "not judged": ("NOT JUDGED", Tone.UNKNOWN)}
_HELD = ("running", "failed", "unclear", "interrupted")
"""States of a step that everybody has to see on the card itself."""


def card(walk: Walk, page: Page) -> Card:
    """The card of a walk as it stands, where it is walked: short in a channel, whole in a terminal."""
    return whole(walk, page) if walk.channel is None else brief(walk, page)


def whole(walk: Walk, page: Page) -> Card:
    """Everything on one card: signal, every step, every finding."""
    here = steps.next_step(walk, page)
    sections = [*steps.readings(walk.seen), *steps.evidence(walk, page, here)]
    if here is not None and walk.ended_ms is None:
        sections.append(steps.now(walk, here))
    return _framed(walk, page).model_copy(
        update={
            "steps": tuple(steps.row(walk, action) for action in page.steps),
            "sections": tuple(sections),
            "next": _then(walk, here),
            "buttons": _pressed(walk, page, here, every=True),
        }
    )


def brief(walk: Walk, page: Page) -> Card:
    """What fits a phone: verdict, what is wrong, the step that holds now with its buttons, the others in one line."""
    here = steps.next_step(walk, page)
    sections = [*_evidence(walk, page, here.number if here is not None else None)]
    if here is not None and walk.ended_ms is None:
        sections.append(steps.now(walk, here, short=True))
    sections.append(_others(walk, page, here))
    said = _then(walk, here)
    return _framed(walk, page).model_copy(
        update={
            "steps": tuple(_held(walk, page)),
            "sections": tuple(filter(None, sections)),
            "next": "" if here is not None and said.startswith(f"step {here.number}:") else said,
            "footer": _footer(walk, page, files=False),
            "buttons": _pressed(walk, page, here, every=False),
        }
    )


def listed(walk: Walk, page: Page) -> Card:
    """The whole list for the thread of a channel's card; nothing in it moves while a step merely runs."""
    rows = [steps.row(walk, action) for action in page.steps]
    for at, action in enumerate(page.steps):
        if walk.step(action.number).state == "running":
            rows[at] = rows[at].model_copy(update={"detail": f"running · by {who(walk.step(action.number).by or '')}"})
    notes = [f"*{a.number}.* " + "\n".join(a.notes) for a in page.steps if a.notes]
    return Card(
        title=f"Playbook {page.letter}, walk {walk.id}: every step",
        steps=tuple(rows),
        sections=(
            *steps.readings(walk.seen),
            *steps.evidence(walk, page, None),
            *_all_the_same(walk, page),
            *notes,
        ),
        footer=_footer(walk, page),
        final=True,
    )


def moved(walk: Walk, page: Page) -> tuple[Card, Card]:
    """What the card, and the list in its thread, say once the walk goes on at a newer card."""
    on = f"walk {walk.id} · its newest card shows the course"
    title = f"Playbook {page.letter} goes on below"
    return Card(title=title, context=on, final=True), Card(title=f"{title}: every step there", context=on, final=True)


def _framed(walk: Walk, page: Page) -> Card:
    """What both forms share: verdict, whose walk, why, when it was looked at."""
    word, tone = _SIGNAL.get(walk.seen.get("state", ""), ("LOOKING", Tone.RUNNING))
    if walk.ended_ms is not None:
        word, tone = f"LEFT ({word.lower()})", Tone.PLAIN
    return Card(
        title=f"Playbook {page.letter} {word}: {page.title}"[:140],
        tone=tone,
        context=f"walk {walk.id} · {walk.target} · started by {who(walk.by)} {when(walk.started_ms)}",
        lead=str(walk.seen.get("why", "Reading the deployment.")),
        footer=_footer(walk, page),
        final=not any(taken.state == "running" for taken in walk.steps.values()) and bool(walk.seen),
    )


def _evidence(walk: Walk, page: Page, here: int | None) -> Iterable[str]:
    """The readings that fired, what the reads found that is bad, and what the newest deed brought."""
    fired = [text for is_fired, text in walk.seen.get("readings", ()) if is_fired]
    lines = [f"• {text} {SYMBOL[Tone.BAD]}" for text in fired[:READINGS]]
    reads = [action for action in page.steps if action.kind is StepKind.READ]
    found = steps.worst(f for action in reads for f in steps.lines_of(walk.seen, action.number))
    told = [f"• {steps.drawn(f)}" for f in found if f.tone in ("bad", "warn") and not _said(f, fired)]
    lines += told[:READINGS]
    if lines:
        yield "\n".join(lines)
    done = _newest(walk)
    if done is not None and done != here and walk.step(done).state != "running":
        yield steps.bullets(steps.worst(walk.step(done).lines), steps.SHORT)


def _said(finding: Finding, fired: Iterable[str]) -> bool:
    """Whether a reading that fired is about the same thing, such as a circuit: a phone need not show it twice."""
    subject = finding.text.partition(":")[0].split(" ")[-1]
    return any(text.startswith(f"{subject} ") for text in fired)


def _held(walk: Walk, page: Page) -> Iterable[Step]:
    """The newest step that somebody took, and every one that runs, failed, or is not clear."""
    newest = _newest(walk)
    for action in page.steps:
        if action.number == newest or walk.step(action.number).state in _HELD:
            yield steps.row(walk, action)


def _newest(walk: Walk) -> int | None:
    """The step that somebody took last."""
    taken = [step for step in walk.steps.values() if step.state != "open" and step.at_ms is not None]
    return max(taken, key=lambda step: (step.at_ms or 0, step.number)).number if taken else None


def _others(walk: Walk, page: Page, here: Action | None) -> str:
    """How many other steps there are, how they stand, and why those that are not offered are not."""
    if not walk.seen:
        return ""
    kinds: dict[str, list[Action]] = {}
    for action in page.steps:
        if action is not here:
            kinds.setdefault(_stands(walk, action), []).append(action)
    said = []
    for kind, actions in kinds.items():
        numbers = ", ".join(str(action.number) for action in actions)
        reason = clipped(inert(steps.reason_against(walk, actions[0])), REASON_CHARS)
        said.append(f"{len(actions)} {kind} ({f'{actions[0].number}: {reason}' if reason else numbers})")
    return f"*Other steps:* {', '.join(said)}; all in the thread" if said else ""


def _stands(walk: Walk, action: Action) -> str:
    state = walk.step(action.number).state
    if action.kind is StepKind.READ:
        return "read"
    return state if state != "open" else "not now" if steps.reason_against(walk, action) else "open"


def _all_the_same(walk: Walk, page: Page) -> Iterable[str]:
    """The lines of functions that are not offered now: who knows better can type them."""
    lines = []
    for action in page.steps:
        if action.kind is StepKind.MUTATE and steps.reason_against(walk, action) and walk.ended_ms is None:
            lines += [f"{action.number}. `/sendcat {button.line}`" for button in list(of_step(walk, action))[:1]]
    if lines:
        yield "*Not now, and possible all the same:*\n" + "\n".join(lines)


def _pressed(walk: Walk, page: Page, here: Action | None, *, every: bool) -> tuple[Button, ...]:
    return tuple(buttons(walk, page, here, every=every)) if walk.ended_ms is None else ()


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
    press = next((button.label for button in of_step(walk, here)), "look again")
    return f"step {here.number}: {press}"


def _footer(walk: Walk, page: Page, *, files: bool = True) -> str:
    seen = walk.seen
    parts = [f"looked {when(seen['at_ms'])}"] if "at_ms" in seen else []
    parts += [f"`{seen['artifact']}`"] if files and "artifact" in seen else []
    if "watch" in seen and walk.ended_ms is None:
        parts.insert(0, f"watched once a minute until {when(seen['watch']['until_ms'])}")
    return " · ".join((*parts, f"Runbook, playbook {page.letter}"))
