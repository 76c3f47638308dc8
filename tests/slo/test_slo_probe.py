"""Five probes, each by its answer; one without an answer decides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slo import probe
from slo.policy import Ownership
from slo.reports import ProbeReport
from slo.verdict import Verdict

ARTIFACTS = Path(__file__).parent.parent / "data" / "samples" / "artifacts"


@pytest.fixture
def raw() -> dict[str, Any]:
    (path,) = (ARTIFACTS / "probe-pass").glob("synthetic-*.json")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_the_recorded_probes_pass(raw: dict[str, Any], ownership: Ownership) -> None:
    made = probe.judge(ProbeReport.parse(raw), ownership)

    assert (made.verdict, made.original_rule) == (Verdict.PASS, True)
    assert [check.name for check in made.checks] == list(probe.PROBES)
    assert made.checks[0].owner == ownership.owner_of("/api/chat")


def test_a_wrong_answer_fails_and_says_what_was_expected(raw: dict[str, Any], ownership: Ownership) -> None:
    raw["probes"][1] |= {"pass": False, "status": 403, "details": {"expectedStatus": [401], "status": 403}}
    raw["passed"] = False

    made = probe.judge(ProbeReport.parse(raw), ownership)

    assert made.verdict is Verdict.FAIL
    assert made.failed[0].reason == "answered 403, expected 401"
    assert made.original_rule is False


def test_a_wrong_origin_is_named(raw: dict[str, Any], ownership: Ownership) -> None:
    raw["probes"][0]["pass"] = False
    raw["probes"][0]["details"]["actualAllowOrigin"] = None

    (red,) = probe.judge(ProbeReport.parse(raw), ownership).failed

    assert red.reason == "allows origin none, expected https://www.sendcat.app"


@pytest.mark.parametrize("index", range(5))
def test_an_unreachable_probe_is_incomplete(raw: dict[str, Any], ownership: Ownership, index: int) -> None:
    raw["probes"][index] |= {"pass": False, "status": None, "details": "fetch failed"}

    made = probe.judge(ProbeReport.parse(raw), ownership)

    assert made.verdict is Verdict.INCOMPLETE
    assert made.undecided[0].reason == "no answer: fetch failed"


@pytest.mark.parametrize("index", range(5))
def test_a_missing_probe_is_incomplete(raw: dict[str, Any], ownership: Ownership, index: int) -> None:
    del raw["probes"][index]

    assert probe.judge(ProbeReport.parse(raw), ownership).verdict is Verdict.INCOMPLETE


def test_R42_no_probes_at_all_are_no_pass(raw: dict[str, Any], ownership: Ownership) -> None:
    assert probe.judge(ProbeReport.parse(raw | {"probes": []}), ownership).verdict is Verdict.INCOMPLETE


def test_stopped_probes_are_incomplete(raw: dict[str, Any], ownership: Ownership) -> None:
    made = probe.judge(ProbeReport.parse(raw | {"honest": {"ended": {"how": "stopped"}}}), ownership)

    assert (made.verdict, made.reason) == (Verdict.INCOMPLETE, "stopped")


def test_a_429_passes_a_guard_and_says_what_it_did_not_show(raw: dict[str, Any], ownership: Ownership) -> None:
    raw["probes"][2] |= {"status": 429, "details": {"expectedStatus": [200, 403, 429], "status": 429}}

    made = probe.judge(ProbeReport.parse(raw), ownership)

    assert made.verdict is Verdict.PASS
    assert "not reached" in made.checks[2].reason
