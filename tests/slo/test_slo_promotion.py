"""What stands between a judged gate and its approval: gaps that may be waived, and lines to be read first."""

from __future__ import annotations

from typing import Any

import pytest

from slo.gate import STEPS, GateJudgement
from slo.policy import Baseline
from slo.promotion import gaps, near, warnings
from slo.scenarios import CHAT, ENDPOINTS, SCENARIOS
from slo.verdict import Check, Judgement, Verdict, sum_up
from slo.verdict import judge as check


def made(**steps: Judgement) -> GateJudgement:
    """A gate of these steps, the others passing."""
    fine = sum_up([check("fine", 0, 1, scope="snapshot", unit="count")])
    whole = tuple((name, steps.get(name, fine)) for name in STEPS)
    verdict = sum_up([], also=[step.verdict for _, step in whole]).verdict
    return GateJudgement(verdict=verdict, original_rule=True, steps=whole)


def not_run(scenario: str) -> Check:
    return check("scenario_ran", None, 1, scope=ENDPOINTS[scenario], unit="count", comparison=">=", reason="no pool")


def test_a_clean_pass_lacks_nothing_and_warns_of_nothing() -> None:
    assert gaps(made()).waivable == ()
    assert gaps(made()).blocked == ""
    assert warnings(made()) == ()


def test_R42_only_a_scenario_that_was_not_run_can_be_waived() -> None:
    left_out = gaps(made(load_drill=sum_up([not_run(CHAT)])))
    not_measured = check("p95_latency", None, 1500, scope=ENDPOINTS[CHAT], unit="ms", reason="no requests")
    badly = gaps(made(load_drill=sum_up([not_run(CHAT), not_measured])))
    no_probe = gaps(made(synthetic_probes=sum_up([], reason="probes not run")))

    assert (left_out.waivable, left_out.blocked) == ((CHAT,), "")
    assert "no requests" in badly.blocked
    assert (no_probe.waivable, no_probe.blocked) == ((), "synthetic probes: probes not run")


def test_R42_a_gate_of_which_nothing_ran_cannot_be_waived_scenario_by_scenario() -> None:
    nothing = gaps(made(load_drill=sum_up([not_run(name) for name in SCENARIOS])))

    assert nothing.blocked == "no scenario ran at all"


@pytest.mark.parametrize(
    ("path", "name", "value", "unit", "marked"),
    [
        (ENDPOINTS[CHAT], "p95_latency", 9_999, "ms", False),
        (ENDPOINTS[CHAT], "p95_latency", 10_000, "ms", True),
        ("/api/gmail/push", "p95_latency", 1_199, "ms", False),
        ("/api/gmail/push", "p95_latency", 1_200, "ms", True),
        (ENDPOINTS[CHAT], "5xx_rate", 0.029, "rate", False),
        (ENDPOINTS[CHAT], "5xx_rate", 0.03, "rate", True),
        ("/api/whatsapp/webhook", "5xx_rate", 0.005, "rate", True),
    ],
)
def test_weakness_35_the_baselines_warning_levels_mark_what_still_passes(
    baseline: Baseline, path: str, name: str, value: float, unit: Any, marked: bool
) -> None:
    """The original uses them nowhere; here they are read before an approval, and ask for its reason."""
    level = baseline.warning(path)
    slo = baseline.endpoint(path)
    assert slo is not None
    limit, warning = (
        (slo.max_p95_ms, level.p95_latency_ms) if name == "p95_latency" else (slo.max_five_xx_rate, level.five_xx_rate)
    )
    item = check(name, value, limit, scope=path, unit=unit).model_copy(update={"warning": warning})

    assert near(item) is marked
    said = warnings(made(load_drill=sum_up([item])))
    assert said == ((f"{name.replace('_', ' ')} of {path} is at its warning level",) if marked else ())


@pytest.mark.parametrize(
    ("value", "limit", "comparison", "marked"),
    [
        (95, 120, "<=", False),
        (96, 120, "<=", True),
        (0, 0, "<=", False),
        (0.96, 0.95, ">=", True),
        (1, 0.95, ">=", False),
    ],
)
def test_without_a_level_the_last_fifth_before_a_limit_is_marked(
    value: float, limit: float, comparison: Any, marked: bool
) -> None:
    unit: Any = "rate" if comparison == ">=" else "count"
    assert near(check("x", value, limit, scope="snapshot", unit=unit, comparison=comparison)) is marked


def test_what_is_red_is_not_near() -> None:
    assert not near(check("x", 130, 120, scope="snapshot", unit="count"))
    assert check("x", 130, 120, scope="snapshot", unit="count").verdict is Verdict.FAIL
