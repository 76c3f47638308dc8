"""A pool is fit when it is large enough, its tokens outlive the run, and enough of its users take part."""

from __future__ import annotations

import pytest

from slo.authpool import COVERAGE, FRESH, SIZE, PoolFacts, coverage, judge
from slo.pool import PoolSelector
from slo.verdict import Check, Verdict, combine

NOW, MINUTE, HOUR = 1_790_000_000_000, 60_000, 3_600_000


def judged(facts: PoolFacts | None, selector: PoolSelector | None = None, **other: float) -> dict[str, Check]:
    found = judge(
        facts,
        min_size=20,
        min_coverage=0.5,
        selector=selector or (PoolSelector(facts.size) if facts and facts.size else None),
        requests=int(other.get("requests", 1_000)),
        now_ms=NOW,
        for_ms=other.get("for_ms", 6 * MINUTE),
        max_age_ms=HOUR,
    )
    return {check.name: check for check in found}


def pool(size: int, ends_ms: int | None = NOW + HOUR, age_ms: int = MINUTE) -> PoolFacts:
    return PoolFacts("p.json", (ends_ms,) * size, NOW - age_ms)


def verdict(checks: dict[str, Check]) -> Verdict:
    return combine(check.verdict for check in checks.values())


@pytest.mark.parametrize(("size", "expected"), [(19, Verdict.FAIL), (20, Verdict.PASS), (35, Verdict.PASS)])
def test_the_number_of_users_decides_as_in_the_original(size: int, expected: Verdict) -> None:
    assert verdict(judged(pool(size))) is expected


def test_a_rotation_that_leaves_users_out_fails_before_anything_is_sent() -> None:
    """Stride 7 on 35 users touches 5 of them (operator-commands.md, section 4)."""
    found = judged(pool(35), PoolSelector(35, "stride", 7, "m1_1k-seed"))

    assert (found[COVERAGE].value, found[COVERAGE].verdict) == (pytest.approx(1 / 7), Verdict.FAIL)
    assert found[COVERAGE].reason == "5 of 35 users would take part: stride 7 shares a factor with 35"


def test_few_chats_bring_in_few_users() -> None:
    assert coverage(PoolSelector(20), 9) == 0.45
    assert judged(pool(20), requests=9)[COVERAGE].reason == "9 of 20 users would take part"
    assert coverage(PoolSelector(20, "random", seed="s"), 10_000_000) == 1


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (pool(20, NOW - 1), "20 of 20 tokens have ended"),
        (pool(20, NOW + 5 * MINUTE), "20 end before the run does"),
        (pool(20, None, 2 * HOUR), "20 do not say when they end, and the file is 120 min old (at most 60)"),
        (PoolFacts("p", (NOW - 1, NOW + MINUTE, *(None,) * 20), NOW), "1 of 22 tokens have ended; 1 end before"),
    ],
)
def test_tokens_that_do_not_outlive_the_run_show_nothing(facts: PoolFacts, why: str) -> None:
    """INCOMPLETE and not FAIL: nothing is known of the target."""
    found = judged(facts)

    assert (found[FRESH].verdict, verdict(found)) == (Verdict.INCOMPLETE, Verdict.INCOMPLETE)
    assert found[FRESH].reason.startswith(why)


def test_an_old_file_whose_tokens_say_that_they_hold_is_fit() -> None:
    assert verdict(judged(pool(20, NOW + HOUR, age_ms=48 * HOUR))) is Verdict.PASS
    assert verdict(judged(pool(20, None))) is Verdict.PASS


def test_no_pool_is_incomplete_with_every_limit_named() -> None:
    found = judged(None)

    assert verdict(found) is Verdict.INCOMPLETE
    assert {name: check.reason for name, check in found.items()} == dict.fromkeys((SIZE, COVERAGE), "there is no pool")
    assert found[SIZE].limit == 20
