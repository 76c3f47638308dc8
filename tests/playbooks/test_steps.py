"""The percent rule, against an oracle in fractions that knows nothing of how it is computed (safety.md, R22, R23)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.knobs import Knob, KnobType, all_knobs, knob
from playbooks.steps import Family, cap_of, drifts_far, family, is_window, reach, rule_of

LIMIT, BULKHEAD = knob("RATE_LIMIT_WHATSAPP_MAX"), knob("BULKHEAD_OR_PRI_MAX_CONCURRENT")
NUMBERS = [one for one in all_knobs().values() if one.type is KnobType.INT]


def lawful(one: Knob, pct: int, old: int, new: int) -> bool:
    """R22 as it is written: within the percentage, both directions, never rounded up, inside the knob's own range.

    A value above four times the default amounts to disabling; one that stands above it may come down.
    """
    if new == old or abs(new - old) > Fraction(old * pct, 100):
        return False
    assert one.minimum is not None
    assert one.maximum is not None
    assert isinstance(one.default, int)
    if new > old and (new > one.maximum or new > 4 * one.default):
        return False
    if new < old and new < one.minimum:
        return False
    return Fraction(1, 2) <= Fraction(new, old) <= 2


def wrong(one: Knob, pct: int, old: int, values: range | set[int]) -> list[tuple[int, int]]:
    bounds = reach(one, old)
    return [(old, new) for new in values if (new in bounds) is not lawful(one, pct, old, new)]


@pytest.mark.parametrize(("one", "pct"), [(LIMIT, 25), (BULKHEAD, 20)], ids=["25%", "20%"])
def test_R22_the_percent_rule_at_every_edge(one: Knob, pct: int) -> None:
    """Old 1 to 5000; new around both edges of the legal interval, the caps and the ends of 0 to 6500."""
    edges = {0, 1, 2, one.maximum or 0, (one.maximum or 0) + 1, cap_of(one) or 0, (cap_of(one) or 0) + 1, 6499, 6500}
    bad: list[tuple[int, int]] = []
    for old in range(1, 5001):
        size = old * pct // 100
        near = {edge + by for edge in (old - size, old, old + size) for by in (-2, -1, 0, 1, 2)}
        bad += wrong(one, pct, old, {new for new in near | edges if 0 <= new <= 6500})
    assert bad == []


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("one", "pct"), [(LIMIT, 25), (BULKHEAD, 20)], ids=["25%", "20%"])
def test_R22_the_percent_rule_exhaustively(one: Knob, pct: int) -> None:
    """Every old 1 to 5000 with every new 0 to 6500: what is allowed is exactly what a cross-multiplication allows."""
    cap, top, low = cap_of(one) or 0, one.maximum or 0, one.minimum or 0
    for old in range(1, 5001):
        bounds = reach(one, old)
        allowed = [new for new in range(6501) if new in bounds]
        expected = [
            new
            for new in range(6501)
            if new != old
            and abs(new - old) * 100 <= old * pct
            and (new < old or (new <= top and new <= cap))
            and (new > old or new >= low)
            and 2 * new >= old
            and new <= 2 * old
        ]
        assert allowed == expected, old


@pytest.mark.parametrize(
    ("name", "next_value"),
    [
        ("RATE_LIMIT_CHAT_STREAM_MAX", 37),
        ("RATE_LIMIT_GMAIL_PUSH_MAX", 150),
        ("RATE_LIMIT_WHATSAPP_MAX", 150),
        ("RATE_LIMIT_GMAIL_OAUTH_MAX", 37),
        ("RATE_LIMIT_WA_LINK_CODE_MAX", 6),
        ("BULKHEAD_OR_PRI_MAX_CONCURRENT", 28),
        ("BULKHEAD_OR_SEC_MAX_CONCURRENT", 19),
        ("BULKHEAD_OPENROUTER_MAX_CONCURRENT", 28),
        ("BULKHEAD_SERPER_MAX_CONCURRENT", 14),
        ("BULKHEAD_GMAIL_OAUTH_MAX_CONCURRENT", 9),
        ("BULKHEAD_EBAY_MAX_CONCURRENT", 9),
        ("BULKHEAD_GLOBAL_SEARCH_MAX_CONCURRENT", 12),
        ("BULKHEAD_TOOL_JOB_MAX", 7),
    ],
)
def test_the_next_values_from_the_defaults_are_those_of_the_contract(name: str, next_value: int) -> None:
    one = knob(name)
    assert isinstance(one.default, int)
    assert reach(one, one.default).high == next_value


@pytest.mark.parametrize(("one", "smallest"), [(LIMIT, 4), (BULKHEAD, 5)])
def test_R22_where_the_runbook_gives_the_percentage_and_it_rounds_to_nothing_there_is_no_step(
    one: Knob, smallest: int
) -> None:
    """A rate limit of 3 or less, a bulkhead of 4 or less."""
    for old in range(1, smallest):
        bounds = reach(one, old)
        assert (bounds.low, bounds.high) == (old, old)
        assert bounds.nearest(old + 1) is None
    assert reach(one, smallest).high == smallest + 1


def test_R22_where_the_runbook_gives_none_one_whole_step_is_offered() -> None:
    one = knob("TOOL_JOB_RUNMAX_WEB")
    for old in (1, 2, 3, 4):
        bounds = reach(one, old)
        assert bounds.single
        assert bounds.high == old + 1
    assert not reach(one, 5).single


@given(st.sampled_from(NUMBERS), st.data())
def test_R23_five_steps_in_a_day_never_pass_twice_the_value_they_began_with(one: Knob, data: st.DataObject) -> None:
    """Creep counts from the value 24 h ago, whatever the single steps are; one whole step from 1 or 0 is no creep."""
    low, high = one.minimum or 0, min(one.maximum or 0, 10**6)
    start = data.draw(st.integers(low, high))
    value = start
    for _ in range(5):
        bounds = reach(one, value, start)
        value = data.draw(st.integers(bounds.low, bounds.high))
    assert value <= max(2 * start, start + 1)
    assert value >= min(-(-start // 2), start - 1)
    assert value >= low


@pytest.mark.parametrize("one", NUMBERS, ids=lambda one: one.name)
def test_every_number_has_a_family_and_no_protection_is_reachable_by_steps(one: Knob) -> None:
    """R21: walking upward for ever, with a day between the steps, ends at the cap and never above."""
    assert rule_of(one).family is family(one)
    assert isinstance(one.default, int)
    value = one.default
    for _ in range(200):
        value = max(value, reach(one, value).high)
    cap = cap_of(one)
    if cap is not None:
        factor = 2 if family(one) is Family.THRESHOLD else 4
        assert cap == factor * one.default
        assert value <= cap
    assert value <= (one.maximum or 0)


def test_what_stands_beyond_a_bound_may_come_back_but_not_go_further() -> None:
    """Somebody set a bulkhead to 300 by hand: down by 20% is lawful, up is not."""
    bounds = reach(BULKHEAD, 300, 24)
    assert (bounds.low, bounds.high) == (240, 300)


def test_a_lease_comes_down_to_twice_the_time_its_calls_take_and_up_by_20_percent() -> None:
    one = knob("BULKHEAD_OR_PRI_LEASE_TTL_MS")
    bounds = reach(one, 600_000, call_ms=45_000)
    assert (bounds.low, bounds.high) == (90_000, 720_000)
    assert reach(one, 600_000).low == 480_000
    assert reach(one, 600_000, call_ms=1_000).low == 15_000


def test_R23_drift_beyond_one_and_a_half_needs_a_second_person() -> None:
    assert not drifts_far(36, 24)
    assert drifts_far(37, 24)
    assert not drifts_far(16, 24)
    assert drifts_far(15, 24)


def test_R21_window_lengths_are_known_by_name() -> None:
    assert sorted(one.name for one in NUMBERS if is_window(one)) == [
        "OPS_DEFAULT_WINDOW_MINUTES",
        "RATE_LIMIT_CHAT_STREAM_WINDOW_MS",
        "RATE_LIMIT_GMAIL_OAUTH_WINDOW_MS",
        "RATE_LIMIT_GMAIL_PUSH_WINDOW_MS",
        "RATE_LIMIT_WA_LINK_CODE_WINDOW_MS",
        "RATE_LIMIT_WHATSAPP_WINDOW_MS",
        "TOOL_QUEUE_ALERT_WINDOW_MIN",
    ]
