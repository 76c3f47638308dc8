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
from bot.command import Actor, Ask, Door, Place, Reply
from bot.forms import as_line
from bot.slack.blocks import OFFER, render, sentence
from bot.slack.ingress import Answer, Delivery
from bot.slack.logs import quiet_logger
from bot.slack.manifest import COMMAND, EVENTS, SHORTCUTS
from bot.slack.modal import marked, modal
from bot.slack.payload import Click, Event, Shortcut, Slash, Submission, mentioned, read

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


OUT_OF_DATE = Card(
    title="This card is out of date",
    tone=Tone.REFUSED,
    lead="Its buttons mean nothing any more (R11). Nothing was done.",
    next="type `/sendcat status`, or the command itself",
    final=True,
)
ELSEWHERE = Card(
    title="Refused: another app",
    tone=Tone.REFUSED,
    lead="This bot answers for the app that it was set up for (R8). Nothing was done.",
    final=True,
)


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
            ask = Ask(
                line=slash.text.strip() or "help",
                by=self._actor(slash.user_id, slash.team_id, slash.api_app_id),
                place=_place(slash.channel_id),
                key=f"command:{slash.trigger_id}",
                modal=True,
            )
            reply = await self._accept(ask, context)
            self._open(reply, slash.trigger_id, slash.user_id, ask.place)
            return await (ack() if reply.card is None else _ephemeral(ack, reply.card))

        return await self._guarded(Slash, body, ack, answer)

    async def on_click(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A button or a menu: its value is the id of an offer, whose meaning is in the database (R11)."""

        async def answer(click: Click) -> BoltResponse:
            channel = click.channel.id if click.channel else None
            thread = _thread(click)
            team = click.user.team_id or (click.team.id if click.team else None)

            def tell(card: Card) -> None:
                self._whisper(card, channel=channel, user=click.user.id, thread_ts=thread)

            if self._foreign_app(click.api_app_id):
                tell(ELSEWHERE)
                return await ack()
            offer = click.actions[0].reference
            if offer is None or not OFFER.fullmatch(offer):
                tell(OUT_OF_DATE)
                return await ack()
            ask = Ask(
                line="",
                by=self._actor(click.user.id, team, click.api_app_id),
                place=_place(channel, thread, user=click.user.id),
                key=f"click:{click.trigger_id}",
                offer=offer,
                modal=True,
            )
            reply = await self._accept(ask, context)
            self._open(reply, click.trigger_id, click.user.id, ask.place)
            if reply.card is not None:
                tell(reply.card)
            return await ack()

        return await self._guarded(Click, body, ack, answer)

    async def on_form(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A form: what it is for was minted when it was opened; a mistake is marked in it, never told elsewhere."""

        async def answer(form: Submission) -> BoltResponse:
            team = form.user.team_id or (form.team.id if form.team else None)
            if self._foreign_app(form.api_app_id):
                return await _shown(ack, ELSEWHERE)
            offer, _, where = form.view.private_metadata.partition(" ")
            if not OFFER.fullmatch(offer):
                return await _shown(ack, OUT_OF_DATE)
            channel, _, thread = where.partition(" ")
            ask = Ask(
                line="",
                by=self._actor(form.user.id, team, form.api_app_id),
                place=_place(channel or None, thread or None, user=form.user.id),
                key=f"form:{form.view.id}:{form.view.hash}",
                offer=offer,
                fields=form.fields(),
                submitted=True,
            )
            reply = await self._accept(ask, context)
            if reply.card is None:
                return await ack()
            asked = list(form.view.state.values)
            if reply.exit_status == 2 and asked:
                return await ack(response_action="errors", errors=marked(reply.errors, asked, sentence(reply.card)))
            return await _shown(ack, reply.card)

        return await self._guarded(Submission, body, ack, answer)

    async def on_shortcut(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A shortcut: its command, in the thread of the message it was chosen on."""

        async def answer(chosen: Shortcut) -> BoltResponse:
            channel, message = chosen.channel.id if chosen.channel else None, chosen.message
            thread = None if message is None else message.thread_ts or message.ts
            place = _place(channel, thread, user=chosen.user.id)
            known = next((s for s in SHORTCUTS if s.callback_id == chosen.callback_id), None)
            refused = ELSEWHERE if self._foreign_app(chosen.api_app_id) else None
            if known is None or (known.kind == "message") is not (channel is not None and message is not None):
                refused = refused or OUT_OF_DATE
            if refused is not None or known is None:
                self._whisper(refused or OUT_OF_DATE, channel=channel, user=chosen.user.id, thread_ts=None)
                return await ack()
            ask = Ask(
                line=known.line.format(message=f"{channel}/{message.ts}" if message else ""),
                by=self._actor(
                    chosen.user.id, chosen.user.team_id or (chosen.team.id if chosen.team else None), chosen.api_app_id
                ),
                place=place,
                key=f"shortcut:{chosen.trigger_id}",
                modal=True,
                form=known.asks,
            )
            reply = await self._accept(ask, context)
            self._open(reply, chosen.trigger_id, chosen.user.id, place)
            if reply.card is not None:
                self._whisper(reply.card, channel=channel, user=chosen.user.id, thread_ts=place.thread_ts)
            return await ack()

        return await self._guarded(Shortcut, body, ack, answer)

    async def on_event(self, ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext) -> BoltResponse:
        """A mention, the emoji of the timeline, or somebody who opens the Home tab."""

        async def answer(event: Event) -> BoltResponse:
            said = event.event
            if said.user is None or said.bot_id or said.subtype:
                return await ack()
            if self._foreign_app(event.api_app_id) or self._identity.team not in (None, event.team_id):
                log.warning("event of another workspace ignored")
                return await ack()
            actor = self._actor(said.user, said.user_team or event.team_id, event.api_app_id)
            if said.type == "app_home_opened":
                if said.tab != "messages":  # the event fires for that tab too
                    self._greeter(actor)
                return await ack()
            ask = _reacted(event, actor, self._emoji) if said.type == "reaction_added" else _mentioned(event, actor)
            if ask is not None:
                reply = await self._accept(ask, context)
                if reply.card is not None and not reply.duplicate:
                    thread = ask.place.thread_ts
                    self._whisper(reply.card, channel=ask.place.channel, user=said.user, thread_ts=thread)
            return await ack()

        return await self._guarded(Event, body, ack, answer)

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
                self._whisper(card, channel=place.channel, user=user, thread_ts=place.thread_ts)

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

    @staticmethod
    def _actor(user: str, team: str | None, app: str) -> Actor:
        return Actor(door=Door.SLACK, account=f"slack:{user}", team=team, app=app)


def _mentioned(event: Event, actor: Actor) -> Ask | None:
    """A mention is the same command, answered in its thread. The message is the key: Slack delivers one message under
    several event ids at times (platform.md, 2.3)."""
    said = event.event
    if said.channel is None or said.ts is None:
        return None
    return Ask(
        line=mentioned(said.text) or "help",
        by=actor,
        place=_place(said.channel, said.thread_ts or said.ts),
        key=f"mention:{said.channel}:{said.ts}",
    )


def _reacted(event: Event, actor: Actor, emoji: str | None) -> Ask | None:
    """The configured emoji on a message adds it to the timeline; who wrote what is read from Slack, not from here."""
    item, name = event.event.item, (event.event.reaction or "").partition("::")[0]
    if item is None or item.type != "message" or item.channel is None or item.ts is None or name != emoji:
        return None
    return Ask(
        line=f"timeline add {item.channel}/{item.ts}",
        by=actor,
        place=_place(item.channel),
        key=f"reaction:{event.event_id}",
    )


def _place(channel: str | None, thread_ts: str | None = None, *, user: str | None = None) -> Place:
    """A channel, or a direct message; what comes from nowhere (a form, the Home tab) belongs to the person's own."""
    if channel is None:
        return Place(kind="dm", channel=user)
    return Place(kind="dm" if channel.startswith("D") else "channel", channel=channel, thread_ts=thread_ts)


def _thread(click: Click) -> str | None:
    """The thread of the pressed message; a card in the channel itself has none, even when it was answered."""
    message = click.message
    if message is None or message.thread_ts in (None, message.ts):
        return None
    return message.thread_ts


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
