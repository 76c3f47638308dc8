"""A milestone gate leaves an artifact whatever happens, and sends nothing before its pool is fit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat, Script
from bot.store.artifacts import holds_secrets
from bot.target import Environment
from slo.artifacts import MilestoneReport
from tests.bot.milestone.milestone_kit import SMALL, TRY, write_policy
from tests.conftest import carry_out, config_for, until

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "artifacts"
SNAPSHOT = "ops:getReliabilitySnapshot"


@pytest.fixture
def small(bot: Bot) -> Bot:
    write_policy(bot.world.config.artifact_dir)
    return bot


async def run(bot: Bot, line: str, by: str = "oncall") -> dict[str, Any]:
    reply, outcome = await carry_out(bot, line, by=by)
    if outcome is None:
        return {"exit_status": reply.exit_status, "card": reply.card.model_dump() if reply.card else {}, "data": {}}
    return outcome


def report_of(bot: Bot, outcome: dict[str, Any]) -> MilestoneReport:
    text = (bot.world.config.artifact_dir / outcome["data"]["artifact"]).read_text()
    report = MilestoneReport.parse(json.loads(text))
    assert report.to_json() == text
    assert report.honest is not None
    return report


def text_of(outcome: dict[str, Any]) -> str:
    return json.dumps(outcome["card"], ensure_ascii=False)


def chats(sendcat: PracticeSendcat) -> int:
    return sendcat.counters.requests["POST /api/chat"]


async def test_a_measured_milestone_has_the_originals_fields_and_is_judged_again_from_its_files(small: Bot) -> None:
    """PASS waits for a release manager; `judge milestone` asks Sendcat's own rules of the files that it names."""
    outcome = await run(small, f"{TRY} --release=2026.11.23-2@4c1e9ab")
    report = report_of(small, outcome)
    assert report.honest is not None

    assert (outcome["exit_status"], outcome["data"]["state"], report.passed) == (0, "WAITING", True)
    assert (report.milestone, report.snapshot_window_minutes, report.snapshot_limit) == ("m0_try", 30, 80)
    assert report.policy_path.endswith(SMALL)
    assert (report.drill_report_path or "").endswith(report.honest.evidence["drill"].name)
    assert set(report.honest.evidence) == {"before", "after", "drill"}
    assert (report.honest.release, report.honest.commit) == ("2026.11.23-2", "4c1e9ab")
    assert "judged by another milestone-gate-policy" in report.honest.warnings[0]
    files = [item["file"] for item in outcome["card"]["attachments"] if "file" in item]
    assert files == [outcome["data"]["artifact"]]
    assert not any(holds_secrets(name) for name in files)
    assert [check.name for check in report.scenario_checks[0].checks][-2:] == [
        "chat_auth_pool_size",
        "chat_pool_unique_coverage",
    ]
    path = small.world.config.artifact_dir / outcome["data"]["artifact"]
    raw = json.loads(path.read_text())
    raw["milestone"] = "m1_1k"  # Sendcat's own policy knows no m0_try, and its m1_1k wants streams and half the pool
    (path.parent / "again.json").write_text(json.dumps(raw))
    judged = await run(small, f"judge milestone {path.parent / 'again.json'}")
    verdicts = {check["name"]: check["verdict"] for check in judged["data"]["checks"]}
    assert judged["data"]["recorded"] == "PASS"
    assert {name for name, verdict in verdicts.items() if verdict != "PASS"} == {
        "open_streams",
        "chat_pool_unique_coverage",
    }


@pytest.mark.parametrize("case", ["milestone-pass", "milestone-fail"])
async def test_the_originals_own_files_are_judged(bot: Bot, case: str) -> None:
    """The drill and the artifact that the original left: its rule beside ours, which saw no streams."""
    (drill,) = (SAMPLES / case).glob("load-drill-*.json")
    (artifact,) = (SAMPLES / case).glob("milestone-gate-*.json")
    parts = await run(bot, f"judge milestone {drill}")
    whole = await run(bot, f"judge milestone {artifact}")

    assert parts["data"]["milestone"] == "m1_1k"
    assert parts["data"]["verdict"] != "PASS"
    assert whole["data"]["original_rule"] is (case == "milestone-pass")
    assert whole["exit_status"] == 3


