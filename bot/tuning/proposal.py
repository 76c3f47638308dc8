"""The card of a proposal: from, to, by which rule, and who may approve it (ux.md, sketch 3).

Everything is drawn from the row of the change, so that card and record never disagree (ux.md, rule 6).
"""

from __future__ import annotations

from bot.card import Button, Card, Cell, Confirm, Field, Form, Table, Tone, when
from bot.card import who as mention
from bot.redact import inert
from bot.store.change import By, Change
from bot.tuning.form import Wanted, change_form
from playbooks.change_set import Standing, Step
from playbooks.knobs import KnobType, knob
from playbooks.steps import Family, Reach, rule_of
from playbooks.tuning import AUTH_CONTROLS, legal

NOTES = 6


def by(who: By | None) -> str:
    """A person in a text; the bot names itself."""
    return "the bot" if who is None or who.door == "system" else mention(who.account)


def context(change: Change) -> str:
    """The grey line of every card of a change: where, and whose doing."""
    parts = [f"{change.target}", f"proposed by {by(change.proposer)} {when(change.created_ms)}"]
    if change.approver is not None and change.approved_ms is not None:
        how = f"on {change.break_glass} (break-glass)" if change.break_glass else "approved"
        parts.append(f"{how} by {by(change.approver)} {when(change.approved_ms)}")
    return " · ".join([*parts, f"change {change.id}"])


def moved(change: Change) -> str:
    """Every knob with its value before and after, marked as code; what a person has to hear before anything else."""
    return ", ".join(f"`{s.knob}` {inert(s.change, 60)}" for s in change.steps)


def why(change: Change) -> str:
    """The reason of the proposer, on every card of the change."""
    return f"*Why:* {inert(change.why, 400)}" if change.why else ""


def proposal_card(change: Change) -> Card:
    """How a proposal waits: the step against its rule, drift, reason, checks, way back, who may approve."""
    needs = "; ".join(change.second)
    back = ", ".join(f"{s.knob} {s.stored if s.stored is not None else 'unset'}" for s in change.steps)
    sections = [
        why(change) or "*Why:* no reason given",
        f"*Rule:* {'; '.join(dict.fromkeys(step.rule for step in change.steps))}",
        drift(change),
        f"*Checks:* {' · '.join(checks(change))}",
        "\n".join(f"• {note}" for note in change.notes[:NOTES]),
        f"*Needs another person in any case:* {inert(needs, 400)}" if needs else "",
        f"*Undo:* back to {inert(back, 300)}, same place, no approval needed",
    ]
    return Card(
        title=f"Tuning proposal {change.id}{_playbooks(change)} · {change.target}",
        tone=Tone.WARN,
        context=context(change),
        lead=_asked(change),
        table=steps_table(change) if _more_to_show(change) else None,
        sections=tuple(section for section in sections if section),
        next=f"another responder, a release manager or an admin presses Approve until {when(change.expires_ms)}; "
        "nothing is changed before",
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
        footer=f"needs 1 other person than {by(change.proposer)}, in Slack (R10) · runbook, tuning rules",
    )


def _asked(change: Change) -> str:
    """What would be changed, for the lock screen: value before, after, and what one change may reach."""
    return "; ".join(f"`{s.knob}` {inert(s.change, 60)}, limit of one change: {_limit(s)}" for s in change.steps)


def _more_to_show(change: Change) -> bool:
    """Whether the table says what the sentence does not: several knobs, or a stored text that is not the effective."""
    return len(change.steps) > 1 or any(step.stored not in (None, str(step.before)) for step in change.steps)


def steps_table(change: Change) -> Table:
    """Configured now, configured after, effective after, and what one change may reach."""
    rows = tuple(
        (
            Cell(text=s.knob),
            Cell(text=inert(s.stored if s.stored is not None else "unset", 40)),
            Cell(text=inert(s.text, 40)),
            Cell(text=inert(s.change, 60)),
            Cell(text=_limit(s)),
        )
        for s in change.steps
    )
    return Table(columns=("Knob", "Stored now", "Stored after", "Effective", "One change"), rows=rows)


def drift(change: Change) -> str:
    """How far these steps lead from the values 24 h ago, against what R23 allows; empty for switches and texts."""
    said = [f"{s.knob} {s.day_ago} → {s.after}, {s.drift.removesuffix(' in 24 h')}" for s in change.steps if s.drift]
    return f"*Drift in 24 h:* {', '.join(said)} (alone up to ×1.5, approved up to ×2.0; R23)" if said else ""


def checks(change: Change) -> tuple[str, ...]:
    """What was asked of this change, and how it came out. The first and the last hold for every change that is here."""
    guards = [s.knob for s in change.steps if s.knob in AUTH_CONTROLS and _number(s.after) > _number(s.before)]
    order = (
        f"⚠️ a sign-in limit is raised: {', '.join(guards)}; cool-downs and concurrency come first"
        if guards
        else "✅ no validation or auth control loosened"
    )
    return ("✅ one change set at a time", order, "✅ no protection switched off, nor by its value")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _playbooks(change: Change) -> str:
    """The playbooks that name every one of these knobs, such as `` · playbook C``."""
    named = [set(knob(step.knob).playbooks) for step in change.steps]
    common = sorted(set.intersection(*named))
    return f" · playbook {common[0]}" if len(common) == 1 else ""


def _reach(step: Step) -> Reach | None:
    return legal(step.knob, Standing(step.stored, step.before, step.day_ago))


def _limit(step: Step) -> str:
    """``20 to 28 (±20%)``; one whole step where the percentage is less than one."""
    one, reach = knob(step.knob), _reach(step)
    if one.type is not KnobType.INT or reach is None:
        return "a switch" if one.type is KnobType.BOOL else "a text"
    if reach.single:
        return f"one whole step ({reach.pct}% is less)"
    low = min(reach.low, _number(step.after)) if rule_of(one).family is Family.LEASE else reach.low
    return f"{low} to {reach.high} (±{reach.pct}%)"


def _value_form(change: Change) -> Form:
    """One number for each knob; a set with a switch or a text in it is edited as one line."""
    note = f"Withdraws {change.id} and proposes this in its place."
    wanted = []
    for step in change.steps:
        reach = _reach(step)
        if reach is not None and rule_of(knob(step.knob)).family is not Family.LEASE:
            wanted.append(Wanted(knob(step.knob), reach.low, reach.high, reach.old, step.text))
    if len(wanted) == len(change.steps):
        return change_form(wanted, title=f"Change {change.id}", why=change.why, note=note)
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
        note=note,
    )
