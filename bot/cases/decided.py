"""How a case stands on its card: drawn from the very row that the audit trail quotes (ux.md, rules 5, 6; sketch 2).

`decided` is pure: the card of the run as it was judged, the case, the time. `put_case` draws it again in the
transaction of whatever changed, so that card and record cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.card import Button, Card, Confirm, Field, Form, Tone, when, who
from bot.cases.decisions import DONE, MANNERS, warnings
from bot.config import Config
from bot.redact import inert
from bot.run import card_key
from bot.store import cases, offers, ops, outbox
from bot.store.case import Case, Decision, State
from bot.store.tx import Tx
from slo.verdict import Verdict

CHECKING = "CHECKING"

_TONES = {
    State.WAITING: Tone.RUNNING,
    State.WAIVED: Tone.WARN,
    State.BLOCKED: Tone.BAD,
    State.APPROVED: Tone.OK,
    State.REJECTED: Tone.REFUSED,
    State.EXPIRED: Tone.UNKNOWN,
    State.REVOKED: Tone.REFUSED,
    State.VOID: Tone.UNKNOWN,
}


def decided(case: Case, now_ms: int, *, checking: str | None = None) -> Card:
    """The case's card with its state, its decisions, and what can be pressed now.

    ``checking`` is the account of a person whose decision is on its way: the buttons are gone until it stands.
    """
    base = case.card or Card(title=f"{case.said}: {MANNERS[case.kind].noun} {case.subject}")
    state = case.standing(now_ms)
    tone = _TONES[state]
    if case.verdict is Verdict.INCOMPLETE and state in (State.WAITING, State.BLOCKED):
        tone = Tone.UNKNOWN
    lines = [line for line in (_state_line(case, state), *map(_waiver_line, case.waivers), base.lead) if line]
    own = _decision_buttons(case, state)
    buttons = (*own, *_others(case, state, base.buttons, decides=any(button.style == "primary" for button in own)))
    following = _needs(case, state) or "; then ".join(part for part in (_no_first(case, state), base.next) if part)
    if checking is not None:
        lines.insert(0, f"{who(checking)} decides: one fresh look at the deployment first.")
        buttons, following = (), ""
    return base.model_copy(
        update={
            "title": f"{base.title} · {_word(case, state)}"[:150],
            "tone": tone,
            "lead": "\n".join(lines),
            "next": following,
            "buttons": buttons,
            "footer": " · ".join(part for part in (_marks(case, state), base.footer) if part),
            "final": True,
        }
    )


def _others(case: Case, state: State, buttons: Sequence[Button], *, decides: bool) -> Iterator[Button]:
    """The buttons of the run; one is primary on a card (ux.md, rule 4): the decision, or a new run without one."""
    over = state in (State.EXPIRED, State.VOID) and not case.replaced
    again = {button.name for button in buttons if over and button.name.endswith(".rerun")}
    for button in buttons:
        if button.name in again:
            yield button.model_copy(update={"style": "primary"})
        elif (decides or again) and button.style == "primary":
            yield button.model_copy(update={"style": None})
        else:
            yield button


def _word(case: Case, state: State) -> str:
    manner = MANNERS[case.kind]
    if state is State.BLOCKED:
        return manner.blocked
    if state is State.WAITING and case.not_waived:
        return "waiting for a waiver or a new run"
    words = {State.WAITING: manner.waits, State.WAIVED: f"WAIVED · {manner.waits}"}
    return words.get(state, manner.called(state))


def decision_line(decision: Decision, word: str) -> str:
    """``APPROVED by @relmgr · 14:12 · "gmail slow because of backfill"``: the row as a sentence."""
    reason = f' · "{inert(decision.reason, 300)}"' if decision.reason else ""
    return f"{word} by {who(decision.by)} · {when(decision.at_ms)}{reason} · decision {decision.id}"


def _state_line(case: Case, state: State) -> str:
    answer = case.answer
    said = ""
    if answer is not None:
        said = decision_line(answer, DONE[answer.verb])
    if state is State.REVOKED and case.revoked is not None:
        return f"{decision_line(case.revoked, 'REVOKED')}\n{said}"
    if state is State.APPROVED and answer is not None and answer.until_ms is not None:
        return f"{said}\nValid until {when(answer.until_ms)}."
    if state is State.EXPIRED:
        at = answer.until_ms if answer is not None and answer.until_ms is not None else case.expires_ms
        return f"EXPIRED {when(at)}: run it again." + (f"\n{said}" if said else "")
    if state is State.VOID:
        since = f" {when(case.void_ms)}" if case.void_ms is not None else ""
        why = case.void_reason or f"run {case.op} was {case.op_state}"
        again = "" if case.replaced else " Run it again."
        return f"VOID{since}: {why}.{again}" + (f"\n{said}" if said else "")
    if state is State.BLOCKED and case.verdict is Verdict.INCOMPLETE:
        done = DONE[MANNERS[case.kind].yes].lower()
        return f"Cannot be {done} or waived: {inert(case.blocked, 300) or 'nothing was shown'}."
    return said


def _waiver_line(decision: Decision) -> str:
    return decision_line(decision, f"{decision.scenario} WAIVED")


def _needs(case: Case, state: State) -> str:
    if state not in (State.WAITING, State.WAIVED):
        return ""
    manner = MANNERS[case.kind]
    wanted = "" if not case.not_waived else f"run {', '.join(case.not_waived)}, or waive it by name; then "
    return (
        f"{wanted}needs 1 release manager, not {who(case.starter)} (started it): "
        f"`/sendcat {manner.command} {manner.yes} {case.id}`"
    )


def _no_first(case: Case, state: State) -> str:
    """Where a no is more than words (a canary is rolled back), it comes before whatever is done next."""
    manner = MANNERS[case.kind]
    if state is not State.BLOCKED or not manner.no_when_blocked or case.verdict is not Verdict.FAIL:
        return ""
    return f"hold the traffic of {case.subject} or roll it back: `/sendcat {manner.command} {manner.no} {case.id}`"


def _marks(case: Case, state: State) -> str:
    parts = [f"{case.kind} {case.id}", f"evidence {case.digest[:8]}"]
    if state in (State.WAITING, State.WAIVED):
        parts.append(f"expires {when(case.expires_ms)}")
    return " · ".join(parts)


def _decision_buttons(case: Case, state: State) -> tuple[Button, ...]:
    manner = MANNERS[case.kind]
    label, no = manner.yes.capitalize(), manner.no.replace("-", " ").capitalize()

    def button(verb: str, text: str, line: str = "", **more: object) -> Button:
        values: dict[str, object] = {
            "label": text,
            "line": f"{manner.command} {verb} {case.id}{line}",
            "name": f"{case.kind}.{verb}",
            "decision": True,
            "expires_ms": case.expires_ms,
        }
        return Button.model_validate({**values, **more})

    if state is State.APPROVED:
        form = _form("Revoke", case, "Why is the approval taken back?")
        return (button("revoke", "Revoke…", decision=False, expires_ms=None, form=form),)
    refuse = button(manner.no, f"{no}…", style="danger", form=_form(no, case, "Why not?"))
    if state is State.BLOCKED and manner.no_when_blocked:
        return (refuse,)
    if state not in (State.WAITING, State.WAIVED):
        return ()
    found: list[Button] = []
    commit = f" ({case.commit})" if case.commit else ""
    for scenario in case.not_waived[:2]:
        form = _form("Waive", case, f"Why may {scenario} stay untested for this release?")
        found.append(button("waive", f"Waive {scenario}…", f" --scenario={scenario}", form=form))
    if not case.not_waived:
        style: dict[str, object] = {"style": "primary"}
        if case.needs_reason:
            style["form"] = _form(label, case, "Why is it right to go on?", boxes=_to_read(case))
        else:
            style["confirm"] = Confirm(
                title=f"{label} {case.id}?"[:100],
                text=f"{case.subject}{commit} on {case.target}: the {manner.noun} is {case.said}."
                f" Evidence {case.digest[:8]}.",
                yes=label,
            )
        found.append(button(manner.yes, f"{label}…").model_copy(update=style))
    return (*found, refuse)


def _to_read(case: Case) -> tuple[Field, ...]:
    """A box to tick as read for each ⚠️ line; none where there is none."""
    lines = warnings(case)
    boxes = tuple((str(number), line) for number, line in enumerate(lines, 1))
    if not boxes:
        return ()
    every = ",".join(value for value, _ in boxes)
    return (Field(flag="read", label="Read each ⚠️ line", kind="ticks", options=boxes, value=every),)


def _form(verb: str, case: Case, question: str, *, boxes: tuple[Field, ...] = ()) -> Form:
    warned = "" if boxes else "; ".join(f"⚠️ {line}" for line in warnings(case))
    commit = f" ({case.commit})" if case.commit else ""
    return Form(
        title=f"{verb} {case.id}"[:24],
        fields=(*boxes, Field(flag="reason", label=question[:150], kind="long")),
        submit=verb[:24],
        text=f"*{inert(case.subject, 80)}*{commit} on {case.target}: {case.said}\n{warned}".strip(),
        note=f"The reason stands on the card and in the audit trail. Evidence {case.digest[:8]}.",
    )


def put_case(tx: Tx, case: Case, config: Config, *, checking: str | None = None) -> Card:
    """Draw the case's card again: into the outbox, into its operation, and note what it shows.

    A run that was started in a terminal has no channel of its own: its card goes to the release channel.
    """
    card = decided(case, tx.now_ms, checking=checking)
    op = ops.get(tx.db, case.op)
    assert op is not None
    channel = op.place.channel or config.slack.release_channel
    minted = offers.mint(tx, card, op, channel)
    if channel is not None:
        outbox.put(
            tx,
            card_key(op.id),
            channel=channel,
            kind="card",
            card=minted,
            thread_ts=op.place.thread_ts,
            user=op.by.account.removeprefix("slack:") if op.place.channel is not None else None,
            op=op.id,
        )
    if not op.open:
        ops.redraw(tx, op.id, minted)
    cases.drawn(tx, case.id, CHECKING if checking is not None else case.standing(tx.now_ms).value)
    return minted
