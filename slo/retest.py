"""After against before: did a change help, did nothing happen, or did it make things worse?

VERDICTS, "Tuning retest": judged against the measurement before the change, not against the SLO. Worse is a check that
passed and now fails, a rate that rose by more than 0.02, a p95 that rose by more than 25% and 200 ms, or a pressure
that the change was meant to relieve and that grew by more than 10%. Better is the same the other way round.

A pressure is one only from its ``quiet`` level on: one call more in flight than at the look before is no regression of
a provider that stands nine tenths idle, and one fewer is no success.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from slo.verdict import Check, Judgement, Unit, Verdict

RATE_RISE = 0.02
P95_SHARE = 0.25
P95_MS = 200.0
PRESSURE_SHARE = 0.10
_EXACT = 1e-9
"""Rates are quotients of small counts: a difference of exactly 0.02 must not count as more by a rounding error."""


class Answer(StrEnum):
    """What a retest says of a change. WORSE dominates INCOMPLETE dominates BETTER dominates SAME."""

    BETTER = "BETTER"
    SAME = "SAME"
    WORSE = "WORSE"
    INCOMPLETE = "INCOMPLETE"


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pressure(_Fact):
    """One pressure before and after; more is worse. None where a snapshot does not show it.

    Below ``quiet``, in its own unit, nothing presses: a move that stays below it says nothing.
    """

    name: str
    before: float | None
    after: float | None
    unit: Unit
    quiet: float = 0.0


class Compared(_Fact):
    """One line of the table: a check or a pressure in both columns, and what it says."""

    name: str
    scope: str
    before: float | None
    after: float | None
    unit: Unit
    answer: Answer
    reason: str = ""

    @property
    def said(self) -> str:
        """The reason as a sentence of its own: ``p95 latency /api/chat: slower by 371 ms``."""
        if self.scope == "snapshot":
            return self.reason
        return f"{self.name.replace('_', ' ')} {self.scope}: {self.reason}"


class Retest(_Fact):
    """The answer, and the lines that it is made of."""

    answer: Answer
    lines: tuple[Compared, ...] = ()
    reason: str = ""

    @property
    def worse(self) -> tuple[Compared, ...]:
        return tuple(line for line in self.lines if line.answer is Answer.WORSE)

    @property
    def better(self) -> tuple[Compared, ...]:
        return tuple(line for line in self.lines if line.answer is Answer.BETTER)


def compare(before: Judgement, after: Judgement, pressures: Sequence[Pressure] = ()) -> Retest:
    """Compare two drills of the same profile, check by check, and the pressures beside them.

    What either drill did not measure decides nothing: then the whole is INCOMPLETE, unless something is worse. An
    aborted drill fails (`Judgement.verdict`) and is worse than one that was not.
    """
    old = {(check.scope, check.name): check for check in before.checks}
    new = {(check.scope, check.name): check for check in after.checks}
    keys = dict.fromkeys((*old, *new))
    lines = [_check(old.get(key), new.get(key)) for key in keys]
    lines += [_pressure(pressure) for pressure in pressures]
    answer = _sum_up(line.answer for line in lines)
    reason = ""
    if answer is not Answer.WORSE and _ended_badly(after) and not _ended_badly(before):
        answer, reason = Answer.WORSE, f"the drill ended early: {after.reason}"
    elif answer is not Answer.WORSE and (_undecided(before) or _undecided(after) or (after.reason and after.failed)):
        answer, reason = Answer.INCOMPLETE, after.reason or before.reason
    return Retest(answer=answer, lines=tuple(lines), reason=reason or _first_reason(lines, answer))


def _sum_up(answers: Iterable[Answer]) -> Answer:
    seen = set(answers)
    for answer in (Answer.WORSE, Answer.INCOMPLETE, Answer.BETTER, Answer.SAME):
        if answer in seen:
            return answer
    return Answer.INCOMPLETE


def _first_reason(lines: Sequence[Compared], answer: Answer) -> str:
    if answer is Answer.SAME:
        return "every check and every pressure is as before"
    return next((line.said for line in lines if line.answer is answer and line.reason), "")


def _ended_badly(judgement: Judgement) -> bool:
    """Whether the drill was aborted because the target was bad: a FAIL that no check explains."""
    return judgement.verdict is Verdict.FAIL and not judgement.failed


def _undecided(judgement: Judgement) -> bool:
    """Whether the drill as a whole decided nothing: stopped, or the generator was the bottleneck."""
    return judgement.verdict is Verdict.INCOMPLETE and bool(judgement.reason)


def _check(before: Check | None, after: Check | None) -> Compared:
    known = after or before
    assert known is not None
    line = Compared(
        name=known.name,
        scope=known.scope,
        before=before.value if before else None,
        after=after.value if after else None,
        unit=known.unit,
        answer=Answer.SAME,
    )
    if before and after and before.unit == "ms" and before.value is None:
        # Nothing succeeded before, so there is no latency to compare with; the rates of the endpoint tell the rest.
        over = after.verdict is Verdict.FAIL
        return _said(line, Answer.INCOMPLETE if over else Answer.SAME, "nothing succeeded before")
    if before is None or after is None or Verdict.INCOMPLETE in (before.verdict, after.verdict):
        missing = after if before and before.verdict is not Verdict.INCOMPLETE else before
        why = missing.reason if missing and missing.reason else "not measured"
        return _said(line, Answer.INCOMPLETE, why)
    if before.verdict is Verdict.PASS and after.verdict is Verdict.FAIL:
        return _said(line, Answer.WORSE, "passed before, fails now")
    if before.verdict is Verdict.FAIL and after.verdict is Verdict.PASS:
        return _said(line, Answer.BETTER, "failed before, passes now")
    assert before.value is not None
    assert after.value is not None
    rise = after.value - before.value
    if known.unit == "rate":
        rise = -rise if known.comparison == ">=" else rise
        if abs(rise) > RATE_RISE + _EXACT:
            return _said(line, Answer.WORSE if rise > 0 else Answer.BETTER, f"moved by {abs(rise) * 100:.1f} points")
    elif known.unit == "ms" and abs(rise) > P95_MS:
        if rise > before.value * P95_SHARE:
            return _said(line, Answer.WORSE, f"slower by {rise:.0f} ms")
        if -rise > before.value * P95_SHARE:
            return _said(line, Answer.BETTER, f"faster by {-rise:.0f} ms")
    return line


def _pressure(one: Pressure) -> Compared:
    line = Compared(
        name=one.name, scope="snapshot", before=one.before, after=one.after, unit=one.unit, answer=Answer.SAME
    )
    if one.before is None or one.after is None or not (math.isfinite(one.before) and math.isfinite(one.after)):
        return _said(line, Answer.INCOMPLETE, f"{one.name} is not in both snapshots")
    if max(one.before, one.after) < one.quiet:
        return line
    rise = one.after - one.before
    if abs(rise) > abs(one.before) * PRESSURE_SHARE + _EXACT:
        grew = "grew" if rise > 0 else "fell"
        by = f" by {abs(rise) / one.before * 100:.0f}%" if one.before else ""
        return _said(line, Answer.WORSE if rise > 0 else Answer.BETTER, f"{one.name} {grew}{by}")
    return line


def _said(line: Compared, answer: Answer, reason: str) -> Compared:
    return line.model_copy(update={"answer": answer, "reason": reason})
