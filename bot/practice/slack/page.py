"""The page's endpoints: what a person sees, and what a person does, as JSON; changes as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bot.clock import rung
from bot.practice.slack.ack import Ack
from bot.practice.slack.deliver import Delivery
from bot.practice.slack.deployments import Deployments
from bot.practice.slack.hands import Hands
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.screen import Screen

FOLDER = Path(__file__).parent / "page"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
HEARTBEAT_S = 15.0


class _Doing(BaseModel):
    """What every request of the page carries: who does it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    who: str = Field(alias="as")


class _Typed(_Doing):
    channel: str
    text: str = Field(min_length=1, max_length=12_000)
    thread_ts: str | None = None


class _Click(_Doing):
    channel: str | None = None
    message_ts: str | None = None
    block_id: str | None = None
    action_id: str
    value: str | None = None
    selected_option: Any = None
    ephemeral: bool = False
    view_id: str | None = None


class _Form(_Doing):
    view_id: str
    values: dict[str, Any] = Field(default_factory=dict)


class _Shortcut(_Doing):
    callback_id: str
    channel: str | None = None
    message_ts: str | None = None


class _Reaction(_Doing):
    channel: str
    message_ts: str
    name: str
    remove: bool = False


class _Pin(_Doing):
    channel: str
    message_ts: str
    remove: bool = False


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    down: bool | None = None
    storm_429: bool | None = None


