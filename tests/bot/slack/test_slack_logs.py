"""What Bolt and the SDK would log of a request never reaches a handler (R1, R36)."""

from __future__ import annotations

import logging

import pytest
from slack_kit import Door, TinyDesk, click, signed, slash

from bot.command import Ask, Reply
from bot.slack.ingress import EVENTS_PATH
from bot.slack.logs import hush_libraries, quiet_logger

PLANTED = "planted-4711"


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    hush_libraries("a-secret-of-ours")
    caplog.set_level(logging.DEBUG)


async def test_R36_requests_of_every_kind_leave_no_body_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Ask) -> Reply:
        raise RuntimeError(PLANTED)

    door = Door(TinyDesk(answer=broken))
    planted = {"response_url": f"https://hooks.slack.com/commands/{PLANTED}", "text": f"note {PLANTED}"}
    await door.post(slash(**planted))
    await door.post(slash(command="/unknown", **planted))
    await door.post(click(response_url=f"https://hooks.slack.com/actions/{PLANTED}", token=PLANTED))
    await door.post(b'{"type": "shortcut", "callback_id": "' + PLANTED.encode() + b'"}', "application/json")
    await door.post(b'{"type": "event_callback", "x": "' + PLANTED.encode() + b'"}', "application/json")
    body = slash(**planted)
    await door.client.post(EVENTS_PATH, content=body, headers={**signed(body), "x-slack-signature": "v0=" + "0" * 64})

    assert PLANTED not in caplog.text


@pytest.mark.parametrize(
    "said",
    [
        f"Invalid request signature detected (signature: x, timestamp: 1, body: {PLANTED})",
        f"Failed to connect (error: 400, url='wss://host/link/?ticket={PLANTED}&app_id=x'); Retrying...",
        f"Unhandled request ({{'type': 'x'}}) payload: {PLANTED}",
        f"response_url was https://hooks.slack.com/actions/T1/{PLANTED}",
        f"the token xoxb-1234-{PLANTED}-abcdefgh was refused",
        "the server said a-secret-of-ours",
    ],
)
@pytest.mark.parametrize("name", ["slack_bolt", "slack_sdk.web.async_client", "sendcat.slack.bolt", "aiohttp.client"])
def test_R36_loggers_of_the_libraries_are_harmless(caplog: pytest.LogCaptureFixture, name: str, said: str) -> None:
    logger = quiet_logger("bolt") if name.startswith("sendcat") else logging.getLogger(name)
    hush_libraries()
    try:
        raise RuntimeError(PLANTED)
    except RuntimeError:
        logger.exception(said)
    logger.error("%s", said)
    logger.info(said)

    assert PLANTED not in caplog.text
    assert "a-secret-of-ours" not in caplog.text
