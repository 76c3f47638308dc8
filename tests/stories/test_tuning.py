"""Tuning as people in the channel see it: propose, approve, retest, keep or undo (ux.md, sketch 3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import PracticeSlack
from tests.conftest import INCIDENTS, ONCALL, RELMGR, carry_out, config_for, text_of, until
from tests.stories.tuning_stage import TuningStage

CHAT = "BULKHEAD_OR_PRI_MAX_CONCURRENT"
PAIR = "TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3"


@pytest.fixture
async def stage(tmp_path: Path, sendcat: PracticeSendcat, slack: PracticeSlack) -> AsyncIterator[TuningStage]:
    whole = TuningStage(sendcat, slack, config_for(tmp_path, sendcat, slack))
    await whole.lead()
    yield whole
    await whole.leave()


async def test_a_tool_queue_at_its_caps_is_tuned_by_two_people_and_verified(stage: TuningStage) -> None:
    """Triage says F; the pair is proposed, approved by another person, applied, retested BETTER, and kept."""
    stage.sendcat.inject("F", variant="caps")
    await stage.type("triage")
    assert "playbook F" in await stage.final()
    await stage.type(f'tune {PAIR} --why="playbook F: running at the caps"')
    await stage.proposal()
    card = text_of(stage.cards()[-1])
    assert "Tuning proposal c-1" in card
    assert "2 → 3" in card

    await stage.slack.hands.click(RELMGR, stage.cards()[-1], "Approve", channel=INCIDENTS)
    change = await stage.reaches("kept", "undone", "failed", "void", "unknown")
    assert change.state == "kept"
    assert change.verdict in ("SAME", "BETTER")
    assert stage.sendcat.deployment.environment.get("TOOL_JOB_RUNMAX_WEB") == "3"
    assert stage.clock is not None
    stage.clock.jump(120)
    await stage.type("tune retest c-1")
    await stage.reaches("settling", "retested", within_s=5)
    change = await stage.reaches("kept", "undone")

    assert change.verdict == "BETTER"
    await until(lambda: "VERIFIED" in text_of(stage.cards()[-1]))
    shown = text_of(stage.cards()[-1])
    assert "queued search_web jobs" in shown

    # Slack is down: the terminal undoes it alone, and the card is right when Slack is back.
    assert stage.bot is not None
    await stage.slack.set_down(True)
    _, outcome = await carry_out(stage.bot, "undo c-1", by="relmgr")
    assert outcome is not None
    assert outcome["exit_status"] == 0
    assert stage.sendcat.deployment.environment.get("TOOL_JOB_RUNMAX_WEB") is None
    await stage.slack.set_down(False)
    await until(lambda: "UNDONE" in text_of(stage.cards()[-1]), within_s=30)


async def test_a_change_that_gets_worse_is_undone_by_itself_and_says_so(stage: TuningStage) -> None:
    """The provider fails after the change: REGRESSION on the card, both people are told, the old value is back.

    The proposer's own press of Approve is refused and leaves a button for others; a stale button explains itself.
    """
    await stage.type(f"tune {CHAT} +20%")
    await stage.proposal()
    proposal = stage.cards()[-1]
    await stage.slack.hands.click(ONCALL, proposal, "Approve", channel=INCIDENTS)
    await until(lambda: any("R10" in said for said in stage.whispers(ONCALL)))
    await until(lambda: stage.cards()[-1] != proposal)

    await stage.slack.hands.click(RELMGR, stage.cards()[-1], "Approve", channel=INCIDENTS)
    await stage.reaches("written", "confirmed", "settling")
    stage.sendcat.inject("B", variant="primary")
    change = await stage.reaches("undone", "kept")

    assert change.state == "undone"
    assert change.verdict == "WORSE"
    assert stage.sendcat.deployment.environment.get(CHAT) is None
    await until(lambda: "REGRESSION, undone by itself" in text_of(stage.cards()[-1]))
    thread = stage.slack.thread(INCIDENTS, stage.cards()[-1]["ts"])
    assert any("U0ONCALL" in str(m) and "U0RELMGR" in str(m) and "REGRESSION" in str(m) for m in thread)
    assert len(stage.cards()) == 1


@pytest.mark.prove
async def test_a_saturated_bulkhead_takes_two_steps(stage: TuningStage) -> None:
    """Triage says C; 24 to 28 shows no help, which permits the next step; 33 is enough: BETTER."""
    stage.sendcat.inject("C", variant="sustained")
    await stage.type("triage")
    assert "playbook C" in await stage.final()
    for number, (wish, after) in enumerate((("+20%", 28), ("33", 33)), 1):
        await stage.type(f"tune {CHAT} {wish}")
        await until(lambda number=number: f"Tuning proposal c-{number}" in text_of(stage.cards()[-1]))
        await stage.slack.hands.click(RELMGR, stage.cards()[-1], "Approve", channel=INCIDENTS)
        change = await stage.reaches("kept", "undone", "failed", "void", "unknown", change_id=f"c-{number}")
        assert change.steps[0].after == after
    assert change.verdict == "BETTER"
