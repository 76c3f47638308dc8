"""Socket Mode, watched from outside (platform.md, 2.4).

The SDK's client retries for ever with a bad token, and can be connected and dead. So the token is tried before, every
half minute somebody looks, and a connection that was bad twice is built anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.errors import Broken, Unreachable
from bot.slack.logs import quiet_logger

LOOK_EVERY_S = 30.0
BAD_LOOKS = 2
REBUILDS = 10
"""So many in a row without one good look: the supervisor does better (`Socket.lost`)."""
CONNECT_WITHIN_S = 15.0

log = structlog.get_logger("socket")


class Socket:
    """One Socket Mode connection that is kept alive. Make it inside the running loop."""

    def __init__(
        self, app: AsyncApp, app_token: str, client: AsyncWebClient, clock: Clock, *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._app = app
        self._token = app_token
        self._client = client
        self._clock = clock
        self._look_every_s = look_every_s
        self._handler: AsyncSocketModeHandler | None = None
        self._watch: asyncio.Task[None] | None = None
        self._last_payload_s: float | None = None
        self._connected = False
        self.rebuilt = 0
        self.lost = asyncio.Event()
        """Set when rebuilding did not help; whoever runs the bot should exit and be started again."""

    async def start(self) -> None:
        """Try the token, connect, watch. Raises `Broken` for a bad token, `Unreachable` when Slack is away."""
        await check_app_token(self._client, self._token)
        self._connected = await self._build()
        self._watch = asyncio.create_task(self._watching(), name="socket watch")

    async def stop(self) -> None:
        """Close: from now on Slack hands payloads to another connection, or keeps events for later."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._close()
        self._connected = False

    def state(self) -> dict[str, Any]:
        """``connected``, how often it was rebuilt, and the age of the last payload in seconds (None: none yet)."""
        last = self._last_payload_s
        age = None if last is None else round(self._clock.monotonic() - last)
        return {"connected": self._connected, "rebuilt": self.rebuilt, "last_payload_age_s": age}

    async def _build(self) -> bool:
        handler = AsyncSocketModeHandler(
            self._app, self._token, logger=quiet_logger("socket"), web_client=self._client, ping_interval=10
        )
        if loopback(self._client.base_url):
            handler.client.proxy = None
        handler.client.on_message_listeners.append(self._heard)
        self._handler = handler
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                await handler.client.connect()  # type: ignore[no-untyped-call]
        except TimeoutError:
            log.warning("not connected in time")
            return False
        return True

    async def _heard(self, _: aiohttp.WSMessage) -> None:
        self._last_payload_s = self._clock.monotonic()

    async def _close(self) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            return
        try:
            async with asyncio.timeout(5.0):
                await handler.client.close()  # type: ignore[no-untyped-call]
        except Exception as error:  # the SDK closes sockets that may be gone; whatever it says, we are done with it
            log.info("closing the socket", error=type(error).__name__)
        if not handler.client.aiohttp_client_session.closed:
            await handler.client.aiohttp_client_session.close()

    async def _watching(self) -> None:
        bad = rebuilds = 0
        while True:
            await self._clock.sleep(self._look_every_s)
            handler = self._handler
            self._connected = handler is not None and bool(await handler.client.is_connected())
            if self._connected:
                bad = rebuilds = 0
                continue
            bad += 1
            if bad < BAD_LOOKS:
                continue
            bad, rebuilds = 0, rebuilds + 1
            self.rebuilt += 1
            log.warning("socket is dead, building it anew", times=rebuilds)
            if rebuilds >= REBUILDS:
                self.lost.set()
            await self._close()
            self._connected = await self._build()


async def check_app_token(client: AsyncWebClient, app_token: str) -> None:
    """Open a connection address once, since the SDK would try a bad token for ever."""
    try:
        await client.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        word = str(error.response.get("error", "")) if hasattr(error.response, "get") else ""
        if word in ("", "ratelimited", "internal_error", "fatal_error", "service_unavailable"):
            raise Unreachable(
                "Slack does not open a Socket Mode connection now.", then="try again in a minute"
            ) from None
        raise Broken(
            f"Slack refuses the app-level token: {word}.",
            rule="Socket Mode needs an xapp- token with connections:write",
            then="make one under Basic Information, App-Level Tokens, and set SLACK_APP_TOKEN",
        ) from None
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"Slack cannot be reached: {type(error).__name__}.", then="check the network") from None


def loopback(url: str) -> bool:
    """Whether an address is on this machine; proxies of the environment are not for it."""
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
