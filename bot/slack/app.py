"""Bolt's app, and the only listeners there are: one for slash commands, buttons, forms, shortcuts and events each.

A listener makes an `Ask` of what was verified, hands it to the desk, and answers; it does no work (platform.md, 1 and
2.2). Nothing escapes a listener into Bolt, since an exception there would lose the answer. What Bolt knows (``ack``,
``body``) is seen in this file only.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.card import Card, Tone
from bot.clock import Clock, token
from bot.command import Actor, Ask, Place, Reply
from bot.forms import as_line
from bot.slack import asks
from bot.slack.asks import ELSEWHERE
from bot.slack.blocks import render, sentence
from bot.slack.ingress import Answer, Delivery
from bot.slack.logs import quiet_logger
from bot.slack.manifest import COMMAND, EVENTS
from bot.slack.modal import marked, modal
from bot.slack.payload import Click, Event, Shortcut, Slash, Submission, read

WITHIN_S = 2.3
"""The desk's share of the 2.5 s in which a person gets an answer (safety.md, R4)."""

P = TypeVar("P", Slash, Click, Submission, Shortcut, Event)
log = structlog.get_logger("slack")


class Front(Protocol):
    """The desk, as the doors see it."""

    async def accept(self, ask: Ask) -> Reply:
        """Durable before it returns; raises nothing for a bad line, the reply's card explains it."""


class Whisper(Protocol):
    """Says something to one person only; never raises, never waits for Slack."""

    def __call__(self, card: Card, *, channel: str | None, user: str, thread_ts: str | None) -> None: ...


class Opener(Protocol):
    """Opens a modal for who holds the trigger; False when Slack did not."""

    async def __call__(self, trigger: str, view: dict[str, Any]) -> bool: ...


class Greeter(Protocol):
    """Somebody opened the Home tab; returns at once."""

    def __call__(self, actor: Actor) -> None: ...


def _unseen(actor: Actor) -> None:
    """Where no Home is drawn."""


@dataclass
class Identity:
    """Who the bot is, as ``auth.test`` said; None as long as it is not known."""

    team: str | None = None
    app: str | None = None
    user: str | None = None
    bot: str | None = None
    url: str | None = None


def not_opened(line: str) -> Card:
    """Slack did not open the form in time."""
    return Card(
        title="The form could not be opened",
        tone=Tone.REFUSED,
        lead="Slack opens a form only within three seconds. Nothing was done.",
        next=f"press again, or type it: `/sendcat {line}`",
        final=True,
    )


def not_accepted(reference: str) -> Card:
    """The desk did not answer in time, or broke."""
    return Card(
        title="NOT accepted: it could not be written down in time",
        tone=Tone.BAD,
        lead=f"Nothing is done without a record (R4). If a card appears all the same, it was written after all. "
        f"Reference `{reference}`.",
        next="try again in a minute; `/sendcat stop` keeps working",
        final=True,
    )


