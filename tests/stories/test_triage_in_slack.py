"""A whole incident as the people in the channel see it: one signed line in, one card out."""

from __future__ import annotations

import asyncio
import json

import pytest

from bot.card import Card, Tone
from bot.command import Actor, Ask, Door, Place
from bot.practice.sendcat import Script
from bot.run import put_card
from bot.store import audit, ops
from bot.store.tx import Tx
from tests.conftest import GUEST, INCIDENTS, ONCALL, RANDOM, RELMGR, SLOW, STRANGER, VISITOR, Stage, text_of, until


async def test_a_healthy_sendcat_passes(stage: Stage) -> None:
    """``PASS: healthy`` stands on the one card, with the three endpoints against the baseline."""
    ack = await stage.type("triage")

    card = await stage.in_time("triage")

    assert ack.status == 200
    assert ack.elapsed_ms < 500 * SLOW
    assert card.splitlines()[0] == "✅ PASS: healthy"
    for endpoint in ("/api/chat", "/api/gmail/push", "/api/whatsapp/webhook"):
        assert endpoint in card
    assert [text_of(each).splitlines()[0] for each in stage.cards()].count("✅ PASS: healthy") == 1


@pytest.mark.parametrize(
    ("letter", "variant", "cause"),
    [
        ("F", "caps", "saturation: tool queue"),
        ("B", "primary", "outbound provider"),
        ("A", "abusive", "inbound pressure: rate limit"),
        ("C", "sustained", "saturation: bulkhead"),
    ],
)
async def test_a_fault_is_named_with_its_playbook_and_shown_on_one_card(
    stage: Stage, letter: str, variant: str, cause: str
) -> None:
    """The first suggestion stands on a line of its own; the card is edited in place and its details are in the thread."""
    stage.sendcat.inject(letter, variant=variant)

    await stage.type("triage")
    card = await stage.final()

    assert f"playbook {letter}" in card.splitlines()
    assert cause in card or "several" in card.splitlines()[0]
    assert card.startswith(("🔴 FAIL", "❔"))
    assert len(stage.cards()) == 1
    ts = stage.cards()[0]["ts"]
    await until(lambda: len(stage.slack.thread(INCIDENTS, ts)) >= 3)


async def test_a_button_is_a_command_line(stage: Stage) -> None:
    """The primary button opens the playbook, live, on a card of its own."""
    stage.sendcat.inject("F", variant="caps")
    await stage.type("triage")
    await stage.final()

    await stage.slack.hands.click(ONCALL, stage.cards()[-1], "Open playbook F", channel=INCIDENTS)
    await until(lambda: "Playbook F FIRED" in text_of(stage.cards()[-1]))

    assert "TOOL_JOB_RUNMAX_WEB" in text_of(stage.cards()[-1])


async def test_R13_anyone_in_the_channel_stops_a_triage_by_button(stage: Stage) -> None:
    """A visitor presses Stop: the run ends as STOPPED and decides nothing."""
    await stage.type("triage")
    await stage.begun()

    await stage.slack.hands.click(VISITOR, stage.cards()[-1], "Stop", channel=INCIDENTS)
    card = await stage.final()

    assert card.splitlines()[0].endswith("STOPPED: triage decides nothing")
    assert "Not done" in card


async def test_R19_a_typed_stop_blocks_new_drills_until_a_responder_releases_them(stage: Stage) -> None:
    """Everybody may stop; a visitor may not release."""
    await stage.type("stop", user=VISITOR)
    refused = await stage.type("triage")
    await stage.type("stop --release=true", user=VISITOR)
    still = await stage.type("triage")
    await stage.type("stop --release=true")
    taken = await stage.type("triage")

    assert "R19" in (refused.text or "") + json.dumps(refused.body)
    assert "R19" in json.dumps(still.body)
    assert "R19" not in json.dumps(taken.body)
    await stage.begun()


@pytest.mark.parametrize(
    ("user", "channel", "rule"),
    [
        (VISITOR, INCIDENTS, "needs"),
        (GUEST, INCIDENTS, "R8"),
        (STRANGER, INCIDENTS, "R8"),
        (ONCALL, "C0REL", ""),
    ],
)
async def test_R7_R8_who_may_triage_where(stage: Stage, user: str, channel: str, rule: str) -> None:
    """Deny by default, in an ephemeral answer that names the rule; listed channels only."""
    ack = await stage.type("triage", user=user, channel=channel)

    said = json.dumps(ack.body)
    if rule:
        assert rule in said
        assert stage.cards(channel) == []
    else:
        await stage.begun(channel)


async def test_R8_an_unlisted_channel_is_refused(stage: Stage) -> None:
    ack = await stage.type("triage", user=RELMGR, channel=RANDOM)

    assert "not listed" in json.dumps(ack.body)


async def test_a_second_triage_in_the_channel_is_answered_with_the_first(stage: Stage) -> None:
    await stage.type("triage")
    again = await stage.type("triage", user=RELMGR)
    await stage.begun()

    assert "Already running" in json.dumps(again.body)
    assert len(stage.cards()) == 1


async def test_R3_three_deliveries_of_one_command_start_one_run(stage: Stage) -> None:
    """Delivered three times, also at once: one card, one operation, one intent on the record."""
    stage.slack.faults.duplicates = 2
    await stage.type("triage")
    await stage.begun()

    assert stage.bot is not None
    store = stage.bot.world.store
    assert len(await store.read(lambda conn: ops.recent(conn, 10))) == 1
    intents = [r for r in await store.read(lambda conn: audit.rows(conn, 0, 100)) if '"phase":"intent"' in r.body]
    assert len(intents) == 1
    assert len(stage.cards()) == 1


