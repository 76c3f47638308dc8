"""The Web API refuses in Slack's words what Slack refuses."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from practice_bolt import MANIFEST, card, section
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack import Channel, PracticeSlack


async def refusal(call: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        await call
    return dict(caught.value.response.data)


@pytest.fixture
async def bare(session: aiohttp.ClientSession) -> AsyncIterator[tuple[PracticeSlack, AsyncWebClient]]:
    """A workspace where the app was given one scope only."""
    manifest = copy.deepcopy(MANIFEST)
    manifest["oauth_config"]["scopes"] = {"bot": ["commands"]}
    async with PracticeSlack(manifest=manifest) as slack:
        yield slack, AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=session)


async def test_auth_test_names_the_app_and_its_scopes(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """The bot learns who and where it is; the granted scopes stand in a header."""
    answer = await web.auth_test()

    assert answer["user_id"] == slack.bot_user_id
    assert answer["team_id"] == slack.team_id
    assert "chat:write" in answer.headers["X-OAuth-Scopes"].split(",")


async def test_tokens_are_told_apart(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """No token, a wrong one, one of the other kind, a revoked one: each has its word."""
    assert (await refusal(web.auth_test(token="xoxb-made-up")))["error"] == "invalid_auth"
    assert (await refusal(web.apps_connections_open(app_token=slack.bot_token)))["error"] == "not_allowed_token_type"
    posted = web.chat_postMessage(channel="C0INC", text="x", token=slack.app_token)
    assert (await refusal(posted))["error"] == "not_allowed_token_type"
    slack.faults.revoked = True
    assert (await refusal(web.auth_test()))["error"] == "token_revoked"
    anonymous = AsyncWebClient(base_url=slack.api_url)
    assert (await refusal(anonymous.auth_test()))["error"] == "not_authed"


@pytest.mark.parametrize(
    ("method", "args", "needed"),
    [
        ("chat.postMessage", {"channel": "C0INC", "text": "x"}, "chat:write"),
        ("pins.add", {"channel": "C0INC", "timestamp": "1.2"}, "pins:write"),
        ("usergroups.users.list", {"usergroup": "S0ONCALL"}, "usergroups:read"),
        ("conversations.info", {"channel": "C0INC"}, "channels:read"),
        ("conversations.setTopic", {"channel": "C0INC", "topic": "x"}, "channels:write.topic,channels:manage"),
        ("conversations.list", {"types": "private_channel"}, "groups:read"),
        ("files.getUploadURLExternal", {"filename": "a", "length": 1}, "files:write"),
    ],
)
async def test_a_forgotten_scope_is_refused(
    bare: tuple[PracticeSlack, AsyncWebClient], method: str, args: dict[str, Any], needed: str
) -> None:
    """Every method asks for its scope, and says which one it misses."""
    data = await refusal(bare[1].api_call(method, params=args))

    assert data["error"] == "missing_scope"
    assert data["needed"].startswith(needed)
    assert data["provided"] == "commands"


async def test_the_bot_posts_only_where_it_is_a_member(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """Outside its channels, in a private one, in an archived one, in an unknown one."""
    slack.workspace.add_channel(Channel("C0SECRET", "secret", kind="private", members={"U0LEAD"}))
    await slack.archive("C0OPS")

    for channel, word in [
        ("C0RAND", "not_in_channel"),
        ("C0SECRET", "channel_not_found"),
        ("C0OPS", "is_archived"),
        ("C0NONE", "channel_not_found"),
        ("#incidents", "channel_not_found"),
    ]:
        assert (await refusal(web.chat_postMessage(channel=channel, text="x")))["error"] == word


async def test_an_invited_bot_may_post(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """``/invite @sendcat`` makes the bot a member."""
    ack = await slack.command("oncall", "#random", "/invite @sendcat")
    await web.chat_postMessage(channel="C0RAND", text="here")

    assert ack.ok
    assert slack.messages("random")[0]["text"] == "here"


async def test_a_person_id_opens_the_direct_conversation(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """Posting to ``U...`` goes to that person's conversation with the bot."""
    answer = await web.chat_postMessage(channel="U0LEAD", text="only you")

    assert answer["channel"] == "D0LEAD"
    assert slack.messages("D0LEAD")[0]["text"] == "only you"


