"""A verdict, and the checks that explain it.

Words and their order: VERDICTS, "FAIL dominates INCOMPLETE dominates PASS".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Unit = Literal["ms", "rate", "count"]
Comparison = Literal["<=", ">="]
SNAPSHOT = "snapshot"
"""The `scope` of a check that was read from the reliability snapshot and not from an endpoint."""


class Verdict(StrEnum):
    """PASS: measured and within its limits. FAIL: measured and not. INCOMPLETE: not measured."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCOMPLETE = "INCOMPLETE"


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for many; of nothing it is INCOMPLETE, since nothing was shown (safety, R42)."""
    seen = set(verdicts)
    if Verdict.FAIL in seen:
        return Verdict.FAIL
    if Verdict.INCOMPLETE in seen or not seen:
        return Verdict.INCOMPLETE
    return Verdict.PASS


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Owner(_Fact):
    """Who is asked about a red check: a team, and the team behind it (`ownership-matrix.json`)."""

    owner: str
    secondary: str


class Evidence(_Fact):
    """How much `bad` of `n` proves: the exact one-sided 95% upper bound of the bad rate (0..1).

    `more_needed` is how many further requests without a bad one would bring the bound to the limit;
    0 when it is there already, None when no number of good ones is asked for.
    """

    n: int
    bad: int
    upper_bound: float
    more_needed: int | None = None


class Check(_Fact):
    """One measured value against one limit; a red line explains itself from these fields alone.

    `value` is in `unit` ("rate" is 0..1); `scope` is an endpoint path or "snapshot"; `original` is what
    the original program's rule says about the same question, None where it asks none. `warning` is the
    baseline's level from which a passing value is marked, where it has one.
    """

    name: str
    verdict: Verdict
    value: float | None
    limit: float | None
    unit: Unit
    comparison: Comparison = "<="
    scope: str
    owner: Owner | None = None
    reason: str = ""
    evidence: Evidence | None = None
    original: bool | None = None
    warning: float | None = None


class Judgement(_Fact):
    """A verdict, the checks it is made of, and what the original program would have said.

    `reason` is set where the verdict rests on something that is not a check (stopped, stale, not run).
    """

    verdict: Verdict
    checks: tuple[Check, ...] = ()
    original_rule: bool | None = None
    reason: str = ""

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that are over their limit."""
        return tuple(check for check in self.checks if check.verdict is Verdict.FAIL)

    @property
    def undecided(self) -> tuple[Check, ...]:
        """The checks that could not be made."""
        return tuple(check for check in self.checks if check.verdict is Verdict.INCOMPLETE)

    @property
    def owners(self) -> tuple[Owner, ...]:
        """Owners of what is red, once each, in the order of the checks."""
        return tuple(dict.fromkeys(check.owner for check in self.failed if check.owner is not None))


def judge(
    name: str,
    value: float | None,
    limit: float | None,
    *,
    scope: str,
    unit: Unit,
    comparison: Comparison = "<=",
    owner: Owner | None = None,
    reason: str = "",
    evidence: Evidence | None = None,
    original: bool | None = None,
) -> Check:
    """Compare the measured value with its limit, exactly: no rounding, no tolerance.

    A value or a limit that is missing or not finite decides nothing (INCOMPLETE).
    """
    if value is None or limit is None or not math.isfinite(value) or not math.isfinite(limit):
        verdict = Verdict.INCOMPLETE
        finite = None if value is None or not math.isfinite(value) else value
        known = None if limit is None or not math.isfinite(limit) else limit
        reason = reason or ("no limit" if known is None and finite is not None else "not measured")
        value, limit = finite, known
    else:
        within = value <= limit if comparison == "<=" else value >= limit
        verdict = Verdict.PASS if within else Verdict.FAIL
    return Check(
        name=name,
        verdict=verdict,
        value=value,
        limit=limit,
        unit=unit,
        comparison=comparison,
        scope=scope,
        owner=owner,
        reason=reason,
        evidence=evidence,
        original=original,
    )


def sum_up(
    checks: Iterable[Check],
    *,
    original_rule: bool | None = None,
    reason: str = "",
    also: Iterable[Verdict] = (),
) -> Judgement:
    """The judgement of these checks; `also` are verdicts that come from elsewhere (stopped, stale)."""
    listed = tuple(checks)
    verdict = combine([*(check.verdict for check in listed), *also])
    return Judgement(verdict=verdict, checks=listed, original_rule=original_rule, reason=reason)