class _Conduct(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    deployment: str
    conduct: str


Body = TypeVar("Body", bound=BaseModel)


class Page:
    """The routes of the page. Errors come back as ``{"ok": false, "error": word}`` with status 200 or 400."""

    def __init__(
        self,
        hands: Hands,
        screen: Screen,
        delivery: Delivery,
        set_down: Callable[[bool], Awaitable[None]],
        deployments: Deployments,
    ) -> None:
        self.hands, self.screen, self.delivery, self._set_down = hands, screen, delivery, set_down
        self.deployments = deployments
        self.stopping = asyncio.Event()

    def routes(self) -> list[BaseRoute]:
        doing: list[tuple[str, Callable[[Request], Awaitable[Json]]]] = [
            ("command", self.command),
            ("message", self.message),
            ("click", self.click),
            ("submit", self.submit),
            ("close", self.close),
            ("home", self.home),
            ("shortcut", self.shortcut),
            ("react", self.react),
            ("pin", self.pin),
            ("fault", self.fault),
            ("conduct", self.conduct),
        ]
        return [
            Route("/", self.index),
            Route("/static/{name}", self.static),
            Route("/page/state", self.state),
            Route("/page/events", self.events),
            *(Route(f"/page/{name}", _json(handler), methods=["POST"]) for name, handler in doing),
        ]

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return _file("index.html", "text/html")

    async def static(self, request: Request) -> Response:
        """A script or a style sheet of the page."""
        name = request.path_params["name"]
        kind = _TYPES.get(Path(name).suffix)
        return _file(name, kind) if kind and name == Path(name).name else PlainTextResponse("not found", 404)

    async def state(self, request: Request) -> Response:
        """Everything the page draws for one person in one channel."""
        try:
            channel = request.query_params.get("channel")
            shown = self.screen.state(request.query_params.get("as", ""), channel)
        except SlackRefusal as refused:
            return JSONResponse(refused.body(), 404)
        return JSONResponse(shown, headers={"Cache-Control": "no-store"})

    async def events(self, request: Request) -> Response:
        """Server-sent events: one line for each visible change."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._changes(), media_type="text/event-stream", headers=headers)

    async def _changes(self) -> AsyncIterator[str]:
        workspace = self.hands.workspace
        waker = workspace.waker()
        try:
            while not self.stopping.is_set():
                now = {"revision": workspace.revision, "channel": workspace.last_channel}
                yield f"data: {json.dumps(now)}\n\n"
                while not waker.is_set() and not self.stopping.is_set():
                    if not await rung(waker, HEARTBEAT_S):
                        yield ": still here\n\n"
                waker.clear()
        finally:
            workspace.forget(waker)

    # what a person does ----------------------------------------------------------------------------------------

    async def command(self, request: Request) -> Json:
        said = await _read(request, _Typed)
        ack = await self.hands.command(said.who, said.channel, said.text, thread_ts=said.thread_ts)
        return _told(ack) | ({"ack_text": ack.text} if ack.text else {})

    async def message(self, request: Request) -> Json:
        said = await _read(request, _Typed)
        message, _ = await self.hands.say(said.who, said.channel, said.text, thread_ts=said.thread_ts)
        return {"ok": True, "ts": message.ts}

    async def click(self, request: Request) -> Json:
        done = await _read(request, _Click)
        target = done.view_id or done.message_ts or self.screen.home_id(done.who)
        if target is None:
            raise SlackRefusal("no_item_specified")
        if done.view_id is not None:
            self.hands.views.find(done.view_id)  # a form that the app has closed meanwhile is no mistake of the page
        if done.selected_option is None:
            ack = await self.hands.click(
                done.who, target, done.action_id, channel=done.channel, block_id=done.block_id, value=done.value
            )
        else:
            choice = _choice(done.selected_option)
            ack = await self.hands.select_option(
                done.who, target, done.action_id, choice, channel=done.channel, block_id=done.block_id
            )
        return _told(ack)

    async def submit(self, request: Request) -> Json:
        form = await _read(request, _Form)
        ack = await self.hands.submit(form.who, form.view_id, form.values)
        errors = self.screen.errors(form.view_id)
        if ack.ok and not errors:
            return {"ok": True}
        fields = {block_id: text for block_id, text in errors.items() if block_id}
        return {"ok": False, "error": ack.error or "errors"} | ({"errors": fields} if fields else {})

    async def close(self, request: Request) -> Json:
        form = await _read(request, _Form)
        return _told(await self.hands.close(form.who, form.view_id))

    async def home(self, request: Request) -> Json:
        return _told(await self.hands.open_home((await _read(request, _Doing)).who))

    async def shortcut(self, request: Request) -> Json:
        used = await _read(request, _Shortcut)
        return _told(await self.hands.shortcut(used.who, used.callback_id, used.message_ts, channel=used.channel))

    async def react(self, request: Request) -> Json:
        given = await _read(request, _Reaction)
        change = self.hands.unreact if given.remove else self.hands.react
        ack = await change(given.who, given.message_ts, given.name, channel=given.channel)
        return {"ok": True} if ack.error == "not_subscribed" else _told(ack)

    async def pin(self, request: Request) -> Json:
        wanted = await _read(request, _Pin)
        pinned = self.hands.pin(wanted.who, wanted.message_ts, channel=wanted.channel, remove=wanted.remove)
        return _told(await pinned)

    async def fault(self, request: Request) -> Json:
        wanted = await _read(request, _Fault)
        if wanted.storm_429 is not None:
            self.hands.faults.storm_429 = wanted.storm_429
        if wanted.down is not None:
            await self._set_down(wanted.down)
        self.hands.workspace.touch()
        return {"ok": True}

    async def conduct(self, request: Request) -> Json:
        """How a practice Sendcat behaves from now on."""
        wanted = await _read(request, _Conduct)
        self.deployments.behave(wanted.deployment, wanted.conduct)
        self.hands.workspace.touch()
        return {"ok": True}


def _told(ack: Ack) -> Json:
    return {"ok": True} if ack.ok else {"ok": False, "error": ack.error or "dispatch_failed"}


def _choice(selected: Any) -> Any:
    """The page may send Slack's option object, a list of them, or a bare value."""
    if isinstance(selected, list):
        return [_choice(each) for each in selected]
    return selected["value"] if isinstance(selected, dict) and "value" in selected else selected


async def _read(request: Request, model: type[Body]) -> Body:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise SlackRefusal("json_expected", status=415)
    return model.model_validate_json(await request.body())


def _json(handler: Callable[[Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request))
        except SlackRefusal as refused:
            return JSONResponse(refused.body(), refused.status)
        except ValidationError as wrong:
            problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong.errors()]
            return JSONResponse({"ok": False, "error": "invalid_arguments", "problems": problems}, 400)
        except LookupError as missing:
            return JSONResponse({"ok": False, "error": "not_found", "problems": [str(missing)]}, 404)

    return answer


def _file(name: str, kind: str) -> Response:
    path = FOLDER / name
    if not path.is_file():
        return PlainTextResponse("not found", 404, headers=_HEADERS)
    return FileResponse(path, media_type=kind, headers=_HEADERS)
