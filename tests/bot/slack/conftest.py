"""A practice Slack with our own manifest, a store in a temporary folder, and the poster between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_kit import Door
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.practice.slack import PracticeSlack
from bot.slack.courier import Courier
from bot.slack.logs import quiet_logger
from bot.slack.manifest import manifest
from bot.slack.pace import Pace
from bot.slack.post import Poster
from bot.store.database import Store
from bot.store.leader import Leadership


class NoPace(Pace):
    """As fast as it goes, but behind every Retry-After."""

    def wait_s(self, method: str, channel: str, *, reserve: float = 0.0) -> float:
        return max(0.0, self._held_until_s.get(method, 0.0) - self._clock.monotonic())


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


def make_poster(store: Store, web: AsyncWebClient, artifacts: Path, **changed: Any) -> Poster:
    """A poster without the pauses that people need and tests do not."""
    clock = SystemClock()
    settings: dict[str, Any] = {"edit_every_s": 0.05, "look_after_s": 0.02, "backoff_s": 0.02, "pace": NoPace(clock)}
    return Poster(store, Courier(web), clock, artifact_dir=artifacts, **{**settings, **changed})


@pytest.fixture
async def poster(store: Store, web: AsyncWebClient, tmp_path: Path) -> AsyncIterator[Poster]:
    running = make_poster(store, web, tmp_path / "artifacts")
    running.start()
    yield running
    await running.stop()
