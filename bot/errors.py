"""The tree of errors that a person may see; every "no" helps.

    SendcatError
     +- Refused      against the rules or without the right (exit status 4)
     +- Unknown      no such command, flag, knob, page, target (exit status 2)
     +- Broken       page, policy, configuration or database is damaged or wrong (exit status 2)
     +- Unreachable  Sendcat, Convex or Slack did not answer usefully (exit status 3)
     +- Busy         the queue is full, another leader holds the lock (exit status 75)

Each says what happened, which rule it follows from, and what to type next. The desk turns an error into a
card in one place; nobody catches ``Exception`` to log it and carry on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bot.card import Button


class SendcatError(Exception):
    """A plain sentence for the person, the rule behind it, and what to type next."""

    exit_status: ClassVar[int] = 2
    word: ClassVar[str] = "Error"

    def __init__(self, what: str, *, rule: str | None = None, then: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.rule = rule
        self.then = then

    def __str__(self) -> str:
        parts = [self.what]
        if self.rule:
            parts.append(f"Rule: {self.rule}.")
        if self.then:
            parts.append(f"Next: {self.then}")
        return " ".join(parts)


class Refused(SendcatError):
    """Against a rule of the runbook, or by somebody who has not the right (INTERFACES.md, section 3)."""

    exit_status = 4
    word = "Refused"

    def __init__(
        self, what: str, *, rule: str | None = None, then: str | None = None, buttons: Sequence[Button] = ()
    ) -> None:
        super().__init__(what, rule=rule, then=then)
        self.buttons = tuple(buttons)
        """What the card of this refusal offers to press, such as the nearest legal line."""


class Unknown(SendcatError):
    """No such command, flag, knob, page or target; ``then`` carries the nearest match.

    ``fields`` says for single flags what is wrong with them, so that a form can mark its questions.
    """

    exit_status = 2
    word = "Unknown"

    def __init__(
        self,
        what: str,
        *,
        rule: str | None = None,
        then: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what, rule=rule, then=then)
        self.fields = dict(fields or {})


class Broken(SendcatError):
    """A page, policy, configuration file or database that cannot be used as it is."""

    exit_status = 2
    word = "Broken"


class Unreachable(SendcatError):
    """Sendcat, Convex or Slack did not answer usefully; ``ambiguous`` means that a write may have happened."""

    exit_status = 3
    word = "Unreachable"

    def __init__(self, what: str, *, rule: str | None = None, then: str | None = None, ambiguous: bool = False) -> None:
        super().__init__(what, rule=rule, then=then)
        self.ambiguous = ambiguous


class Busy(SendcatError):
    """Nothing was accepted: the queue is full, or another process leads (exit status 75)."""

    exit_status = 75
    word = "Busy"
