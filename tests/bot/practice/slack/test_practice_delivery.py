"""Commands, clicks, forms and events reach a real Bolt app, over the socket and as signed HTTP alike."""

from __future__ import annotations

import asyncio
from typing import Any

from bot.practice.slack import PracticeSlack
from tests.conftest import SLOW


async def test_a_command_becomes_a_card(slack: PracticeSlack, bolt: Any) -> None:
    """A typed command reaches the listener with Slack's fields, and its post stands in the channel."""
    ack = await slack.command("oncall", "#incidents", "/sendcat triage @lead #releases")
    card = await slack.wait_for(lambda: slack.messages("C0INC"))

    assert ack.ok
    assert ack.status == 200
    assert ack.elapsed_ms < 1000 * SLOW
    body = bolt.bodies("command")[0]
    assert body["user_id"] == "U0ONCALL"
    assert body["channel_name"] == "incidents"
    assert body["text"] == "triage <@U0LEAD|lead> <#C0REL|releases>"
    assert card[0]["blocks"][0]["text"]["text"] == "RUNNING"
    assert all(block["block_id"] for block in card[0]["blocks"])


async def test_a_click_edits_the_card(slack: PracticeSlack, bolt: Any) -> None:
    """A button pressed by another person carries the message, and the edit replaces the blocks."""
    await slack.command("oncall", "C0INC", "/sendcat triage")
    card = (await slack.wait_for(lambda: slack.messages("C0INC")))[0]

    ack = await slack.click("relmgr", card["ts"], "Stop", channel="C0INC")
    edited = await slack.wait_for(lambda: [m for m in slack.messages("C0INC") if m["edits"]])

    assert ack.ok
    body = bolt.bodies("action")[0]
    assert body["user"]["id"] == "U0RELMGR"
    assert body["actions"][0]["value"] == "r-1"
    assert body["message"]["ts"] == body["container"]["message_ts"] == card["ts"]
    assert edited[0]["text"] == "Stopped"
    assert slack.count("chat.postMessage") == slack.count("chat.update") == 1


async def test_the_text_of_an_ack_is_an_ephemeral(slack: PracticeSlack, bolt: Any) -> None:
    """Words in the ack are shown to the one who typed, and to nobody else."""
    ack = await slack.command("visitor", "C0INC", "/sendcat help")

    assert ack.text == "Type `/sendcat triage`."
    assert [note["text"] for note in slack.ephemerals("visitor")] == ["Type `/sendcat triage`."]
    assert slack.ephemerals("oncall") == []
    assert slack.messages("C0INC") == []


async def test_a_form_opens_complains_and_closes(slack: PracticeSlack, bolt: Any) -> None:
    """A modal is opened by trigger id; errors keep it open at the field, a good answer closes it."""
    await slack.command("relmgr", "C0REL", "/sendcat form")
    view = (await slack.wait_for(lambda: slack.views("relmgr")))[-1]

    empty = await slack.submit("relmgr", view["id"])
    short = await slack.submit("relmgr", view["id"], {"reason": "no"})
    errors = slack.views("relmgr")[-1]["errors"]
    good = await slack.submit("relmgr", view["id"], {"reason": {"text": {"value": "gmail slow because of backfill"}}})

    assert empty.error == "required_fields_missing"
    assert short.ok
    assert errors == {"reason": "Say why."}
    assert good.ok
    assert slack.views("relmgr") == []
    assert len(bolt.bodies("view")) == 2


async def test_a_mention_in_a_thread_is_an_event(slack: PracticeSlack, bolt: Any) -> None:
    """A mention carries the thread and the bot's id."""
    parent = await slack.say("oncall", "C0INC", "chat is slow")
    ack = await slack.mention("oncall", "C0INC", "triage", parent["ts"])
    await slack.wait_for(lambda: bolt.bodies("mention") or None)

    assert ack.ok
    event = bolt.bodies("mention")[0]["event"]
    assert event["text"] == f"<@{slack.bot_user_id}> triage"
    assert event["thread_ts"] == parent["ts"]


async def test_home_reactions_and_message_shortcuts_arrive(slack: PracticeSlack, bolt: Any) -> None:
    """Home is published to its person; an emoji and a message shortcut name their message."""
    message = await slack.say("oncall", "C0INC", "restarted the worker")

    await slack.open_home("lead")
    await slack.react("oncall", message, "pushpin")
    shortcut = await slack.shortcut("lead", "timeline.add", message)
    await slack.wait_for(lambda: slack.home("lead") and bolt.bodies("reaction"))

    assert shortcut.ok
    assert bolt.bodies("shortcut")[0]["message"]["text"] == "restarted the worker"
    assert bolt.bodies("reaction")[0]["event"]["item"]["ts"] == message["ts"]
    home = slack.home("lead")
    assert home is not None
    assert home["blocks"][0]["text"]["text"] == "Nothing waits for you."
    assert slack.home("oncall") is None


async def test_several_people_act_at_once(slack: PracticeSlack, bolt: Any) -> None:
    """Commands of several people at the same moment are all delivered, each once."""
    people = ["oncall", "relmgr", "lead", "visitor"]

    acks = await asyncio.gather(*(slack.command(who, "C0INC", "/sendcat triage") for who in people))
    await slack.wait_for(lambda: len(slack.messages("C0INC")) == 4)

    assert all(ack.ok for ack in acks)
    assert sorted(body["user_name"] for body in bolt.bodies("command")) == sorted(people)


async def test_a_late_ack_is_an_operation_timeout(slack: PracticeSlack, bolt: Any) -> None:
    """After the time for an ack the person is told, although the work goes on."""
    slack.ack_timeout_s = 0.1

    ack = await slack.command("oncall", "C0INC", "/sendcat sleep")

    assert ack.error == "operation_timeout"
    assert slack.ephemerals("oncall")[0]["text"] == '/sendcat failed with the error "operation_timeout"'
    assert slack.ephemerals("oncall")[0]["from_slack"]


async def test_nobody_connected_is_a_failed_dispatch(slack: PracticeSlack) -> None:
    """Without a socket and without a request URL Slack has nobody to deliver to."""
    ack = await slack.command("oncall", "C0INC", "/sendcat triage")

    assert ack.error == "dispatch_failed"
