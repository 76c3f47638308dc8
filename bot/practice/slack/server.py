"""The one port: Web API, socket, response URLs, files and the page, for callers on this machine only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bot.practice.loopback import LoopbackServer
from bot.practice.slack.answers import Answers
from bot.practice.slack.api import WebApi
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.socket_mode import TICKET_LIFE_MS, SocketHub
from bot.practice.slack.tickets import ResponseUrls

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
MAX_BODY = 25 * 1024 * 1024
_ABORT = "practice.abort"
_SHOWN_INLINE = ("image/png", "image/jpeg", "image/gif", "image/webp", "text/plain")


class Doors:
    """The routes of Slack's own surface."""

    def __init__(self, api: WebApi, hub: SocketHub, responses: ResponseUrls, answers: Answers) -> None:
        self.api, self.hub, self.responses, self.answers = api, hub, responses, answers

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/{method}", self.call, methods=["GET", "POST"]),
            Route("/response/{token}", self.respond, methods=["POST"]),
            Route("/upload/{file_id}", self.upload, methods=["POST", "PUT"]),
            Route("/files/{file_id}/{name}", self.download),
            Route("/archives/{channel}/{point}", self.permalink),
            WebSocketRoute("/socket", self.socket),
        ]

    async def call(self, request: Request) -> Response:
        """``/api/<method>``: query, form or JSON arguments, the token in the header or among them."""
        try:
            args = await arguments(request)
        except ValueError:
            return JSONResponse({"ok": False, "error": "invalid_json"})
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = args.pop("token", None)
        token = bearer.strip() if scheme.lower() == "bearer" else given
        answer = await self.api.call(request.path_params["method"], token, args)
        if answer.drop:
            return await _hang_up(request)
        return JSONResponse(answer.body, answer.status, headers=answer.headers)

    async def respond(self, request: Request) -> Response:
        """A post to a response URL."""
        if self.api.faults.down != "no":
            return PlainTextResponse("service unavailable", 503)
        try:
            said = json.loads(await request.body())
            if not isinstance(said, dict):
                raise SlackRefusal("invalid_payload", status=400)
            self.answers.to_response_url(self.responses.use(request.path_params["token"]), said)
        except ValueError:
            return PlainTextResponse("invalid_payload", 400)
        except SlackRefusal as refused:
            status = refused.status if refused.status != 200 else 400
            return JSONResponse(refused.body(), status)
        return PlainTextResponse("ok")

    async def upload(self, request: Request) -> Response:
        """The bytes of a file whose address was asked for."""
        stored = self.api.house.workspace.stored_files.get(request.path_params["file_id"])
        if stored is None or stored.posted:
            return PlainTextResponse("not found", 404)
        content = await request.body()
        if len(content) != stored.length:
            return PlainTextResponse(f"expected {stored.length} bytes, got {len(content)}", 400)
        stored.content = content
        return PlainTextResponse(f"OK - {stored.length}")

    async def download(self, request: Request) -> Response:
        """A file's bytes; what a browser could run is only offered for saving."""
        stored = self.api.house.workspace.stored_files.get(request.path_params["file_id"])
        if stored is None or not stored.posted:
            return PlainTextResponse("not found", 404)
        inline = stored.mimetype in _SHOWN_INLINE
        headers = {
            "Content-Disposition": "inline" if inline else "attachment",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        }
        return Response(stored.content, media_type=stored.mimetype, headers=headers)

    async def permalink(self, request: Request) -> Response:
        """A message's link, opened in the page."""
        digits = request.path_params["point"].removeprefix("p")
        ts = f"{digits[:-6]}.{digits[-6:]}"
        if not ts.replace(".", "", 1).isdigit() or request.path_params["channel"] not in self._channels():
            return PlainTextResponse("not found", 404)
        return RedirectResponse(f"/?channel={request.path_params['channel']}&ts={ts}")

    def _channels(self) -> Any:
        return self.api.house.workspace.channels

    async def socket(self, websocket: WebSocket) -> None:
        """A Socket Mode connection, opened with a ticket that works once."""
        issued_ms = self.api.socket_tickets.pop(websocket.query_params.get("ticket", ""), None)
        now_ms = self.api.house.workspace.clock.now_ms()
        if self.api.faults.down != "no" or issued_ms is None or now_ms - issued_ms > TICKET_LIFE_MS:
            await websocket.close(1008)
            return
        await self.hub.serve(websocket)


async def arguments(request: Request) -> Json:
    """The arguments of a Web API call, wherever they stand; ``ValueError`` for JSON that is none."""
    args: Json = dict(request.query_params)
    body = await request.body()
    if not body:
        return args
    if request.headers.get("content-type", "").startswith("application/json"):
        said = json.loads(body)
        if not isinstance(said, dict):
            raise ValueError("not an object")
        return args | said
    return args | dict(parse_qsl(body.decode(), keep_blank_values=True))


async def _hang_up(request: Request) -> Response:
    """End the connection without an answer."""
    abort = cast("Callable[[], None] | None", request.scope.get(_ABORT))
    if abort is not None:
        abort()
        await asyncio.sleep(0)
    return PlainTextResponse("", 503, headers={"Connection": "close"})


class Guard:
    """Only this machine, by this address: ``Host`` and ``Origin`` name the loopback, bodies are bounded (R6)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        own = origin is None or origin == f"http://{host}"
        length = headers.get(b"content-length", "0")
        if _name_of(host) in LOOPBACK and own and length.isdigit() and int(length) <= MAX_BODY:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("this practice Slack answers on the loopback only", 403)(scope, receive, send)


def _name_of(host: str) -> str:
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


class _Protocol(HttpToolsProtocol):
    """HTTP that lets a route cut its own connection (a lost answer)."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[_ABORT] = self.transport.abort


def served(routes: list[BaseRoute], host: str, port: int) -> LoopbackServer:
    """The port with these routes, not yet started; raises ValueError for a host that is not this machine."""
    app = Guard(Starlette(routes=routes))
    return LoopbackServer(app, host, port, http=_Protocol, ws="websockets-sansio", server_header=True)
