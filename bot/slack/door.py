"""The Slack door: one Bolt app over HTTP or Socket Mode, the sender of the outbox, and who the bot is.

Slack -> ingress | socket -> app -> desk          desk, worker -> outbox -> post -> Slack
"""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import Generator
from typing import Any, Protocol

import aiohttp
import structlog
import uvicorn
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.config import Config
from bot.errors import Broken, SendcatError, Unreachable
from bot.slack.app import Front, Identity, build, inner
from bot.slack.courier import Courier
from bot.slack.home import HomeTab, Lobby
from bot.slack.ingress import Ingress
from bot.slack.logs import hush_libraries, quiet_logger
from bot.slack.messages import Messages
from bot.slack.people import Directory
from bot.slack.post import Poster
from bot.slack.socket import Socket, loopback
from bot.store.database import Store

CALL_WITHIN_S = 10.0
KNOW_AGAIN_S = 30.0

log = structlog.get_logger("slack")


def web_client(config: Config) -> AsyncWebClient:
    """A client of the configured workspace, without retries of its own. It gets its session in `SlackDoor.open`."""
    token = config.slack.bot_token
    if token is None:
        raise Broken(
            "There is no bot token.",
            rule=f"the token stands in ${config.slack.bot_token_env}",
            then="install the app to the workspace and set the variable; sendcat doctor",
        )
    client = AsyncWebClient(
        token=token.get_secret_value(),
        base_url=config.slack.api_url,
        timeout=int(CALL_WITHIN_S),
        logger=quiet_logger("web"),
        retry_handlers=[],
    )
    if loopback(config.slack.api_url):
        client.proxy = None
    return client


class Desk(Front, Lobby, Protocol):
    """What stands behind this door."""


