"""Trigger ids, response URLs, view stacks, scheduled messages and tiers keep Slack's time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from practice_bolt import FORM, MANIFEST, SteppedClock, section
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack import PracticeSlack


@pytest.fixture
async def stepped(clock: SteppedClock) -> AsyncIterator[PracticeSlack]:
    async with PracticeSlack(manifest=MANIFEST, clock=clock) as slack:
        yield slack


@pytest.fixture
def client(stepped: PracticeSlack, session: aiohttp.ClientSession) -> AsyncWebClient:
    web = AsyncWebClient(token=stepped.bot_token, base_url=stepped.api_url, session=session)
    web.retry_handlers = []
    return web


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


def trigger(slack: PracticeSlack, user: str = "U0LEAD") -> str:
    return slack.payloads.triggers.issue(user)


async def test_a_trigger_opens_one_view_within_three_seconds(
    stepped: PracticeSlack, client: AsyncWebClient, clock: SteppedClock
) -> None:
    """Used twice, used late, made up: each has its word."""
    once, late = trigger(stepped), trigger(stepped)
    await client.views_open(trigger_id=once, view=FORM)

    assert await error_of(client.views_open(trigger_id=once, view=FORM)) == "exchanged_trigger_id"
    clock.advance(3.1)
    assert await error_of(client.views_open(trigger_id=late, view=FORM)) == "expired_trigger_id"
    assert await error_of(client.views_open(trigger_id="made.up", view=FORM)) == "invalid_trigger_id"


async def test_three_views_stack_and_no_fourth(stepped: PracticeSlack, client: AsyncWebClient) -> None:
    """A stack holds three; closing the top shows the one below."""
    await client.views_open(trigger_id=trigger(stepped), view=FORM)
    for _ in range(2):
        await client.views_push(trigger_id=trigger(stepped), view=FORM)

    assert await error_of(client.views_push(trigger_id=trigger(stepped), view=FORM)) == "push_limit_reached"
    stack = stepped.views("lead")
    assert [view["previous_view_id"] for view in stack] == [None, stack[0]["id"], stack[1]["id"]]
    await stepped.close_view("lead", stack[-1]["id"])
    assert len(stepped.views("lead")) == 2


async def test_a_view_changed_meanwhile_is_not_overwritten(stepped: PracticeSlack, client: AsyncWebClient) -> None:
    """``hash`` protects updates; typed text survives an update that keeps its ids."""
    opened = (await client.views_open(trigger_id=trigger(stepped), view=FORM))["view"]
    first = await client.views_update(view_id=opened["id"], view=FORM, hash=opened["hash"])

    stale = client.views_update(view_id=opened["id"], view=FORM, hash=opened["hash"])
    assert await error_of(stale) == "hash_conflict"
    assert first["view"]["hash"] != opened["hash"]
    assert await error_of(client.views_update(view_id="V0GONE", view=FORM)) == "not_found"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": {"type": "plain_text", "text": "x" * 25}}, "less than 25"),
        ({"submit": None}, "needs `submit`"),
        ({"private_metadata": "x" * 3001}, "less than 3001"),
        ({"type": "home"}, "must be modal"),
        ({"blocks": [{"type": "table", "rows": []}]}, "unsupported type"),
        ({"colour": "red"}, "invalid additional property"),
    ],
)
async def test_views_keep_their_limits(
    stepped: PracticeSlack, client: AsyncWebClient, change: dict[str, Any], words: str
) -> None:
    """A view over a limit is refused with the place."""
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=trigger(stepped), view={**FORM, **change})

    data: Any = caught.value.response.data
    assert data["error"] == "invalid_arguments"
    assert words in " ".join(data["response_metadata"]["messages"])


async def test_a_response_url_takes_five_posts_in_thirty_minutes(
    stepped: PracticeSlack, session: aiohttp.ClientSession, clock: SteppedClock
) -> None:
    """The sixth post and the late post get 404; the bot need not be a member."""
    used = stepped.payloads.response_address(stepped.responses.issue("C0RAND", "U0LEAD"))
    late = stepped.payloads.response_address(stepped.responses.issue("C0RAND", "U0LEAD"))

    statuses = []
    for number in range(6):
        async with session.post(used, json={"text": str(number), "response_type": "in_channel"}) as answer:
            statuses.append(answer.status)
    clock.advance(30 * 60 + 1)
    async with session.post(late, json={"text": "late"}) as answer:
        body = await answer.json()

    assert statuses == [200] * 5 + [404]
    assert [m["text"] for m in stepped.messages("random")] == ["0", "1", "2", "3", "4"]
    assert body["error"] == "expired_url"


async def test_a_response_url_replaces_and_deletes_the_ephemeral(
    stepped: PracticeSlack, session: aiohttp.ClientSession
) -> None:
    """The original of a click on an ephemeral is replaced, then deleted."""
    note = stepped.workspace.tell("U0LEAD", "C0INC", "denied", blocks=[section("denied")])
    issued = stepped.responses.issue("C0INC", "U0LEAD", original_ts=note.ts)
    address = stepped.payloads.response_address(issued)

    async with session.post(address, json={"replace_original": True, "text": "asked"}) as answer:
        assert answer.status == 200
    assert [each["text"] for each in stepped.ephemerals("lead")] == ["asked"]
    async with session.post(address, json={"delete_original": True}) as answer:
        assert answer.status == 200
    assert stepped.ephemerals("lead") == []


async def test_a_scheduled_message_comes_in_time_unless_it_has_metadata(
    stepped: PracticeSlack, client: AsyncWebClient, clock: SteppedClock
) -> None:
    """The dead-man notice: posted when due, gone when deleted, never sent with metadata (Slack's bug)."""
    due_s = clock.now_ms() // 1000 + 900
    metadata = {"event_type": "run", "event_payload": {"run_id": "r-1"}}
    await client.chat_scheduleMessage(channel="C0INC", text="no sign of life", post_at=due_s)
    lost = {"channel": "C0INC", "text": "lost", "post_at": due_s, "metadata": metadata}
    await client.api_call("chat.scheduleMessage", json=lost)
    gone = await client.chat_scheduleMessage(channel="C0INC", text="deleted", post_at=due_s)
    await client.chat_deleteScheduledMessage(channel="C0INC", scheduled_message_id=gone["scheduled_message_id"])

    assert stepped.deliver_scheduled() == []
    clock.advance(901)
    stepped.deliver_scheduled()
    assert [m["text"] for m in stepped.messages("C0INC")] == ["no sign of life"]
    past = client.chat_scheduleMessage(channel="C0INC", text="x", post_at=due_s)
    assert await error_of(past) == "time_in_past"


async def test_tiers_tolerate_a_burst_and_then_say_when(
    stepped: PracticeSlack, client: AsyncWebClient, clock: SteppedClock
) -> None:
    """The fifty-first edit of a minute is 429 with ``Retry-After``; waiting that long is enough."""
    ts = (await client.chat_postMessage(channel="C0INC", text="card"))["ts"]
    for number in range(50):
        await client.chat_update(channel="C0INC", ts=ts, text=str(number))

    with pytest.raises(SlackApiError) as caught:
        await client.chat_update(channel="C0INC", ts=ts, text="too many")
    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    clock.advance(int(caught.value.response.headers["Retry-After"]))
    await client.chat_update(channel="C0INC", ts=ts, text="again")
    assert stepped.message("C0INC", ts)["text"] == "again"  # type: ignore[index]


async def test_posts_are_limited_by_channel(stepped: PracticeSlack, client: AsyncWebClient) -> None:
    """About one post a second and channel; another channel is not held up."""
    for number in range(10):
        await client.chat_postMessage(channel="C0INC", text=str(number))

    assert await error_of(client.chat_postMessage(channel="C0INC", text="x")) == "ratelimited"
    assert (await client.chat_postMessage(channel="C0REL", text="x"))["ok"]
    stepped.tiers.strictness = "off"
    assert (await client.chat_postMessage(channel="C0INC", text="x"))["ok"]
