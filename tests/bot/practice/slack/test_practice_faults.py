"""What fails on Slack's side fails as it does there, and the counters tell effects from calls."""

from __future__ import annotations

import contextlib
from typing import Any

import aiohttp
import pytest
from practice_bolt import Bolt, connected
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.loopback import LoopbackServer
from bot.practice.slack import LOST_ANSWER, RATE_LIMITED, PracticeSlack, signature
from tests.conftest import until


async def test_a_lost_answer_was_applied(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """R33: the message stands in the channel, the caller got nothing but a cut connection."""
    slack.faults.lose_answer("chat.postMessage")

    with pytest.raises(aiohttp.ClientConnectionError):
        await web.chat_postMessage(channel="C0INC", text="once")

    assert [m["text"] for m in slack.messages("C0INC")] == ["once"]
    assert slack.count("chat.postMessage") == 1
    assert slack.calls[-1].answered is False


async def test_rate_limits_and_errors_are_not_applied(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """429 carries ``Retry-After``, 500 does not; neither has an effect."""
    slack.faults.rate_limit("chat.postMessage", retry_after_s=7)
    slack.faults.error_500("chat.postMessage")

    with pytest.raises(SlackApiError) as limited:
        await web.chat_postMessage(channel="C0INC", text="x")
    with pytest.raises(SlackApiError) as broken:
        await web.chat_postMessage(channel="C0INC", text="x")

    assert limited.value.response.headers["Retry-After"] == "7"
    assert broken.value.response.status_code == 500
    assert slack.count("chat.postMessage", applied=None) == 2
    assert slack.count("chat.postMessage") == 0


async def test_a_storm_limits_everything_until_it_ends(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """The page's switch "429 storm"."""
    slack.faults.storm_429 = True
    with pytest.raises(SlackApiError):
        await web.auth_test()

    slack.faults.storm_429 = False
    assert (await web.auth_test())["ok"]


async def test_the_same_seed_draws_the_same_failures(slack: PracticeSlack, web: AsyncWebClient) -> None:
    """A share of calls fails; effects and answers are counted apart; nothing is applied twice."""
    slack.tiers.strictness = "off"

    async def run() -> list[bool]:
        slack.faults.fail_share(0.3, seed=7, kinds=(LOST_ANSWER, RATE_LIMITED))
        done = []
        for number in range(40):
            answered = True
            try:
                await web.chat_postMessage(channel="C0INC", text=str(number))
            except (SlackApiError, aiohttp.ClientError):
                answered = False
            done.append(answered)
        return done

    first, second = await run(), await run()
    assert first == second
    assert 0.15 < first.count(False) / 40 < 0.45
    assert slack.count("chat.postMessage") == len(slack.messages("C0INC"))


async def test_slack_down_refuses_both_ways(slack: PracticeSlack, web: AsyncWebClient, socket_bolt: Bolt) -> None:
    """While Slack is down nobody types and nothing is answered; afterwards the socket comes back by itself."""
    await slack.set_down(True)

    ack = await slack.command("oncall", "C0INC", "/sendcat triage")
    with pytest.raises(SlackApiError) as down:
        await web.auth_test()
    assert ack.error == "slack_down"
    assert down.value.response.status_code == 503
    await slack.set_down(False)
    await until(lambda: slack.hub.connected == 1)
    assert (await slack.command("oncall", "C0INC", "/sendcat help")).ok


@pytest.mark.parametrize("concurrent", [False, True])
async def test_a_delivery_arrives_several_times(slack: PracticeSlack, bolt: Bolt, concurrent: bool) -> None:
    """R3: the same command, same trigger id, three times - one after the other or at once."""
    slack.faults.duplicate(3, concurrent=concurrent)

    ack = await slack.command("oncall", "C0INC", "/sendcat help")

    assert len(ack.others) == 2
    assert all(each.ok for each in ack.others)
    assert len({body["trigger_id"] for body in bolt.bodies("command")}) == 1
    assert len(bolt.bodies("command")) == 3


async def test_an_event_is_tried_again_three_times(slack: PracticeSlack) -> None:
    """Unacknowledged events come again with ``X-Slack-Retry-Num`` and the same ``event_id``."""
    seen: list[dict[str, str]] = []

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        seen.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    http = slack.deliver_http(app=refusing)
    ack = await slack.mention("oncall", "C0INC", "triage")
    await until(lambda: len(seen) == 4)

    assert ack.error == "http_service_error"
    assert [headers.get("x-slack-retry-num") for headers in seen] == [None, "1", "2", "3"]
    assert seen[1]["x-slack-retry-reason"] == "http_error"
    assert len({body for body, _ in http.requests}) == 1


async def test_an_ack_may_come_over_the_next_socket(slack: PracticeSlack, socket_bolt: Bolt) -> None:
    """The socket closes right after the envelope went out; the ack arrives on the one that follows."""
    slack.faults.socket_close = "before_ack"
    slack.ack_timeout_s = 2.0

    ack = await slack.command("oncall", "C0INC", "/sendcat sleep")

    assert ack.ok
    assert len(socket_bolt.bodies("command")) == 1
    await until(lambda: slack.hub.connected == 1)
    assert (await slack.command("oncall", "C0INC", "/sendcat help")).ok


async def test_a_socket_closed_after_the_ack_reconnects(slack: PracticeSlack, socket_bolt: Bolt) -> None:
    """The ack counts, and the client is back for the next one."""
    slack.faults.socket_close = "after_ack"

    first = await slack.command("oncall", "C0INC", "/sendcat help")
    await until(lambda: slack.hub.connected == 1)
    second = await slack.command("oncall", "C0INC", "/sendcat help")

    assert first.ok
    assert second.ok


async def test_a_refresh_moves_the_client_to_a_new_socket(slack: PracticeSlack, socket_bolt: Bolt) -> None:
    """``disconnect`` with ``refresh_requested``, as Slack sends all day."""
    before = slack.count("apps.connections.open")
    await slack.hub.disconnect()
    await until(lambda: slack.count("apps.connections.open") > before and slack.hub.connected == 1)
    slack.ack_timeout_s = 1.0

    # A payload that meets the closing socket is lost, as with Slack; the person types it again.
    acks = [await slack.command("oncall", "C0INC", "/sendcat help") for _ in range(3)]
    assert acks[-1].ok


async def test_a_silent_socket_delivers_nothing(slack: PracticeSlack, socket_bolt: Bolt) -> None:
    """Connected, and yet nothing comes through: the person sees a timeout."""
    slack.faults.silent_socket = True
    slack.ack_timeout_s = 0.1

    ack = await slack.command("oncall", "C0INC", "/sendcat help")

    assert ack.error == "operation_timeout"
    assert slack.hub.connected == 1
    assert socket_bolt.heard == []


async def test_several_processes_share_the_payloads(
    slack: PracticeSlack, socket_bolt: Bolt, session: aiohttp.ClientSession
) -> None:
    """With two connections each payload goes to one of them."""
    second = Bolt(slack, session)
    async with connected(slack, second):
        for _ in range(4):
            await slack.command("oncall", "C0INC", "/sendcat help")

    assert len(socket_bolt.heard) + len(second.heard) == 4
    assert socket_bolt.heard
    assert second.heard


async def test_a_bad_app_token_never_gets_a_socket(slack: PracticeSlack) -> None:
    """``apps.connections.open`` refuses; a ticket works once."""
    web = AsyncWebClient(token="xapp-made-up", base_url=slack.api_url)
    with pytest.raises(SlackApiError) as refused:
        await web.apps_connections_open(app_token="xapp-made-up")

    address = (await web.apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(address) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(address)

    assert refused.value.response["error"] == "invalid_auth"


async def test_signed_requests_over_a_port(slack: PracticeSlack, session: aiohttp.ClientSession) -> None:
    """R1: HTTP mode against a listening bot: challenge, command; a forged and an old copy are refused by Bolt."""
    bolt = Bolt(slack, session)
    handler = AsyncSlackRequestHandler(bolt.app)
    server = LoopbackServer(handler, "127.0.0.1", 0)
    await server.start()
    http = slack.deliver_http(server.url + "/slack/events")
    try:
        assert (await slack.verify_url()).ok
        assert (await slack.command("oncall", "C0INC", "/sendcat help")).ok
        body, headers = http.requests[-1]
        forged = await http.send(body, headers | {"X-Slack-Signature": "v0=" + "0" * 64}, 1.0)
        stamp = str(int(headers["X-Slack-Request-Timestamp"]) - 600)
        aged = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature(slack.signing_secret, stamp, body)}
        old = await http.send(body, headers | aged, 1.0)
    finally:
        with contextlib.suppress(Exception):
            await server.stop()

    assert forged.status == old.status == 401
    assert len(bolt.bodies("command")) == 1
    gone = await slack.command("oncall", "C0INC", "/sendcat help")
    assert gone.error == "dispatch_failed"
