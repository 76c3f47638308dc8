"""The card of a change, in every state of its life: one message from proposal to evidence (ux.md, sketch 3)."""

from __future__ import annotations

from bot.card import Button, Card, Cell, Confirm, Field, Form, Step, Table, Tone, stop_button, when
from bot.card import who as mention
from bot.redact import inert
from bot.store.changes import BEFORE_WRITE, By, Change, State
from bot.views import number
from playbooks.knobs import all_knobs
from playbooks.steps import Family, family
from slo.retest import Answer, Compared

_ANSWER_TONES = {
    Answer.BETTER: Tone.OK,
    Answer.SAME: Tone.PLAIN,
    Answer.WORSE: Tone.BAD,
    Answer.INCOMPLETE: Tone.UNKNOWN,
}
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
            card = _proposal(change)
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


def by(who: By | None) -> str:
    """A person in a text; the bot names itself."""
    return "the bot" if who is None or who.door == "system" else mention(who.account)


def _context(change: Change) -> str:
    parts = [f"{change.target}", f"proposed by {by(change.proposer)} {when(change.created_ms)}"]
    if change.approver is not None and change.approved_ms is not None:
        how = f"on {change.break_glass} (break-glass)" if change.break_glass else "approved"
        parts.append(f"{how} by {by(change.approver)} {when(change.approved_ms)}")
    return " · ".join([*parts, f"change {change.id}"])


def _proposal(change: Change) -> Card:
    needs = "; ".join(change.second)
    sections = [f"*Why:* {inert(change.why, 300)}"] if change.why else []
    sections.append(
        "*Checks:* ✅ one change set at a time · ✅ cool-downs and concurrency first · ✅ no protection switched off"
    )
    sections += [f"• {inert(note, 300)}" for note in change.notes[:4]]
    if needs:
        sections.append(f"*Needs another person in any case:* {inert(needs, 400)}")
    back = ", ".join(f"{s.knob} {s.stored if s.stored is not None else 'unset'}" for s in change.steps)
    sections.append(f"*Undo:* back to {inert(back, 300)}, same place, no approval needed")
    return Card(
        title=f"Tuning proposal {change.id} · {change.target}",
        tone=Tone.WARN,
        context=_context(change),
        table=_steps_table(change),
        sections=tuple(sections),
        next=f"another responder presses Approve until {when(change.expires_ms)}; nothing is changed before",
        buttons=(
            Button(
                label="Approve",
                line=f"tune approve {change.id}",
                name="tuning.approve",
                style="primary",
                decision=True,
                expires_ms=change.expires_ms,
                confirm=Confirm(
                    title=f"Apply {change.id} to {change.target}?",
                    text="\n".join(f"{s.knob}: {s.change}" for s in change.steps)[:280],
                    yes="Approve",
                ),
            ),
            Button(
                label="Change value…",
                line=f"tune --replace={change.id}",
                name="tuning.replace",
                form=_value_form(change),
            ),
            Button(
                label="Withdraw",
                line=f"tune reject {change.id}",
                name="tuning.reject",
                style="danger",
                confirm=Confirm(title=f"Withdraw {change.id}?", text="Nothing has been changed yet.", yes="Withdraw"),
            ),
        ),
        footer="needs 1 other person · runbook, tuning rules",
    )


def _value_form(change: Change) -> Form:
    return Form(
        title=f"Change {change.id}"[:24],
        fields=(
            Field(
                flag="set",
                label="Knobs and values",
                value=" ".join(f"{s.knob}={s.text}" for s in change.steps),
                hint="KNOB=14, KNOB=+20%, several with blanks between",
            ),
            Field(flag="why", label="Why", kind="long", value=change.why, optional=True),
        ),
        submit="Propose",
        note=f"Withdraws {change.id} and proposes this in its place.",
    )


def _steps_table(change: Change) -> Table:
    rows = tuple(
        (
            Cell(text=s.knob),
            Cell(text=inert(s.stored if s.stored is not None else "unset", 40)),
            Cell(text=inert(s.text, 40)),
            Cell(text=inert(s.change, 60)),
            Cell(text=f"{_limit(s.knob)}{' · ' + s.drift if s.drift else ''}"),
        )
        for s in change.steps
    )
    return Table(columns=("Knob", "Stored now", "Stored after", "Effective", "Limit"), rows=rows)


