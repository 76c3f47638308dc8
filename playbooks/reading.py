"""What a judged signal is: its readings, and whether it fired.

``fired`` and ``quiet`` rest on evidence; ``not judged`` says which evidence is missing and never counts as quiet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["fired", "quiet", "not judged"]


@dataclass(frozen=True)
class Reading:
    """One value beside its limit. ``unit`` belongs to both; ``age_ms`` is how old the value's cause is.

    ``sampled`` says that the value was counted from a part of the data, and is too low.
    """

    name: str
    value: float | str
    limit: float | str | None = None
    unit: str = ""
    fired: bool = False
    age_ms: int | None = None
    sampled: bool = False
    note: str = ""


@dataclass(frozen=True)
class Signal:
    """The signal of one playbook. ``severity`` (0..1) ranks what fired; ``why`` is one sentence for a person.

    ``variant`` names the kind of fault when it can be told; ``missing`` are the reads that would tell more.
    """

    letter: str
    state: State
    why: str
    variant: str | None = None
    severity: float = 0.0
    readings: tuple[Reading, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def fired(self) -> bool:
        return self.state == "fired"
