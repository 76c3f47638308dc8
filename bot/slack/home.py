"""The Home tab: drawn for whoever opened it lately, drawn again when something changed (platform.md, 3.1, 3.4).

A Home is a picture of rows, not a message: one that was not sent is simply drawn again, so it needs no outbox. It has
its own pace, and the same picture is never sent twice. What Slack will never take is not offered to it again: a person
it does not know leaves, a picture it refuses stays unsent. What it cannot take now is tried ever more seldom.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.card import SYMBOL
from bot.clock import Clock, rung
from bot.command import Actor
from bot.home.parts import Line, Part
from bot.home.tab import Home
from bot.slack.blocks import Block, buttons, linked
from bot.slack.courier import outcome_of
from bot.slack.pace import Pace
from bot.slack.text import mrkdwn, plain
from bot.store.database import Store

TOPICS = ("ops", "outbox", "cases", "changes", "incidents", "audit")
"""Commits that may change what stands on a Home."""
DEBOUNCE_S = 1.5
"""Changes come in bursts; one drawing shows them all."""
AGAIN_S = 5.0
"""After a drawing that Slack could not take; doubled with each further one, up to `AGAIN_MAX_S`."""
AGAIN_MAX_S = 120.0
AGES_S = 60.0
"""Ages stand on it in minutes."""
LOOKING_S = 45 * 60.0
"""Slack never says when somebody leaves the tab: after this long nobody looks any more."""
MOST = 50
"""So many people are kept up to date; who opened it longest ago leaves first and finds it fresh on the next opening."""
SECTION_CHARS = 2_900
MOST_BLOCKS = 100

log = structlog.get_logger("home")


class Lobby(Protocol):
    """Who knows what stands on a Home."""

    async def home(self, actor: Actor) -> Home: ...


@dataclass
class _Viewer:
    actor: Actor
    opened_s: float
    shown: str = ""
    """Digest of what Slack has, or will never take."""
    failures: int = 0
    """Drawings in a row that Slack could not take."""
    not_before_s: float = 0.0


class HomeTab:
    """Keeps the Homes of those who look."""

    def __init__(
        self,
        lobby: Lobby,
        client: AsyncWebClient,
        store: Store,
        clock: Clock,
        *,
        origin: Callable[[], str | None] = lambda: None,
        pace: Pace | None = None,
        debounce_s: float = DEBOUNCE_S,
        again_s: float = AGAIN_S,
    ) -> None:
        self._lobby = lobby
        self._client = client
        self._store = store
        self._clock = clock
        self._origin = origin
        self._pace = pace or Pace(clock)
        self._debounce_s = debounce_s
        self._again_s = again_s
        self._viewers: dict[str, _Viewer] = {}
        self._silences = 0
        """Calls in a row that did not reach Slack, whoever they were for."""
        self._wake = asyncio.Event()
        self._knock = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._forget: list[Callable[[], None]] = []
        self._ending = False

    def start(self) -> None:
        if self._loop is None:
            self._ending = False
            self._forget = [self._store.on_commit(topic, self._wake.set) for topic in TOPICS]
            self._loop = asyncio.create_task(self._run(), name="home")

    async def stop(self) -> None:
        for forget in self._forget:
            forget()
        self._forget = []
        # A call that ends in the moment of the cancellation can swallow it; then the flag ends the round.
        self._ending = True
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None

    def opened(self, actor: Actor) -> None:
        """Somebody opened the tab: it is drawn at once, whatever Slack has, and kept up to date for a while."""
        user = actor.account.partition(":")[2]
        self._viewers.pop(user, None)
        self._viewers[user] = _Viewer(actor, self._clock.monotonic())
        while len(self._viewers) > MOST:
            self._viewers.pop(next(iter(self._viewers)))
        self._knock.set()
        self._wake.set()

    async def _run(self) -> None:
        while not self._ending:
            self._wake.clear()
            self._knock.clear()
            wait_s = await self._round()
            if await rung(self._wake, wait_s):
                await rung(self._knock, self._debounce_s)  # who opens it does not wait

    async def _round(self) -> float:
        """Draw for everybody who looks; returns the seconds after which to look again without being told."""
        now = self._clock.monotonic()
        self._viewers = {user: v for user, v in self._viewers.items() if now - v.opened_s < LOOKING_S}
        wait_s = AGES_S
        for user, viewer in sorted(self._viewers.items(), key=_turn):
            if self._ending:
                break
            patience = max(self._pace.wait_s("views.publish", user), viewer.not_before_s - self._clock.monotonic())
            if patience > 0:
                wait_s = min(wait_s, patience)
                continue
            try:
                wait_s = min(wait_s, await self._publish(user, viewer))
            except Exception as error:
                log.error("home not drawn", error=type(error).__name__)
                wait_s = min(wait_s, self._failed(viewer))
        return wait_s

    async def _publish(self, user: str, viewer: _Viewer) -> float:
        """Draw for one person; returns the seconds after which to do it again."""
        view = draw(await self._lobby.home(viewer.actor), self._origin())
        digest = hashlib.sha256(json.dumps(_timeless(view)).encode()).hexdigest()
        if digest == viewer.shown:
            return AGES_S
        self._pace.take("views.publish", user)
        outcome = await outcome_of(self._client.views_publish(user_id=user, view=view))
        if outcome.how != "unreachable":
            self._silences = 0
        match outcome.how:
            case "sent":
                viewer.shown, viewer.failures = digest, 0
                return AGES_S
            case "rate_limited":
                self._pace.hold("views.publish", outcome.retry_s)
                return outcome.retry_s
            case "unreachable":
                self._silences += 1
                wait_s = max(outcome.retry_s, self._back_off_s(self._silences))
                self._pace.hold("views.publish", wait_s)  # nobody's home can be drawn
                log.warning("homes not published", error=outcome.error, again_s=round(wait_s))
                return wait_s
            case "unclear":  # it may stand there: to send it again does no harm
                log.warning("home not published", error=outcome.error, failures=viewer.failures + 1)
                return self._failed(viewer)
            case "undrawable":
                viewer.shown = digest
                log.error("Slack refuses this home, the next picture is tried again", error=outcome.error)
                return AGES_S
            case _:
                if self._viewers.get(user) is viewer:  # who opened it again meanwhile has another chance
                    del self._viewers[user]
                log.warning("home given up until it is opened again", error=outcome.error)
                return AGES_S

    def _failed(self, viewer: _Viewer) -> float:
        """Leave this person's home alone for a while, longer with each failure."""
        viewer.failures += 1
        wait_s = self._back_off_s(viewer.failures)
        viewer.not_before_s = self._clock.monotonic() + wait_s
        return wait_s

    def _back_off_s(self, failures: int) -> float:
        return float(min(AGAIN_MAX_S, self._again_s * 2.0 ** min(10, failures - 1)))