@pytest.mark.parametrize(
    ("flags", "verdict", "why"),
    [
        ("--milestone=m2_5k", "FAIL", "chat auth pool size is 20, at least 50"),
        ("--chat-auth-pool-file=.output/reliability/chat-auth-pool-x-1-20.json", "INCOMPLETE", "There is no file"),
        ("--chat-auth-pool-file=broken.json", "INCOMPLETE", "cannot be used"),
        ("--chat-auth-pool-file=old.json", "INCOMPLETE", "20 of 20 tokens have ended"),
        ("--chat-auth-pool-file=many.json --chat-rotation-mode=stride", "FAIL", "5 of 35 users would take part"),
    ],
)
async def test_nothing_is_sent_before_the_pool_is_fit_and_the_artifact_says_so(
    bot: Bot, sendcat: PracticeSendcat, flags: str, verdict: str, why: str
) -> None:
    """Playbook H, action 1: exists, size, coverage, freshness; the verdict names what to make."""
    folder = bot.world.config.artifact_dir
    folder.mkdir(parents=True, exist_ok=True)
    ended = "x.eyJleHAiOjE2MDAwMDAwMDB9.y"
    (folder / "broken.json").write_text("{}")
    (folder / "old.json").write_text(json.dumps([{"authToken": ended, "threadId": "t"}] * 20))
    (folder / "many.json").write_text(json.dumps([{"authToken": f"token-{n:04d}", "threadId": "t"} for n in range(35)]))
    line = "npm run reliability:milestone-gate --"
    outcome = await run(bot, f"{line} {flags} --chat-load-scale=0.5 --chat-concurrency-scale=0.5")
    report = report_of(bot, outcome)
    assert report.honest is not None

    assert (outcome["data"]["verdict"], report.passed) == (verdict, False)
    assert outcome["exit_status"] == {"FAIL": 1, "INCOMPLETE": 3}[verdict]
    assert why in report.honest.not_done[0]
    assert why in text_of(outcome)
    assert report.scenario_checks[0].checks[0].name == "scenario_present"
    assert (report.drill_report_path, chats(sendcat), sendcat.counters.calls[SNAPSHOT]) == (None, 0, 0)
    assert "case" not in outcome["data"]
    assert "pool --count=" in text_of(outcome)
    judged = await run(bot, f"judge milestone {folder / outcome['data']['artifact']}")
    assert (judged["data"]["verdict"], judged["data"]["recorded"]) == (verdict, verdict)


async def test_weakness_24_a_failed_drill_leaves_its_artifact(small: Bot, sendcat: PracticeSendcat) -> None:
    """Every chat answers 503: the original would have crashed without a file."""
    sendcat.switches.site_fail_status = 503
    outcome = await run(small, TRY)
    report = report_of(small, outcome)

    assert (outcome["exit_status"], outcome["data"]["state"], report.passed) == (1, "BLOCKED", False)
    assert {check.name for check in report.scenario_checks[0].checks if not check.passed} >= {"5xx_rate"}


async def test_weakness_06_broken_streams_fail_and_the_card_says_which_knobs(
    small: Bot, sendcat: PracticeSendcat
) -> None:
    """The primary model is down behind statuses of 200: the original passes it; ours blocks, with playbook B's knobs."""
    sendcat.inject("B", variant="primary")
    outcome = await run(small, TRY)
    report = report_of(small, outcome)

    assert (outcome["exit_status"], outcome["data"]["state"], report.passed) == (1, "BLOCKED", True)
    failed = {check["name"] for check in report.to_artifact()["honest"]["checks"] if check["verdict"] == "FAIL"}
    assert "stream_success_rate" in failed
    text = text_of(outcome)
    assert "tune CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS 90000" in text
    assert "tune FF_PROVIDER_FAILOVER_ENABLED true" in text
    assert "promotion stays blocked" in text


async def test_a_silent_deployment_ends_nothing_without_an_artifact(small: Bot, sendcat: PracticeSendcat) -> None:
    sendcat.script(Script(SNAPSHOT, times=None, status=403))
    outcome = await run(small, TRY)
    report = report_of(small, outcome)
    assert report.honest is not None

    assert (outcome["exit_status"], chats(sendcat)) == (3, 0)
    assert report.honest.not_done[0] == "nothing was sent: no snapshot before the drill"
    assert "npx convex run" in outcome["card"]["code"]


async def test_a_snapshot_that_fails_after_the_drill_keeps_the_drill(small: Bot, sendcat: PracticeSendcat) -> None:
    """Only the last look is lost: the drill stands in the artifact, nothing is decided."""
    running = asyncio.create_task(run(small, TRY))
    await until(lambda: chats(sendcat) >= 2)
    sendcat.script(Script(SNAPSHOT, times=None, status=403))
    outcome = await running
    report = report_of(small, outcome)
    assert report.honest is not None

    assert (outcome["exit_status"], outcome["data"]["verdict"]) == (3, "INCOMPLETE")
    assert set(report.honest.evidence) == {"before", "drill"}
    assert report.scenario_checks[0].passed


