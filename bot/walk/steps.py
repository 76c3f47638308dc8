"""The steps of a walk in words: a row for each action of the page, what was found for it, and the one that is next."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bot.card import SYMBOL, Step, Tone, when, who
from bot.store.walks import ENDED, Taken, Walk
from playbooks.findings import Finding
from playbooks.page import Page, StepKind
from playbooks.page import Step as Action

TONES = {"plain": Tone.PLAIN, "ok": Tone.OK, "warn": Tone.WARN, "bad": Tone.BAD, "unknown": Tone.UNKNOWN}
WORST = ("bad", "unknown", "warn", "ok", "plain")
FINDINGS = 5
SHORT = 2
"""Findings of a step on the card of a channel."""
_URGENCY = ("bad", "warn", "unknown", "plain", "ok")
_CHECK = re.compile(r":? *`check:[a-z-]+`;?")
_STATES = {
    "done": Tone.OK,
    "skipped": Tone.REFUSED,
    "running": Tone.RUNNING,
    "failed": Tone.BAD,
    "unclear": Tone.UNKNOWN,
    "interrupted": Tone.UNKNOWN,
}


def lines_of(seen: dict[str, Any], number: int) -> tuple[Finding, ...]:
    """What the newest look found for a step."""
    return tuple(Finding(text, tone) for tone, text in seen.get("found", {}).get(str(number), ()))


def reason_against(walk: Walk, action: Action) -> str:
    """Why the newest look says that an open step is not for now; empty where nothing speaks against it."""
    said: str = walk.seen.get("not_now", {}).get(str(action.number), "")
    return said if walk.step(action.number).state == "open" else ""


def next_step(walk: Walk, page: Page) -> Action | None:
    """The first action that a person still has to do something about, and against which nothing speaks."""
    waiting = [a for a in page.steps if a.kind is not StepKind.READ and walk.step(a.number).state not in ENDED]
    if walk.seen.get("state") == "fired" and not any(taken.state == "done" for taken in walk.steps.values()):
        waiting = [
            a for a in waiting if a.kind is not StepKind.RETEST
        ]  # nothing was done yet that a retest could judge
    return next((a for a in waiting if not reason_against(walk, a)), None)


def row(walk: Walk, action: Action) -> Step:
    """One line of the list: what the step is, how it stands, and why it is not for now."""
    taken = walk.step(action.number)
    label = f"{action.number}. {action.kind}: {first_line(action)}"
    if action.kind is StepKind.READ:
        found = lines_of(walk.seen, action.number)
        if not found:
            return Step(label=label, tone=Tone.PLAIN)
        tone = min((finding.tone for finding in found), key=WORST.index)
        return Step(label=label, tone=TONES[tone] if tone != "plain" else Tone.OK, detail=f"· {worst(found)[0].text}")
    if taken.state == "open":
        reason = reason_against(walk, action)
        return Step(label=label, detail=f"· not now: {reason}" if reason else "")
    return Step(label=label, tone=_STATES[taken.state], detail=_told(taken))


def _told(taken: Taken) -> str:
    by = f"by {who(taken.by or '')}"
    if taken.state == "running":
        return f"{taken.lines[-1].text} · {by}" if taken.lines else f"running · {by}"
    if taken.state == "interrupted":
        return f"interrupted · {by}; nobody knows what of it happened, look first"
    return f"{taken.state} {by} {when(taken.at_ms or 0)}"


def readings(seen: dict[str, Any]) -> Iterable[str]:
    """Live readings with limits and ages, those that fired first and marked."""
    lines = [f"• {text}{f' {SYMBOL[Tone.BAD]}' if fired else ''}" for fired, text in seen.get("readings", ())]
    lines += [f"• missing: {gap}" for gap in seen.get("missing", ())[:2]]
    if lines:
        yield "*Signal*\n" + "\n".join(lines)


def evidence(walk: Walk, page: Page, here: Action | None) -> Iterable[str]:
    """What was read and what people did; a read step's first finding stands on its row already."""
    for action in page.steps:
        taken = walk.step(action.number)
        found = worst(taken.lines) if taken.lines and taken.state != "running" else ()
        if not found and action.kind is StepKind.READ:
            found = worst(lines_of(walk.seen, action.number))[1:]
        if found and action is not here:
            yield f"*{action.number}.* {first_line(action)}\n" + bullets(found)


def worst(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order in which a person should hear them."""
    return tuple(sorted(found, key=lambda finding: _URGENCY.index(finding.tone)))


def bullets(found: tuple[Finding, ...], most: int = FINDINGS) -> str:
    """Findings as a list; the short one leaves it to the thread to say that there are more."""
    more = [f"• and {len(found) - most} more"] if len(found) > most > SHORT else []
    return "\n".join((*(f"• {drawn(finding)}" for finding in found[:most]), *more))


def drawn(finding: Finding) -> str:
    """A finding with its sign, where it asks for somebody's eye."""
    return f"{finding.text} {SYMBOL[TONES[finding.tone]]}".rstrip() if finding.tone in ("bad", "warn") else finding.text


def first_line(action: Action) -> str:
    """The first line of an action, without the colon that leads to its list."""
    return words(action.text).splitlines()[0].rstrip(":.")


def words(text: str) -> str:
    """A page's text without the names of its checks, whose findings stand beside it."""
    return _CHECK.sub("", text)


def now(walk: Walk, action: Action, *, short: bool = False) -> str:
    """The step that is next: the runbook's words, what is known for it, and what is true beside it.

    ``short``: without its notes, and with few findings.
    """
    found = worst(walk.step(action.number).lines or lines_of(walk.seen, action.number))
    beside = () if short else action.notes
    # Ranges of the knobs say what the list of their names says, and buttons run what a list of lines and functions
    # names; what a person is to confirm is the list itself.
    in_brief = action.kind is not StepKind.CONFIRM if short else action.kind is StepKind.CHANGE and found
    said = first_line(action) if in_brief else words(action.text)
    told = [bullets(found, SHORT if short else FINDINGS)] if found else []
    return "\n".join((f"*Now: step {action.number}, {action.kind}.* {said}", *told, *beside))
