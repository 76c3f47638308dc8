"""A workspace that only remembers: it serves the state a test gives it, in the shape the page reads, and keeps every post."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import page_samples as samples
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import bot.practice.slack
from tests.conftest import SLOW

PAGE = Path(bot.practice.slack.__file__).parent / "page"
Json = dict[str, Any]

_CHART = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 120"><rect width="420" height="120" fill="#0e4f52"/>'
    '<path d="M0 100 60 92 120 96 180 70 240 40 300 30 360 52 420 44" fill="none" stroke="#ffd89c" stroke-width="4"/></svg>'
)


class Workspace:
    """What the page sees. Tests change it with `change` and read `posts`: (verb, body) in order of arrival."""

    def __init__(self) -> None:
        self.revision = 1
        self.posts: list[tuple[str, Json]] = []
        self.answers: dict[str, Json] = {}
        self.channel_messages: dict[str, list[Json]] = {samples.INCIDENT: samples.conversation()}
        self.ephemerals: list[Json] = []
        self.views: dict[str, list[Json]] = {}
        self.homes: dict[str, Json] = {}
        self.faults: Json = {"down": False, "storm_429": False}
        ways = [{"name": name, "summary": f"it is {name}"} for name in ("healthy", "slower")]
        self.deployments = [{"name": "candidate", "conduct": "healthy", "conducts": ways}]
        self.pins: dict[str, list[str]] = {samples.INCIDENT: [samples.RESULT_TS]}
        self.people = samples.people()
        self.channels = samples.channels()
        self.app = samples.app()
        self.hidden_from: dict[str, set[str]] = {}
        self.refusing_events = False
        self.closing = False
        self.cuts = 0
        self._changed = threading.Lock()

    @property
    def messages(self) -> list[Json]:
        """The incident channel."""
        return self.channel_messages[samples.INCIDENT]

    @contextlib.contextmanager
    def change(self) -> Iterator[Workspace]:
        """Change the state; the page is told when the block ends."""
        with self._changed:
            yield self
            self.revision += 1

    def cut_events(self) -> None:
        """End every open event stream, as when the workspace goes away."""
        self.cuts += 1

    def state(self, user: str | None, channel: str | None) -> Json | None:
        """The answer of GET /page/state; None for someone or somewhere unknown."""
        me = next((p for p in self.people if user in (p["id"], p["name"])), None)
        place = next((c for c in self.channels if c["id"] == (channel or samples.INCIDENT)), None)
        if me is None or place is None or place["id"] in self.hidden_from.get(me["id"], ()):
            return None
        with self._changed:
            return copy.deepcopy(
                {
                    "revision": self.revision,
                    "me": me,
                    "app": self.app,
                    "people": self.people,
                    "channels": self.channels,
                    "channel": {
                        "id": place["id"],
                        "name": place["name"],
                        "topic": place["topic"],
                        "pins": self.pins.get(place["id"], []),
                    },
                    "messages": self.channel_messages.get(place["id"], []),
                    "ephemerals": [e for e in self.ephemerals if e["user_to"] == me["id"]],
                    "views": self.views.get(me["id"], []),
                    "home": self.homes.get(me["id"]),
                    "faults": self.faults,
                    "deployments": self.deployments,
                }
            )

    def wait_for_post(self, verb: str, *, seconds: float = 5, **holding: object) -> Json:
        """The body of the newest post of this kind that holds these values, waiting for it to arrive."""
        deadline = time.monotonic() + seconds * SLOW
        while time.monotonic() < deadline:
            for seen, body in reversed(self.posts):
                if seen == verb and holding.items() <= {k: v for k, v in body.items() if k in holding}.items():
                    return body
            time.sleep(0.01)
        raise AssertionError(f"the page posted no {verb}; it posted {[v for v, _ in self.posts]}")

    def receive(self, verb: str, body: Json) -> Json:
        """Keep a post and do the little that a page must see at once."""
        with self.change():
            self.posts.append((verb, body))
            answer = self.answers.get(verb, {"ok": True})
            if not answer.get("ok", True):
                return answer
            if verb == "message":
                self._say(body)
            elif verb == "close" or verb == "submit":
                self.views[body["as"]] = [v for v in self.views.get(body["as"], []) if v["id"] != body["view_id"]]
            elif verb == "fault":
                self.faults.update({k: v for k, v in body.items() if k != "as"})
            elif verb == "conduct":
                self.deployments[0]["conduct"] = body["conduct"]
            elif verb == "home":
                self.homes.setdefault(body["as"], samples.home())
            return answer

    def _say(self, body: Json) -> None:
        said = samples.message(0, body["as"], body["text"], ts=f"{samples.START + 7200 + len(self.posts):.6f}")
        if body.get("thread_ts"):
            parent = next(m for m in self.messages if m["ts"] == body["thread_ts"])
            parent["replies"].append({**said, "thread_ts": parent["ts"]})
            parent["reply_count"] = len(parent["replies"])
        else:
            self.channel_messages.setdefault(body["channel"], []).append(said)


def application(workspace: Workspace) -> Starlette:
    """The page and its fixture workspace."""

    async def index(_: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def state(request: Request) -> Response:
        found = workspace.state(request.query_params.get("as"), request.query_params.get("channel"))
        return JSONResponse(found) if found else JSONResponse({"ok": False, "error": "user_not_found"}, 404)

    async def events(request: Request) -> Response:
        if workspace.refusing_events:
            return Response(status_code=503)
        cuts = workspace.cuts

        async def stream() -> AsyncIterator[str]:
            sent = -1
            while not workspace.closing and cuts == workspace.cuts:
                if workspace.revision != sent:
                    sent = workspace.revision
                    yield f"data: {json.dumps({'revision': sent})}\n\n"
                if await request.is_disconnected():
                    return
                await asyncio.sleep(0.02)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def post(request: Request) -> Response:
        return JSONResponse(workspace.receive(request.path_params["verb"], await request.json()))

    async def chart(_: Request) -> Response:
        return Response(_CHART, media_type="image/svg+xml")

    return Starlette(
        routes=[
            Route("/", index),
            Route("/archives/{channel}/{ts}", index),
            Route("/page/state", state),
            Route("/page/events", events),
            Route("/page/{verb}", post, methods=["POST"]),
            Route("/files/{rest:path}", chart),
            Mount("/static", StaticFiles(directory=PAGE)),
        ]
    )


@contextlib.contextmanager
def serving(workspace: Workspace) -> Iterator[str]:
    """Serve on loopback in a thread; yields the address."""
    server = uvicorn.Server(uvicorn.Config(application(workspace), host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        workspace.closing = True
        server.should_exit = True
        thread.join(timeout=10)
