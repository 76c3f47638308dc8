"""A release passes on probe, drill and snapshot together; what was not done is no pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slo import gate
from slo.policy import Baseline, GatePolicy, Ownership
from slo.reports import DrillReport, ProbeReport, Sample
from slo.scenarios import CHAT
from slo.snapshot import Snapshot
from slo.verdict import Verdict

Build = Callable[..., Snapshot]
ARTIFACTS = Path(__file__).parent.parent / "data" / "samples" / "artifacts"


def _drill(raw: dict[str, Any]) -> DrillReport:
    """The rules' shortened reports, filled up to whole ones."""
    (path,) = (ARTIFACTS / "drill-quick-pass").glob("load-drill-*.json")
    whole: dict[str, Any] = json.loads(path.read_text())
    scenarios = [
        item if item["skipped"] else item | {"stages": [], "slo": {"pass": True, "checks": []}}
        for item in raw["scenarios"]
    ]
    return DrillReport.parse(whole | {"profile": raw["profile"], "scenarios": scenarios})


def test_burn_rates_are_the_originals(
    rules: dict[str, Any], gate_policy: GatePolicy, baseline: Baseline, ownership: Ownership
) -> None:
    for case in rules["burnGate"]:
        burns = gate.burn_rates(
            _drill(case["latest"]), [_drill(old) for old in case["history"]], gate_policy, baseline, ownership
        )
        assert [gate.original_burn_check(burn, gate_policy) for burn in burns] == case["result"]["checks"]
        assert all(burn.passed for burn in burns) is case["result"]["pass"]


def test_snapshot_checks_are_the_originals(
    rules: dict[str, Any], gate_policy: GatePolicy, ownership: Ownership, snapshot: Build
) -> None:
    for case in rules["snapshotVerdicts"]:
        seen = snapshot(case["snapshotFile"].removesuffix(".json"))
        written = gate.original_snapshot_checks(seen, gate_policy, ownership)
        assert [{k: v for k, v in row.items() if k != "owner"} for row in written] == case["gate"]["checks"]


@pytest.mark.parametrize("case", ["gate-pass", "gate-fail"])
def test_recorded_burn_checks_are_reproduced_in_every_field(
    case: str, gate_policy: GatePolicy, baseline: Baseline, ownership: Ownership
) -> None:
    (path,) = (ARTIFACTS / case).glob("release-gate-*.json")
    recorded = json.loads(path.read_text())
    (drill,) = (ARTIFACTS / case).glob("load-drill-*.json")
    latest = DrillReport.parse(json.loads(drill.read_text()))
    burns = gate.burn_rates(latest, [latest], gate_policy, baseline, ownership)

    for made, was in zip(burns, recorded["steps"][3]["checks"], strict=True):
        written = gate.original_burn_check(made, gate_policy)
        assert list(written) == list(was)
        assert written["metricBurn"] == was["metricBurn"]
    assert list(gate.ROLLBACK_CRITERIA) == recorded["rollbackCriteria"]
    assert [step["name"] for step in recorded["steps"]] == list(gate.STEPS)


@pytest.fixture
def good(
    drilled: Callable[..., DrillReport],
    snapshot: Build,
    gate_policy: GatePolicy,
    baseline: Baseline,
    ownership: Ownership,
) -> dict[str, Any]:
    """Everything a passing gate is made of."""
    (path,) = (ARTIFACTS / "probe-pass").glob("synthetic-*.json")
    report, before = drilled(), snapshot("idle")
    return {
        "before": before,
        "after": snapshot("idle", {"generatedAt": before.generated_at + 20_000}),
        "probe": ProbeReport.parse(json.loads(path.read_text())),
        "drill": report,
        "history": [report],
        "policy": gate_policy,
        "baseline": baseline,
        "ownership": ownership,
        "now_ms": before.generated_at + 25_000,
    }


def test_a_healthy_release_passes(good: dict[str, Any]) -> None:
    made = gate.judge(**good)

    assert (made.verdict, made.original_rule, made.already) == (Verdict.PASS, True, ())
    assert [name for name, _ in made.steps] == list(gate.STEPS)


@pytest.mark.parametrize("missing", ["before", "after", "probe", "drill"])
def test_weakness_03_R42_a_step_that_was_not_done_is_incomplete(good: dict[str, Any], missing: str) -> None:
    """A skipped step counts as passed in the original."""
    assert gate.judge(**(good | {missing: None})).verdict is Verdict.INCOMPLETE


