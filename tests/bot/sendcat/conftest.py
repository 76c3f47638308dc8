"""Targets and servers for the tests of `bot.sendcat`, all on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from bot.clock import SystemClock
from bot.redact import Masker, Scrubber
from bot.sendcat.convex import ConvexClient
from bot.sendcat.line import Line
from bot.target import Target
from tests.bot.sendcat.wild import Handler, Wild

KEY = "prod:practice|0123456789abcdefSECRETKEY"
GMAIL_TOKEN = "gmail-verify-token-SECRET"
WHATSAPP_SECRET = "whatsapp-app-secret-SECRET"
CHAT_TOKEN = "chat.user.token-SECRET"


def make_target(url: str, **more: Any) -> Target:
    """A practice target at this address with every credential."""
    settings: dict[str, Any] = {
        "name": "practice",
        "environment": "practice",
        "api_url": url,
        "site_url": url,
        "deploy_key": KEY,
        "gmail_token": GMAIL_TOKEN,
        "whatsapp_secret": WHATSAPP_SECRET,
        "chat_token": CHAT_TOKEN,
        "chat_thread_id": "thread-1",
        **more,
    }
    return Target.model_validate(settings)


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def masker() -> Masker:
    return Masker(b"a key of the tests")


@pytest_asyncio.fixture
async def wild() -> AsyncIterator[Callable[[Handler], Awaitable[Wild]]]:
    """Starts servers; all are stopped at the end of the test."""
    servers: list[Wild] = []

    async def start(handler: Handler) -> Wild:
        server = await Wild(handler).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest_asyncio.fixture
async def convex(
    wild: Callable[[Handler], Awaitable[Wild]], clock: SystemClock
) -> AsyncIterator[Callable[..., Awaitable[tuple[ConvexClient, Wild]]]]:
    """A client on a server that answers with the given handler."""
    clients: list[ConvexClient] = []

    async def build(handler: Handler, **options: Any) -> tuple[ConvexClient, Wild]:
        server = await wild(handler)
        client = ConvexClient(Line(make_target(server.url), clock, Scrubber(), **options))
        clients.append(client)
        return client, server

    yield build
    for client in clients:
        await client.aclose()
