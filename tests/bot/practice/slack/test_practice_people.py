"""People are held back where Slack holds them back, and the app hears only what its manifest asks for."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from practice_bolt import BUTTON, MANIFEST, Bolt, card, section
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack import PracticeSlack


async def test_people_act_only_where_they_are_members(slack: PracticeSlack, http_bolt: Bolt) -> None:
    """A guest outside #incidents, a deactivated person, an archived channel: nothing is delivered."""
    assert (await slack.command("guest", "C0REL", "/sendcat help")).error == "not_in_channel"
    slack.workspace.person("visitor").deleted = True
    assert (await slack.command("visitor", "C0INC", "/sendcat help")).error == "account_inactive"
    await slack.archive("C0OPS")
    assert (await slack.command("oncall", "C0OPS", "/sendcat help")).error == "is_archived"
    assert http_bolt.heard == []


async def test_guests_and_strangers_are_delivered_as_what_they_are(slack: PracticeSlack, http_bolt: Bolt) -> None:
    """R8: refusing them is the bot's work; the payload carries the stranger's own team."""
    await slack.command("guest", "C0INC", "/sendcat help")
    await slack.command("stranger", "C0INC", "/sendcat help")

    guest, stranger = http_bolt.bodies("command")
    assert guest["team_id"] == slack.team_id
    assert stranger["team_id"] != slack.team_id
    assert stranger["user_id"] == "U0STRANGER"


async def test_a_command_outside_the_manifest_is_not_valid(slack: PracticeSlack, http_bolt: Bolt) -> None:
    """Slack itself answers, and slash commands do not work in threads."""
    unknown = await slack.command("oncall", "C0INC", "/deploy now")
    thread = await slack.command("oncall", "C0INC", "/sendcat help", thread_ts="1.000001")

    assert unknown.error == "invalid_command"
    assert thread.error == "not_supported_in_threads"
    assert all(note["from_slack"] for note in slack.ephemerals("oncall"))
    assert http_bolt.heard == []


async def test_outside_text_is_escaped(slack: PracticeSlack, http_bolt: Bolt) -> None:
    """R5: links, markup and crowds arrive as Slack writes them."""
    text = "note <b> & https://x.example/a?b=1&c=2 @release-managers @here @nobody"
    await slack.command("oncall", "C0INC", f"/sendcat help {text}")

    assert http_bolt.bodies("command")[0]["text"] == (
        "help note &lt;b&gt; &amp; <https://x.example/a?b=1&amp;c=2> "
        "<!subteam^S0RELMGR|@release-managers> <!here> @nobody"
    )


async def test_a_stale_client_clicks_what_it_still_shows(
    slack: PracticeSlack, web: AsyncWebClient, http_bolt: Bolt
) -> None:
    """A message seen before an edit keeps its buttons for the one who has not redrawn."""
    ts = (await web.chat_postMessage(channel="C0INC", text="card", blocks=card("old")))["ts"]
    seen = slack.messages("C0INC")[0]
    await web.chat_update(channel="C0INC", ts=ts, text="done", blocks=[section("done")])

    with pytest.raises(LookupError, match="nothing to press"):
        await slack.click("oncall", ts, "Stop")
    assert (await slack.click("oncall", seen, "Stop")).ok
    assert http_bolt.bodies("action")[0]["message"]["blocks"][0]["text"]["text"] == "old"


async def test_a_click_on_an_ephemeral_carries_no_message(
    slack: PracticeSlack, web: AsyncWebClient, http_bolt: Bolt
) -> None:
    """Only the place is known, and another person cannot press it."""
    await web.chat_postEphemeral(channel="C0INC", user="U0ONCALL", text="denied", blocks=card("denied"))
    note = slack.ephemerals("oncall")[0]
    slack.ack_timeout_s = 0.1
    await slack.click("oncall", note, "Stop")

    body = http_bolt.bodies("action")[0]
    assert body["container"]["is_ephemeral"] is True
    assert "message" not in body
    with pytest.raises(LookupError):
        await slack.click("lead", note["ts"], "Stop")