def build(
    *,
    client: AsyncWebClient,
    signing_secret: str,
    front: Front,
    whisper: Whisper,
    identity: Identity,
    clock: Clock,
    greeter: Greeter = _unseen,
    emoji: str | None = None,
) -> AsyncApp:
    """The app for both modes. It makes no call of its own: who it is comes from ``identity``."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=identity.team,
            bot_user_id=identity.user,
            bot_id=identity.bot,
            bot_token=client.token,
        )

    async def opener(trigger: str, view: dict[str, Any]) -> bool:
        try:
            await client.views_open(trigger_id=trigger, view=view)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("form not opened", error=type(error).__name__)
            return False
        return True

    app = AsyncApp(
        name="sendcat",
        logger=quiet_logger("bolt"),
        client=client,
        authorize=authorize,
        signing_secret=signing_secret,
        process_before_response=True,
        raise_error_for_unhandled_request=True,
        attaching_function_token_enabled=False,
        attaching_conversation_kwargs_enabled=False,
    )
    Listeners(front, whisper, identity, clock, opener, greeter, emoji).register(app)
    return app


def inner(app: AsyncApp) -> Callable[[Delivery], Awaitable[Answer]]:
    """Bolt behind the ingress: the raw text for its signature check, our own parse of it for the rest."""

    async def dispatch(delivery: Delivery) -> Answer:
        request = AsyncBoltRequest(
            body=delivery.body,
            headers=dict(delivery.headers),
            context={"arrived": delivery.arrived},
            mode="socket_mode",  # takes a parsed body; Bolt's own parser reads words of a command as structure (R5)
        )
        request.mode, request.raw_body = "http", delivery.raw
        response = await app.async_dispatch(request)
        kind = response.first_headers().get("content-type", "text/plain;charset=utf-8")
        return Answer(response.status, response.body or "", kind)

    return dispatch


class Listeners:
    """What happens on each kind of delivery."""

    def __init__(
        self,
        front: Front,
        whisper: Whisper,
        identity: Identity,
        clock: Clock,
        opener: Opener,
        greeter: Greeter = _unseen,
        emoji: str | None = None,
    ) -> None:
        self._front = front
        self._whisper = whisper
        self._identity = identity
        self._clock = clock
        self._opener = opener
        self._greeter = greeter
        self._emoji = emoji
        self._opening: set[asyncio.Task[None]] = set()

    def register(self, app: AsyncApp) -> None:
        """Every kind once. Buttons of any name come here, since old messages keep old names for ever."""
        app.command(COMMAND)(self.on_command)
        app.action(re.compile(""))(self.on_click)
        app.view(re.compile(""))(self.on_form)
        app.shortcut(re.compile(""))(self.on_shortcut)
        for event in EVENTS:
            app.event(event)(self.on_event)
        app.error(self.on_error)

    async def on_command(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A slash command: refusals and answers stand in the ack, results come as a card."""

        async def answer(slash: Slash) -> BoltResponse:
            if self._foreign_app(slash.api_app_id):
                return await _ephemeral(ack, ELSEWHERE)
            ask = asks.typed(slash)
            reply = await self._accept(ask, context)
            self._open(reply, slash.trigger_id, slash.user_id, ask.place)
            return await (ack() if reply.card is None else _ephemeral(ack, reply.card))

        return await self._guarded(Slash, body, ack, answer)

    async def on_click(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A button or a menu: its value is the id of an offer, whose meaning is in the database (R11)."""

        async def answer(click: Click) -> BoltResponse:
            return await self._take(click, asks.pressed(click), ack, context)

        return await self._guarded(Click, body, ack, answer)

    async def on_shortcut(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """An entry of a message's menu, or of the menu that is everywhere."""

        async def answer(shortcut: Shortcut) -> BoltResponse:
            return await self._take(shortcut, asks.chosen(shortcut), ack, context)

        return await self._guarded(Shortcut, body, ack, answer)

    async def on_form(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A form: what it is for was minted when it was opened; a mistake is marked in it, never told elsewhere."""

        async def answer(form: Submission) -> BoltResponse:
            ask = ELSEWHERE if self._foreign_app(form.api_app_id) else asks.sent(form)
            if isinstance(ask, Card):
                return await _shown(ack, ask)
            reply = await self._accept(ask, context)
            if reply.card is None:
                return await ack()
            asked = list(form.view.state.values)
            if reply.exit_status == 2 and asked:
                return await ack(response_action="errors", errors=marked(reply.errors, asked, sentence(reply.card)))
            return await _shown(ack, reply.card)

        return await self._guarded(Submission, body, ack, answer)

    async def on_event(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A mention, the emoji of the timeline, or somebody who opens the Home tab."""

        async def answer(event: Event) -> BoltResponse:
            said = event.event
            if said.user is None or said.bot_id or said.subtype:
                return await ack()
            if self._foreign_app(event.api_app_id) or self._identity.team not in (None, event.installed):
                log.warning("event of another workspace ignored")
                return await ack()
            match said.type:
                case "app_home_opened":
                    if said.tab != "messages":  # the event fires for that tab too
                        self._greeter(asks.who(event))
                    return await ack()
                case "reaction_added":
                    ask = asks.reaction(event, self._emoji)
                case _:
                    ask = asks.mention(event)
            if ask is not None:
                reply = await self._accept(ask, context)
                if reply.card is not None and not reply.duplicate:
                    self._tell(reply.card, ask.place, said.user)
            return await ack()

        return await self._guarded(Event, body, ack, answer)

    async def _take(
        self, asked: Click | Shortcut, ask: Ask | Card, ack: AsyncAck, context: AsyncBoltContext
    ) -> BoltResponse:
        """What was pressed or chosen: to the desk, or a card that says why not. A form is opened beside the answer."""
        if self._foreign_app(asked.api_app_id):
            ask = ELSEWHERE
        if isinstance(ask, Card):
            self._tell(ask, asks.where(asked), asked.user.id)
            return await ack()
        reply = await self._accept(ask, context)
        self._open(reply, asked.trigger_id, asked.user.id, ask.place)
        if reply.card is not None:
            self._tell(reply.card, ask.place, asked.user.id)
        return await ack()

    def _tell(self, card: Card, place: Place, user: str) -> None:
        self._whisper(card, channel=place.channel, user=user, thread_ts=place.thread_ts)

    async def on_error(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """What no listener is for, and what broke in Bolt itself: a polite answer, and no retry of what never works."""
        kind = str(body.get("type", "command"))[:40]
        if type(error).__name__ != "BoltUnhandledRequestError":
            log.error("Bolt failed", kind=kind, error=type(error).__name__)
            return BoltResponse(status=400, body="not understood")
        log.info("nothing listens for this", kind=kind)
        if "command" in body:
            said = {"response_type": "ephemeral", "text": "🚫 This bot has one command: /sendcat help"}
            return BoltResponse(status=200, body=said)
        return BoltResponse(status=200, body="")

    def _open(self, reply: Reply, trigger: str, user: str, place: Place) -> None:
        """Open the form beside the answer, which must not wait for Slack."""
        opening = reply.opening
        if opening is None:
            return
        where = f"{opening.offer} {place.channel or ''} {place.thread_ts or ''}".strip()

        async def open_it() -> None:
            if not await self._opener(trigger, modal(opening, where)):
                card = not_opened(as_line(opening.line, opening.form))
                self._tell(card, place, user)

        task = asyncio.create_task(open_it(), name="form")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _accept(self, ask: Ask, context: AsyncBoltContext) -> Reply:
        """The desk's reply within the bound, or a clear "not accepted"."""
        now = self._clock.monotonic()
        left = WITHIN_S - (now - context.get("arrived", now))
        reference = token()[:8]
        try:
            async with asyncio.timeout(max(0.05, left)):
                return await self._front.accept(ask)
        except TimeoutError:
            log.error("the desk did not answer in time", reference=reference, key=ask.key)
        except Exception as error:
            log.error("the desk failed", reference=reference, key=ask.key, error=type(error).__name__)
        return Reply(card=not_accepted(reference), exit_status=3)

    async def _guarded(
        self, model: type[P], body: dict[str, Any], ack: AsyncAck, answer: Callable[[P], Awaitable[BoltResponse]]
    ) -> BoltResponse:
        """Nothing escapes into Bolt: an exception after the answer would replace it."""
        try:
            payload = read(body)
            if not isinstance(payload, model):
                return BoltResponse(status=400, body="malformed")
        except ValueError:
            return BoltResponse(status=400, body="malformed")
        try:
            return await answer(payload)
        except Exception as error:
            reference = token()[:8]
            log.error("listener failed", reference=reference, error=type(error).__name__)
            if ack.response is not None:
                return ack.response
            if isinstance(payload, Slash):
                return await _ephemeral(ack, not_accepted(reference))
            return await ack()

    def _foreign_app(self, app: str) -> bool:
        """A request for another app. People of another workspace are strangers to the desk: help and stop only."""
        return self._identity.app is not None and app != self._identity.app


async def _ephemeral(ack: AsyncAck, card: Card) -> BoltResponse:
    message = render(card)
    return await ack(response_type="ephemeral", text=message.text, blocks=message.blocks)


async def _shown(ack: AsyncAck, card: Card) -> BoltResponse:
    """The card in place of the form. A modal has no tables of its own, so rows are drawn as text."""
    message = render(card.model_copy(update={"buttons": ()}), table_fallback=True)
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Sendcat"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": message.blocks,
    }
    return await ack(response_action="update", view=view)
