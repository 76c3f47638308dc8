"""The page's endpoints: what a person sees and does over HTTP, and who may not call them."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from practice_bolt import Bolt, card
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack import PracticeSlack


async def post(session: aiohttp.ClientSession, slack: PracticeSlack, path: str, **body: Any) -> dict[str, Any]:
    async with session.post(slack.url + path, json=body) as answer:
        return dict(await answer.json())


async def state(session: aiohttp.ClientSession, slack: PracticeSlack, user: str, channel: str = "") -> dict[str, Any]:
    query = {"as": user} | ({"channel": channel} if channel else {})
    async with session.get(slack.url + "/page/state", params=query) as answer:
        return dict(await answer.json())


async def test_the_page_types_clicks_and_reads(
    slack: PracticeSlack, session: aiohttp.ClientSession, bolt: Bolt
) -> None:
    """A command typed on the page becomes a card there, and its button works for someone else."""
    typed = await post(session, slack, "/page/command", **{"as": "U0ONCALL"}, channel="C0INC", text="/sendcat triage")
    await slack.wait_for(lambda: slack.messages("C0INC"))
    shown = await state(session, slack, "U0RELMGR", "C0INC")
    message = shown["messages"][0]
    element = message["blocks"][1]["elements"][0]

    clicked = await post(
        session,
        slack,
        "/page/click",
        **{"as": "U0RELMGR"},
        channel="C0INC",
        message_ts=message["ts"],
        block_id=message["blocks"][1]["block_id"],
        action_id=element["action_id"],
        value=element["value"],
    )
    await slack.wait_for(lambda: slack.messages("C0INC")[0]["edits"])

    assert typed == {"ok": True}
    assert clicked == {"ok": True}
    assert message["bot"] is True
    assert message["username"] == "sendcat"
    assert shown["me"] == {"id": "U0RELMGR", "name": "relmgr", "display": "Rene Leman", "role_hint": "release manager"}
    assert shown["app"]["commands"][0]["command"] == "/sendcat"
    assert shown["app"]["connected"] is True
    again = await state(session, slack, "U0RELMGR", "C0INC")
    assert again["messages"][0]["text"] == "Stopped"
    assert again["revision"] > shown["revision"]


async def test_each_person_has_an_own_screen(
    slack: PracticeSlack, session: aiohttp.ClientSession, http_bolt: Bolt
) -> None:
    """Ephemerals and channels are those of the person; a guest sees only where a guest is."""
    typed = await post(session, slack, "/page/command", **{"as": "U0LEAD"}, channel="C0INC", text="/sendcat help")
    lead, guest = await state(session, slack, "U0LEAD", "C0INC"), await state(session, slack, "U0GUEST")

    assert typed["ack_text"] == "Type `/sendcat triage`."
    assert [note["text"] for note in lead["ephemerals"]] == ["Type `/sendcat triage`."]
    assert guest["ephemerals"] == []
    assert [channel["id"] for channel in guest["channels"]] == ["C0INC", "D0GUEST"]
    async with session.get(slack.url + "/page/state", params={"as": "U0GUEST", "channel": "C0REL"}) as answer:
        assert answer.status == 404


async def test_unread_messages_are_counted_until_read(
    slack: PracticeSlack, session: aiohttp.ClientSession, web: AsyncWebClient
) -> None:
    """Opening a channel reads it."""
    await web.chat_postMessage(channel="C0REL", text="gate waits")

    def unread(shown: dict[str, Any]) -> int:
        return next(int(each["unread"]) for each in shown["channels"] if each["id"] == "C0REL")

    assert unread(await state(session, slack, "U0LEAD", "C0INC")) == 1
    await state(session, slack, "U0LEAD", "C0REL")
    assert unread(await state(session, slack, "U0LEAD", "C0INC")) == 0


async def test_a_form_on_the_page_shows_its_errors(
    slack: PracticeSlack, session: aiohttp.ClientSession, http_bolt: Bolt
) -> None:
    """Submit answers the errors by block; a good submission closes the form."""
    await post(session, slack, "/page/command", **{"as": "U0RELMGR"}, channel="C0REL", text="/sendcat form")
    await slack.wait_for(lambda: slack.views("relmgr"))
    view = (await state(session, slack, "U0RELMGR"))["views"][-1]

    async def submit(reason: str) -> dict[str, Any]:
        values = {"reason": {"text": {"type": "plain_text_input", "value": reason}}}
        return await post(session, slack, "/page/submit", **{"as": "U0RELMGR"}, view_id=view["id"], values=values)

    assert (await submit(""))["errors"] == {"reason": "Please complete this required field."}
    assert (await submit("no"))["errors"] == {"reason": "Say why."}
    assert await submit("backfill explains it") == {"ok": True}
    assert (await state(session, slack, "U0RELMGR"))["views"] == []


async def test_messages_threads_reactions_shortcuts_and_home(
    slack: PracticeSlack, session: aiohttp.ClientSession, http_bolt: Bolt
) -> None:
    """The rest of what the page can do."""
    me = {"as": "U0ONCALL"}
    parent = await post(session, slack, "/page/message", **me, channel="C0INC", text="slow since 13:57")
    ts = parent["ts"]
    await post(session, slack, "/page/message", **me, channel="C0INC", text="@sendcat triage", thread_ts=ts)
    assert (await post(session, slack, "/page/react", **me, channel="C0INC", message_ts=ts, name="eyes"))["ok"]
    used = {"channel": "C0INC", "message_ts": ts, "callback_id": "timeline.add"}
    assert (await post(session, slack, "/page/shortcut", **me, **used))["ok"]
    assert (await post(session, slack, "/page/home", **me))["ok"]
    await slack.wait_for(lambda: slack.home("oncall"))

    shown = await state(session, slack, "U0ONCALL", "C0INC")
    assert shown["messages"][0]["replies"][0]["text"] == f"<@{slack.bot_user_id}> triage"
    assert shown["messages"][0]["reactions"] == [{"name": "eyes", "users": ["U0ONCALL"]}]
    assert shown["home"]["blocks"][0]["text"]["text"] == "Nothing waits for you."
    missing = await post(session, slack, "/page/shortcut", **me, callback_id="no.such")
    assert missing == {"ok": False, "error": "unknown_shortcut"}


async def test_faults_are_switched_on_the_page(slack: PracticeSlack, session: aiohttp.ClientSession) -> None:
    """Down and storm, on and off; while down nobody types."""
    await post(session, slack, "/page/fault", down=True, storm_429=True)
    typed = await post(session, slack, "/page/command", **{"as": "U0LEAD"}, channel="C0INC", text="/sendcat help")
    on = (await state(session, slack, "U0LEAD"))["faults"]
    await post(session, slack, "/page/fault", down=False, storm_429=False)
    off = (await state(session, slack, "U0LEAD"))["faults"]

    assert typed == {"ok": False, "error": "slack_down"}
    assert on == {"down": True, "storm_429": True}
    assert off == {"down": False, "storm_429": False}


async def test_changes_are_told_as_they_happen(
    slack: PracticeSlack, session: aiohttp.ClientSession, web: AsyncWebClient
) -> None:
    """Server-sent events: the revision now, then one line for each change."""

    async def line(answer: aiohttp.ClientResponse) -> dict[str, Any]:
        said = (await answer.content.readline()).decode()
        await answer.content.readline()
        return dict(json.loads(said.removeprefix("data: ")))

    async with session.get(slack.url + "/page/events") as answer:
        before = await line(answer)
        await web.chat_postMessage(channel="C0REL", text="x", blocks=card("x"))
        after = await line(answer)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert after["revision"] > before["revision"]
    assert after["channel"] == "C0REL"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_R6_other_hosts_and_origins_are_turned_away(
    slack: PracticeSlack, session: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    """A web page elsewhere cannot type here, not even by rebinding a name."""
    body = {"as": "U0LEAD", "channel": "C0INC", "text": "/sendcat help"}
    async with session.post(slack.url + "/page/command", json=body, headers=headers) as answer:
        assert answer.status == 403
    assert slack.delivery.sent == type(slack.delivery.sent)()


async def test_the_page_never_crashes_on_what_it_is_sent(slack: PracticeSlack, session: aiohttp.ClientSession) -> None:
    """Forms, junk, missing and unknown fields get a 4xx."""
    cases: list[tuple[dict[str, Any], int]] = [
        ({"data": {"as": "U0LEAD"}}, 415),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"json": {"as": "U0LEAD"}}, 400),
        ({"json": {"as": "U0LEAD", "channel": "C0INC", "text": "x", "extra": 1}}, 400),
    ]
    for sent, status in cases:
        async with session.post(slack.url + "/page/command", **sent) as answer:
            assert answer.status == status
    gone = {"as": "U0LEAD", "channel": "C0INC", "message_ts": "1.000001", "action_id": "x"}
    async with session.post(slack.url + "/page/click", json=gone) as answer:
        assert answer.status == 404


async def test_only_the_pages_own_files_are_served(slack: PracticeSlack, session: aiohttp.ClientSession) -> None:
    """No way out of the folder; no token anywhere in what the page gets."""
    for path in ("/static/../page.py", "/static/%2e%2e%2fpage.py", "/static/none.js", "/static/page.py"):
        async with session.get(slack.url + path) as answer:
            assert answer.status == 404
    told = json.dumps(await state(session, slack, "U0LEAD"))
    assert slack.bot_token not in told
    assert slack.app_token not in told
    assert slack.signing_secret not in told


async def test_only_the_loopback_is_listened_on() -> None:
    """R14: an address others can reach is refused at start."""
    slack = PracticeSlack(manifest={})
    with pytest.raises(ValueError, match="loopback"):
        await slack.start(host="0.0.0.0")
