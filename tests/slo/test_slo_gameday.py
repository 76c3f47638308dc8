"""A game day's findings count, and each has somebody to look after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slo import gameday
from slo.artifacts import GameDayReport
from slo.gameday import Drilled, GameDayJudgement
from slo.policy import Baseline, Ownership
from slo.reports import DrillReport, ProbeReport, Sample
from slo.scenarios import CHAT, GMAIL
from slo.verdict import Verdict

ARTIFACTS = Path(__file__).parent.parent / "data" / "samples" / "artifacts"


def _probe() -> ProbeReport:
    (path,) = (ARTIFACTS / "gameday").glob("synthetic-*.json")
    return ProbeReport.parse(json.loads(path.read_text()))


@pytest.fixture
def day(
    drilled: Callable[..., DrillReport], baseline: Baseline, ownership: Ownership
) -> Callable[..., GameDayJudgement]:
    def run(answer: Any = None, *, probe: Any = ..., drills: Any = None, **other: Any) -> GameDayJudgement:
        report = drilled(*([answer] if answer else []), name="standard", **other)
        made = drills if drills is not None else [Drilled("burst", report)]
        return gameday.judge(_probe() if probe is ... else probe, made, baseline, ownership)

    return run


def test_the_recorded_game_day_is_reproduced() -> None:
    (path,) = (ARTIFACTS / "gameday").glob("game-day-*.json")
    (drill,) = (ARTIFACTS / "gameday").glob("load-drill-*.json")
    report = GameDayReport.parse(json.loads(path.read_text()))
    made = [Drilled("quick", DrillReport.parse(json.loads(drill.read_text())))]

    assert report.to_json() == path.read_text()
    found = gameday.original_findings(_probe(), made)
    assert found == report.findings
    assert gameday.original_actions(found) == report.action_items
    assert gameday.original_rule(_probe(), made) is report.passed


def test_a_quiet_day_passes_without_findings(day: Callable[..., GameDayJudgement]) -> None:
    made = day()

    assert (made.judgement.verdict, made.judgement.original_rule) == (Verdict.PASS, True)
    assert (made.findings, made.original_findings) == ((), ())
    assert gameday.original_actions(()) == (gameday.NOTHING_TO_DO,)


def test_refusals_fail_the_day(day: Callable[..., GameDayJudgement], sample_of: Callable[..., Sample]) -> None:
    """Weakness 31: in the original findings (85% of 429) move nothing."""
    made = day(lambda s, g, i: sample_of(s, g, i, status=429 if s == GMAIL and i % 20 < 17 else 200))

    assert (made.judgement.verdict, made.judgement.original_rule) == (Verdict.FAIL, True)
    assert "had high 429 share (85.0%)." in made.original_findings[0]
    (finding,) = made.findings
    assert finding.owner.owner == "integrations-gmail"
    assert "/api/gmail/push refused 697 of 820 requests in profile burst" in finding.text


def test_every_failed_endpoint_is_a_finding_of_its_owner(
    day: Callable[..., GameDayJudgement], sample_of: Callable[..., Sample]
) -> None:
    made = day(lambda s, g, i: sample_of(s, g, i, status=500 if s in (GMAIL, CHAT) else 200))

    assert made.judgement.verdict is Verdict.FAIL
    assert [finding.owner.owner for finding in made.findings] == ["integrations-gmail", "chat-runtime"]


def test_a_drill_that_could_not_be_made_is_a_finding(day: Callable[..., GameDayJudgement]) -> None:
    """In the original a drill that crashed is a failed step without a finding."""
    made = day(drills=[Drilled("burst", None, "the target did not answer")])

    assert (made.judgement.verdict, made.original_findings) == (Verdict.INCOMPLETE, ())
    assert "the target did not answer" in made.findings[0].text


def test_chat_without_credentials_is_incomplete_and_a_finding(day: Callable[..., GameDayJudgement]) -> None:
    made = day(skipped={CHAT: "no pool"})

    assert (made.judgement.verdict, made.judgement.original_rule) == (Verdict.INCOMPLETE, True)
    assert "decided nothing" in made.findings[0].text


def test_R42_a_probe_that_was_not_made_is_incomplete(day: Callable[..., GameDayJudgement]) -> None:
    assert day(probe=None).judgement.verdict is Verdict.INCOMPLETE
