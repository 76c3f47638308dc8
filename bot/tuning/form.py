"""The form of a change: one number for each knob, within its legal range, and the reason (ux.md, rule 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.card import Field, Form
from playbooks.knobs import Knob


@dataclass(frozen=True)
class Wanted:
    """A knob in a form: the legal interval of one change around the effective value, and what stands there first."""

    knob: Knob
    low: int
    high: int
    now: int
    text: str


def change_form(wanted: Sequence[Wanted], *, title: str, why: str, note: str = "") -> Form:
    """Ask for the values and the reason; the answers complete a ``tune`` line without words.

    Slack marks a number outside the range before the form closes; the desk asks the rules again at each proposal, since
    the knobs may have moved meanwhile.
    """
    fields = tuple(
        Field(
            flag=one.knob.name.lower(),
            label=one.knob.name,
            kind="number",
            value=one.text,
            hint=f"{one.now} now; one change may lead to {one.low} to {one.high}",
            word=True,
            prefix=f"{one.knob.name}=",
            least=one.low,
            most=one.high,
        )
        for one in wanted
    )
    reason = Field(flag="why", label="Why", kind="long", value=why, optional=True)
    return Form(title=title[:24], fields=(*fields, reason), submit="Propose", note=note)
