"""A release gate as a release manager sees it: measured, judged, decided by one other person, on the record."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat, Script
from bot.store import audit, cases
from bot.store.case import State
from bot.target import Ceilings
from tests.conftest import INCIDENTS, LEAD, ONCALL, RELMGR, VISITOR, Stage, carry_out, text_of, ticked, until

RELEASE = "2026.11.23-2"


async def waiting(stage: Stage, line: str = f"gate --release={RELEASE}@4c1e9ab") -> str:
    """Run a gate as the on-call person, and wait for its card."""
    await stage.type(line)
    await until(lambda: bool(stage.cards()) and "g-1" in text_of(stage.cards()[-1]), 40)
    return text_of(stage.cards()[-1])


async def press(stage: Stage, label: str, user: str) -> Any:
    return await stage.slack.hands.click(user, stage.cards()[-1], label, channel=INCIDENTS)


async def state(stage: Stage, case: str = "g-1") -> tuple[State, int]:
    assert stage.bot is not None
    found = await stage.bot.world.store.read(lambda conn: cases.look(conn, case))
    assert found is not None
    return found.standing(stage.bot.world.clock.now_ms()), len(found.decisions)


async def approve(stage: Stage, user: str = RELMGR, reason: str = "evidence read") -> None:
    """Press Approve, and fill the form when one is asked."""
    await press(stage, "Approve…", user)
    await until(lambda: bool(stage.slack.views(user)) or "APPROVED" in text_of(stage.cards()[-1]))
    if views := stage.slack.views(user):
        await stage.slack.submit(user, views[-1]["id"], {"reason": {"reason": reason}, **ticked(views[-1])})


async def test_what_is_to_be_read_is_ticked_before_a_yes_and_stands_on_the_record(stage: Stage) -> None:
    """A form without its boxes ticked is not taken, nor a line that leaves one out; the record names what was read."""
    card = await waiting(stage, f"gate --release={RELEASE} --minutes=5")
    warning = "the snapshots look back 5 minutes"
    assert f"⚠️ *To read:* {warning}" in card

    await press(stage, "Approve…", RELMGR)
    await until(lambda: bool(stage.slack.views(RELMGR)))
    view = stage.slack.views(RELMGR)[-1]
    unread = await stage.slack.submit(RELMGR, view["id"], {"reason": {"reason": "read elsewhere"}})
    assert unread.status != 200 or "errors" in json.dumps(unread.body)
    await stage.type("gate approve g-1 --read=2 --reason=mine", user=RELMGR)
    await until(lambda: any("not ticked as read" in text for text in stage.whispers(RELMGR)))
    assert await state(stage) == (State.WAITING, 0)

    view = stage.slack.views(RELMGR)[-1]
    await stage.slack.submit(RELMGR, view["id"], {"reason": {"reason": "backfill"}, **ticked(view)})
    await until(lambda: "APPROVED" in text_of(stage.cards()[-1]).splitlines()[0], 10)
    assert stage.bot is not None
    rows = await stage.bot.world.store.read(lambda conn: audit.rows(conn))
    [decided] = [body for row in rows if (body := json.loads(row.body))["phase"] == "decision"]
    assert [line.startswith(warning) for line in decided["detail"]["read"]] == [True]


async def test_a_healthy_release_is_approved_by_another_person(stage: Stage) -> None:
    """Card with checks, limits and the last release; one click of a release manager; decision and trail agree."""
    card = await waiting(stage)
    assert "PASS: release gate 2026.11.23-2 · waiting for approval" in card.splitlines()[0]
    assert "chat p95" in card
    assert "4c1e9ab" in card

    await approve(stage)
    await until(lambda: "APPROVED" in text_of(stage.cards()[-1]).splitlines()[0], 10)
    card = text_of(stage.cards()[-1])

    assert "decision d-1" in card
    assert "Revoke" in card
    assert await state(stage) == (State.APPROVED, 1)
    assert stage.bot is not None
    rows = await stage.bot.world.store.read(lambda conn: audit.rows(conn))
    decided = [json.loads(row.body) for row in rows if json.loads(row.body)["phase"] == "decision"]
    assert [record["actor"] for record in decided] == [f"slack:{RELMGR}"]
    assert len(stage.cards()) == 1


async def test_R10_the_starter_and_who_has_no_right_do_not_decide(stage: Stage) -> None:
    """A release manager who started it, a manager, a visitor: refused with the rule; the gate still waits."""
    await stage.type(f"gate --release={RELEASE}", user=RELMGR)
    await until(lambda: bool(stage.cards()) and "g-1" in text_of(stage.cards()[-1]), 40)

    for user, word in ((RELMGR, "R10"), (VISITOR, "needs"), (ONCALL, "needs")):
        ack = await stage.type("gate approve g-1 --reason=mine", user=user)
        await until(lambda user=user, word=word, ack=ack: word in json.dumps(ack.body) + "".join(stage.whispers(user)))

    assert await state(stage) == (State.WAITING, 0)


async def test_R3_two_people_press_at_once_three_deliveries_each_across_a_restart_one_decision(stage: Stage) -> None:
    """Approve and Reject are sent at the same moment, each delivered twice at once, and once more after a restart."""
    await waiting(stage)
    seen = stage.cards()[-1]
    await stage.slack.hands.click(LEAD, seen, "Reject…", channel=INCIDENTS)
    await until(lambda: bool(stage.slack.views(LEAD)))
    no = stage.slack.views(LEAD)[-1]["id"]
    delivered = len(stage.slack.delivery.sent)
    for _ in range(2):
        stage.slack.faults.duplicate(2, concurrent=True)

    acks = await asyncio.gather(
        stage.slack.hands.click(RELMGR, seen, "Approve…", channel=INCIDENTS),
        stage.slack.submit(LEAD, no, {"reason": {"reason": "not today"}}),
    )
    await until(lambda: any(word in text_of(stage.cards()[-1]) for word in ("APPROVED", "REJECTED")))
    await stage.restart()
    for kind, payload in list(stage.slack.delivery.sent)[delivered:]:
        assert (await stage.slack.delivery.deliver(kind, payload)).ok
    await stage.slack.hands.click(RELMGR, seen, "Approve…", channel=INCIDENTS)
    await until(lambda: any("already" in text for text in stage.whispers(RELMGR)))

    assert [ack.ok for ack in acks] == [True, True]
    standing, decisions = await state(stage)
    assert decisions == 1
    assert stage.bot is not None
    rows = await stage.bot.world.store.read(lambda conn: audit.rows(conn))
    decided = [record for row in rows if (record := json.loads(row.body))["phase"] == "decision"]
    assert len(decided) == 1
    winner = {State.APPROVED: RELMGR, State.REJECTED: LEAD}[standing]
    assert decided[0]["actor"] == f"slack:{winner}"
    assert text_of(stage.cards()[-1]).count(f"{standing.value} by") == 1
    told = [text_of(m) for m in stage.slack.thread(INCIDENTS, seen["ts"])[1:] if "decision d-" in text_of(m)]
    assert len(told) == 1, "one line in the thread as well"


async def test_R10_a_changed_knob_voids_the_card(stage: Stage) -> None:
    """Between judgement and approval a knob was changed: the approval is refused and says run again."""
    await waiting(stage)
    assert stage.bot is not None
    await stage.bot.world.convex(stage.config.target["practice"]).set_environment({"TOOL_JOB_RUNMAX_WEB": "3"})

    await stage.type("gate approve g-1 --reason=go", user=RELMGR)
    await until(lambda: "VOID" in text_of(stage.cards()[-1]).splitlines()[0], 10)

    assert "configuration changed" in text_of(stage.cards()[-1])
    assert (await state(stage))[0] is State.VOID


async def test_FAIL_blocks_and_leads_to_the_playbook(stage: Stage) -> None:
    """An open circuit: no Approve button, the playbook and the owners, and a typed approval is refused."""
    stage.sendcat.inject("B", variant="primary")
    card = await waiting(stage)

    assert "FAIL" in card.splitlines()[0]
    assert "deploy stays blocked" in card.splitlines()[0]
    assert "Approve" not in card
    assert "Owners of what is red" in card
    await stage.type("gate approve g-1 --reason=anyway", user=RELMGR)
    await until(lambda: any("cannot be approved" in text for text in stage.whispers(RELMGR)))
    assert (await state(stage))[0] is State.BLOCKED


async def test_FAIL_of_an_endpoint_leads_to_the_playbook_whose_signal_fires(bot: Bot, sendcat: PracticeSendcat) -> None:
    """The quota is used up: chats fail, no circuit opens, every snapshot check is green; the card names B all the same,
    what is red and whom to ask, and offers to run again."""
    sendcat.inject("B", variant="quota")
    _, outcome = await carry_out(bot, f"gate --release={RELEASE}")

    assert outcome is not None
    assert outcome["verdict"] == "FAIL"
    card = json.dumps(outcome["card"], ensure_ascii=False)
    for word in ("deploy stays blocked", "Open playbook B", "mitigate by playbook B", "Run again", "chat-runtime"):
        assert word in card


async def test_R42_what_was_not_run_is_waived_by_name_or_not_at_all(stage: Stage) -> None:
    """Without the chat scenario the gate is INCOMPLETE; a release manager waives it with a reason, then approves."""
    card = await waiting(stage, f"gate --release={RELEASE} --scenarios=gmail_push_webhook,whatsapp_webhook")
    assert "INCOMPLETE" in card.splitlines()[0]

    await stage.type("gate approve g-1 --reason=go", user=RELMGR)
    await until(lambda: any("not waived" in text for text in stage.whispers(RELMGR)))
    await stage.type("gate waive g-1 --scenario=chat_stream_http --reason='tested by hand'", user=RELMGR)
    await until(lambda: "chat_stream_http WAIVED" in text_of(stage.cards()[-1]), 10)
    await stage.type("gate approve g-1 --reason=go", user=RELMGR)
    await until(lambda: "APPROVED" in text_of(stage.cards()[-1]).splitlines()[0], 10)


async def test_the_pipeline_goes_green_only_for_a_valid_approval(stage: Stage, tmp_path: Path) -> None:
    """gate status: 1 without a gate, 5 while it waits, 0 with a passport once approved, 1 after a revocation."""
    assert stage.bot is not None
    line = f"gate status --release={RELEASE}"
    assert (await _exit(stage, line))[0] == 1
    await waiting(stage)
    assert (await _exit(stage, line))[0] == 5
    await stage.type("gate approve g-1 --reason=go", user=RELMGR)
    await until(lambda: "APPROVED" in text_of(stage.cards()[-1]).splitlines()[0], 10)

    status, data = await _exit(stage, line)
    assert status == 0
    other, _ = await _exit(stage, f"{line}@deadbee")
    name = f"release-passport-{RELEASE}.json"
    valid, said = await _exit(stage, f"gate verify-passport {name}")
    altered = tmp_path / "altered.json"
    held = json.loads((stage.config.artifact_dir / name).read_text())
    held["passport"]["release"] = "2026.11.24-1"
    altered.write_text(json.dumps(held))
    forged, _ = await _exit(stage, f"gate verify-passport {altered}")
    await stage.type("gate revoke g-1 --reason='regression'", user=LEAD)
    await until(lambda: "REVOKED" in text_of(stage.cards()[-1]).splitlines()[0], 10)

    assert data["fingerprint"] == said["fingerprint"]
    assert (other, valid, forged) == (1, 0, 1)
    assert (await _exit(stage, line))[0] == 1


async def _exit(stage: Stage, line: str) -> tuple[int, dict[str, Any]]:
    assert stage.bot is not None
    reply, _ = await carry_out(stage.bot, line)
    assert reply.op is not None
    from bot.store import ops

    op = await stage.bot.world.store.read(lambda conn: ops.get(conn, reply.op or ""))
    assert op is not None
    return op.exit_status or 0, op.data or {}


async def test_an_unreachable_deployment_decides_nothing(stage: Stage) -> None:
    """Convex is silent before any load: INCOMPLETE, nothing to approve, no drill was sent."""
    stage.sendcat.script(Script("ops:getReliabilitySnapshot", times=None, drop=True))

    await stage.type(f"gate --release={RELEASE}")
    card = await stage.final(within_s=60)

    assert "INCOMPLETE" in card.splitlines()[0]
    assert "Approve" not in card


@pytest.mark.parametrize(
    "line",
    [
        "gate --release=../x",
        "gate --risk=high --profile=quick",
        "gate --minutes=0",
        "gate --profile=fast",
        "gate --profile=m1_1k",
        "gate --scenarios=gmail",
    ],
)
async def test_a_gate_that_cannot_be_is_refused_at_once(stage: Stage, line: str) -> None:
    ack = await stage.type(line)

    assert "gate" in json.dumps(ack.body)
    assert stage.cards() == []


async def test_R16_a_drill_that_may_not_be_is_said_before_anything_is_sent(stage: Stage) -> None:
    """A gate whose drill is above a ceiling of its target: refused by the ceiling's name, no probe, no load."""
    assert stage.bot is not None
    target = stage.bot.world.config.target["practice"]
    stage.bot.world.config.target["practice"] = target.model_copy(update={"ceilings": Ceilings(requests=10)})

    await stage.type(f"gate --release={RELEASE}")
    card = await stage.final()

    assert "ceiling" in card
    assert "63 requests" in card
    assert sum(stage.sendcat.counters.requests.values()) == 0


async def test_typed_alone_it_asks_by_a_form_and_shows_the_line(stage: Stage) -> None:
    """The form completes the same line; a wrong release is marked at its question."""
    await stage.type("gate")
    await until(lambda: bool(stage.slack.views(ONCALL)))
    view = stage.slack.views(ONCALL)[-1]
    assert "/sendcat gate --release=" in json.dumps(view)

    wrong = await stage.slack.submit(ONCALL, view["id"], {"release": {"release": "../x"}, "risk": {"risk": "normal"}})
    assert "release" in json.dumps(wrong.body)
    await stage.slack.submit(ONCALL, view["id"], {"release": {"release": RELEASE}, "risk": {"risk": "normal"}})
    await until(lambda: bool(stage.cards()) and "g-1" in text_of(stage.cards()[-1]), 40)
