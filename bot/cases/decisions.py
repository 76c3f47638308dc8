"""May this person decide this case now? One pure judgement for every kind of case (safety.md, R9-R11; INTERFACES 3).

The table of authority says which roles may decide at all, and where; this says whether it is the right human, the right
moment and the right case. `Denied` names the rule and what to do instead; None is a yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.authority import Who
from bot.card import when
from bot.store.case import NO, YES, Case, Kind, State, Verb, possible
from slo.verdict import Verdict

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Manner:
    """How one kind of case is decided: its name in a sentence, its two verbs, how long it is open and holds."""

    noun: str
    yes: Verb
    no: Verb
    open_ms: int = 4 * HOUR_MS
    """How long a card can be decided on (INTERFACES.md, section 4)."""
    holds_ms: int = 4 * HOUR_MS
    """How long an approval is good for."""
    command: str = ""
    """The word its lines begin with: ``gate approve g-77``."""
    waits: str = "waiting for approval"
    """What its card says while nobody has decided."""
    blocked: str = "blocked"
    """What its card says when nobody can say yes."""
    announced: bool = False
    """Whether a decision is told in the release channel as well, when its card hangs elsewhere."""
    no_when_blocked: bool = False
    """Whether the no is offered on the card of a case that nobody can say yes to."""
    action: str = ""
    """The row of the table of authority that its decisions need."""

    @property
    def verbs(self) -> frozenset[Verb]:
        return frozenset({self.yes, self.no, "revoke", "waive"})

    @property
    def done(self) -> Mapping[Verb, str]:
        """Its verbs once they are done: ``PROMOTED``."""
        return {verb: DONE[verb] for verb in self.verbs}

    def called(self, state: State) -> str:
        """A state by this kind's own verbs: a canary is not APPROVED but PROMOTED."""
        return {State.APPROVED: DONE[self.yes], State.REJECTED: DONE[self.no]}.get(state, state.value)


DONE: Mapping[Verb, str] = {
    "approve": "APPROVED",
    "promote": "PROMOTED",
    "reject": "REJECTED",
    "roll-back": "ROLLED BACK",
    "revoke": "REVOKED",
    "waive": "WAIVED",
}

MANNERS: Mapping[Kind, Manner] = {
    "gate": Manner(
        "release gate", "approve", "reject", command="gate", blocked="deploy stays blocked", action="gate.decide"
    ),
    "canary": Manner(
        "canary",
        "promote",
        "roll-back",
        command="canary",
        waits="waiting for Promote or Roll back",
        blocked="promotion stays blocked",
        announced=True,
        no_when_blocked=True,
        action="canary.decide",
    ),
    "milestone": Manner(
        "milestone gate",
        "approve",
        "reject",
        command="milestone-gate",
        blocked="promotion stays blocked",
        holds_ms=30 * DAY_MS,
        action="milestone.decide",
    ),
    # A decision about a programme: nothing here is urgent (playbook G), and it stands until the next check.
    "region": Manner(
        "region decision",
        "approve",
        "reject",
        command="region-readiness",
        open_ms=7 * DAY_MS,
        holds_ms=90 * DAY_MS,
        action="region.decide",
    ),
    "ceiling": Manner(
        "load above the ceilings",
        "approve",
        "reject",
        command="drill",
        open_ms=HOUR_MS,
        holds_ms=HOUR_MS,
        action="drill.ceiling.approve",
    ),
}


def warnings(case: Case) -> tuple[str, ...]:
    """The ⚠️ lines of the case, as they stand on its card (ux.md, sketch 2)."""
    return case.card.to_read if case.card is not None else ()


def were_read(case: Case, read: str) -> tuple[str, ...]:
    """Which of them these numbers name: ``1,2``, or ``all``. Other words name none."""
    lines = warnings(case)
    if read.strip().lower() == "all":
        return lines
    named = {int(word) for word in read.replace(" ", ",").split(",") if word.isascii() and word.isdigit()}
    return tuple(line for number, line in enumerate(lines, 1) if number in named)


@dataclass(frozen=True)
class Denied:
    """A no: the sentence, the rule behind it, what to do instead."""

    reason: str
    rule: str
    then: str = ""
    another: bool = False
    """Whether another human may do just this, and can be asked."""


