"""Percentiles, bounds and histograms."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from slo.measure import (
    HISTOGRAM_MAX_US,
    decode,
    encode,
    evidence,
    more_needed,
    p95_ms,
    percentile,
    percentiles,
    rate,
    recorded,
    to_fixed,
    upper_bound,
)

Values = st.lists(st.floats(0.01, 110_000), min_size=1, max_size=200)


def test_percentiles_are_the_originals(rules: dict[str, Any]) -> None:
    for case in rules["percentile"]:
        assert [percentile(case["values"], p) for p in (50, 95, 99)] == [
            case["p50"],
            case["p95"],
            case["p99"],
        ]


@given(Values, st.sampled_from([50.0, 95.0, 99.0]))
def test_nearest_rank_is_the_smallest_value_with_enough_below(values: list[float], p: float) -> None:
    found = percentile(values, p)

    assert found in values
    assert sum(v <= found for v in values) >= p / 100 * len(values) - 1e-9
    assert sum(v < found for v in values) < p / 100 * len(values) + 1e-9
    assert percentiles(values, p) == (found,)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=19))
def test_p95_of_fewer_than_twenty_is_the_largest(values: list[float]) -> None:
    assert p95_ms(values) == max(values)


def test_nothing_measured_is_zero_for_the_original_and_none_for_us() -> None:
    assert percentile([], 95) == 0
    assert p95_ms([]) is None
    assert rate(0, 0) is None


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [(0.03125, 4, 0.0313), (1.0, 4, 1), (67.2345, 2, 67.23), (0, 4, 0), (1.005, 2, 1), (2 / 3, 4, 0.6667)],
)
def test_rounding_is_javascripts(value: float, digits: int, written: float) -> None:
    assert to_fixed(value, digits) == written


@pytest.mark.parametrize(
    ("bad", "n", "bound"),
    [
        (0, 30, 1 - 0.05 ** (1 / 30)),
        (0, 3, 1 - 0.05 ** (1 / 3)),
        (1, 30, 0.14859754),
        (5, 100, 0.10225332),
        (50, 1000, 0.06286340),
        (30, 30, 1.0),
        (0, 0, 1.0),
    ],
)
def test_bounds_agree_with_the_tables(bad: int, n: int, bound: float) -> None:
    """Clopper-Pearson, one-sided 95%: quantiles of the beta distribution."""
    assert upper_bound(bad, n) == pytest.approx(bound, rel=1e-5)


def test_zero_of_thirty_leaves_nine_and_a_half_percent_possible() -> None:
    assert f"{upper_bound(0, 30):.1%}" == "9.5%"


def _exact_cdf(k: int, n: int, p: float) -> float:
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@given(st.integers(1, 150), st.data())
def test_at_the_bound_the_observation_is_exactly_five_percent_likely(n: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, n - 1))

    bound = upper_bound(bad, n)

    assert bad / n < bound <= 1
    assert _exact_cdf(bad, n, bound) == pytest.approx(0.05, rel=1e-6)


@given(st.integers(1, 400), st.data())
@settings(max_examples=60)
def test_more_bad_or_fewer_requests_never_make_the_bound_smaller(n: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, n - 1))

    assert upper_bound(bad, n) <= upper_bound(bad + 1, n)
    assert upper_bound(bad, n + 1) <= upper_bound(bad, n)


@pytest.mark.parametrize(("bad", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(bad: int, n: int) -> None:
    with pytest.raises(ValueError):
        upper_bound(bad, n)


@given(st.integers(0, 300), st.data(), st.sampled_from([0.003, 0.01, 0.05, 0.1, 0.5]))
@settings(max_examples=40)
def test_more_needed_is_the_smallest_number_that_proves_it(n: int, data: st.DataObject, limit: float) -> None:
    bad = data.draw(st.integers(0, n))

    more = more_needed(bad, n, limit)

    assert more is not None
    assert upper_bound(bad, n + more) <= limit
    if more:
        assert upper_bound(bad, n + more - 1) > limit


def test_zero_tolerance_cannot_be_proved_by_counting() -> None:
    assert more_needed(0, 1000, 0) is None
    assert more_needed(0, 0, 1) == 0
    assert evidence(0, 30, 0.01).more_needed == 269


@given(Values, Values)
@settings(max_examples=30, deadline=None)
def test_histograms_keep_three_digits_and_add_up(one: list[float], two: list[float]) -> None:
    merged = decode(encode(one))
    merged.add(decode(encode(two)))

    assert merged.get_total_count() == len(one) + len(two)
    assert merged.get_max_value() / 1000 == pytest.approx(max(one + two), rel=2e-3, abs=2e-3)


def test_values_outside_the_histogram_are_put_at_its_edge() -> None:
    kept = decode(encode([0.0, 500_000.0]))

    assert kept.get_total_count() == 2


@pytest.mark.parametrize("text", ["", "nonsense", "SElTVEZBQUFB"])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text)


@pytest.mark.parametrize(("bad", "n"), [(0, 1_000_000), (700, 50_000), (499_999, 1_000_000)])
def test_large_counts_are_quick_and_sane(bad: int, n: int) -> None:
    assert bad / n < upper_bound(bad, n) < bad / n + 0.01


@settings(max_examples=20, deadline=None)  # the iterator that this replaces takes its time
@given(st.lists(st.integers(1, 200_000_000), max_size=60))
def test_what_was_recorded_is_read_as_the_librarys_own_iterator_reads_it(values: list[int]) -> None:
    histogram = HdrHistogram(1, HISTOGRAM_MAX_US, 3)
    for value in values:
        histogram.record_value(min(value, HISTOGRAM_MAX_US))
    slow = [
        (histogram.get_lowest_equivalent_value(item.value_iterated_to), item.count_at_value_iterated_to)
        for item in histogram.get_recorded_iterator()
    ]

    assert recorded(histogram) == slow
    assert recorded(decode(histogram.encode().decode())) == slow
