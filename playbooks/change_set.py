"""A change set as a value: how knobs stand, the steps that are taken together, and the line that proposes them.

What makes a step lawful is `playbooks.tuning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from playbooks.knobs import Value


@dataclass(frozen=True)
class Standing:
    """How a knob stands: its stored text (None: not set), the effective value as the snapshot shows it.

    ``day_ago`` is the effective value 24 h ago (None: as now); ``call_ms`` how long the calls behind a lease take.
    """

    stored: str | None
    effective: Value | None
    day_ago: Value | None = None
    call_ms: int | None = None


@dataclass(frozen=True)
class Step:
    """One lawful step: ``text`` is what will be stored, ``after`` what the snapshot must then show.

    ``second`` are the reasons why only another person can allow it, break-glass or not.
    """

    knob: str
    stored: str | None
    before: Value
    text: str
    after: Value
    day_ago: Value
    rule: str
    second: tuple[str, ...] = ()

    @property
    def change(self) -> str:
        """``24 → 28 (+17%)``."""
        if self.before == self.after:
            return f"{shown(self.before)}, stored plainly"
        arrow = f"{shown(self.before)} → {shown(self.after)}"
        if isinstance(self.before, bool) or not isinstance(self.before, int) or not isinstance(self.after, int):
            return arrow
        if self.before == 0:
            return arrow
        return f"{arrow} ({(self.after - self.before) / self.before * 100:+.0f}%)"

    @property
    def drift(self) -> str:
        """How far this leads from the value 24 h ago: ``x1.17 in 24 h``; empty where nothing is to be said."""
        numbers = [v for v in (self.day_ago, self.after) if isinstance(v, int) and not isinstance(v, bool)]
        if len(numbers) < 2 or numbers[0] == 0:
            return ""
        return f"×{numbers[1] / numbers[0]:.2f} in 24 h"


@dataclass(frozen=True)
class ChangeSet:
    """Steps that are taken together, what to know beforehand, and why another person is needed in any case."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    why: str = ""
    second: tuple[str, ...] = field(default=())

    @property
    def line(self) -> str:
        """The line that proposes exactly this."""
        return line_of({step.knob: step.text for step in self.steps})

    @property
    def knobs(self) -> tuple[str, ...]:
        return tuple(step.knob for step in self.steps)


def line_of(texts: Mapping[str, str]) -> str:
    """``tune KNOB 14``, or ``tune A=3 B=3`` for several."""
    if len(texts) == 1:
        return "tune " + " ".join(next(iter(texts.items())))
    return "tune " + " ".join(f"{name}={text}" for name, text in texts.items())


def shown(value: Value) -> str:
    """A value for people; switches as the application writes them."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
