"""The card of a change, in every state of its life: one message from proposal to evidence (ux.md, sketch 3)."""

from __future__ import annotations

import shlex

from bot.card import Button, Card, Cell, Confirm, Step, Table, Tone, stop_button, when
from bot.redact import inert
from bot.store.change import BEFORE_WRITE, Change, State
from bot.tuning.proposal import by, context, moved, proposal_card, why
from bot.views import number
from playbooks.change_set import Standing, line_of
from playbooks.change_set import Step as Tuned
from playbooks.tuning import legal
from slo.retest import Answer, Compared

_ANSWER_TONES = {
    Answer.BETTER: Tone.OK,
    Answer.SAME: Tone.PLAIN,
    Answer.WORSE: Tone.BAD,
    Answer.INCOMPLETE: Tone.UNKNOWN,
}
ROWS = 8
_COURSE: tuple[tuple[str, tuple[State, ...]], ...] = (
    ("Before: quick drill and snapshot", ("approved",)),
    ("Write, and read back", ("taken", "intent", "ambiguous")),
    ("Effective value confirmed", ("written",)),
    ("Settle", ("confirmed", "settling")),
    ("Retest against before", ("retested",)),
)


def change_card(change: Change) -> Card:
    """How a change stands: verdict first, then both columns, then what to press."""
    match change.state:
        case "proposed":
            card = proposal_card(change)
        case "approved" | "taken" | "intent" | "ambiguous" | "written" | "confirmed" | "settling" | "retested":
            card = _running(change)
        case "undoing" | "reverting" | "doubtful":
            card = _undoing(change)
        case "kept":
            card = _kept(change)
        case "undone":
            card = _undone(change)
        case "unknown":
            card = _unknown(change)
        case _:
            card = _ended_before(change)
    return card


def _running(change: Change) -> Card:
    at = next((i for i, (_, states) in enumerate(_COURSE) if change.state in states), 0)
    steps = []
    for i, (label, _) in enumerate(_COURSE):
        tone = Tone.OK if i < at else Tone.RUNNING if i == at else Tone.PLAIN
        steps.append(Step(label=label, tone=tone, detail=_detail(change) if i == at else ""))
    title = f"Tuning {change.id} RUNNING · step {at + 1} of {len(_COURSE)}"
    if change.state == "ambiguous":
        title = f"Tuning {change.id}: the write is UNCLEAR, nothing is repeated"
    buttons = [stop_button(change.op)] if change.state in BEFORE_WRITE else []
    if change.state in ("written", "confirmed", "settling", "retested"):
        buttons = [_undo_button(change)]
    return Card(
        title=title,
        tone=Tone.UNKNOWN if change.state == "ambiguous" else Tone.RUNNING,
        context=context(change),
        lead=moved(change),
        steps=tuple(steps),
        sections=_notes(change),
        buttons=tuple(buttons),
        footer=_evidence(change),
    )


def _notes(change: Change) -> tuple[str, ...]:
    return tuple(filter(None, (why(change), change.note)))


def _detail(change: Change) -> str:
    due = when(change.due_ms) if change.due_ms is not None else ""
    return {
        "ambiguous": f"read again {due}: applied, not applied, or changed by someone else (R26)",
        "settling": f"judged {due}",
        "retested": str(change.verdict or ""),
    }.get(change.state, "")


def _kept(change: Change) -> Card:
    verdict = change.verdict or Answer.INCOMPLETE
    title = {
        Answer.BETTER: f"APPLIED and VERIFIED, BETTER: {_plain(change)}",
        Answer.SAME: f"APPLIED, SAME as before: {_plain(change)}",
        Answer.WORSE: f"KEPT although WORSE: {_plain(change)}",
        Answer.INCOMPLETE: f"APPLIED, retest INCOMPLETE: {_plain(change)}",
    }[verdict]
    if change.retest is None:
        title = f"LEFT AS IT IS by a person: {change.id}"
    tone = {Answer.WORSE: Tone.BAD, Answer.INCOMPLETE: Tone.UNKNOWN}.get(verdict, Tone.OK)
    buttons = [_undo_button(change)]
    if verdict is Answer.INCOMPLETE:
        again = Button(label="Retest", line=f"tune retest {change.id}", name="tuning.retest", style="primary")
        buttons.insert(0, again)
    elif verdict is Answer.SAME and (further := _further(change)) is not None:
        buttons.append(further)
    nexts = {
        Answer.BETTER: "SLO baseline or runbook thresholds tuned? Add it to the post-incident checklist.",
        Answer.SAME: "It did no harm and showed no help; the next step of this knob is permitted.",
    }
    return Card(
        title=title[:140],
        tone=tone,
        context=context(change),
        lead=inert(change.retest.reason if change.retest else "", 300),
        table=_retest_table(change),
        sections=_notes(change),
        next=nexts.get(verdict, f"/sendcat tune retest {change.id}, or undo it"),
        buttons=tuple(buttons),
        footer=_evidence(change),
        final=True,
    )


def _further(change: Change) -> Button | None:
    """The next lawful step the same way; None where there is none, or where a switch is among the knobs."""
    texts: dict[str, str] = {}
    for step in change.steps:
        reach = legal(step.knob, Standing(step.text, step.after, step.day_ago))
        if reach is None or not isinstance(step.before, int) or not isinstance(step.after, int):
            return None
        end = reach.high if step.after > step.before else reach.low
        if end == reach.old or step.after == step.before:
            return None
        texts[step.knob] = str(end)
    if len(texts) > 2:
        return None
    words = ", ".join(f"{name} {text}" for name, text in texts.items())
    return Button(label=f"Propose {words}"[:75], line=line_of(texts), name="tuning.further")