def may(
    case: Case,
    verb: Verb,
    who: Who,
    starter: Who,
    now_ms: int,
    *,
    reason: str = "",
    read: str = "",
    scenario: str | None = None,
) -> Denied | None:
    """Whether ``who`` may do this to the case at ``now_ms``; ``starter`` is whoever started it, resolved anew.

    Everything but a revocation is for somebody else than the starter. A revocation only takes away, so any decider may.
    A yes to a case with warnings needs a reason; where its ⚠️ lines are ticked as ``read``, as its form asks, none is
    left out.
    """
    manner = MANNERS[case.kind]
    again = f"/sendcat {manner.command}"
    if verb not in manner.verbs:
        return Denied(
            f"A {manner.noun} is not decided by `{verb}`.", "each kind of case has its own words", f"{manner.yes}"
        )
    if verb != "revoke" and (starter.same_human(who) or _recorded(case, who)):
        return Denied(
            f"You started {case.id}, so somebody else decides on it.",
            "the starter never approves (four eyes, R10)",
            "ask another release manager",
            another=True,
        )
    if case.op_state in ("accepted", "running"):
        return Denied(f"Run {case.op} has not ended yet.", "only a finished run can be decided on (R18)", "wait for it")
    state = case.standing(now_ms)
    if not possible(verb, state):
        return _not_now(case, verb, state, again)
    if verb == "waive":
        return _waiver(case, reason, scenario)
    if verb in YES and case.not_waived:
        missing = ", ".join(case.not_waived)
        return Denied(
            f"{case.id} is INCOMPLETE: {missing} not run and not waived.",
            "what was not run is waived by name, with a reason, or run (VERDICTS, R42)",
            f"{manner.command} waive {case.id} --scenario={case.not_waived[0]} --reason=…, or {again}",
        )
    if (case.needs_reason or verb in NO or verb == "revoke") and not reason.strip():
        return Denied(
            f"`{verb}` needs a reason here.",
            "a warning, a high risk, a no and a revocation are explained (ux.md, sketch 2)",
            f'{manner.command} {verb} {case.id} --reason="…"',
        )
    if verb in YES and read.strip() and (left := set(warnings(case)) - set(were_read(case, read))):
        return Denied(
            f"{len(left)} of {len(warnings(case))} ⚠️ lines of {case.id} are not ticked as read.",
            "whoever says yes has read each warning (ux.md, sketch 2)",
            f'{manner.command} {verb} {case.id} --read=all --reason="…"',
        )
    return None


def _recorded(case: Case, who: Who) -> bool:
    """The starter as recorded at the time: also a person who has since lost an account stays the starter."""
    return who.actor.account == case.starter or (who.person is not None and who.person == case.starter_person)


def _waiver(case: Case, reason: str, scenario: str | None) -> Denied | None:
    rule = "only what was not run can be waived, never what ran badly (VERDICTS)"
    if scenario is None or scenario not in case.waivable:
        can = ", ".join(case.not_waived) or "nothing"
        return Denied(f"{scenario or 'No scenario'} cannot be waived on {case.id}; {can} can.", rule)
    if scenario not in case.not_waived:
        return Denied(f"{scenario} is waived on {case.id} already.", "one waiver for each scenario (R3)")
    if not reason.strip():
        return Denied("A waiver needs a reason.", rule, f'waive {case.id} --scenario={scenario} --reason="…"')
    return None


def _not_now(case: Case, verb: Verb, state: State, again: str) -> Denied:
    answer, manner = case.answer, MANNERS[case.kind]
    if state is State.VOID:
        why = case.void_reason or f"its run {case.op} was {case.op_state}"
        return Denied(f"{case.id} is void: {why}.", "what it rested on has changed (R10)", again)
    if state is State.EXPIRED:
        at = answer.until_ms if answer is not None and answer.until_ms is not None else case.expires_ms
        return Denied(f"{case.id} expired {when(at)}.", "decisions expire (R11)", again)
    if state is State.REVOKED:
        return Denied(f"{case.id} was revoked.", "one decision for each case (R3)", again)
    if state in (State.APPROVED, State.REJECTED):
        by = f" ({answer.id})" if answer is not None else ""
        return Denied(
            f"{case.id} is {MANNERS[case.kind].called(state)} already{by}.", "one decision for each case (R3)", again
        )
    if verb == "revoke":
        return Denied(f"{case.id} is {state.value}; only an approval can be revoked.", "there is nothing to revoke")
    if verb == "waive":
        return Denied(
            f"Nothing of {case.id} can be waived: {case.blocked or f'it is {case.verdict.value}'}.",
            "only what was not run can be waived, never what ran badly (VERDICTS)",
            again,
        )
    what = "It failed" if case.verdict is Verdict.FAIL else f"It is INCOMPLETE: {case.blocked or 'nothing was shown'}"
    return Denied(
        f"{case.id} cannot be {DONE[manner.yes].lower()}. {what}.",
        "FAIL blocks; what was not shown is no pass (VERDICTS, R42)",
        again,
    )
