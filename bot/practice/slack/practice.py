"""The practice Slack put together: one object that starts, stops, acts as people, and shows what happened."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from starlette.types import ASGIApp

from bot.clock import Clock, SystemClock, rung
from bot.practice.loopback import LoopbackServer
from bot.practice.slack.ack import Ack
from bot.practice.slack.api import Call, WebApi
from bot.practice.slack.deliver import Delivery
from bot.practice.slack.deployments import Behaving, Deployments
from bot.practice.slack.faults import Faults
from bot.practice.slack.hands import Hands
from bot.practice.slack.installed import installed
from bot.practice.slack.methods.chat import deliver_due
from bot.practice.slack.methods.house import House
from bot.practice.slack.page import Page
from bot.practice.slack.payloads import Payloads
from bot.practice.slack.people import Person
from bot.practice.slack.refusal import Json
from bot.practice.slack.screen import Screen
from bot.practice.slack.server import Doors, served
from bot.practice.slack.signed_http import HttpDelivery
from bot.practice.slack.socket_mode import SocketHub
from bot.practice.slack.tickets import ResponseUrls, Triggers
from bot.practice.slack.tiers import Strictness, Tiers
from bot.practice.slack.views import Views
from bot.practice.slack.workspace import Message, StoredFile, Workspace

Found = TypeVar("Found")
_TICK_S = 0.5


class PracticeSlack:
    """A Slack workspace on the loopback that refuses what the real one refuses.

    ``manifest`` is the app's manifest: its scopes, commands, shortcuts, events and switches are what the app may do
    and hear. ``clock`` rules trigger ids, response URLs, rate limits and timestamps; the three seconds of an ack are
    real (``ack_timeout_s``). ``tiers`` is ``realistic``, ``strict`` or ``off``. ``sendcats`` are the practice Sendcats
    whose conduct the page can switch.
    """

    def __init__(
        self,
        *,
        manifest: Mapping[str, Any],
        clock: Clock | None = None,
        seed: int = 0,
        signing_secret: str | None = None,
        people: Iterable[Person] | None = None,
        tiers: Strictness = "realistic",
        sendcats: Mapping[str, Behaving] | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.app = installed(manifest)
        self.signing_secret = signing_secret or secrets.token_hex(16)
        self.faults = Faults(seed=seed)
        self.workspace = Workspace(clock=self.clock, seed=seed, people=people, app_name=self.app.name)
        self.open_views = Views(self.workspace)
        triggers, self.responses = Triggers(self.clock), ResponseUrls(self.clock)
        house = House(self.workspace, self.open_views, triggers, self.app.scopes)
        self.tiers = Tiers(self.clock, tiers)
        self.api = WebApi(house, self.faults, self.tiers)
        self.hub = SocketHub(self.workspace.app_id, self.faults)
        self.delivery = Delivery(self.hub, self.faults)
        self.payloads = Payloads(self.workspace, self.open_views, triggers)
        self.hands = Hands(
            self.workspace,
            self.open_views,
            self.app,
            self.payloads,
            self.responses,
            self.delivery,
            self.faults,
        )
        deployments = Deployments(sendcats or {})
        self.screen = Screen(self.workspace, self.open_views, self.app, self.delivery, self.faults, deployments)
        self.page = Page(self.hands, self.screen, self.delivery, self.set_down, deployments)
        doors = Doors(self.api, self.hub, self.responses, self.hands.answers)
        self._routes = [*doors.routes(), *self.page.routes()]
        self._server: LoopbackServer | None = None
        self._ticker: asyncio.Task[None] | None = None

    # who and where ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.workspace.base_url

    @property
    def api_url(self) -> str:
        """What ``base_url`` of the SDK's client is set to."""
        return self.url + "/api/"

    @property
    def bot_token(self) -> str:
        return self.api.bot_token

    @property
    def app_token(self) -> str:
        return self.api.app_token

    @property
    def team_id(self) -> str:
        return self.workspace.team_id

    @property
    def app_id(self) -> str:
        return self.workspace.app_id

    @property
    def bot_user_id(self) -> str:
        return self.workspace.bot_user_id

    @property
    def ack_timeout_s(self) -> float:
        """How long Slack waits for an ack: three seconds, unless a test has less time."""
        return self.delivery.timeout_s

    @ack_timeout_s.setter
    def ack_timeout_s(self, seconds: float) -> None:
        self.delivery.timeout_s = seconds

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on the loopback; port 0 takes a free one."""
        self._server = served(self._routes, host, port)
        self.workspace.base_url = self._server.url
        await self._server.start()
        self._ticker = asyncio.create_task(self._tick())

    async def stop(self) -> None:
        """Close sockets, event streams and the port."""
        self.page.stopping.set()
        self.workspace.touch()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await self.delivery.close()
        await self.hub.close()
        if self._server is not None:
            await self._server.stop()

    async def __aenter__(self) -> PracticeSlack:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def deliver_http(self, request_url: str | None = None, app: ASGIApp | None = None) -> HttpDelivery:
        """From now on deliver by signed HTTP: to a request URL, or straight into an ASGI application."""
        http = HttpDelivery(secret=self.signing_secret, clock=self.clock, url=request_url, app=app)
        self.delivery.use(http)
        return http

    def deliver_socket(self) -> None:
        """From now on deliver over Socket Mode again."""
        self.delivery.use(None)

    async def verify_url(self) -> Ack:
        """Slack's ``url_verification`` of the request URL."""
        return await self.delivery.verify_url()

    # acting as a person ----------------------------------------------------------------------------------------

    async def command(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> Ack:
        """Type a slash command (``/sendcat triage``)."""
        return await self.hands.command(user, channel, text, thread_ts=thread_ts)

    async def click(self, user: str, target: Json | str, action: str, **more: Any) -> Ack:
        """Press a button by action id or words; see ``Hands.click``."""
        return await self.hands.click(user, target, action, **more)

    async def select_option(self, user: str, target: Json | str, action: str, choice: Any, **more: Any) -> Ack:
        """Choose in a menu or picker; see ``Hands.select_option``."""
        return await self.hands.select_option(user, target, action, choice, **more)

    async def submit(self, user: str, view_id: str, values: Json | None = None) -> Ack:
        """Send a form; see ``Hands.submit``."""
        return await self.hands.submit(user, view_id, values)

    async def close_view(self, user: str, view_id: str) -> Ack:
        """Close a form."""
        return await self.hands.close(user, view_id)

    async def open_home(self, user: str) -> Ack:
        """Open the Home tab."""
        return await self.hands.open_home(user)

    async def mention(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Ack:
        """Write ``@sendcat text``, also in a thread."""
        return await self.hands.mention(user, channel, text, thread_ts)

    async def say(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> Json:
        """Write an ordinary message; returns it."""
        message, _ = await self.hands.say(user, channel, text, thread_ts=thread_ts)
        return self._shown(message)

    async def shortcut(
        self, user: str, callback_id: str, message: Json | str | None = None, *, channel: str | None = None
    ) -> Ack:
        """Use a global shortcut, or a message's when one is given."""
        return await self.hands.shortcut(user, callback_id, message, channel=channel)

    async def react(self, user: str, target: Json | str, name: str, *, channel: str | None = None) -> Ack:
        """Add an emoji."""
        return await self.hands.react(user, target, name, channel=channel)

    async def archive(self, channel: str, user: str = "lead") -> Ack:
        """Archive a channel."""
        return await self.hands.archive(user, channel)

    async def change_group(self, group: str, users: list[str]) -> Ack:
        """Change who is in a user group (``S0ONCALL``)."""
        return await self.hands.change_group(group, users)

    def delete_message(self, channel: str, ts: str) -> None:
        """An administrator deletes a message, say the bot's card."""
        found = self.workspace.message(self._channel_id(channel), ts)
        if found is not None:
            self.workspace.delete(found)

    async def set_down(self, down: bool) -> None:
        """Slack is down (the Web API answers 503, sockets close, people can do nothing) - or up again."""
        self.faults.down = "503" if down else "no"
        if down:
            await self.hub.close()

    # looking ---------------------------------------------------------------------------------------------------

    def messages(self, channel: str) -> list[Json]:
        """What a channel shows, oldest first, replies left out; each also names its ``channel`` and ``metadata``."""
        return [self._shown(m) for m in self.workspace.top_level(self._channel_id(channel))]

    def thread(self, channel: str, ts: str) -> list[Json]:
        """A message and its replies, oldest first."""
        channel_id = self._channel_id(channel)
        parent = self.workspace.message(channel_id, ts)
        return [self._shown(m) for m in [*([parent] if parent else []), *self.workspace.replies(channel_id, ts)]]

    def message(self, channel: str, ts: str) -> Json | None:
        """One message, as it is now."""
        found = self.workspace.message(self._channel_id(channel), ts)
        return self._shown(found) if found else None

    def ephemerals(self, user: str, channel: str | None = None) -> list[Json]:
        """What only this person sees, oldest first; Slack's own words carry ``from_slack``."""
        person = self.workspace.person(user).id
        where = self._channel_id(channel) if channel else None
        notes = [n for n in self.workspace.ephemerals if n.user_to == person and where in (None, n.channel)]
        return [self.screen.ephemeral(note) for note in notes]

    def views(self, user: str) -> list[Json]:
        """The person's open modals, the top one last."""
        return self.screen.stack(self.workspace.person(user).id)

    def home(self, user: str) -> Json | None:
        """The person's Home tab."""
        view = self.open_views.homes.get(self.workspace.person(user).id)
        return self.open_views.to_api(view) if view else None

    def files(self, channel: str | None = None) -> list[StoredFile]:
        """Files that were posted, in a channel or anywhere."""
        if channel is None:
            return [stored for stored in self.workspace.stored_files.values() if stored.posted]
        timeline = self.workspace.timeline[self._channel_id(channel)]
        return [stored for message in timeline.values() for stored in message.files]

    @property
    def calls(self) -> list[Call]:
        """The Web API calls so far (the latest 20,000)."""
        return list(self.api.calls)

    def count(self, method: str, *, applied: bool | None = True) -> int:
        """How many calls of a method had their effect (``applied=None``: how many were made)."""
        return self.api.count(method, applied=applied)

    async def wait_for(self, predicate: Callable[[], Found | None], timeout_s: float = 5.0) -> Found:
        """Wait until something visible makes the predicate true; returns what it gave. ``TimeoutError`` otherwise."""
        waker = self.workspace.waker()
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            while True:
                waker.clear()
                found = predicate()
                if found:
                    return found
                left_s = deadline - asyncio.get_running_loop().time()
                if left_s <= 0:
                    raise TimeoutError(f"nothing of the kind within {timeout_s} s")
                await rung(waker, min(left_s, 0.25))
        finally:
            self.workspace.forget(waker)

    def deliver_scheduled(self) -> list[Json]:
        """Post every scheduled message whose time has come by the clock (also done twice a second)."""
        return [self._shown(message) for message in deliver_due(self.workspace)]

    def _shown(self, message: Message) -> Json:
        shown = self.workspace.to_api(message, with_metadata=True) | {"channel": message.channel}
        return shown | {"edits": message.edits}

    def _channel_id(self, channel: str) -> str:
        return self.workspace.channel(channel).id

    async def _tick(self) -> None:
        while True:
            self.deliver_scheduled()
            await asyncio.sleep(_TICK_S)
