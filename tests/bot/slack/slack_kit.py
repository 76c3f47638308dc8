"""What the tests of the Slack door share: signed requests, a small desk, cards of any shape."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
from slack_sdk.web.async_client import AsyncWebClient

from bot.card import Card
from bot.clock import SystemClock
from bot.command import Actor, Ask, Reply
from bot.slack.admission import Admission
from bot.slack.app import Identity, build, inner
from bot.slack.courier import Courier
from bot.slack.ingress import EVENTS_PATH, Ingress
from bot.slack.pace import Pace
from bot.slack.post import Poster
from bot.store.database import Store

SECRET = "a-signing-secret-of-the-tests"
FORM = "application/x-www-form-urlencoded"
OFFER = "0123456789abcdef0123456789abcdef"


def sign(body: bytes, stamp: str, secret: str = SECRET) -> str:
    return "v0=" + hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()


def signed(body: bytes, content_type: str = FORM, *, stamp: str | None = None) -> dict[str, str]:
    """Headers of a really signed request."""
    at = stamp or str(SystemClock().now_ms() // 1000)
    return {
        "content-type": content_type,
        "x-slack-request-timestamp": at,
        "x-slack-signature": sign(body, at),
    }


def slash(text: str = "triage", trigger: str = "t1", **changed: str) -> bytes:
    form = {
        "token": "old",
        "team_id": "T0PRACTICE",
        "channel_id": "C0INC",
        "user_id": "U0ONCALL",
        "command": "/sendcat",
        "text": text,
        "api_app_id": "A0SENDCAT",
        "trigger_id": trigger,
        "response_url": "http://127.0.0.1/secret-response-url",
    }
    return urlencode({**form, **changed}).encode()


def click(value: str | None = OFFER, trigger: str = "t2", **changed: Any) -> bytes:
    payload: dict[str, Any] = {
        "type": "block_actions",
        "user": {"id": "U0ONCALL", "team_id": "T0PRACTICE"},
        "team": {"id": "T0PRACTICE"},
        "api_app_id": "A0SENDCAT",
        "trigger_id": trigger,
        "channel": {"id": "C0INC", "name": "incidents"},
        "message": {"ts": "1.000100", "type": "message"},
        "container": {"type": "message", "channel_id": "C0INC", "message_ts": "1.000100"},
        "actions": [{"action_id": "triage.rerun", "block_id": "b", "type": "button", "value": value}],
    }
    return b"payload=" + quote_plus(json.dumps({**payload, **changed})).encode()


def form(private: str = OFFER, **values: str) -> bytes:
    payload = {
        "type": "view_submission",
        "user": {"id": "U0ONCALL", "team_id": "T0PRACTICE"},
        "team": {"id": "T0PRACTICE"},
        "api_app_id": "A0SENDCAT",
        "view": {
            "id": "V1",
            "hash": "h1",
            "type": "modal",
            "callback_id": "gate.form",
            "private_metadata": private,
            "state": {"values": {f"b-{k}": {k: {"type": "plain_text_input", "value": v}} for k, v in values.items()}},
        },
    }
    return b"payload=" + quote_plus(json.dumps(payload)).encode()


def mention(text: str = "<@U0SENDCAT> triage", event_id: str = "Ev1", ts: str = "1.000100", **changed: Any) -> bytes:
    event = {"type": "app_mention", "user": "U0ONCALL", "channel": "C0INC", "ts": ts, "text": text}
    body = {
        "type": "event_callback",
        "event_id": event_id,
        "team_id": "T0PRACTICE",
        "api_app_id": "A0SENDCAT",
        "event": {**event, **changed},
    }
    return json.dumps(body).encode()


@dataclass
class TinyDesk:
    """Keeps what it was asked. The same key is the same wish; a card answers what is not a plain command."""

    answer: Callable[[Ask], Awaitable[Reply]] | None = None
    asks: list[Ask] = field(default_factory=list)
    effects: dict[str, Ask] = field(default_factory=dict)

    async def accept(self, ask: Ask) -> Reply:
        self.asks.append(ask)
        if ask.key in self.effects:
            return Reply(duplicate=True, card=Card(title="Already taken", lead="It is run r-1."))
        self.effects[ask.key] = ask
        if self.answer is not None:
            return await self.answer(ask)
        return Reply(op="r-1")


@dataclass
class Whispers:
    said: list[tuple[Card, str | None, str, str | None]] = field(default_factory=list)

    def __call__(self, card: Card, *, channel: str | None, user: str, thread_ts: str | None) -> None:
        self.said.append((card, channel, user, thread_ts))


class Door:
    """The real ingress and the real Bolt app around a small desk, driven in process."""

    def __init__(
        self, desk: TinyDesk | None = None, admission: Admission | None = None, body_within_s: float = 5.0
    ) -> None:
        self.desk = desk or TinyDesk()
        self.whispers = Whispers()
        self.identity = Identity(team="T0PRACTICE", app="A0SENDCAT", user="U0SENDCAT", bot="B0SENDCAT")
        self.clock = SystemClock()
        self.greeted: list[Actor] = []
        app = build(
            client=AsyncWebClient(token="xoxb-tests-only-0000"),
            signing_secret=SECRET,
            front=self.desk,
            whisper=self.whispers,
            identity=self.identity,
            clock=self.clock,
            greeter=self.greeted.append,
            emoji="pushpin",
        )
        self.ingress = Ingress(
            inner(app),
            signing_secret=SECRET,
            clock=self.clock,
            health=lambda: {"ok": True},
            admission=admission,
            body_within_s=body_within_s,
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.ingress), base_url="http://bot")

    async def post(self, body: bytes, content_type: str = FORM, **headers: str) -> httpx.Response:
        """A signed request; ``headers`` replace or (empty) remove single headers."""
        given = {**signed(body, content_type), **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.client.post(
            EVENTS_PATH, content=body, headers={name: value for name, value in given.items() if value}
        )


class NoPace(Pace):
    """As fast as it goes, but behind every Retry-After."""

    def wait_s(self, method: str, channel: str, *, reserve: float = 0.0) -> float:
        return max(0.0, self._held_until_s.get(method, 0.0) - self._clock.monotonic())


def make_poster(store: Store, web: AsyncWebClient, artifacts: Path, **changed: Any) -> Poster:
    """A poster without the pauses that people need and tests do not."""
    clock = SystemClock()
    settings: dict[str, Any] = {"edit_every_s": 0.05, "look_after_s": 0.02, "backoff_s": 0.02, "pace": NoPace(clock)}
    return Poster(store, Courier(web), clock, artifact_dir=artifacts, **{**settings, **changed})