async def test_a_menu_sends_its_option(slack: PracticeSlack, web: AsyncWebClient, http_bolt: Bolt) -> None:
    """Static selects and overflow menus carry ``selected_option``; a select also stands in ``state``."""
    options = [{"text": {"type": "plain_text", "text": word}, "value": word.lower()} for word in ("Quick", "Standard")]
    blocks: list[dict[str, Any]] = [
        {
            "type": "actions",
            "block_id": "more",
            "elements": [
                {"type": "static_select", "action_id": "profile", "options": options},
                {"type": "overflow", "action_id": "menu", "options": options},
                BUTTON,
            ],
        }
    ]
    await web.chat_postMessage(channel="C0INC", text="x", blocks=blocks)
    message = slack.messages("C0INC")[0]
    sent = slack.delivery.sent

    await slack.select_option("oncall", message, "profile", "Standard")
    await slack.select_option("oncall", message, "menu", "quick")

    profile, menu = (payload for _, payload in list(sent)[-2:])
    assert profile["actions"][0]["selected_option"]["value"] == "standard"
    assert profile["state"]["values"]["more"]["profile"]["selected_option"]["value"] == "standard"
    assert menu["actions"][0]["selected_option"]["value"] == "quick"


async def test_a_changed_group_is_an_event(slack: PracticeSlack, http_bolt: Bolt) -> None:
    """``subteam_members_changed`` names who came and who went."""
    await slack.change_group("S0RELMGR", ["lead"])

    _, payload = slack.delivery.sent[-1]
    assert payload["event"]["added_users"] == ["U0LEAD"]
    assert payload["event"]["removed_users"] == ["U0RELMGR"]


@pytest.fixture
async def deaf() -> AsyncIterator[PracticeSlack]:
    """An app whose manifest forgot interactivity, its events and a scope."""
    manifest = copy.deepcopy(MANIFEST)
    manifest["settings"]["interactivity"]["is_enabled"] = False
    manifest["settings"]["event_subscriptions"]["bot_events"] = ["reaction_added"]
    manifest["oauth_config"]["scopes"]["bot_optional"] = []
    async with PracticeSlack(manifest=manifest) as slack:
        yield slack


async def test_what_the_manifest_forgot_never_arrives(deaf: PracticeSlack) -> None:
    """No interactivity: no clicks. No subscription or no scope: no events."""
    message = await deaf.say("oncall", "C0INC", "hello")

    assert (await deaf.shortcut("oncall", "triage.start")).error == "not_interactive"
    assert (await deaf.mention("oncall", "C0INC", "triage")).error == "not_subscribed"
    assert (await deaf.react("oncall", message, "eyes")).error == "not_subscribed"
    assert (await deaf.open_home("oncall")).error == "not_subscribed"
    assert (await deaf.shortcut("oncall", "no.such")).error == "unknown_shortcut"


async def test_a_mention_where_the_bot_is_not(slack: PracticeSlack, http_bolt: Bolt) -> None:
    """Slack tells the writer, and the app hears nothing."""
    ack = await slack.mention("oncall", "C0RAND", "triage")

    assert ack.error == "bot_not_in_channel"
    assert "not in this channel" in slack.ephemerals("oncall")[0]["text"]
    assert http_bolt.heard == []


async def test_blocks_that_slack_cannot_read_fail_the_command(slack: PracticeSlack) -> None:
    """An ack with bad blocks is ``invalid_command_response`` for the person."""

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"text": "x", "blocks": [{"type": "nonsense"}]}'})

    slack.deliver_http(app=answering)
    ack = await slack.command("oncall", "C0INC", "/sendcat help")

    assert ack.error == "invalid_command_response"
    assert slack.ephemerals("oncall")[0]["from_slack"]