async def test_edits_are_for_the_author_and_keep_the_limits(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """A person's message cannot be edited; a missing one, a long one, an empty one neither."""
    person = await slack.say("oncall", "C0INC", "mine")
    own = await web.chat_postMessage(channel="C0INC", text="one", blocks=card("one"))
    ts = own["ts"]

    wrong = web.chat_update(channel="C0INC", ts=person["ts"], text="x")
    assert (await refusal(wrong))["error"] == "cant_update_message"
    missing = web.chat_update(channel="C0INC", ts="1.000001", text="x")
    assert (await refusal(missing))["error"] == "message_not_found"
    assert (await refusal(web.chat_update(channel="C0INC", ts=ts, text="x" * 4001)))["error"] == "msg_too_long"
    assert (await refusal(web.chat_update(channel="C0INC", ts=ts)))["error"] == "no_text"
    await web.chat_update(channel="C0INC", ts=ts, text="two", blocks=card("two"))
    assert "edited" not in (slack.message("C0INC", ts) or {})
    await web.chat_update(channel="C0INC", ts=ts, text="three")
    edited = slack.message("C0INC", ts)
    assert edited is not None
    assert edited["text"] == "three"
    assert "blocks" not in edited
    assert "edited" in edited


async def test_blocks_are_refused_with_the_place(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """``invalid_blocks`` points at the block, also through the opt-in check that needs no token."""
    data = await refusal(web.chat_postMessage(channel="C0INC", text="x", blocks=[section("")]))
    assert data["error"] == "invalid_blocks"
    assert "json-pointer:/blocks/0/text/text" in data["response_metadata"]["messages"][0]

    long = [section("x" * 3000) for _ in range(5)]
    assert (await refusal(web.chat_postMessage(channel="C0INC", text="x", blocks=long)))[
        "error"
    ] == "msg_blocks_too_long"
    anonymous = AsyncWebClient(base_url=slack.api_url)
    assert (await anonymous.api_call("blocks.validate", json={"blocks": [section("fine")]}))["ok"]
    assert slack.messages("C0INC") == []


async def test_history_is_read_in_pages_with_metadata(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """Newest first, paged by cursor; metadata only when asked; replies apart."""
    metadata = {"event_type": "run", "event_payload": {"run_id": "r-1"}}
    first = await web.chat_postMessage(channel="C0INC", text="0", metadata=metadata)
    for number in range(1, 5):
        await web.chat_postMessage(channel="C0INC", text=str(number))
    await web.chat_postMessage(channel="C0INC", text="reply", thread_ts=first["ts"])

    page = await web.conversations_history(channel="C0INC", limit=3)
    rest = await web.conversations_history(
        channel="C0INC", limit=3, cursor=page["response_metadata"]["next_cursor"], include_all_metadata=True
    )
    since = await web.conversations_history(channel="C0INC", oldest=page["messages"][-1]["ts"])
    thread = await web.conversations_replies(channel="C0INC", ts=first["ts"])

    assert [m["text"] for m in page["messages"]] == ["4", "3", "2"]
    assert "metadata" not in page["messages"][0]
    assert [m["text"] for m in rest["messages"]] == ["1", "0"]
    assert rest["messages"][-1]["metadata"] == metadata
    assert rest["messages"][-1]["reply_count"] == 1
    assert [m["text"] for m in since["messages"]] == ["4", "3"]
    assert [m["text"] for m in thread["messages"]] == ["0", "reply"]
    unread = web.conversations_history(channel="C0RAND")
    assert (await refusal(unread))["error"] == "not_in_channel"


async def test_people_groups_and_members(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """Guests, strangers and groups look as Slack shows them."""
    guest = (await web.users_info(user="U0GUEST"))["user"]
    stranger = (await web.users_info(user="U0STRANGER"))["user"]

    assert guest["is_restricted"] is True
    assert stranger["is_stranger"] is True
    assert stranger["team_id"] != slack.team_id
    assert (await web.usergroups_users_list(usergroup="S0RELMGR"))["users"] == ["U0RELMGR"]
    assert "U0GUEST" in (await web.conversations_members(channel="C0INC"))["members"]
    assert (await refusal(web.users_info(user="U0NOBODY")))["error"] == "user_not_found"
    assert (await refusal(web.usergroups_users_list(usergroup="S0NONE")))["error"] == "no_such_subteam"
    assert "email" not in (await web.users_info(user="U0LEAD"))["user"]["profile"]


async def test_ephemerals_reach_members_only(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """An ephemeral is for a member, cannot be edited, and is in no history."""
    note = await web.chat_postEphemeral(channel="C0REL", user="U0LEAD", text="denied", blocks=card("denied"))

    assert [each["text"] for each in slack.ephemerals("lead", "C0REL")] == ["denied"]
    update = web.chat_update(channel="C0REL", ts=note["message_ts"], text="x")
    assert (await refusal(update))["error"] == "message_not_found"
    outside = web.chat_postEphemeral(channel="C0REL", user="U0GUEST", text="x")
    assert (await refusal(outside))["error"] == "user_not_in_channel"
    assert (await web.conversations_history(channel="C0REL"))["messages"] == []


async def test_pins_bookmarks_topic_and_permalink(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """The channel's furniture, with the words for doing it twice or too long."""
    ts = (await web.chat_postMessage(channel="C0INC", text="card"))["ts"]

    await web.pins_add(channel="C0INC", timestamp=ts)
    assert (await refusal(web.pins_add(channel="C0INC", timestamp=ts)))["error"] == "already_pinned"
    await web.pins_remove(channel="C0INC", timestamp=ts)
    assert (await refusal(web.pins_remove(channel="C0INC", timestamp=ts)))["error"] == "no_pin"
    link = (await web.chat_getPermalink(channel="C0INC", message_ts=ts))["permalink"]
    assert link.startswith(slack.url)
    mark = (await web.bookmarks_add(channel_id="C0INC", title="Card", type="link", link=link))["bookmark"]
    await web.bookmarks_edit(channel_id="C0INC", bookmark_id=mark["id"], title="The card")
    await web.bookmarks_remove(channel_id="C0INC", bookmark_id=mark["id"])
    await web.conversations_setTopic(channel="C0INC", topic="DEGRADED")
    long = web.conversations_setTopic(channel="C0INC", topic="x" * 251)
    assert (await refusal(long))["error"] == "too_long"
    assert slack.messages("C0INC")[-1]["subtype"] == "channel_topic"
    assert (await refusal(web.reactions_add(channel="C0INC", timestamp=ts, name="eyes")))["error"] == "missing_scope"


async def test_a_report_is_uploaded_into_the_thread(
    slack: PracticeSlack, web: AsyncWebClient, session: aiohttp.ClientSession
) -> None:
    """``files_upload_v2`` makes its three steps; the file hangs in the thread and can be fetched."""
    ts = (await web.chat_postMessage(channel="C0INC", text="card"))["ts"]

    await web.files_upload_v2(channel="C0INC", thread_ts=ts, filename="report.json", content='{"verdict": "PASS"}')
    reply = slack.thread("C0INC", ts)[-1]
    async with session.get(reply["files"][0]["url_private"]) as answer:
        fetched = await answer.text()

    assert fetched == '{"verdict": "PASS"}'
    assert answer.headers["Content-Disposition"] == "attachment"
    assert [stored.name for stored in slack.files("C0INC")] == ["report.json"]
    outside = web.files_upload_v2(channel="C0RAND", filename="a.txt", content="x")
    assert (await refusal(outside))["error"] == "not_in_channel"


async def test_unknown_methods_and_bad_json(slack: PracticeSlack, session: aiohttp.ClientSession) -> None:
    """What is no method and what is no JSON is answered, not crashed on."""
    headers = {"Authorization": f"Bearer {slack.bot_token}", "Content-Type": "application/json"}
    async with session.post(slack.api_url + "chat.shout", data=b"{}", headers=headers) as answer:
        assert (await answer.json())["error"] == "unknown_method"
    async with session.post(slack.api_url + "chat.postMessage", data=b"{", headers=headers) as answer:
        assert (await answer.json())["error"] == "invalid_json"
