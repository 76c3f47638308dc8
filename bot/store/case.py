"""One case as a value: its states, what was decided, how it stands at a moment (safety.md, R10, R11; ux.md, rule 6).

A case is one judgement that waits for a human: a release gate, a canary, a milestone, a region decision, a load above
the ceilings. It is written once and never changed, except that it can be made void; decisions are only added. Its state
is a pure function of it and of the time, so that card and audit trail cannot disagree:

    WAITING -> WAIVED (every gap waived) -> APPROVED -> REVOKED | EXPIRED | VOID
    WAITING | WAIVED -> REJECTED | EXPIRED | VOID          BLOCKED -> REJECTED | EXPIRED | VOID

`bot.store.cases` keeps them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict

from bot.card import Card
from bot.errors import Refused
from bot.store.ops import State as OpState
from slo.verdict import Verdict

Kind = Literal["gate", "canary", "milestone", "region", "ceiling"]
Verb = Literal["approve", "reject", "revoke", "waive", "promote", "roll-back"]

PREFIX: Mapping[Kind, str] = {"gate": "g", "canary": "cn", "milestone": "ms", "region": "rg", "ceiling": "ce"}
"""Ids as people see them: ``g-77`` is a gate."""
TRIGGERED: frozenset[Kind] = frozenset({"region"})
"""Kinds whose FAIL is a trigger: what has fired is the very thing that a person decides about."""
YES: frozenset[Verb] = frozenset({"approve", "promote"})
NO: frozenset[Verb] = frozenset({"reject", "roll-back"})
REPLACED = "a newer run replaced it"
"""Why a case is void that has a successor: that one is to be looked at, nothing to be run again."""


class State(StrEnum):
    """How a case stands. BLOCKED: nobody can approve it, since it failed or lacks what cannot be waived."""

    WAITING = "WAITING"
    WAIVED = "WAIVED"
    BLOCKED = "BLOCKED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    VOID = "VOID"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Decision(_Row):
    """What a person decided. ``until_ms`` ends an approval; ``scenario`` is what a waiver names."""

    id: str
    case: str
    verb: Verb
    by: str
    """Verified account, ``slack:U0RELMGR``."""
    person: str | None
    reason: str
    scenario: str | None
    at_ms: int
    until_ms: int | None
    offer: str | None
    """The button it was made with; None when it was typed."""
    audit: int
    """Number of the audit record that was written with it."""


class Case(_Row):
    """One case with its decisions, oldest first. Times in ms UTC."""

    id: str
    kind: Kind
    op: str
    op_state: OpState
    """State of the run that made it: only a run that has ended well can be decided on."""
    target: str | None
    subject: str
    """What is decided about: the release's name, a milestone, an operation."""
    commit: str | None
    verdict: Verdict
    waivable: tuple[str, ...]
    """Required scenarios that were not run: each needs a waiver before an approval."""
    blocked: str
    """What is lacking and cannot be waived, in a sentence; empty when there is nothing such."""
    needs_reason: bool
    starter: str
    starter_person: str | None
    binding: dict[str, Any]
    """What an approval is bound to: report, policy, target, deployment, release, commit."""
    digest: str
    """SHA-256 over the canonical JSON (RFC 8785) of the binding."""
    made_ms: int
    expires_ms: int
    void_ms: int | None
    void_reason: str | None
    drawn: str | None
    """What its card shows: a `State`, or None."""
    card: Card | None
    """The card of the run without the decision, from which the decided one is drawn."""
    decisions: tuple[Decision, ...] = ()

    @property
    def said(self) -> str:
        """The verdict as people read it: what a trigger has fired on is TRIGGERED, not failed."""
        fired = self.verdict is Verdict.FAIL and self.kind in TRIGGERED
        return "TRIGGERED" if fired else self.verdict.value

    @property
    def answer(self) -> Decision | None:
        """The yes or no, when there is one."""
        return next((item for item in self.decisions if item.verb in YES | NO), None)

    @property
    def revoked(self) -> Decision | None:
        return next((item for item in self.decisions if item.verb == "revoke"), None)

    @property
    def waivers(self) -> tuple[Decision, ...]:
        return tuple(item for item in self.decisions if item.verb == "waive")

    @property
    def not_waived(self) -> tuple[str, ...]:
        """Scenarios that still need a waiver."""
        named = {item.scenario for item in self.waivers}
        return tuple(name for name in self.waivable if name not in named)

    @property
    def replaced(self) -> bool:
        """Whether a newer case stands in its place."""
        return self.void_reason is not None and self.void_reason.startswith(REPLACED)

    def standing(self, now_ms: int) -> State:
        """The state at a moment; what a person said last wins over time, time wins over waiting."""
        answer = self.answer
        if self.revoked is not None:
            return State.REVOKED
        if answer is not None and answer.verb in NO:
            return State.REJECTED
        if self.void_ms is not None or self.op_state in ("failed", "stopped", "interrupted", "refused"):
            return State.VOID
        if answer is not None:
            return State.APPROVED if answer.until_ms is not None and now_ms < answer.until_ms else State.EXPIRED
        if now_ms >= self.expires_ms:
            return State.EXPIRED
        failed = self.verdict is Verdict.FAIL and self.kind not in TRIGGERED
        if failed or self.blocked or (self.verdict is Verdict.INCOMPLETE and not self.waivable):
            return State.BLOCKED
        if self.verdict is Verdict.INCOMPLETE and not self.not_waived:
            return State.WAIVED
        return State.WAITING


class CaseConflict(Refused):
    """The case is not as it was when the decision was judged: somebody was faster. ``case`` is how it stands."""

    def __init__(self, case: Case, state: State) -> None:
        super().__init__(f"{case.id} is {state.value} by now.", rule="one decision for each case (R3)")
        self.case = case
        self.state = state


def digest_of(binding: Mapping[str, Any]) -> str:
    """The digest of a binding; raises ValueError for what has no canonical JSON (NaN)."""
    return hashlib.sha256(rfc8785.dumps(dict(binding))).hexdigest()


_OPEN = frozenset({State.WAITING, State.WAIVED, State.BLOCKED})
_POSSIBLE: Mapping[Verb, frozenset[State]] = {
    "approve": frozenset({State.WAITING, State.WAIVED}),
    "promote": frozenset({State.WAITING, State.WAIVED}),
    "reject": _OPEN,
    "roll-back": _OPEN,
    "waive": frozenset({State.WAITING}),
    "revoke": frozenset({State.APPROVED}),
}


def possible(verb: Verb, state: State) -> bool:
    """Whether a decision of this kind fits a case in this state."""
    return state in _POSSIBLE[verb]