class SlackDoor:
    """Everything between Slack and the desk. ``directory`` and ``messages`` are for the world, so that the desk knows
    who asks, and commands can read what was said."""

    def __init__(self, config: Config, desk: Desk, store: Store, clock: Clock) -> None:
        hush_libraries(*config.secrets())
        self._config = config
        self._desk = desk
        self._clock = clock
        self.client = web_client(config)
        self.identity = Identity(team=config.slack.team_id)
        self.directory = Directory(self.client, config, clock)
        self.messages = Messages(self.client, origin=lambda: self.identity.url)
        self.poster = Poster(store, Courier(self.client), clock, artifact_dir=config.artifact_dir)
        self.homes = HomeTab(desk, self.client, store, clock, origin=lambda: self.identity.url)
        self.socket: Socket | None = None
        self.port: int | None = None
        self._session: aiohttp.ClientSession | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._knowing: asyncio.Task[None] | None = None
        self._ingress: Ingress | None = None
        self._known = False

    async def open(self) -> None:
        """Open the connections outwards, learn who the bot is, begin to send. Called by the ``start_*`` methods.

        Raises `Broken` for a token that Slack refuses. When Slack is away the bot starts all the same and asks again.
        """
        if self._session is not None:
            return
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_WITHIN_S, connect=3.0), connector=aiohttp.TCPConnector(limit=64)
        )
        self.client.session = self._session
        try:
            await self._identify()
        except Unreachable as error:
            log.warning("Slack not reached at start", error=error.what)
            self._knowing = asyncio.create_task(self._identify_later(), name="slack identity")
        except BaseException:
            await self._session.close()
            self._session = self.client.session = None
            raise
        self.poster.start()
        self.homes.start()

    async def start_socket(self) -> None:
        """Socket Mode: no public address is needed. Raises `Broken` or `Unreachable` with what to do."""
        token = self._config.slack.app_token
        if token is None:
            raise Broken(
                "There is no app-level token.",
                rule=f"Socket Mode needs one in ${self._config.slack.app_token_env}",
                then="make one with connections:write, or use sendcat serve --http",
            )
        await self.open()
        socket = Socket(self._app(), token.get_secret_value(), self.client, self._clock)
        try:
            await socket.start()
        except BaseException:
            await self.stop(flush_s=0)
            raise
        self.socket = socket

    async def start_http(self, host: str, port: int) -> None:
        """Listen for Slack's requests; ``port`` 0 takes a free one, which then stands in `port`."""
        await self.open()
        try:
            listening = sockets.create_server((host, port), backlog=2048)
        except OSError as error:
            await self.stop(flush_s=0)
            raise Broken(f"Cannot listen on {host}:{port}: {error.strerror}.", then="choose another port") from None
        self.port = listening.getsockname()[1]
        settings = uvicorn.Config(
            self.asgi_app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
        )
        self._server = _Server(settings)
        self._serving = asyncio.create_task(self._server.serve([listening]), name="slack http")

    @property
    def asgi_app(self) -> Ingress:
        """The application behind the HTTP port, for a server or for tests in process."""
        if self._ingress is None:
            self._ingress = Ingress(
                inner(self._app()), signing_secret=self._signing_secret(), clock=self._clock, health=self.state
            )
        return self._ingress

    async def stop(self, *, flush_s: float = 3.0) -> None:
        """Take nothing more, send what is due for ``flush_s`` seconds, close. Safe to call twice."""
        if self.socket is not None:
            await self.socket.stop()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait({self._serving}, timeout=5)
            self._server = self._serving = None
        if self._knowing is not None:
            self._knowing.cancel()
            self._knowing = None
        if flush_s > 0 and self._session is not None:
            with contextlib.suppress(SendcatError):
                await self.poster.flush(flush_s)
        await self.homes.stop()
        await self.poster.stop()
        if self._session is not None:
            await self._session.close()
            self._session = self.client.session = None

    def state(self) -> dict[str, Any]:
        """Health: ``ok``, the mode, who the bot is, what is on its way."""
        mode = "socket" if self.socket is not None else "http"
        connected = self.socket is None or bool(self.socket.state()["connected"])
        found: dict[str, Any] = {"ok": connected, "mode": mode, "known_to_slack": self._known, **self.poster.state()}
        if self.socket is not None:
            found["socket"] = self.socket.state()
        return found

    def _app(self) -> AsyncApp:
        secret = self._config.slack.signing_secret  # not needed in Socket Mode, where the socket is the proof
        return build(
            client=self.client,
            signing_secret=secret.get_secret_value() if secret else "",
            front=self._desk,
            whisper=self.poster.whisper,
            identity=self.identity,
            clock=self._clock,
            greeter=self.homes.opened,
            emoji=self._config.slack.timeline_emoji,
        )

    def _signing_secret(self) -> str:
        secret = self._config.slack.signing_secret
        if secret is None:
            raise Broken(
                "There is no signing secret.",
                rule=f"HTTP mode needs it in ${self._config.slack.signing_secret_env} (R1)",
                then="copy it from Basic Information, or use Socket Mode",
            )
        return secret.get_secret_value()

    async def _identify(self) -> None:
        """``auth.test``: workspace, bot user and app. Raises `Broken` or `Unreachable`."""
        try:
            me = await self.client.auth_test()
        except SlackApiError as error:
            data = getattr(error.response, "data", None)
            word = str(data.get("error", "")) if isinstance(data, dict) else ""
            if word in ("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"):
                raise Broken(
                    f"Slack refuses the bot token: {word}.", then="install the app again and set SLACK_BOT_TOKEN"
                ) from None
            raise Unreachable(f"Slack does not say who the bot is: {word or 'no answer'}.") from None
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"Slack cannot be reached: {type(error).__name__}.") from None
        team = str(me["team_id"])
        if self._config.slack.team_id not in (None, team):
            raise Broken(
                f"The bot token belongs to workspace {team}, not to {self._config.slack.team_id}.",
                rule="slack.team_id names the only workspace that is served (R8)",
                then="correct team_id in sendcat.toml, or use the other workspace's token",
            )
        self.identity.team = self.directory.team = team
        self.identity.url = str(me.get("url") or "") or None
        self.identity.user = str(me["user_id"])
        self.identity.bot = str(me.get("bot_id") or "") or None
        self.identity.app = await self._app_id()
        self._known = True

    async def _app_id(self) -> str | None:
        """Our app's id, from whichever call tells it; None when none does, then it is not compared."""
        app_token = self._config.slack.app_token
        if app_token is not None:
            with contextlib.suppress(SlackClientError, aiohttp.ClientError, TimeoutError, OSError):
                answer = await self.client.auth_test(token=app_token.get_secret_value())
                if answer.get("app_id"):
                    return str(answer["app_id"])
        if self.identity.bot is not None:
            with contextlib.suppress(SlackClientError, aiohttp.ClientError, TimeoutError, OSError):
                answer = await self.client.bots_info(bot=self.identity.bot)
                found = (answer.get("bot") or {}).get("app_id")
                return str(found) if found else None
        return None

    async def _identify_later(self) -> None:
        while not self._known:
            await self._clock.sleep(KNOW_AGAIN_S)
            try:
                await self._identify()
            except Unreachable:
                continue
            except Broken as error:
                log.error("Slack refuses the bot", error=error.what)


class _Server(uvicorn.Server):
    """Signals belong to the bot, not to its web server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
