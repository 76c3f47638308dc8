"""What a verified delivery asks for: pure, from the bodies of `bot.slack.payload` to an `Ask`, or a card that says no.

Only ids count here (safety.md, R8). What a button or a form means is in the database; they bring an offer's id (R11).
"""

from __future__ import annotations

from bot.card import Card, Tone
from bot.command import Actor, Ask, Door, Place
from bot.slack.blocks import OFFER
from bot.slack.manifest import SHORTCUTS
from bot.slack.payload import Click, Event, Shortcut, Slash, Submission, mentioned
from bot.slack.text import undone

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


def typed(slash: Slash) -> Ask:
    """A slash command; alone it means help."""
    return Ask(
        line=undone(slash.text).strip() or "help",
        by=actor(slash.user_id, slash.team_id, slash.api_app_id),
        place=place(slash.channel_id),
        key=f"command:{slash.trigger_id}",
        modal=True,
    )


def pressed(click: Click) -> Ask | Card:
    """A button, or an option of a menu."""
    offer = click.actions[0].reference
    if offer is None or not OFFER.fullmatch(offer):
        return OUT_OF_DATE
    return Ask(
        line="",
        by=actor(click.user.id, click.home, click.api_app_id),
        place=where(click),
        key=f"click:{click.trigger_id}",
        offer=offer,
        modal=True,
    )


def sent(form: Submission) -> Ask | Card:
    """A form; where it was opened came back with it."""
    offer, _, origin = form.view.private_metadata.partition(" ")
    if not OFFER.fullmatch(offer):
        return OUT_OF_DATE
    channel, _, thread = origin.partition(" ")
    return Ask(
        line="",
        by=actor(form.user.id, form.home, form.api_app_id),
        place=place(channel or None, thread or None, user=form.user.id),
        key=f"form:{form.view.id}:{form.view.hash}",
        offer=offer,
        fields=form.fields(),
        submitted=True,
    )


def chosen(shortcut: Shortcut) -> Ask | Card:
    """A shortcut: its command, in the thread of the message it was chosen on."""
    channel, message = shortcut.channel, shortcut.message
    on_message = channel is not None and message is not None
    known = next((s for s in SHORTCUTS if s.callback_id == shortcut.callback_id), None)
    if known is None or (known.kind == "message") is not on_message:
        return OUT_OF_DATE
    named = f"{channel.id}/{message.ts}" if channel and message else ""
    return Ask(
        line=known.line.format(message=named),
        by=actor(shortcut.user.id, shortcut.home, shortcut.api_app_id),
        place=where(shortcut),
        key=f"shortcut:{shortcut.trigger_id}",
        modal=True,
        form=known.asks,
    )


def mention(event: Event) -> Ask | None:
    """A mention is the same command, answered in its thread. The message is the key: Slack delivers one message under
    several event ids at times (platform.md, 2.3)."""
    said = event.event
    if said.user is None or said.channel is None or said.ts is None:
        return None
    return Ask(
        line=mentioned(said.text) or "help",
        by=who(event),
        place=place(said.channel, said.thread_ts or said.ts),
        key=f"mention:{said.channel}:{said.ts}",
    )


def reaction(event: Event, emoji: str | None) -> Ask | None:
    """The configured emoji, in any skin, adds its message to the timeline. Who wrote what is read from Slack later."""
    item, name = event.event.item, (event.event.reaction or "").partition("::")[0]
    if item is None or item.type != "message" or item.channel is None or item.ts is None or name != emoji:
        return None
    return Ask(
        line=f"timeline add {item.channel}/{item.ts}",
        by=who(event),
        place=place(item.channel),
        key=f"reaction:{event.event_id}",
    )


def who(event: Event) -> Actor:
    """Who did it; a person of another workspace keeps their own."""
    said = event.event
    return actor(said.user or "", said.user_team or event.team_id, event.api_app_id)


def actor(user: str, team: str | None, app: str) -> Actor:
    return Actor(door=Door.SLACK, account=f"slack:{user}", team=team, app=app)


def where(asked: Click | Shortcut) -> Place:
    """Where it was pressed. A card in the channel itself has no thread, even when it was answered; what is chosen from
    a message's menu belongs into that message's thread."""
    channel = asked.channel.id if asked.channel else None
    message = asked.message
    if message is None:
        return place(channel, user=asked.user.id)
    thread = message.thread_ts if message.thread_ts != message.ts else None
    if isinstance(asked, Shortcut):
        thread = thread or message.ts
    return place(channel, thread, user=asked.user.id)


def place(channel: str | None, thread_ts: str | None = None, *, user: str | None = None) -> Place:
    """A channel, or a direct message; what comes from nowhere (a form, the Home tab) belongs to the person's own."""
    if channel is None:
        return Place(kind="dm", channel=user)
    direct = channel.startswith(("D", "U", "W"))
    return Place(kind="dm" if direct else "channel", channel=channel, thread_ts=thread_ts)
