"""Statistics of a canary: intervals that cover, a shift that is found, ratios that are told; against scipy's own."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo import compare

LOGS = (5.0, 0.3)


def drawn(seed: int, n: int, times: float = 1.0) -> list[float]:
    dice = random.Random(seed)
    return sorted(times * dice.lognormvariate(*LOGS) for _ in range(n))


def test_a_difference_of_rates_is_newcombes() -> None:
    """His example (1998, table II, column a): 56 of 70 against 48 of 80 gives 0.0524 to 0.3339."""
    found = compare.difference(48, 80, 56, 70)

    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_an_interval_holds_its_value_and_mirrors(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    one, other = compare.difference(a, n, b, m), compare.difference(b, m, a, n)

    assert -1 <= one.low <= one.value <= one.high <= 1
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))


def test_nothing_was_seen_is_no_difference() -> None:
    with pytest.raises(ValueError, match="no requests"):
        compare.difference(0, 0, 1, 10)


def test_the_shift_is_the_median_of_all_pairs_and_the_test_is_scipys() -> None:
    """On a size where every pair can be written down."""
    numpy = pytest.importorskip("numpy")
    stats = pytest.importorskip("scipy.stats")
    here, there = drawn(1, 80), drawn(2, 70, times=1.3)

    found = compare.shift(here, there)

    pairs = numpy.sort(numpy.subtract.outer(numpy.array(there), numpy.array(here)).ravel())
    assert found.shift_ms.value == pytest.approx(pairs[(len(pairs) - 1) // 2], abs=0.01)
    assert found.shift_ms.low < found.shift_ms.value < found.shift_ms.high
    assert found.shift_ms.low > 0
    assert found.p_value == pytest.approx(stats.mannwhitneyu(there, here, method="asymptotic").pvalue)


def test_equal_values_are_no_shift_and_no_error() -> None:
    pytest.importorskip("scipy")
    found = compare.shift([5.0] * 40, [5.0] * 30)

    assert found.p_value == 1
    assert found.shift_ms.value == pytest.approx(0, abs=0.01)


def test_the_ratio_of_p95s_is_found_and_covered() -> None:
    """Of 40 pairs of equals, nearly all intervals hold 1; a candidate 1.6 times as slow is seen in each."""
    pytest.importorskip("numpy")
    same = [compare.p95_ratio(drawn(2 * n, 300), drawn(2 * n + 1, 300)) for n in range(40)]
    slower = [compare.p95_ratio(drawn(2 * n, 300), drawn(2 * n + 1, 300, times=1.6)) for n in range(10)]

    assert sum(item.low <= 1 <= item.high for item in same) >= 34
    assert all(item.low > 1.2 for item in slower)
    assert compare.p95_ratio(drawn(0, 50), drawn(1, 50)) == compare.p95_ratio(drawn(0, 50), drawn(1, 50))
    with pytest.raises(ValueError, match="zero"):
        compare.p95_ratio([0.0] * 20, [1.0] * 20)


def test_buckets_are_the_librarys_own() -> None:
    """The direct walk reads exactly what its iterator does, also from a decoded histogram."""
    from slo.measure import decode, encode, histogram, recorded

    values = [0.001, 119_999.0, *drawn(3, 500)]
    for folded in (histogram(values), decode(encode(values)), histogram([])):
        theirs = [
            (folded.get_lowest_equivalent_value(item.value_iterated_to), item.count_at_value_iterated_to)
            for item in folded.get_recorded_iterator()
        ]
        assert recorded(folded) == theirs
    assert math.isclose(sum(count for _, count in recorded(histogram(values))), len(values))
