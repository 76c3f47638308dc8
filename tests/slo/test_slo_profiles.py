"""Profiles, scaling and pool choice are the original's; what is unknown is refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.errors import SloError, UnknownProfile, UnknownScenario
from slo.pool import PoolSelector, UnknownRotation, fnv1a32, rotation
from slo.profiles import CHAT, GMAIL, MILESTONES, PROFILES, SCENARIOS, WHATSAPP, Scale, StagePlan, profile, select


def _as_original(plan: StagePlan, consume_body: bool | None = None) -> dict[str, Any]:
    written: dict[str, Any] = {"name": plan.name}
    if plan.total is not None:
        written["total"] = plan.total
    if plan.duration_ms is not None:
        written["durationMs"] = plan.duration_ms
    written["concurrency"] = plan.workers
    if plan.pause_ms:
        written["pauseAfterMs"] = plan.pause_ms
    if consume_body is not None:
        written["consumeBody"] = consume_body
    return written


def test_stages_and_their_scaling_are_the_originals(rules: dict[str, Any]) -> None:
    for case in rules["stages"]:
        found = profile(case["profile"])
        assert [_as_original(plan) for plan in found.stages(GMAIL)] == case["webhook"]
        for scaled in case["chat"]:
            scale = Scale.of(scaled["load"], scaled["concurrency"], scaled["duration"])
            stages = found.stages(CHAT, scale)
            assert [_as_original(plan, found.consume_body) for plan in stages] == scaled["stages"]


def test_the_profiles_are_those_of_the_table() -> None:
    """operator-commands.md section 4 for counts and workers, VERDICTS for the rates."""
    rows = {
        (name, scenario): [
            (p.name, p.total or p.duration_ms, p.workers, p.pause_ms, p.per_second, p.warmup)
            for p in PROFILES[name].stages(scenario)
        ]
        for name in PROFILES
        for scenario in (WHATSAPP, CHAT)
    }
    standard = [
        ("low", 80, 8, 250, 20, False),
        ("medium", 240, 24, 300, 60, False),
        ("spike", 500, 60, 0, 120, False),
    ]
    assert list(PROFILES) == ["quick", "standard", "burst", "soak", "m1_1k", "m2_5k", "m3_20k"]
    assert rows == {
        ("quick", WHATSAPP): [("quick", 30, 6, 0, 20, False)],
        ("quick", CHAT): [("quick", 3, 1, 0, 1, False)],
        ("standard", WHATSAPP): standard,
        ("standard", CHAT): [("low", 6, 2, 200, 1, False), ("medium", 12, 3, 0, 2, False)],
        ("burst", WHATSAPP): [("warmup", 80, 10, 300, 25, True), ("burst", 1200, 120, 500, 300, False)],
        ("burst", CHAT): [("warmup", 6, 2, 250, 2, True), ("burst", 24, 6, 0, 4, False)],
        ("soak", WHATSAPP): [("soak", 240_000, 12, 500, 30, False)],
        ("soak", CHAT): [("soak", 90_000, 2, 0, 1, False)],
        ("m1_1k", WHATSAPP): standard,
        ("m1_1k", CHAT): [
            ("warmup", 60, 6, 250, None, True),
            ("ramp", 300, 30, 300, None, False),
            ("sustain", 300_000, 40, 0, None, False),
        ],
        ("m2_5k", WHATSAPP): standard,
        ("m2_5k", CHAT): [
            ("warmup", 120, 10, 250, None, True),
            ("ramp", 600, 60, 300, None, False),
            ("sustain", 600_000, 80, 0, None, False),
        ],
        ("m3_20k", WHATSAPP): standard,
        ("m3_20k", CHAT): [
            ("warmup", 200, 20, 250, None, True),
            ("ramp", 1200, 120, 300, None, False),
            ("sustain", 1_200_000, 160, 0, None, False),
        ],
    }


def test_milestones_hold_their_streams() -> None:
    plans = {name: PROFILES[name].streams for name in MILESTONES}

    assert {n: (p.streams, p.ramp_ms, p.sustain_ms, p.soak_ms) for n, p in plans.items() if p} == {
        "m1_1k": (1_000, 60_000, 300_000, 1_800_000),
        "m2_5k": (5_000, 120_000, 600_000, 3_600_000),
        "m3_20k": (20_000, 300_000, 1_200_000, 7_200_000),
    }


def test_webhook_stages_are_never_scaled() -> None:
    for found in PROFILES.values():
        assert found.stages(GMAIL, Scale.of(3, 3, 3)) == found.stages(GMAIL)


def test_a_scale_under_a_tenth_is_raised_and_said() -> None:
    assert Scale.of(0.02, 1, 0.1) == Scale(0.1, 1, 0.1, raised=("load",))


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_no_positive_number_is_refused(bad: float) -> None:
    with pytest.raises(SloError, match="concurrency"):
        Scale.of(1, bad, 1)


def test_totals_of_a_quick_drill() -> None:
    quick = profile("quick")

    assert quick.requests() == 63
    assert quick.duration_ms() == 1500 + 1500 + 3000
    assert quick.max_in_flight() == 24
    assert quick.requests([CHAT], Scale.of(load=2)) == 6


def test_runbook_profiles_fit_the_production_ceilings_in_requests_and_minutes() -> None:
    """VERDICTS: every runbook line as typed fits, except true-scale milestones."""
    for name in ("quick", "standard", "burst", "soak"):
        assert profile(name).requests() <= 50_000
        assert profile(name).duration_ms() <= 30 * 60_000


@pytest.mark.parametrize(
    ("typed", "near"), [("qiuck", "quick"), ("burts", "burst"), ("m1", "m1_1k"), ("zzz", None), ("", None)]
)
def test_R16_an_unknown_profile_is_refused_with_the_nearest(typed: str, near: str | None) -> None:
    with pytest.raises(UnknownProfile) as refused:
        profile(typed)

    assert refused.value.nearest == near
    assert near is None or f"did you mean {near}" in str(refused.value)


def test_R16_an_unknown_or_empty_choice_of_scenarios_is_refused() -> None:
    with pytest.raises(UnknownScenario, match="gmail_push_webhook"):
        select(["gmail_push_webook"])
    with pytest.raises(UnknownScenario):
        select([])
    with pytest.raises(UnknownScenario):
        profile("quick").stages("chat")


def test_scenarios_run_in_their_own_order() -> None:
    assert select([CHAT, GMAIL]) == (GMAIL, CHAT)
    assert select(None) == SCENARIOS


def test_the_hash_is_the_originals(rules: dict[str, Any]) -> None:
    for case in rules["hash"]:
        assert fnv1a32(case["text"]) == case["fnv1a32"]
    assert fnv1a32("") == 0x811C9DC5
    assert fnv1a32("\U0001f600") == fnv1a32("\ud83d\ude00")


def test_pool_users_are_chosen_as_the_original_does(rules: dict[str, Any]) -> None:
    for case in rules["poolSelector"]:
        chosen = PoolSelector(case["size"], case["effectiveMode"], case["stride"], case["seed"])
        assert [chosen.index(i) for i in range(24)] == case["first24"]


@given(st.integers(1, 60), st.integers(1, 40), st.sampled_from(["round_robin", "stride"]), st.text(max_size=8))
def test_reach_is_how_many_users_are_ever_used(size: int, stride: int, mode: str, seed: str) -> None:
    chosen = PoolSelector(size, rotation(mode), stride, seed)
    used = Counter(chosen.index(i) for i in range(size * 2))

    assert len(used) == chosen.reach
    assert set(used) <= set(range(size))


def test_an_unknown_rotation_is_refused() -> None:
    with pytest.raises(UnknownRotation, match="round_robin"):
        rotation("roundrobin")
    with pytest.raises(ValueError):
        PoolSelector(0)
    with pytest.raises(ValueError):
        PoolSelector(3, "stride", 0)
