"""A canary as people see it: both deployments in turns, the deltas, Promote or Roll back, and what a pipeline may do."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.canary.again import again
from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import Ack, PracticeSlack
from bot.store import audit, cases, ops
from bot.store.case import State
from slo.artifacts import CanaryReport
from slo.rounds import order
from slo.verdict import Verdict
from tests.conftest import INCIDENTS, ONCALL, RELMGR, VISITOR, Stage, carry_out, text_of, until
from tests.stories.canary_kit import LINE, config_for_both, running_candidate

pytestmark = pytest.mark.timeout(300)
RELEASES = "C0REL"


@pytest.fixture
async def candidate() -> AsyncIterator[PracticeSendcat]:
    async with running_candidate() as practice:
        yield practice


@pytest.fixture
async def both(
    tmp_path: Path, sendcat: PracticeSendcat, candidate: PracticeSendcat, slack: PracticeSlack
) -> AsyncIterator[Stage]:
    """The whole product, led and connected, with a control and a candidate."""
    whole = Stage(sendcat, slack, config_for_both(tmp_path, sendcat, candidate, slack))
    await whole.lead()
    yield whole
    await whole.leave()


def kept(stage: Stage) -> CanaryReport:
    [path] = sorted(stage.config.artifact_dir.glob("canary-check-*.json"))
    return CanaryReport.parse(json.loads(path.read_text()))


def judged_again(stage: Stage) -> dict[str, Any]:
    [path] = stage.config.artifact_dir.glob("canary-check-*.json")
    return again([(path, json.loads(path.read_text()))])


async def state(stage: Stage) -> tuple[State, int]:
    assert stage.bot is not None
    found = await stage.bot.world.store.read(lambda conn: cases.look(conn, "cn-1"))
    assert found is not None
    return found.standing(stage.bot.world.clock.now_ms()), len(found.decisions)


async def exit_of(stage: Stage, line: str) -> int:
    assert stage.bot is not None
    reply, _ = await carry_out(stage.bot, line)
    op = await stage.bot.world.store.read(lambda conn: ops.get(conn, reply.op or ""))
    assert op is not None
    return op.exit_status or 0


async def decided(stage: Stage, word: str) -> str:
    await until(lambda: word in text_of(stage.cards()[-1]).splitlines()[0], 15)
    return text_of(stage.cards()[-1])


async def test_from_the_form_to_a_promotion_that_a_pipeline_trusts_until_something_changes(
    both: Stage, candidate: PracticeSendcat
) -> None:
    """One canary, all of its life: form, running card, deltas, R10, promote, announced, status, restart, void."""
    await both.type("canary")
    await until(lambda: bool(both.slack.views(ONCALL)))
    view = both.slack.views(ONCALL)[-1]
    assert "/sendcat canary" in json.dumps(view)
    await both.slack.hands.close(ONCALL, view["id"])

    seen: list[str] = []
    await both.type(f"{LINE} --release=2026.11.23-2@4c1e9ab")

    def drawn() -> bool:
        seen.extend(text_of(card) for card in both.cards()[-1:])
        return bool(seen) and "cn-1" in seen[-1]

    await until(drawn, 200)
    assert any("Canary of candidate RUNNING" in text and re.search(r"round \d of 4, \w+", text) for text in seen)
    card = seen[-1]
    assert "PASS: canary of candidate beside practice · waiting for Promote or Roll back" in card.splitlines()[0]
    for word in ("Control", "Candidate", "Difference", "whatsapp p95", "4 of 4 rounds", "2026.11.23-2", "4c1e9ab"):
        assert word in card

    # Both origins were loaded in turns, each with its own secret: another one would have been refused (R15).
    report = kept(both)
    assert report.honest is not None
    assert [each.side for each in report.honest.rounds] == list(order(1))
    assert (report.passed, report.honest.verdict, report.honest.original_rule) == (True, Verdict.PASS, True)
    assert both.sendcat.whatsapp_secret != candidate.whatsapp_secret
    for practice in (both.sendcat, candidate):
        assert practice.counters.statuses["POST /api/whatsapp/webhook 200"] >= 60
    assert judged_again(both)["verdict"] == judged_again(both)["recorded"] == "PASS"

    def thread() -> str:
        return json.dumps(both.slack.thread(INCIDENTS, both.cards()[-1]["ts"]))

    # Both children have a time limit: on a machine that is too busy for them the card says what is left out.
    statistics = report.honest.statistics
    assert statistics is not None
    assert statistics.scenarios[0].latency is not None or "not done within" in statistics.left_out
    drawn_files = list(both.config.artifact_dir.glob("canary-check-*.png"))
    assert drawn_files or "no picture: it was not done within" in card
    notes = ("Every delta", "Statistics, as evidence", "Canary report", *(path.name for path in drawn_files))
    await until(lambda: all(note in thread() for note in notes), 60)

    status = "canary status --candidate=candidate"
    assert await exit_of(both, status) == 5
    await both.type("canary promote cn-1 --reason=mine")
    await until(lambda: any("needs" in text or "R10" in text for text in both.whispers(ONCALL)))
    assert await state(both) == (State.WAITING, 0)

    await both.slack.hands.click(RELMGR, both.cards()[-1], "Promote…", channel=INCIDENTS)
    card = await decided(both, "PROMOTED")
    assert "decision d-1" in card
    await until(lambda: any("PROMOTED: candidate beside practice" in text_of(m) for m in both.slack.messages(RELEASES)))
    assert both.bot is not None
    rows = [json.loads(row.body) for row in await both.bot.world.store.read(lambda conn: audit.rows(conn))]
    assert [row["outcome"] for row in rows if row["phase"] == "decision"] == ["promote"]

    await both.restart()
    assert await exit_of(both, status) == 0
    assert await exit_of(both, f"{status} --release=2026.11.23-2@4c1e9ab") == 0
    assert await exit_of(both, f"{status} --release=2026.11.23-2@deadbee") == 1
    assert await exit_of(both, f"{status} --release=2026.11.24-1") == 1
    # A knob of the control is evidence as well: the comparison was with it as it was.
    await both.bot.world.convex(both.config.target["practice"]).set_environment({"TOOL_JOB_RUNMAX_WEB": "3"})
    assert await exit_of(both, status) == 1
    assert "practice's configuration changed" in await decided(both, "VOID")
    assert len(both.cards()) == 1


async def test_a_flaky_candidate_fails_and_is_rolled_back(both: Stage, candidate: PracticeSendcat) -> None:
    """No Promote on its card; the deltas and owners are; Roll back asks why; a typed promotion is refused."""
    candidate.switches.site_fail_share = 0.3
    await both.type(f"{LINE} --max-5xx-regression-rate=0.5")
    await until(lambda: bool(both.cards()) and "cn-1" in text_of(both.cards()[-1]), 200)
    card = text_of(both.cards()[-1])

    assert "FAIL: canary of candidate beside practice · promotion stays blocked" in card.splitlines()[0]
    assert "Promote" not in card.replace("needs", "")
    assert "lets more through than Sendcat's own 0.02" in card
    assert "Owners:" in card
    assert judged_again(both)["verdict"] == "FAIL"
    report = kept(both)
    assert report.passed is False
    [scenario] = [check for check in report.checks if check.name == "scenario_whatsapp_webhook"]
    assert (
        json.loads(scenario.model_dump_json(by_alias=True))["details"]["thresholds"]["maxFiveXxRateRegression"] == 0.5
    )
    assert report.honest is not None
    assert report.honest.statistics is not None
    fives = {rate.metric: rate for rate in report.honest.statistics.scenarios[0].rates}["5xx"]
    assert fives.sure
    assert fives.difference.low > 0

    await both.type("canary promote cn-1 --reason=anyway", user=RELMGR)
    await until(lambda: any("cannot be promoted" in text for text in both.whispers(RELMGR)))
    await both.slack.hands.click(RELMGR, both.cards()[-1], "Roll back…", channel=INCIDENTS)
    await until(lambda: bool(both.slack.views(RELMGR)))
    await both.slack.submit(RELMGR, both.slack.views(RELMGR)[-1]["id"], {"reason": {"reason": "a third is 503"}})
    card = await decided(both, "ROLLED BACK")
    assert "a third is 503" in card
    assert await exit_of(both, "canary status --candidate=candidate") == 1


async def test_weakness_24_a_candidate_that_does_not_answer_leaves_an_artifact(
    both: Stage, candidate: PracticeSendcat
) -> None:
    """From the terminal: no load is sent to anybody, the report says what is missing, nothing can be promoted."""
    await candidate.stop()
    assert both.bot is not None
    _, outcome = await carry_out(both.bot, LINE)

    assert outcome is not None
    assert outcome["exit_status"] == 3
    assert outcome["data"]["state"] == "BLOCKED"
    report = kept(both)
    assert report.honest is not None
    assert report.honest.verdict is Verdict.INCOMPLETE
    assert (report.passed, report.honest.rounds) == (False, ())
    assert {check.name: check.passed for check in report.checks}["control_probe_pass"] is True
    assert "candidate could not be looked at" in report.honest.blocked
    assert both.sendcat.counters.statuses["POST /api/whatsapp/webhook 200"] == 0
    assert judged_again(both)["verdict"] == "INCOMPLETE"
    # Started in a terminal, its card hangs in the release channel, where it is decided.
    await until(lambda: bool(both.cards(RELEASES)))
    card = text_of(both.cards(RELEASES)[-1])
    assert "INCOMPLETE" in card.splitlines()[0]
    assert "Roll back…" in card
    assert "Promote…" not in card


async def test_R13_stopped_in_the_middle_it_decides_nothing_and_is_kept(both: Stage) -> None:
    await both.type(LINE)
    await until(lambda: any("of 4, " in text_of(card) for card in both.cards()), 120)
    await both.slack.hands.click(VISITOR, both.cards()[-1], "Stop", channel=INCIDENTS)
    text = await both.final(within_s=60)

    assert "STOPPED, INCOMPLETE: canary of candidate" in text.splitlines()[0]
    report = kept(both)
    assert report.honest is not None
    assert report.honest.verdict is Verdict.INCOMPLETE
    assert report.artifacts.control_drill is not None
    assert len(report.honest.rounds) < 4
    assert both.bot is not None
    assert await both.bot.world.store.read(lambda conn: cases.recent(conn, "canary")) == ()
    assert judged_again(both)["verdict"] == "INCOMPLETE"


REFUSED = (
    ("canary --candidate=practice", "compared with itself"),
    ("canary --candidate=prod", "No target is called"),
    ("canary --profile=quick", "Which target is the candidate?"),
    ("canary --candidate-url=https://x.convex.site", "[target.candidate]"),
    ("canary --candidate-url=nowhere", "--candidate-url must be an address"),
    ("canary --candidate=candidate --profile=m1_1k", "no canary profile"),
    ("canary --candidate=candidate --profile=fast", "profile"),
    ("canary --candidate=candidate --max-5xx-regression-rate=2", "less than or equal to 1"),
    ("canary --candidate=candidate --max-p95-regression-ratio=nan", "max-p95-regression-ratio"),
    ("canary --candidate=candidate --policy=../mine.json", "not a file of the artifact directory"),
    ("canary --candidate=candidate --scenarios=whatsap_webhook", "whatsapp_webhook"),
    ("canary --candidate=candidate --release=../x", "NAME or NAME@COMMIT"),
)


async def test_what_cannot_be_compared_is_refused_before_anything_is_sent(both: Stage) -> None:
    for line, told in REFUSED:
        cards, whispers = len(both.cards()), len(both.whispers())
        ack = await both.type(line)

        def said(ack: Ack = ack, told: str = told, cards: int = cards, whispers: int = whispers) -> bool:
            new = [*map(text_of, both.cards()[cards:]), *both.whispers()[whispers:]]
            return told in json.dumps(ack.body) + "".join(new)

        await until(said, 20)
    assert sum(both.sendcat.counters.requests.values()) == 0
    assert not both.config.artifact_dir.exists() or not any(both.config.artifact_dir.glob("canary-*"))


async def test_the_runbooks_own_line_works_with_the_origins_of_registered_targets(both: Stage) -> None:
    """``npm run reliability:canary -- --control-url=...``; one origin under both flags is refused."""
    urls = [both.config.target[name].site_url for name in ("practice", "candidate")]
    assert both.bot is not None
    plan = both.bot.desk.catalog.plan(
        f"npm run reliability:canary -- --control-url={urls[0]} --candidate-url={urls[1]} --profile=quick", both.config
    )
    from bot.canary.flags import CanaryArgs, pair

    assert isinstance(plan.args, CanaryArgs)
    meant = pair(both.config, plan.args, both.config.target["practice"])
    assert (meant.control.name, meant.candidate.name) == ("practice", "candidate")

    await both.type(f"canary --control-url={urls[0]} --candidate-url={urls[0]}")
    await until(lambda: any("compared with itself" in text_of(card) for card in both.cards()))


@pytest.mark.prove
async def test_R18_a_candidate_so_bad_that_its_drill_is_aborted_fails_and_is_rolled_back(
    both: Stage, candidate: PracticeSendcat
) -> None:
    """An abort is evidence, not a stop: FAIL with an artifact, a case that can be rolled back, load on nobody any more."""
    candidate.behave("broken")
    await both.type(f"{LINE} --profile=standard --blocks=1")
    await until(lambda: bool(both.cards()) and "cn-1" in text_of(both.cards()[-1]), 200)
    card = text_of(both.cards()[-1])

    assert "FAIL: canary of candidate beside practice · promotion stays blocked" in card.splitlines()[0]
    assert "5xx in the last" in card
    report = kept(both)
    assert report.honest is not None
    assert [each.side for each in report.honest.rounds] == ["control", "candidate"]
    assert "ended early" in " ".join(report.honest.not_done)
    assert candidate.counters.requests["POST /api/whatsapp/webhook"] < 400
    assert judged_again(both)["verdict"] == "FAIL"
    assert (await state(both))[0] is State.BLOCKED
    await both.type("canary roll-back cn-1 --reason='all 503'", user=RELMGR)
    assert "all 503" in await decided(both, "ROLLED BACK")