async def test_a_stopped_gate_leaves_its_artifact_and_decides_nothing(bot: Bot, sendcat: PracticeSendcat) -> None:
    """m1 with true streams as the runbook scales it: stopped while they open; what was sent is on record."""
    line = "milestone-gate --milestone=m1_1k --chat-load-scale=0.5 --chat-concurrency-scale=0.5"
    running = asyncio.create_task(run(bot, line))
    await until(lambda: chats(sendcat) >= 2, 20)
    for op in bot.world.stops.running:
        bot.world.stops.stop(op, "a test")
    outcome = await running
    report = report_of(bot, outcome)
    assert report.honest is not None

    assert outcome["card"]["title"].startswith("STOPPED, INCOMPLETE")
    assert (outcome["exit_status"], outcome["data"]["state"]) == (3, "stopped")
    assert (report.honest.streams_wanted, report.honest.streams_planned) == (1_000, 500)
    assert (report.honest.scale.concurrency, report.passed) == (0.5, False)
    assert "drill" in report.honest.evidence


@pytest.mark.prove
@pytest.mark.timeout(300)
async def test_m1_at_its_true_scale_passes_and_can_be_approved(tmp_path: Path) -> None:
    """1,000 streams of nine seconds, held for 30 s of the 5 min; 100 users and the highest lawful limits let them in."""
    limits = {"RATE_LIMIT_CHAT_STREAM_MAX": "120", "BULKHEAD_OR_PRI_MAX_CONCURRENT": "96"}
    practice = PracticeSendcat(seed=1, pool_users=100, environment=limits)
    await practice.start()
    practice.deployment.upstreams["openrouter_chat_primary"].token_ms = 1_500
    bot = await Bot.lead(config_for(tmp_path, practice), rests=False)
    try:
        outcome = await run(bot, "milestone-gate --milestone=m1_1k --chat-duration-scale=0.1 --processes=2")
        report = report_of(bot, outcome)
    finally:
        await bot.close(grace_s=0.5)
        await practice.stop()
    assert report.honest is not None

    red = [(c.name, c.value, c.reason) for c in report.honest.checks if c.verdict != "PASS"]
    assert (outcome["data"]["verdict"], red) == ("PASS", [])
    assert outcome["data"]["state"] == "WAITING"
    assert (report.honest.streams_held or 0) >= 950
    assert report.honest.warnings == ()


async def test_R16_production_asks_for_exactly_this_drill_and_the_gate_runs_with_its_decision(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    """The refusal names the line that asks; the gate refuses another decision; nothing is sent before."""
    own = bot.world.config.target["practice"]
    bot.world.config.target["practice"] = own.model_copy(update={"environment": Environment.PRODUCTION})
    outcome = await run(bot, "milestone-gate --chat-concurrency-scale=0.2")
    assert outcome["exit_status"] == 4
    asks = outcome["card"]["next"]
    assert asks == (
        "drill ceiling --chat-concurrency-scale=0.2 --chat-min-unique-coverage=0.5 --scenarios=chat_stream_http"
        " --profile=m1_1k --target=practice --reason=why"
    )
    asked = await run(bot, asks)
    assert asked["exit_status"] == 5
    gate = "milestone-gate --milestone=m1_1k --chat-concurrency-scale=0.2 --chat-min-unique-coverage=0.5"
    assert f"{gate} --target=practice --approval=d-N" in text_of(asked)
    other = await run(bot, "milestone-gate --chat-concurrency-scale=0.2 --approval=d-9")
    assert (other["exit_status"], "d-9 does not allow" in text_of(other)) == (4, True)
    assert chats(sendcat) == 0


@pytest.mark.parametrize(
    ("line", "exit_status", "says"),
    [
        ("milestone-gate --milestone=m1", 2, "m1_1k"),
        ("milestone-gate --milestone=m9_1m --policy=" + SMALL, 2, "m0_try"),
        ("milestone-gate --policy=nothing.json", 2, "policy"),
        ("milestone-gate --chat-load-scale=0.02", 2, "smallest scale"),
        ("milestone-gate --chat-auth-pool-file=/etc/passwd", 4, "lies outside"),
        ("milestone-gate --auth-token=abc", 4, "secret"),
        ("milestone-gate --chat-auth-pool-json=[]", 4, "secret"),
        ("milestone-gate --release=../x", 2, "NAME@COMMIT"),
        ("milestone-gate --snapshot-minutes=0", 2, "greater than or equal"),
        ("milestone-gate approve ms-1", 4, "Slack only"),
    ],
)
async def test_a_gate_that_cannot_be_is_refused_at_once(
    small: Bot, sendcat: PracticeSendcat, line: str, exit_status: int, says: str
) -> None:
    outcome = await run(small, line)

    assert (outcome["exit_status"], says in text_of(outcome)) == (exit_status, True), text_of(outcome)
    assert chats(sendcat) == 0


async def test_R7_a_visitor_runs_no_milestone(small: Bot, sendcat: PracticeSendcat) -> None:
    assert (await run(small, TRY, by="visitor"))["exit_status"] == 4
    assert chats(sendcat) == 0
