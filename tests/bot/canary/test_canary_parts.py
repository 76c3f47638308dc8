"""Parts of the canary that need no bot: flags, overrides, what stands between a verdict and a promotion, its card."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.canary import evidence, shown
from bot.canary.again import again
from bot.canary.flags import CanaryArgs, pair
from bot.commands import catalog
from bot.config import Config
from bot.errors import Refused, Unknown
from bot.practice.sendcat import PracticeSendcat
from bot.practice.sendcat.conduct import CONDUCTS
from bot.target import Target
from bot.terminal.variables import with_variables
from slo import canary
from slo.artifacts import CanaryReport
from slo.canary import Seen
from slo.canary_report import gaps, looser, settled, warnings, with_overrides
from slo.policy import Baseline, CanaryPolicy, Ownership, load
from slo.reports import DrillReport, ProbeReport
from slo.scenarios import CHAT, SCENARIOS
from slo.verdict import Judgement, Verdict

ARTIFACTS = Path(__file__).parents[2] / "data" / "samples" / "artifacts"
POLICY, BASELINE, OWNERSHIP = load(CanaryPolicy), load(Baseline), load(Ownership)


def _target(name: str, site: str, api: str | None = None) -> Target:
    return Target.model_validate(
        {
            "name": name,
            "environment": "production",
            "site_url": f"https://{site}.convex.site",
            "api_url": f"https://{api or site}.convex.cloud",
        }
    )


CONFIG = Config(
    default_target="production",
    target={
        "production": _target("production", "a"),
        "candidate": _target("candidate", "b"),
        "twin": _target("twin", "c", api="a"),
    },
)


def _pair(**flags: Any) -> tuple[str, str]:
    both = pair(CONFIG, CanaryArgs(**flags), CONFIG.target["production"])
    return both.control.name, both.candidate.name


def test_sides_by_name_or_by_a_registered_origin() -> None:
    assert _pair(candidate="candidate") == ("production", "candidate")
    assert _pair(control="candidate", candidate="production") == ("candidate", "production")
    assert _pair(control_url="https://a.convex.site/", candidate_url="https://b.convex.site") == (
        "production",
        "candidate",
    )
    both = pair(CONFIG, CanaryArgs(candidate="candidate"), CONFIG.target["production"])
    other = pair(CONFIG, CanaryArgs(control="candidate", candidate="production"), CONFIG.target["production"])
    assert both.origins == other.origins  # two canaries wait in one order, never for each other


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"candidate": "production"}, "compared with itself"),
        ({"candidate": "twin"}, "one deployment under two names"),
        ({"candidate": "candidate", "candidate_url": "https://a.convex.site"}, "--candidate-url says production"),
        ({"candidate_url": "https://z.convex.site"}, 'site_url = "https://z.convex.site"'),
        ({"candidate_url": "<candidate>"}, "must be an address"),
        ({"candidate": "cnadidate"}, "--candidate=candidate"),
        ({}, "Which target is the candidate?"),
    ],
)
def test_weakness_5_what_is_no_pair_is_refused_with_what_to_do(flags: dict[str, str], told: str) -> None:
    with pytest.raises((Refused, Unknown)) as caught:
        _pair(**flags)

    assert told in f"{caught.value.what} {caught.value.then}"


def test_the_originals_variables_fill_what_was_not_typed() -> None:
    values = {"RELIABILITY_CONTROL_URL": "https://a.convex.site", "RELIABILITY_BASE_URL": "https://b.convex.site"}

    def line(typed: str) -> str:
        return with_variables(typed, catalog(), values.get, target=None)

    assert line("canary") == "canary --control-url=https://a.convex.site --candidate-url=https://b.convex.site"
    assert line("canary --candidate=candidate") == "canary --candidate=candidate --control-url=https://a.convex.site"


def test_R42_a_looser_limit_is_used_and_told_a_tighter_one_is_used() -> None:
    loose = with_overrides(POLICY, {"max_five_xx_rate_regression": 0.5, "max_p95_regression_ratio": None})
    tight = with_overrides(POLICY, {"max_p95_absolute_regression_ms": 10})

    assert loose.comparison.max_five_xx_rate_regression == 0.5
    assert looser(loose) == ("max five xx rate regression 0.5 lets more through than Sendcat's own 0.02",)
    assert tight.comparison.max_p95_absolute_regression_ms == 10
    assert looser(tight) == looser(POLICY) == ()
    assert with_overrides(POLICY, {}).digest == POLICY.digest
    assert loose.digest != POLICY.digest


def _recorded(case: str) -> tuple[Seen, Seen]:
    [path] = (ARTIFACTS / case).glob("canary-check-*.json")
    names = {key: Path(file).name for key, file in json.loads(path.read_text())["artifacts"].items()}

    def read(part: str) -> Any:
        return json.loads((ARTIFACTS / case / names[part]).read_text())

    return tuple(
        Seen(ProbeReport.parse(read(f"{side}Probe")), DrillReport.parse(read(f"{side}Drill")))
        for side in ("control", "candidate")
    )  # type: ignore[return-value]


def _judged(case: str, required: tuple[str, ...] = SCENARIOS) -> tuple[Judgement, Seen, Seen]:
    control, candidate = _recorded(case)
    return canary.judge(control, candidate, POLICY, BASELINE, OWNERSHIP, required=required), control, candidate


def test_only_what_was_not_run_can_be_waived() -> None:
    """Weakness 1: no chat credentials. The rest holds, so chat may be waived by name; what ran badly may not."""
    made, control, candidate = _judged("canary-pass")
    assert made.verdict is Verdict.INCOMPLETE
    found = gaps(made, control, candidate, SCENARIOS)
    assert (found.waivable, found.blocked) == ((CHAT,), "")

    without = Seen(None, candidate.drill)
    made = canary.judge(control, without, POLICY, BASELINE, OWNERSHIP, required=SCENARIOS)
    assert "candidate probe" in gaps(made, control, without, SCENARIOS).blocked
    made, control, candidate = _judged("canary-fail")
    assert gaps(made, control, candidate, SCENARIOS).waivable == ()


def test_fewer_rounds_than_planned_never_pass() -> None:
    made, control, candidate = _judged("canary-pass", required=SCENARIOS[:2])
    assert made.verdict is Verdict.PASS
    assert settled(made, 4, 4) is made
    assert (settled(made, 3, 4).verdict, settled(made, 3, 4).reason) == (Verdict.INCOMPLETE, "3 of 4 rounds ran")
    failed, _, _ = _judged("canary-fail")
    assert settled(failed, 1, 4).verdict is Verdict.FAIL
    assert warnings(made, POLICY, control, candidate) == ()


@pytest.mark.parametrize(
    ("case", "verdict", "original"), [("canary-pass", "INCOMPLETE", True), ("canary-fail", "FAIL", False)]
)
def test_canaries_of_the_original_are_judged_again_from_their_files(case: str, verdict: str, original: bool) -> None:
    """Without our own measurements chat stays unknown; nobody believes the artifact's own ``passed``."""
    [path] = (ARTIFACTS / case).glob("canary-check-*.json")

    answer = again([(path, json.loads(path.read_text()))])

    assert (answer["verdict"], answer["original_rule"]) == (verdict, original)