def test_an_old_snapshot_decides_nothing(good: dict[str, Any]) -> None:
    late = good | {"now_ms": good["after"].generated_at + 120_001}

    assert gate.judge(**late).verdict is Verdict.INCOMPLETE


def test_snapshots_in_the_wrong_order_decide_nothing(good: dict[str, Any]) -> None:
    swapped = good | {"before": good["after"], "after": good["before"]}

    assert gate.judge(**swapped).verdict is Verdict.INCOMPLETE


def test_a_bad_drill_fails_whatever_else_is_missing(
    good: dict[str, Any], drilled: Callable[..., DrillReport], sample_of: Callable[..., Sample]
) -> None:
    bad = drilled(lambda s, g, i: sample_of(s, g, i, status=500))

    made = gate.judge(**(good | {"drill": bad, "probe": None, "after": None}))

    assert made.verdict is Verdict.FAIL
    assert made.original_rule is False


def test_weakness_32_the_after_snapshot_decides_and_before_tells_what_was_there(
    good: dict[str, Any], snapshot: Build
) -> None:
    red = {"toolJobs.byStatus.queued": 200}
    healed = gate.judge(**(good | {"before": snapshot("idle", red)}))
    broke = gate.judge(**(good | {"after": snapshot("idle", red)}))

    assert (healed.verdict, healed.already) == (Verdict.PASS, ("tool_jobs_queued",))
    assert (broke.verdict, broke.already) == (Verdict.FAIL, ())


def test_a_bulkhead_filled_by_the_drill_itself_does_not_fail_the_gate(good: dict[str, Any], snapshot: Build) -> None:
    full = {"bulkheads": {"activeLeaseCount": 12, "inFlightByProvider": {"serper_search": 12}}}

    assert gate.judge(**(good | {"after": snapshot("idle", full)})).verdict is Verdict.PASS
    both = good | {"before": snapshot("idle", full), "after": snapshot("idle", full)}
    assert gate.judge(**both).verdict is Verdict.FAIL


def test_chat_that_was_skipped_leaves_the_gate_incomplete(
    good: dict[str, Any], drilled: Callable[..., DrillReport]
) -> None:
    made = gate.judge(**(good | {"drill": drilled(skipped={CHAT: "no pool"})}))

    assert (made.verdict, made.original_rule) == (Verdict.INCOMPLETE, True)


def test_a_bad_history_fails_on_the_long_window(
    good: dict[str, Any], drilled: Callable[..., DrillReport], sample_of: Callable[..., Sample]
) -> None:
    bad = drilled(lambda s, g, i: sample_of(s, g, i, status=500))
    made = gate.judge(**(good | {"history": [bad, bad, good["drill"]]}))

    assert made.verdict is Verdict.FAIL
    assert {check.name for check in made.step("burn_rate_gate").failed} == {"threshold_burn"}
    assert gate.judge(**(good | {"history": [bad, good["drill"]]})).verdict is Verdict.PASS


def test_only_the_last_reports_of_the_policy_count(
    good: dict[str, Any], drilled: Callable[..., DrillReport], sample_of: Callable[..., Sample]
) -> None:
    bad = drilled(lambda s, g, i: sample_of(s, g, i, status=500))

    assert gate.judge(**(good | {"history": [bad] * 20 + [good["drill"]] * 8})).verdict is Verdict.PASS


def test_weakness_14_threshold_burn_is_kept_for_parity_and_says_what_it_is(
    good: dict[str, Any], drilled: Callable[..., DrillReport], sample_of: Callable[..., Sample]
) -> None:
    """Value over limit, not an error budget; the present run is part of its own history, as there. The drill itself
    fails above 1.0, so a burn of 1.0 to 3.0 never turns a red gate green."""
    made = gate.judge(**good)
    checks = made.step("burn_rate_gate").checks
    slow = drilled(lambda s, g, i: sample_of(s, g, i, took_ms=1800.0 if s != CHAT else 40.0))
    red = gate.judge(**(good | {"drill": slow, "history": [slow]}))

    assert {check.name for check in checks} == {"threshold_burn"}
    assert all("not an error budget" in check.reason for check in checks)
    assert (red.step("burn_rate_gate").verdict, red.step("load_drill").verdict) == (Verdict.PASS, Verdict.FAIL)
    assert red.verdict is Verdict.FAIL
