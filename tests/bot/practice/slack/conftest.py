"""A practice Slack, and the smallest real Bolt app to put behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from practice_bolt import MANIFEST, Bolt, SteppedClock, connected
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack import PracticeSlack


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def slack() -> AsyncIterator[PracticeSlack]:
    async with PracticeSlack(manifest=MANIFEST) as running:
        running.faults.event_retry_delays_s = (0.0, 0.01, 0.02)
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as open_session:
        yield open_session


@pytest.fixture
def web(slack: PracticeSlack, session: aiohttp.ClientSession) -> AsyncWebClient:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=session)
    client.retry_handlers = []
    return client


@pytest.fixture
async def http_bolt(slack: PracticeSlack, session: aiohttp.ClientSession) -> Bolt:
    bolt = Bolt(slack, session)
    slack.deliver_http(app=AsyncSlackRequestHandler(bolt.app))
    return bolt


@pytest.fixture
async def socket_bolt(slack: PracticeSlack, session: aiohttp.ClientSession) -> AsyncIterator[Bolt]:
    bolt = Bolt(slack, session)
    async with connected(slack, bolt):
        yield bolt


@pytest.fixture(params=["http", "socket"])
async def bolt(
    request: pytest.FixtureRequest, slack: PracticeSlack, session: aiohttp.ClientSession
) -> AsyncIterator[Bolt]:
    """The same app behind either way of delivery."""
    app = Bolt(slack, session)
    if request.param == "http":
        slack.deliver_http(app=AsyncSlackRequestHandler(app.app))
        yield app
    else:
        async with connected(slack, app):
            yield app
