"""FAIL dominates INCOMPLETE dominates PASS, and nothing passes without evidence."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.verdict import SNAPSHOT, Comparison, Owner, Verdict, combine, judge, sum_up

ALL = tuple(Verdict)


@pytest.mark.parametrize("several", [c for n in (1, 2, 3) for c in itertools.product(ALL, repeat=n)])
def test_the_worst_verdict_decides(several: tuple[Verdict, ...]) -> None:
    """Every combination of up to three."""
    if Verdict.FAIL in several:
        assert combine(several) is Verdict.FAIL
    elif Verdict.INCOMPLETE in several:
        assert combine(several) is Verdict.INCOMPLETE
    else:
        assert combine(several) is Verdict.PASS


def test_R42_nothing_is_not_a_pass() -> None:
    assert combine([]) is Verdict.INCOMPLETE
    assert sum_up([]).verdict is Verdict.INCOMPLETE


@given(st.lists(st.sampled_from(ALL)), st.lists(st.sampled_from(ALL)))
def test_order_and_grouping_do_not_matter(one: list[Verdict], two: list[Verdict]) -> None:
    if one and two:
        assert combine([combine(one), combine(two)]) == combine(two + one)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["<=", ">="]),
)
def test_a_measured_value_is_compared_exactly(value: float, limit: float, how: Comparison) -> None:
    made = judge("x", value, limit, scope=SNAPSHOT, unit="ms", comparison=how)

    within = value <= limit if how == "<=" else value >= limit
    assert made.verdict is (Verdict.PASS if within else Verdict.FAIL)


def test_just_over_the_limit_fails() -> None:
    assert judge("p95", math.nextafter(1500, 1501), 1500, scope="/x", unit="ms").verdict is Verdict.FAIL
    assert judge("p95", 1500, 1500, scope="/x", unit="ms").verdict is Verdict.PASS


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_finite_number_decides_nothing(bad: float | None) -> None:
    """Neither as a value nor as a limit, in either direction; and it never reaches JSON."""
    for comparison in ("<=", ">="):
        for value, limit in ((bad, 1.0), (1.0, bad), (bad, bad)):
            made = judge("x", value, limit, scope="/x", unit="rate", comparison=comparison)
            assert made.verdict is Verdict.INCOMPLETE
            assert made.reason
            assert "NaN" not in made.model_dump_json()
            assert "Infinity" not in made.model_dump_json()


def test_a_judgement_names_who_owns_what_is_red_once_each() -> None:
    team = Owner(owner="chat-runtime", secondary="reliability-platform")
    red = judge("a", 2, 1, scope="/x", unit="count", owner=team)
    green = judge("b", 0, 1, scope="/x", unit="count", owner=Owner(owner="other", secondary="x"))

    whole = sum_up([red, red, green])

    assert whole.owners == (team,)
    assert whole.failed == (red, red)
    assert whole.undecided == ()