def test_the_deltas_stand_beside_each_other_red_ones_first() -> None:
    made, control, candidate = _judged("canary-fail", required=SCENARIOS[:2])
    assert control.drill is not None
    assert candidate.drill is not None
    deltas = canary.deltas(control.drill, candidate.drill, made, BASELINE)

    table = shown.table(deltas)
    assert table.columns == ("Check", "Control", "Candidate", "Difference", "Limit")
    assert all(len(row) == 5 for row in table.rows)
    assert "p95" in table.rows[0][0].text
    assert table.rows[0][2].tone.value == "bad"
    assert table.rows[0][3].text.startswith("+")
    lines = shown.delta_lines(deltas)
    assert len(lines) == len(deltas) + len({delta.scenario for delta in deltas})


async def test_without_the_extra_the_rates_are_there_and_the_rest_is_named(tmp_path: Path) -> None:
    """The child as it is where scipy is not installed: its import fails, nothing else does."""
    for name in ("scipy", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError")
    data = json.dumps({"latencies": {CHAT: [[1.0, 2.0], [2.0, 3.0]]}})
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bot.canary.evidence"],
        input=data,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 3
    assert "reports" in evidence.LEFT_OUT

    control, candidate = _recorded("canary-pass")
    assert control.drill is not None
    assert candidate.drill is not None
    # Drills of the original hold no histograms: there is nothing to rank, and nothing to draw.
    assert (await evidence.statistics(control.drill, candidate.drill)).scenarios == ()
    assert evidence.picture(control.drill, candidate.drill, BASELINE) is None


def test_artifacts_of_a_canary_are_read_back_as_they_were_written() -> None:
    [path] = (ARTIFACTS / "canary-pass").glob("canary-check-*.json")
    report = CanaryReport.parse(json.loads(path.read_text()))

    assert CanaryReport.parse(report.to_artifact()) == report


# The practice Sendcats


def test_a_practice_sendcat_behaves_as_it_is_told_and_recovers() -> None:
    practice = PracticeSendcat(seed=1)
    assert practice.conduct == "healthy"
    practice.switches.skew_ms = 5
    for name in ("slower", "flaky", "broken", "healthy"):
        practice.behave(name)
        assert practice.conduct == name
    assert practice.switches.skew_ms == 5  # what is no part of a conduct stays
    practice.switches.site_slow_ms = 3
    assert practice.conduct == "other"
    with pytest.raises(ValueError, match="slower"):
        practice.behave("slow")
    assert set(practice.conducts) == set(CONDUCTS)
