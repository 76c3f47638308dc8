"""One change set as a value: its states, the moves between them, who moved it, what was measured (R24-R28).

proposed -> approved -> taken -> intent -> written -> confirmed -> settling -> retested -> kept
                                      |-> ambiguous -> written | failed | unknown
written, confirmed, settling, retested, kept, unknown -> undoing -> reverting -> undone
                                                             reverting -> doubtful -> undone | undoing | unknown
proposed, approved, taken -> rejected | expired | void | failed

``intent`` and ``reverting`` are committed before a write goes out: whoever finds them after a crash does not know
whether it did, waits, and reads (`ambiguous`, `doubtful`; R26). `bot.store.changes` keeps them and moves them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.command import Actor, Door
from playbooks.change_set import Step
from slo.retest import Answer, Retest

State = Literal[
    "proposed",
    "approved",
    "taken",
    "intent",
    "ambiguous",
    "written",
    "confirmed",
    "settling",
    "retested",
    "undoing",
    "reverting",
    "doubtful",
    "unknown",
    "kept",
    "undone",
    "rejected",
    "expired",
    "void",
    "failed",
]
CLOSED: tuple[State, ...] = ("kept", "undone", "rejected", "expired", "void", "failed")
BEFORE_WRITE: tuple[State, ...] = ("proposed", "approved", "taken")
"""Nothing has been sent to Sendcat yet."""
AT_WORK: tuple[State, ...] = (
    "intent",
    "ambiguous",
    "written",
    "confirmed",
    "settling",
    "retested",
    "undoing",
    "reverting",
    "doubtful",
    "unknown",
)
"""A write may have happened and its story has not ended: what the deadman looks at (R27)."""
UNDOABLE: tuple[State, ...] = ("written", "confirmed", "settling", "retested", "kept", "unknown")

MOVES: dict[State, tuple[State, ...]] = {
    "proposed": ("approved", "rejected", "expired", "void"),
    "approved": ("taken", "rejected", "expired", "void", "failed"),
    "taken": ("intent", "rejected", "expired", "void", "failed"),
    "intent": ("written", "ambiguous", "failed"),
    "ambiguous": ("written", "failed", "unknown"),
    "written": ("confirmed", "undoing", "unknown"),
    "confirmed": ("settling", "undoing"),
    "settling": ("retested", "undoing"),
    "retested": ("kept", "undoing"),
    "undoing": ("reverting", "undone", "unknown"),
    "reverting": ("undone", "doubtful", "unknown"),
    "doubtful": ("undone", "undoing", "unknown"),
    "unknown": ("written", "undoing", "kept", "undone", "failed"),
    "kept": ("settling", "undoing"),
    "undone": (),
    "rejected": (),
    "expired": (),
    "void": (),
    "failed": (),
}


class By(BaseModel):
    """Who moved a change: a verified account and the human behind it; ``system`` for the bot itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    door: Literal["slack", "terminal", "timer", "system"]
    person: str | None = None

    @classmethod
    def of(cls, account: str, door: str, person: str | None) -> By:
        """A person at a door, as a record of who did it."""
        return cls.model_validate({"account": account, "door": door, "person": person})

    @property
    def actor(self) -> Actor:
        """The account as a door hands it in."""
        return Actor(door=Door.TERMINAL if self.door == "system" else Door(self.door), account=self.account)


BOT = By(account="system", door="system")


class Taken(BaseModel):
    """What was measured on one side of a change: artifacts by name, and how old the drill was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: str
    snapshot_id: str
    """The first 12 hex digits of the file's sha256."""
    drill: str | None = None
    at_ms: int


class Change(BaseModel):
    """One change set as it stands. Times in ms UTC; ``due_ms`` is when somebody looks again."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: str
    target: str
    deployment: str
    state: State
    line: str
    why: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    second: tuple[str, ...]
    policy: str
    binding: str
    op: str
    proposer: By
    approver: By | None
    approved_ms: int | None
    break_glass: str | None
    before: Taken | None
    after: Taken | None
    retest: Retest | None
    verdict: Answer | None
    undo_by: By | None
    undo_why: str | None
    undo_knobs: tuple[str, ...] | None
    """Knobs that an undo is to leave out, since a stranger changed them; None: all are put back."""
    note: str
    """What happened last, in our own words; what others wrote went through `bot.redact.inert` before (R34)."""
    attempts: int
    created_ms: int
    expires_ms: int
    sent_ms: int | None
    due_ms: int | None
    raised_ms: int | None
    updated_ms: int
    epoch: int

    @property
    def open(self) -> bool:
        return self.state not in CLOSED

    @property
    def writes(self) -> dict[str, str | None]:
        """What is stored when it is applied."""
        return {step.knob: step.text for step in self.steps}

    @property
    def reverts(self) -> dict[str, str | None]:
        """What is stored when it is undone: the very text that was there, or nothing."""
        left = self.undo_knobs or ()
        return {step.knob: step.stored for step in self.steps if step.knob not in left}

    @property
    def words(self) -> str:
        """``c-41 KNOB 24 → 28 (+17%)``."""
        return f"{self.id} " + ", ".join(f"{step.knob} {step.change}" for step in self.steps)