async def test_an_unknown_command_names_the_nearest(stage: Stage) -> None:
    ack = await stage.type("triag")

    assert "/sendcat triage" in json.dumps(ack.body)


async def test_an_unknown_flag_names_the_nearest(stage: Stage) -> None:
    ack = await stage.type("drill --quik=true")

    assert "--quick" in json.dumps(ack.body)


async def test_R36_a_secret_typed_as_a_flag_is_refused_and_stored_nowhere(stage: Stage) -> None:
    """The value stands neither in the answer, nor in the database, nor in a message."""
    ack = await stage.type("drill --quick=true --gmail-token=PLANTED-SECRET-77")

    assert "R36" in json.dumps(ack.body)
    assert "PLANTED-SECRET-77" not in json.dumps(ack.body)
    for file in stage.config.state_dir.iterdir():
        if file.is_file():
            assert b"PLANTED-SECRET-77" not in file.read_bytes()


async def test_sendcat_with_a_wrong_key_is_incomplete_and_names_the_lines_to_run_by_hand(stage: Stage) -> None:
    stage.sendcat.switches.refuse_key = True

    await stage.type("triage")
    card = await stage.final()

    assert card.startswith("❔ INCOMPLETE")
    assert "npm run reliability:snapshot" in card
    assert "key" in card


async def test_a_paused_deployment_is_incomplete(stage: Stage) -> None:
    stage.sendcat.switches.paused = True

    await stage.type("triage")
    card = await stage.final()

    assert card.startswith("❔ INCOMPLETE")
    assert "paused" in card


async def test_half_an_answer_is_never_green(stage: Stage) -> None:
    stage.sendcat.switches.half_answer = True

    await stage.type("triage")

    assert (await stage.final(within_s=60)).startswith("❔ INCOMPLETE")


async def test_endpoints_that_do_not_answer_are_not_drilled(stage: Stage) -> None:
    """Nothing answers on the site host: the drill is not run, and the card says so."""
    stage.sendcat.switches.scripts.append(Script(path="*", times=None, drop=True))

    await stage.type("triage")
    card = await stage.final(within_s=60)

    assert card.startswith("❔ INCOMPLETE: not run: snapshot (ops:getReliabilitySnapshot on practice: not reachable)")
    assert "quick drill (no endpoint answered the probe)" in card.splitlines()[0]


async def test_R33_slack_down_in_the_middle_the_run_goes_on_and_the_card_comes_later_once(stage: Stage) -> None:
    await stage.type("triage")
    await until(lambda: len(stage.cards()) == 1)
    await stage.slack.set_down(True)
    assert stage.bot is not None
    await stage.bot.worker.idle()
    await stage.slack.set_down(False)

    card = await stage.final(within_s=45)

    assert "/api/chat" in card
    assert len(stage.cards()) == 1


async def test_the_answer_is_the_same_after_a_restart(stage: Stage) -> None:
    """What was decided before a restart stands after it; old buttons still mean their line."""
    stage.sendcat.inject("F", variant="caps")
    await stage.type("triage")
    before = await stage.final()
    await stage.restart()

    await stage.slack.hands.click(ONCALL, stage.cards()[-1], "Open playbook F", channel=INCIDENTS)
    await until(lambda: "Playbook F FIRED" in text_of(stage.cards()[-1]))

    assert text_of(stage.cards()[0]) == before


async def test_R2_a_replayed_request_has_no_effect_after_a_restart(stage: Stage) -> None:
    """The same signed bytes again, to a bot that was started anew."""
    await stage.type("triage")
    await stage.begun()
    assert stage.bot is not None
    first = len(await stage.bot.world.store.read(lambda conn: ops.recent(conn, 10)))
    delivery = stage.slack.delivery.http
    assert delivery is not None
    body, headers = delivery.requests[-1]
    await stage.restart()

    again = stage.slack.delivery.http
    assert again is not None
    ack = await again.send(body, headers, timeout_s=3.0)
    await asyncio.sleep(0.2)

    assert stage.bot is not None
    assert len(await stage.bot.world.store.read(lambda conn: ops.recent(conn, 10))) == first
    assert ack.status == 200
    assert "Already taken" in json.dumps(ack.body)
    assert len(stage.cards()) == 1


async def test_a_long_run_that_broke_off_mentions_its_starter_once_in_the_thread(stage: Stage) -> None:
    """Edits notify nobody (ux.md, rule 9): whoever started an hour of load hears that it ended, and how to go on."""
    assert stage.bot is not None
    by = Actor(door=Door.SLACK, account=f"slack:{ONCALL}")
    ask = Ask(line="drill --profile=soak", by=by, place=Place(kind="channel", channel=INCIDENTS), key="soak")

    def running(tx: Tx) -> str:
        op = ops.new(tx, ask, "drill", ask.line, "practice")
        put_card(tx, op, Card(title="Drill RUNNING", tone=Tone.RUNNING, context=f"run {op.id}"))
        started = ops.start(tx, op.id).id
        tx.db.execute("UPDATE ops SET started_ms = started_ms - 3600000 WHERE id = ?", (started,))
        return started

    run = await stage.bot.world.store.write(running)
    await until(lambda: len(stage.cards()) == 1)
    await stage.restart()
    await until(lambda: "INTERRUPTED: drill" in text_of(stage.cards()[0]))

    def thread() -> list[str]:
        ts = stage.cards()[0]["ts"]
        return [text_of(m) for m in stage.slack.thread(INCIDENTS, ts) if m["ts"] != ts]

    await until(lambda: bool(thread()))
    [told] = thread()
    assert f"run {run} has ended" in told
    assert "oncall" in told
    assert "run it again: /sendcat drill --profile=soak" in text_of(stage.cards()[0])
    assert "Run again" in text_of(stage.cards()[0])
