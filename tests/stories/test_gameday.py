"""A game day from Slack and from the terminal: findings that count, items that outlive it, a fault to be found."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from bot.store import gameday as rows
from bot.store import woven
from bot.target import Environment
from slo.artifacts import GameDayReport
from tests.conftest import INCIDENTS, ONCALL, RELMGR, VISITOR, Stage, carry_out, text_of, until

DAY = "gameday --profiles=quick --chat-load-scale=0.1"
"""The smallest day that can pass: 30 requests for each webhook and one chat."""


def kept(folder: Path) -> list[GameDayReport]:
    files = sorted(folder.glob("game-day-*.json"))
    return [GameDayReport.parse(json.loads(path.read_text())) for path in files]


async def day(bot: Bot, line: str = DAY) -> dict[str, Any]:
    reply, outcome = await carry_out(bot, line)
    assert outcome is not None, reply
    return outcome


async def test_a_quiet_day_from_slack_ends_with_its_dashboard(stage: Stage) -> None:
    seen: list[str] = []
    await stage.type(DAY)

    def running() -> bool:
        seen.extend(text_of(card) for card in stage.cards()[-1:])
        return any("requests ·" in text for text in seen)

    await until(running, 20)
    shown = next(text for text in seen if "requests ·" in text)
    for word in ("Game day RUNNING · step 3 of 4", "Open items", "none from earlier game days", "5 of 5 as expected"):
        assert word in shown
    text = await stage.final()
    for word in ("PASS: game day of practice (quick)", "nothing to do before the next game day", "within its limits"):
        assert word in text
    [report] = kept(stage.config.artifact_dir)
    assert (report.passed, report.findings, report.profiles) == (True, (), ("quick",))
    assert report.action_items == ("No findings: nothing to do before the next game day.",)
    assert [Path(step.report_path or "").is_file() for step in report.steps] == [True, True]
    ts = stage.cards()[-1]["ts"]
    await until(lambda: "slo-dashboard-" in json.dumps(stage.slack.thread(INCIDENTS, ts)), 10)


async def test_weakness_31_refusals_fail_the_day_and_the_next_one_opens_with_them(
    stage: Stage, sendcat: PracticeSendcat
) -> None:
    sendcat.deployment.environment.set("RATE_LIMIT_GMAIL_PUSH_MAX", "15")
    await stage.type(DAY)
    text = await stage.final()
    assert "FAIL: game day of practice" in text
    assert "The original rule passes this day" in text
    assert "gi-1" in text
    assert "integrations-gmail" in text
    [report] = kept(stage.config.artifact_dir)
    assert report.passed is False
    assert "had high 429 share" in report.findings[0]
    assert report.honest is not None
    assert [item.id for item in report.honest.items] == ["gi-1"]

    # Handed over, and not ended: a restart and a second day find it again, under the same number.
    await stage.type("gameday assign gi-1 relmgr")
    await until(lambda: any("Handed over: gi-1" in text for text in stage.whispers()))
    await stage.restart()
    sendcat.clock.advance(120_000)
    await stage.type(DAY, user=RELMGR)
    await until(lambda: any("1: gi-1" in text_of(card) for card in stage.cards()), 20)
    text = await stage.final()
    assert "found 2 times" in text
    assert "gi-2" not in text

    # Ended with a button and a form: the day after opens with nothing.
    await stage.slack.hands.click(ONCALL, stage.cards()[-1], "Action items", channel=INCIDENTS)
    await until(lambda: any("1 action item of practice is open" in text for text in stage.whispers()))
    assert stage.bot is not None
    _, outcome = await carry_out(stage.bot, "gameday done gi-1 the limit is 120 again")
    assert outcome is not None
    assert "Done: gi-1" in outcome["card"]["title"]
    assert await stage.bot.world.store.read(lambda conn: rows.opened(conn, "practice")) == ()


async def test_R13_stopped_in_the_middle_it_decides_nothing_and_is_kept(stage: Stage) -> None:
    await stage.type("gameday --profiles=soak,quick")
    await until(lambda: any("requests ·" in text_of(card) for card in stage.cards()), 20)
    await stage.slack.hands.click(VISITOR, stage.cards()[-1], "Stop", channel=INCIDENTS)
    text = await stage.final(within_s=15)
    assert "STOPPED, INCOMPLETE: game day of practice" in text
    [report] = kept(stage.config.artifact_dir)
    assert report.passed is False
    assert report.steps[2].report_path is None
    assert report.honest is not None
    assert "stopped by" in report.honest.reason
    # What somebody stopped is nobody's action item.
    assert report.honest.items == ()


async def test_a_failed_probe_is_a_finding_and_the_drills_run_all_the_same(bot: Bot, sendcat: PracticeSendcat) -> None:
    sendcat.deployment.environment.set("ALLOWED_ORIGINS", "https://elsewhere.example")
    outcome = await day(bot, f"{DAY} --scenarios=whatsapp_webhook")

    assert outcome["exit_status"] == 1
    [report] = kept(bot.world.config.artifact_dir)
    assert report.steps[0].passed is False
    assert "Synthetic probes failed." in report.findings
    assert any("probe" in item["finding"] for item in outcome["data"]["items"])


async def test_nobody_answers_and_the_day_is_kept_without_load(bot: Bot, sendcat: PracticeSendcat) -> None:
    await sendcat._servers[1].stop()
    outcome = await day(bot)

    assert outcome["exit_status"] in (1, 3)
    [report] = kept(bot.world.config.artifact_dir)
    assert report.steps[1].report_path is None
    assert any("no endpoint answered the probe" in item["finding"] for item in outcome["data"]["items"])


async def test_a_woven_fault_is_found_and_out_again(stage: Stage, sendcat: PracticeSendcat) -> None:
    seen: list[str] = []
    await stage.type(f"{DAY} --weave=f --weave-after=0.5")

    def in_it() -> bool:
        seen.extend(text_of(card) for card in stage.cards()[-1:])
        return sendcat.active_faults() == ["F:caps"]

    await until(in_it, 20)
    text = await stage.final()
    assert sendcat.active_faults() == []
    assert "FAIL: game day of practice" in text
    assert "playbook F found the woven fault F:caps" in text
    [report] = kept(stage.config.artifact_dir)
    assert report.honest is not None
    assert report.honest.fault == "F:caps"
    assert any("found the woven fault" in item.finding for item in report.honest.items)
    assert stage.bot is not None
    assert await stage.bot.world.store.read(woven.left_in) == ()


async def test_a_woven_fault_is_taken_out_when_the_day_is_stopped(stage: Stage, sendcat: PracticeSendcat) -> None:
    await stage.type("gameday --profiles=soak --weave=E:stale --weave-after=0.1")
    await until(lambda: sendcat.active_faults() == ["E:stale"], 20)
    await stage.slack.hands.click(VISITOR, stage.cards()[-1], "Stop", channel=INCIDENTS)
    text = await stage.final(within_s=15)
    assert "STOPPED" in text
    assert sendcat.active_faults() == []


async def test_a_woven_fault_is_taken_out_when_the_bot_ends(stage: Stage, sendcat: PracticeSendcat) -> None:
    await stage.type("gameday --profiles=soak --weave=E:stale --weave-after=0.1")
    await until(lambda: sendcat.active_faults() == ["E:stale"], 20)
    await stage.leave()
    assert sendcat.active_faults() == []
    await stage.lead()


async def test_R28_after_a_crash_the_next_start_takes_out_what_was_left_in(
    stage: Stage, sendcat: PracticeSendcat
) -> None:
    """As if the process had been killed between putting it in and taking it out: the row is there, and the fault."""
    assert stage.bot is not None
    target = stage.config.target["practice"]
    now_ms = stage.bot.world.clock.now_ms()
    fields = {"op": "r-gone", "target": "practice", "fault": "F:caps", "planned_ms": now_ms}
    await stage.bot.world.store.write(
        lambda tx: woven.plan(tx, origin=target.api_url, until_ms=now_ms + 60_000, **fields)  # type: ignore[arg-type]
    )
    sendcat.inject("F", variant="caps")
    sendcat.inject("E", variant="stale")
    await stage.restart()
    await until(lambda: sendcat.active_faults() == ["E:stale"])  # what others put in stays
    how = None
    for _ in range(500):  # the row is written after the fault is out
        found = await stage.bot.world.store.read(lambda conn: woven.get(conn, 1))
        assert found is not None
        if (how := found.how) is not None:
            break
        await asyncio.sleep(0.02)
    assert how == "the bot found it after a restart"


async def test_without_anybody_the_fault_ends_by_itself(sendcat: PracticeSendcat) -> None:
    sendcat.inject("F", variant="caps", for_ms=60_000)
    sendcat.clock.advance(59_000)
    sendcat.deployment.settle()
    assert sendcat.active_faults() == ["F:caps"]
    sendcat.clock.advance(2_000)
    sendcat.deployment.settle()
    assert sendcat.active_faults() == []


async def test_what_cannot_be_is_said_before_anything_is_sent(bot: Bot, sendcat: PracticeSendcat) -> None:
    for flags, said in (
        ("--weave=G", "G and H are decisions"),
        ("--weave=F:nosuch", "there are A:"),
        ("--weave=F --weave-after=600", "nothing is left to see"),
        ("--profiles=brust", "burst"),
        ("--profiles=quick,quick", "each profile is named once"),
        ("--profiles=,", "names no profile"),
        ("--profiles=quick,m1_1k", "milestone-gate --milestone=m1_1k"),
        ("--weave-after=nan", "weave-after"),
    ):
        line = f"gameday {flags}" if "profiles" in flags else f"{DAY} {flags}"
        reply, outcome = await carry_out(bot, line)
        card = outcome["card"] if outcome else reply.card.model_dump() if reply.card else {}
        assert (outcome["exit_status"] if outcome else reply.exit_status) == 2, line
        assert said in json.dumps(card, ensure_ascii=False)
    assert sendcat.active_faults() == []
    assert kept(bot.world.config.artifact_dir) == []


async def test_no_fault_is_woven_into_a_real_target(bot: Bot, sendcat: PracticeSendcat) -> None:
    targets = bot.world.config.target
    for environment in (Environment.PRODUCTION, Environment.STAGING):
        targets["practice"] = targets["practice"].model_copy(update={"environment": environment})
        outcome = await day(bot, f"{DAY} --weave=F:caps")
        assert outcome["exit_status"] == 4
        said = json.dumps(outcome["card"])
        assert "faults are put into the practice Sendcat only" in said
        assert "leave --weave out" in said
        assert sendcat.active_faults() == []


async def test_no_fault_is_woven_in_beyond_this_machine_or_twice(bot: Bot, sendcat: PracticeSendcat) -> None:
    config = bot.world.config
    before = config.target["practice"]
    config.target["practice"] = before.model_copy(update={"api_url": "https://practice.convex.cloud"})
    assert (await day(bot, f"{DAY} --weave=F"))["exit_status"] == 4
    config.target["practice"] = before
    sendcat.inject("F", variant="caps")
    outcome = await day(bot, f"{DAY} --weave=F")
    assert outcome["exit_status"] == 4
    assert "is in the practice Sendcat already" in json.dumps(outcome["card"])
    assert sendcat.active_faults() == ["F:caps"]


async def test_R16_the_drills_of_a_day_are_one_operation(bot: Bot) -> None:
    config = bot.world.config
    target = config.target["practice"]
    tight = target.ceilings.model_copy(update={"requests": 70})
    config.target["practice"] = target.model_copy(update={"ceilings": tight})
    outcome = await day(bot, "gameday --profiles=quick,standard --scenarios=chat_stream_http,whatsapp_webhook")
    assert outcome["exit_status"] == 4
    assert "ceiling" in json.dumps(outcome["card"])
    assert kept(config.artifact_dir) == []


async def test_an_item_is_taken_and_ended_with_buttons_and_a_form(stage: Stage) -> None:
    assert stage.bot is not None
    finding = ("drill burst: p95_latency of /api/chat", "chat-runtime", "reliability-platform")
    await stage.bot.world.store.write(lambda tx: rows.note(tx, op="r-1", target="practice", findings=[finding]))
    await stage.type("gameday items")
    await until(lambda: bool(stage.slack.ephemerals(ONCALL)))
    listed = stage.slack.ephemerals(ONCALL)[-1]
    assert "chat-runtime (then reliability-platform)" in text_of(listed)
    await stage.slack.hands.click(ONCALL, listed, "Take gi-1", channel=INCIDENTS)
    await until(lambda: any("Handed over: gi-1" in text for text in stage.whispers()))
    await stage.slack.hands.click(ONCALL, listed, "gi-1 done…", channel=INCIDENTS)
    await until(lambda: bool(stage.slack.views(ONCALL)))
    view = stage.slack.views(ONCALL)[-1]["id"]
    await stage.slack.submit(ONCALL, view, {"note": {"note": "raised the cap in c-41"}})
    await until(lambda: any("Done: gi-1" in text for text in stage.whispers()))
    [item] = await stage.bot.world.store.read(rows.items)
    assert (item.open, item.holder) == (False, f"slack:{ONCALL}")
    assert item.done is not None
    assert item.done.value == "raised the cap in c-41"


async def test_items_are_ended_once_and_taken_up_again(bot: Bot) -> None:
    await bot.world.store.write(
        lambda tx: rows.note(
            tx, op="r-1", target="practice", findings=[("drill burst: p95 of /api/chat", "chat", "core")]
        )
    )
    for line, status, said in (
        ("gameday done gi-1", 2, "What was done about it"),
        ("gameday done gi-9 x", 2, "There is no action item gi-9"),
        ("gameday assign gi-1 nobody-here", 2, "Nobody here is called"),
        ("gameday assign gi-1 me", 0, "looks after it"),
        ("gameday reopen gi-1", 4, "gi-1 is open"),
        ("gameday done gi-1 raised the cap <!channel>", 0, "Done: gi-1"),
        ("gameday done gi-1 again", 4, "gi-1 is done already"),
        ("gameday items", 0, "No action item of practice is open"),
        ("gameday reopen gi-1", 0, "Open again: gi-1"),
        ("gameday items", 0, "1 action item of practice is open"),
    ):
        reply, outcome = await carry_out(bot, line)
        ended = outcome or {"exit_status": reply.exit_status, "card": reply.card.model_dump() if reply.card else {}}
        assert ended["exit_status"] == status, (line, ended)
        text = json.dumps(ended["card"], ensure_ascii=False)
        assert said in text, (line, text)
        assert "<!channel>" not in text
    reply, outcome = await carry_out(bot, "gameday done gi-1 x", by="visitor")
    assert reply.exit_status == 4


def test_findings_are_the_same_by_their_words() -> None:
    first = "/api/gmail/push refused 697 of 820 requests in profile burst"
    assert rows.same_as(first) == rows.same_as("/api/gmail/push refused 1 of 12.5 requests in profile burst")
    assert rows.same_as(first) != rows.same_as(first.replace("burst", "soak"))