def _undoing(change: Change) -> Card:
    worse = change.verdict is Answer.WORSE
    reason = change.retest.reason if worse and change.retest else change.undo_why or ""
    return Card(
        title=(f"REGRESSION, undoing {change.id}" if worse else f"Undoing {change.id}"),
        tone=Tone.BAD if worse else Tone.RUNNING,
        context=context(change),
        lead=f"{moved(change)} goes back{f': {inert(reason, 300)}' if reason else '.'}",
        table=_retest_table(change),
        sections=_notes(change),
        next=f"looked at again {when(change.due_ms)}" if change.state == "doubtful" and change.due_ms else "",
        footer=_evidence(change),
    )


def _undone(change: Change) -> Card:
    worse = change.verdict is Answer.WORSE
    back = ", ".join(f"`{s.knob}` {inert(s.stored if s.stored is not None else 'unset', 40)}" for s in change.steps)
    word = "REGRESSION, undone by itself" if worse and change.undo_by and change.undo_by.door == "system" else "UNDONE"
    return Card(
        title=f"{word}: {_plain(change)}"[:140],
        tone=Tone.BAD if worse else Tone.WARN,
        context=context(change),
        lead=f"Stored again: {back}. Undone by {by(change.undo_by)}: {inert(change.undo_why or '', 300)}",
        table=_retest_table(change),
        sections=_notes(change),
        footer=_evidence(change),
        final=True,
    )


def _unknown(change: Change) -> Card:
    commands = "\n".join(_by_hand(step) for step in change.steps)
    return Card(
        title=f"UNKNOWN: {change.id} needs a person",
        tone=Tone.UNKNOWN,
        context=context(change),
        lead=f"{moved(change)}: {change.note or 'what became of the write is not known.'}",
        sections=(
            f"*Owner:* {by(change.proposer)}. Looked at again {when(change.due_ms or change.updated_ms)}. "
            "Nothing was overwritten (R25).",
        ),
        code=f"# by hand, back to what was there:\n{commands}",
        next=f"/sendcat undo {change.id} --ours=true puts back what is still ours; "
        f"/sendcat tune keep {change.id} leaves all as it is",
        buttons=(_undo_button(change),),
        footer=_evidence(change),
    )


def _by_hand(step: Tuned) -> str:
    """The command that stores again what was there; a text that somebody stored is quoted, for people copy this."""
    if step.stored is None:
        return f"npx convex env remove {step.knob}"
    if len(step.stored) > 200 or not (step.stored.isascii() and step.stored.isprintable()):
        return f"# {step.knob} held a text that is not to be typed; /sendcat undo stores it again exactly"
    return f"npx convex env set {step.knob} {shlex.quote(step.stored)}"


def _ended_before(change: Change) -> Card:
    title = {
        "rejected": f"Withdrawn or rejected: {change.id}",
        "expired": f"EXPIRED: {change.id} was not approved in time",
        "void": f"VOID: {change.id} is out of date",
        "failed": f"NOT APPLIED: {change.id}",
    }[change.state]
    line = f"{change.line}"
    return Card(
        title=title,
        tone=Tone.REFUSED if change.state in ("void", "failed") else Tone.PLAIN,
        context=context(change),
        lead=f"Nothing was changed: {moved(change)} was not applied. {change.note}".strip(),
        sections=tuple(filter(None, [why(change)])),
        next=f"propose it again from what is there now: /sendcat {inert(line, 200)}",
        buttons=(Button(label="Propose again", line=line, name="tuning.again"),),
        footer=_evidence(change),
        final=True,
    )


def _undo_button(change: Change) -> Button:
    texts = ", ".join(f"{s.knob} {s.text} → {s.stored if s.stored is not None else 'unset'}" for s in change.steps)
    worse = change.verdict is Answer.WORSE
    return Button(
        label="Undo now" if worse else "Undo",
        line=f"undo {change.id}",
        name="tuning.undo",
        style="primary" if worse else None,
        confirm=Confirm(title=f"Undo {change.id} on {change.target}?", text=texts[:280], yes="Undo"),
    )


def _plain(change: Change) -> str:
    return ", ".join(f"{s.knob} {inert(s.change, 60)}" for s in change.steps)


def _retest_table(change: Change) -> Table | None:
    if change.retest is None:
        return None
    moved = [line for line in change.retest.lines if line.answer is not Answer.SAME]
    usual = [line for line in change.retest.lines if line.answer is Answer.SAME]
    usual.sort(key=lambda line: (line.scope != "snapshot", line.scope != "/api/chat"))
    lines = [*moved, *usual]
    rows = tuple(_row(line) for line in lines[:ROWS])
    caption = f"{len(rows)} of {len(lines)} lines: what moved first; all of them are in the evidence"
    columns = ("Check", "Before", "After", "Says")
    return Table(columns=columns, rows=rows, caption=caption if len(lines) > ROWS else "") if rows else None


def _row(line: Compared) -> tuple[Cell, ...]:
    name = line.name if line.scope == "snapshot" else f"{line.name.replace('_', ' ')} {line.scope}"
    return (
        Cell(text=inert(name, 60)),
        Cell(text=number(line.before, line.unit)),
        Cell(text=number(line.after, line.unit), tone=_ANSWER_TONES[line.answer]),
        Cell(text=line.answer.value),
    )


def _evidence(change: Change) -> str:
    parts = []
    for side, taken in (("before", change.before), ("after", change.after)):
        if taken is not None:
            drill = f" and `{taken.drill}`" if taken.drill else ""
            parts.append(f"{side} `{taken.snapshot}`{drill}")
    return " · ".join(parts)