def _limit(name: str) -> str:
    knob = all_knobs()[name]
    if knob.type != "int":
        return "a switch"
    pct = {Family.RATE_LIMIT: 25, Family.COOLDOWN: 50}.get(family(knob), 20)
    return f"±{pct}% a change"


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
        context=_context(change),
        lead=_words(change),
        steps=tuple(steps),
        sections=(inert(change.note, 500),) if change.note else (),
        buttons=tuple(buttons),
        footer=_evidence(change),
    )


def _detail(change: Change) -> str:
    due = when(change.due_ms) if change.due_ms is not None else ""
    return {
        "ambiguous": f"read again {due}: applied, not applied, or changed by someone else (R26)",
        "settling": f"judged {due}",
        "retested": str(change.verdict or ""),
    }.get(change.state, "")


def _words(change: Change) -> str:
    return ", ".join(f"`{s.knob}` {inert(s.change, 60)}" for s in change.steps)


def _kept(change: Change) -> Card:
    verdict = change.verdict or Answer.INCOMPLETE
    title = {
        Answer.BETTER: f"APPLIED and VERIFIED, BETTER: {_plain(change)}",
        Answer.SAME: f"APPLIED, SAME as before: {_plain(change)}",
        Answer.WORSE: f"KEPT although WORSE: {_plain(change)}",
        Answer.INCOMPLETE: f"APPLIED, retest INCOMPLETE: {_plain(change)}",
    }[verdict]
    tone = {Answer.WORSE: Tone.BAD, Answer.INCOMPLETE: Tone.UNKNOWN}.get(verdict, Tone.OK)
    buttons = [_undo_button(change)]
    if verdict is Answer.INCOMPLETE:
        again = Button(label="Retest", line=f"tune retest {change.id}", name="tuning.retest", style="primary")
        buttons.insert(0, again)
    nexts = {
        Answer.BETTER: "SLO baseline or runbook thresholds tuned? Add it to the post-incident checklist.",
        Answer.SAME: "It did no harm and showed no help; the next step of this knob is permitted.",
    }
    return Card(
        title=title[:140],
        tone=tone,
        context=_context(change),
        lead=inert(change.retest.reason if change.retest else "", 300),
        table=_retest_table(change),
        sections=(inert(change.note, 500),) if change.note else (),
        next=nexts.get(verdict, f"/sendcat tune retest {change.id}, or undo it"),
        buttons=tuple(buttons),
        footer=_evidence(change),
        final=True,
    )


def _undoing(change: Change) -> Card:
    worse = change.verdict is Answer.WORSE
    reason = change.retest.reason if worse and change.retest else change.undo_why or ""
    return Card(
        title=(f"REGRESSION, undoing {change.id}" if worse else f"Undoing {change.id}"),
        tone=Tone.BAD if worse else Tone.RUNNING,
        context=_context(change),
        lead=inert(reason, 300),
        table=_retest_table(change),
        sections=(inert(change.note, 500),) if change.note else (),
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
        context=_context(change),
        lead=f"Stored again: {back}. Undone by {by(change.undo_by)}: {inert(change.undo_why or '', 300)}",
        table=_retest_table(change),
        sections=(inert(change.note, 500),) if change.note else (),
        footer=_evidence(change),
        final=True,
    )


def _unknown(change: Change) -> Card:
    commands = "\n".join(
        f"npx convex env set {s.knob} '{s.stored}'" if s.stored is not None else f"npx convex env remove {s.knob}"
        for s in change.steps
    )
    return Card(
        title=f"UNKNOWN: {change.id} needs a person",
        tone=Tone.UNKNOWN,
        context=_context(change),
        lead=inert(change.note, 600) or "What became of the write is not known.",
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
        context=_context(change),
        lead=f"Nothing was changed. {inert(change.note, 500)}".strip(),
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
    return ", ".join(f"{s.knob} {s.change}" for s in change.steps)


def _retest_table(change: Change) -> Table | None:
    if change.retest is None:
        return None
    moved = [line for line in change.retest.lines if line.answer is not Answer.SAME]
    usual = [line for line in change.retest.lines if line.answer is Answer.SAME]
    usual.sort(key=lambda line: line.scope != "snapshot")
    rows = tuple(_row(line) for line in [*moved, *usual][:8])
    return Table(columns=("Check", "Before", "After", "Says"), rows=rows) if rows else None


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
            parts.append(f"{side} `{taken.snapshot}`")
    return " · ".join(parts)
