"""A practice Slack with our own manifest, a store in a temporary folder, and the poster between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from slack_kit import Door, make_poster
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.practice.slack import PracticeSlack
from bot.slack.logs import quiet_logger
from bot.slack.manifest import manifest
from bot.slack.post import Poster
from bot.store.database import Store
from bot.store.leader import Leadership


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def slack() -> AsyncIterator[PracticeSlack]:
    async with PracticeSlack(manifest=manifest(()), tiers="off") as running:
        yield running


@pytest.fixture
async def web(slack: PracticeSlack) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        client = AsyncWebClient(
            token=slack.bot_token,
            base_url=slack.api_url,
            session=session,
            retry_handlers=[],
            logger=quiet_logger("tests"),
        )
        client.proxy = None
        yield client


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    held = Leadership.acquire(tmp_path / "state")
    opened = Store.open(held, clock=SystemClock())
    yield opened
    await opened.close()
    held.release()


@pytest.fixture
async def poster(store: Store, web: AsyncWebClient, tmp_path: Path) -> AsyncIterator[Poster]:
    running = make_poster(store, web, tmp_path / "artifacts")
    running.start()
    yield running
    await running.stop()
