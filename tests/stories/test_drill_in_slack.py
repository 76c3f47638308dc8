"""A drill from Slack: progress on one card, Stop for anyone, the verdict first, evidence in the thread and on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slo.reports import DrillReport
from tests.conftest import INCIDENTS, VISITOR, Stage, carry_out, text_of, until


def saved(stage: Stage) -> DrillReport:
    [file] = stage.config.artifact_dir.glob("load-drill-*.json")
    return DrillReport.parse(json.loads(Path(file).read_text()))


async def test_a_quick_drill_on_one_card(stage: Stage) -> None:
    seen: list[str] = []
    await stage.type("drill --quick=true --scenarios=chat_stream_http,whatsapp_webhook")

    def progress() -> bool:
        seen.extend(text_of(card) for card in stage.cards()[-1:])
        return any("requests ·" in text for text in seen)

    await until(progress)
    text = await stage.final()
    shown = next(line for line in "\n".join(seen).splitlines() if "requests ·" in line)
    for word in (" of 33 requests", "/s", "s left"):
        assert word in shown
    # Gmail was left out, and is required of this target: that is no pass.
    assert "INCOMPLETE: quick drill of practice" in text
    assert "gmail_push_webhook" in text
    for word in ("33 of 33 planned", "3 done", "First token", "/api/whatsapp/webhook", "load-drill-quick-"):
        assert word in text
    assert len(stage.cards()) == 1
    ts = stage.cards()[-1]["ts"]
    await until(lambda: len(stage.slack.thread(INCIDENTS, ts)) >= 2)
    note = json.dumps(stage.slack.thread(INCIDENTS, ts)[1], ensure_ascii=False)
    for word in ("Stages of the quick drill", "```", "whatsapp quick", "30/30", "200 × 30", "not asked"):
        assert word in note
    report = saved(stage)
    assert report.scenario_filter == ("whatsapp_webhook", "chat_stream_http")
    assert report.honest is not None
    assert report.honest.circuits_opened == ()


async def test_R13_anyone_in_the_channel_stops_a_drill(stage: Stage) -> None:
    await stage.type("drill --profile=soak --scenarios=gmail_push_webhook,whatsapp_webhook")
    await until(lambda: any("requests ·" in text_of(card) for card in stage.cards()))
    card = stage.cards()[-1]
    await stage.slack.hands.click(VISITOR, card, "Stop", channel=INCIDENTS)
    text = await stage.final(within_s=10)
    assert "INCOMPLETE: soak drill of practice" in text
    assert "stopped by" in text
    report = saved(stage)
    assert report.honest is not None
    assert report.honest.ended.how == "stopped"


async def test_weakness_01_no_chat_credentials_is_incomplete_on_the_card_with_what_to_set(stage: Stage) -> None:
    stage.config.target["practice"].chat_pool_file.unlink()  # type: ignore[union-attr]
    await stage.type("drill --quick=true --scenarios=chat_stream_http")
    text = await stage.final()
    assert "cannot be used" in text
    assert "sendcat pool" in text


@pytest.mark.parametrize("line", ["drill --profile=m1_1k", "drill --profile=m1_1k --approval=d-12"])
async def test_R16_true_streams_above_the_ceiling_are_refused_with_the_line_to_ask(stage: Stage, line: str) -> None:
    assert stage.bot is not None
    practice = stage.config.target["practice"]
    strict = practice.model_copy(update={"environment": "production"})
    object.__setattr__(stage.bot.world.config, "target", {"practice": strict})
    _, outcome = await carry_out(stage.bot, line)
    assert outcome is not None
    assert outcome["exit_status"] == 4
    text = json.dumps(outcome["card"])
    assert "ceiling" in text
