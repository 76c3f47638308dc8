"""How far one knob may move in one change: the runbook's step limits, in integers.

Runbook, playbook A step 3 (25%), playbook C step 2 and F step 2 (20%), playbook B step 4 (cool-downs first), tuning
rules; safety.md R21-R23; the figures that the runbook leaves open stand in VERDICTS, "Tuning retest". All limits are
counted from the effective value and rounded toward no change. Everything legal forms one interval around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from playbooks.knobs import Knob, KnobType, Protection

CREEP_ALONE = (3, 2)
"""Drift from the value 24 h ago that a break-glass change may reach: x1.5 (R23)."""
CREEP_APPROVED = 2
"""Drift that a change approved by another person may reach: x2.0 (R23)."""


class Family(StrEnum):
    """Which step limit holds for a number."""

    RATE_LIMIT = "rate-limit maximum"
    CONCURRENCY = "bulkhead concurrency"
    THRESHOLD = "circuit threshold"
    COOLDOWN = "cool-down"
    LEASE = "lease time"
    INTEGER = "number without a figure in the runbook"


@dataclass(frozen=True)
class StepRule:
    """The limit of one family: ``pct`` of the effective value in one change.

    ``by_runbook`` says that the runbook itself gives the figure: then a step that rounds to nothing is refused, else
    +1 is offered (R22). ``cap_factor`` times the default is where a value amounts to switching the protection off.
    """

    family: Family
    pct: int
    by_runbook: bool
    source: str
    cap_factor: int | None = None

    @property
    def text(self) -> str:
        return f"{self.family}: at most {self.pct}% in one change ({self.source})"


_RULES = {
    Family.RATE_LIMIT: StepRule(Family.RATE_LIMIT, 25, True, "runbook, playbook A, step 3; R22", 4),
    Family.CONCURRENCY: StepRule(Family.CONCURRENCY, 20, True, "runbook, playbooks C and F, step 2; R22", 4),
    Family.THRESHOLD: StepRule(Family.THRESHOLD, 20, False, "the runbook gives no figure; R22", 2),
    Family.COOLDOWN: StepRule(Family.COOLDOWN, 50, False, "the runbook gives no figure"),
    Family.LEASE: StepRule(Family.LEASE, 20, False, "the runbook gives no figure"),
    Family.INTEGER: StepRule(Family.INTEGER, 20, False, "R22"),
}


def family(knob: Knob) -> Family:
    """The family of a number, by what the list of knobs says of it; raises ValueError for switches and texts."""
    if knob.type is not KnobType.INT:
        raise ValueError(f"{knob.name} is no number")
    if knob.step_limit_pct == 25:
        return Family.RATE_LIMIT
    if knob.step_limit_pct == 20:
        return Family.CONCURRENCY
    if knob.family == "circuit" and knob.protection is Protection.GUARDED:
        return Family.THRESHOLD
    if knob.name.endswith("_COOLDOWN_MS"):
        return Family.COOLDOWN
    if knob.name.endswith(("_LEASE_TTL_MS", "_LEASE_MS")):
        return Family.LEASE
    return Family.INTEGER


def rule_of(knob: Knob) -> StepRule:
    """The step limit of a number."""
    return _RULES[family(knob)]


def is_window(knob: Knob) -> bool:
    """Whether the knob is the length of a window, which is not tunable (R21)."""
    return knob.name.endswith(("_WINDOW_MS", "_WINDOW_MIN", "_WINDOW_MINUTES"))


def cap_of(knob: Knob) -> int | None:
    """The highest value that does not amount to switching a protection off; None for knobs that protect nothing."""
    factor = rule_of(knob).cap_factor
    if factor is None or knob.protection is not Protection.GUARDED or not isinstance(knob.default, int):
        return None
    return factor * knob.default


@dataclass(frozen=True)
class Reach:
    """Where a knob may go in one change: ``low``..``high``, both inclusive; the effective value lies inside.

    ``single`` says that the percentage rounds to nothing and one whole step is offered instead, which only a second
    person can approve. The other fields are the bounds that were put together, for whoever explains a refusal.
    """

    old: int
    low: int
    high: int
    single: bool
    pct: int
    step_low: int
    step_high: int
    creep_low: int
    creep_high: int

    def __contains__(self, value: int) -> bool:
        return value != self.old and self.low <= value <= self.high

    def nearest(self, wish: int) -> int | None:
        """The legal value closest to a wish, on the same side of the effective one; None when there is none."""
        inside = min(max(wish, self.low), self.high)
        return inside if inside != self.old else None


def reach(knob: Knob, old: int, day_ago: int | None = None, *, call_ms: int | None = None) -> Reach:
    """The legal interval of a number around its effective value.

    ``day_ago`` is the value 24 h ago (None: as now). ``call_ms`` is how long the calls that hold the lease were
    observed to take: a lease may then come down to twice that at once. Where the effective value itself lies beyond a
    bound (somebody moved it outside the bot), the bound forbids going further, not coming back.
    """
    rule, base = rule_of(knob), old if day_ago is None else day_ago
    size = old * rule.pct // 100
    single = size == 0 and not rule.by_runbook
    size = 1 if single else size
    step_low, step_high = old - size, old + size
    creep_low, creep_high = _creep(base)
    if rule.family is Family.LEASE and call_ms is not None:
        step_low = min(step_low, 2 * call_ms)
        creep_low = min(creep_low, 2 * call_ms)
    low, high = max(step_low, min(creep_low, old)), min(step_high, max(creep_high, old))
    if (cap := cap_of(knob)) is not None:
        high = min(high, max(cap, old))
    if knob.minimum is not None:
        low = max(low, min(knob.minimum, old))
    if knob.maximum is not None:
        high = min(high, max(knob.maximum, old))
    return Reach(old, low, high, single, rule.pct, step_low, step_high, creep_low, creep_high)


def _creep(base: int) -> tuple[int, int]:
    """The drift that an approved change may reach, both ways; one whole step is never drift."""
    return min(-(-base // CREEP_APPROVED), base - 1), max(base * CREEP_APPROVED, base + 1)


def drifts_far(value: int, day_ago: int) -> bool:
    """Whether a value is further from the one 24 h ago than a change without a second person may be (R23)."""
    times, over = CREEP_ALONE
    return value * over > day_ago * times or value * times < day_ago * over