def _turn(item: tuple[str, _Viewer]) -> tuple[bool, int]:
    """Who waits for a first drawing comes first; whose drawings fail comes after the others."""
    viewer = item[1]
    return viewer.shown != "", viewer.failures


def draw(home: Home, origin: str | None) -> dict[str, Any]:
    """The view. ``origin`` is the workspace's address, for links to cards; without it they are left out."""
    blocks: list[Block] = [_section(banner) for banner in home.banners]
    blocks += _parts(home.parts, origin)
    elements = list(buttons(home.buttons))
    if elements:
        blocks += [{"type": "divider"}, {"type": "actions", "elements": elements}]
    if home.about:
        blocks += [{"type": "divider"}, *_parts(home.about, origin)]
    if home.footer:
        text = {"type": "mrkdwn", "text": mrkdwn(home.footer, 800), "verbatim": True}
        blocks.append({"type": "context", "elements": [text]})
    return {"type": "home", "callback_id": "home", "blocks": _fitting(blocks)}


def _fitting(blocks: list[Block]) -> list[Block]:
    """At most as many as Slack takes; what was left out is said."""
    if len(blocks) <= MOST_BLOCKS:
        return blocks
    return [*blocks[: MOST_BLOCKS - 1], _section("… more than fits here: `/sendcat status`")]


def _parts(parts: tuple[Part, ...], origin: str | None) -> list[Block]:
    blocks: list[Block] = []
    for number, part in enumerate(parts):
        if number:
            blocks.append({"type": "divider"})
        blocks += [{"type": "header", "text": _plain(part.title)}, *_body(part, origin)]
    return blocks


def _body(part: Part, origin: str | None) -> list[Block]:
    """Lines gathered into as few sections as hold them."""
    if not part.lines:
        return [_section(part.empty)] if part.empty else []
    gathered = [""]
    for line in part.lines:
        drawn = _line(line, origin)
        if gathered[-1] and len(gathered[-1]) + len(drawn) + 1 > SECTION_CHARS:
            gathered.append("")
        gathered[-1] = f"{gathered[-1]}\n{drawn}".strip()
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in gathered]


def _line(line: Line, origin: str | None) -> str:
    text = mrkdwn(f"{SYMBOL[line.tone]} {line.text}".strip(), 1_000) or "–"
    if line.card is None or origin is None:
        return text
    channel, ts = line.card
    link = linked("card", f"{origin.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}")
    return f"{text} · {link}"


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn(text, SECTION_CHARS) or "–", "verbatim": True}}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": plain(text, 150) or "–", "emoji": False}


def _timeless(view: dict[str, Any]) -> list[Block]:
    """The view without the line that says when it was drawn, which alone is no reason to draw it again."""
    return [block for block in view["blocks"] if block["type"] != "context"]
