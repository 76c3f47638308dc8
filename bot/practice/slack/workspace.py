"""What the practice workspace holds: people, channels, messages, files, pins - and who is told when it changes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bot.clock import Clock
from bot.practice.slack.people import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    Channel,
    Person,
    UserGroup,
    practice_channels,
    practice_groups,
    practice_people,
)
from bot.practice.slack.refusal import Json, SlackRefusal


@dataclass
class StoredFile:
    """An uploaded file. ``posted`` becomes true when the upload was completed."""

    id: str
    name: str
    length: int
    mimetype: str
    content: bytes = b""
    title: str = ""
    user: str = BOT_USER_ID
    posted: bool = False

    def to_api(self, base_url: str) -> Json:
        """The ``file`` object that hangs on a message."""
        address = f"{base_url}/files/{self.id}/{self.name}"
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": self.mimetype,
            "filetype": self.name.rpartition(".")[2],
            "size": len(self.content),
            "user": self.user,
            "url_private": address,
            "url_private_download": address,
            "permalink": address,
        }


@dataclass
class Message:
    """One message of a channel; ``ts`` is its id, ``thread_ts`` its parent's (a parent with replies names itself)."""

    ts: str
    channel: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    broadcast: bool = False
    bot: bool = False
    subtype: str | None = None
    metadata: Json | None = None
    edited_ts: str | None = None
    edits: int = 0
    reactions: dict[str, list[str]] = field(default_factory=dict)
    files: list[StoredFile] = field(default_factory=list)

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class Ephemeral:
    """A message that one person sees until the page is closed; the API can never read or edit it."""

    id: str
    ts: str
    channel: str
    user_to: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    from_slack: bool = False
    """Said by Slack itself (``/sendcat failed with the error ...``), not by the app."""


@dataclass
class Bookmark:
    """A link at the head of a channel."""

    id: str
    channel: str
    title: str
    link: str
    emoji: str = ""

    def to_api(self) -> Json:
        return {
            "id": self.id,
            "channel_id": self.channel,
            "title": self.title,
            "link": self.link,
            "emoji": self.emoji,
            "type": "link",
            "app_id": APP_ID,
        }


@dataclass
class Scheduled:
    """A message that waits for its time; with ``metadata`` Slack accepts it and never sends it (a documented bug)."""

    id: str
    channel: str
    post_at_s: int
    message: Json


class Workspace:
    """The state, its ids and its clock. Nothing here decides what is allowed.

    ``touch`` is called after each visible change: it raises ``revision`` and wakes everyone who waits
    (``wait_for``, the page's event stream).
    """

    def __init__(
        self, *, clock: Clock, seed: int = 0, people: Iterable[Person] | None = None, app_name: str = "sendcat"
    ) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self.base_url = "http://127.0.0.1"
        self.team_id, self.team_domain = TEAM_ID, TEAM_DOMAIN
        self.app_id, self.bot_id, self.bot_user_id = APP_ID, BOT_ID, BOT_USER_ID
        humans = list(people) if people is not None else practice_people()
        bot = Person(BOT_USER_ID, app_name, app_name, kind="bot", role_hint="the bot")
        self.people: dict[str, Person] = {person.id: person for person in [*humans, bot]}
        self.channels: dict[str, Channel] = {channel.id: channel for channel in practice_channels(humans)}
        self.groups: dict[str, UserGroup] = {group.id: group for group in practice_groups()}
        self.timeline: dict[str, dict[str, Message]] = {channel: {} for channel in self.channels}
        self.ephemerals: list[Ephemeral] = []
        self.stored_files: dict[str, StoredFile] = {}
        self.pins: dict[str, list[str]] = {}
        self.bookmarks: dict[str, Bookmark] = {}
        self.scheduled: dict[str, Scheduled] = {}
        self.read_up_to: dict[tuple[str, str], str] = {}
        self.revision = 0
        self.last_channel: str | None = None
        self._last_us = 0
        self._wakers: set[asyncio.Event] = set()

    # ids -------------------------------------------------------------------------------------------------------

    def next_ts(self) -> str:
        """A message ``ts``: seconds and microseconds, never the same twice, always rising."""
        self._last_us = max(self.clock.now_ms() * 1000, self._last_us + 1)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def next_id(self, prefix: str, length: int = 10) -> str:
        """An id such as ``V7K2M...``; the same seed gives the same ids."""
        return prefix + "".join(self.random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=length))

    # people and places -----------------------------------------------------------------------------------------

    def person(self, ref: str) -> Person:
        """A person by id, name or ``@name``; ``user_not_found`` otherwise."""
        name = ref.removeprefix("@")
        found = self.people.get(name) or next((p for p in self.people.values() if p.name == name), None)
        if found is None:
            raise SlackRefusal("user_not_found")
        return found

    def channel(self, ref: str) -> Channel:
        """A channel by id, name or ``#name``; ``channel_not_found`` otherwise."""
        name = ref.removeprefix("#")
        found = self.channels.get(name)
        if found is None:
            found = next((c for c in self.channels.values() if c.kind != "dm" and c.name == name), None)
        if found is None:
            raise SlackRefusal("channel_not_found")
        return found

    def dm(self, user: str) -> Channel:
        """The direct conversation between a person and the bot, made at its first use."""
        person = self.person(user)
        channel_id = "D" + person.id.removeprefix("U")
        if channel_id not in self.channels:
            channel = Channel(channel_id, f"dm-{person.name}", kind="dm", members={person.id, self.bot_user_id})
            self.channels[channel_id] = channel
            self.timeline[channel_id] = {}
        return self.channels[channel_id]

    def add_channel(self, channel: Channel) -> Channel:
        """Put one more channel into the workspace."""
        self.channels[channel.id] = channel
        self.timeline.setdefault(channel.id, {})
        self.touch(channel.id)
        return channel

    # messages --------------------------------------------------------------------------------------------------

    def post(self, message: Message) -> Message:
        """Append a message; a reply marks its parent as a thread."""
        self.timeline[message.channel][message.ts] = message
        parent = self.message(message.channel, message.thread_ts) if message.is_reply else None
        if parent is not None:
            parent.thread_ts = parent.ts
        self.touch(message.channel)
        return message

    def message(self, channel: str, ts: str | None) -> Message | None:
        """The message with that ``ts``, or nothing."""
        return self.timeline.get(channel, {}).get(ts or "")

    def delete(self, message: Message) -> None:
        """Take a message away (its pin goes with it)."""
        self.timeline[message.channel].pop(message.ts, None)
        if message.ts in self.pins.get(message.channel, []):
            self.pins[message.channel].remove(message.ts)
        self.touch(message.channel)

    def top_level(self, channel: str) -> list[Message]:
        """What the channel shows, oldest first: no replies, unless they were broadcast."""
        return [m for m in self.timeline[channel].values() if not m.is_reply or m.broadcast]

    def replies(self, channel: str, ts: str) -> list[Message]:
        """The replies below a parent, oldest first."""
        return [m for m in self.timeline[channel].values() if m.is_reply and m.thread_ts == ts]

    def tell(self, user: str, channel: str, text: str, **more: Any) -> Ephemeral:
        """Show an ephemeral message to one person."""
        note = Ephemeral(self.next_id("E"), self.next_ts(), channel, user, text, **more)
        self.ephemerals.append(note)
        self.touch(channel)
        return note

    def ephemeral(self, ref: str) -> Ephemeral | None:
        """An ephemeral by its id or ``ts``."""
        return next((note for note in self.ephemerals if ref in (note.id, note.ts)), None)

    def to_api(self, message: Message, *, with_metadata: bool = False) -> Json:
        """The ``message`` object of ``conversations.history`` and of a click's payload."""
        shown: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
        shown["team"] = self.people[message.user].team_id if message.user in self.people else self.team_id
        if message.bot:
            shown |= {"bot_id": self.bot_id, "app_id": self.app_id}
        if message.blocks:
            shown["blocks"] = message.blocks
        if message.attachments:
            shown["attachments"] = message.attachments
        if message.subtype:
            shown["subtype"] = message.subtype
        if message.edited_ts:
            shown["edited"] = {"user": message.user, "ts": message.edited_ts}
        if message.files:
            shown["files"] = [stored.to_api(self.base_url) for stored in message.files]
        if message.reactions:
            shown["reactions"] = [
                {"name": name, "users": list(users), "count": len(users)} for name, users in message.reactions.items()
            ]
        if with_metadata and message.metadata:
            shown["metadata"] = message.metadata
        if message.thread_ts:
            shown["thread_ts"] = message.thread_ts
            replies = [] if message.is_reply else self.replies(message.channel, message.ts)
            if replies:
                shown |= {
                    "reply_count": len(replies),
                    "reply_users": sorted({reply.user for reply in replies}),
                    "latest_reply": replies[-1].ts,
                }
        if message.ts in self.pins.get(message.channel, []):
            shown["pinned_to"] = [message.channel]
        return shown

    # being told ------------------------------------------------------------------------------------------------

    def touch(self, channel: str | None = None) -> None:
        """Something visible changed."""
        self.revision += 1
        self.last_channel = channel
        for event in self._wakers:
            event.set()

    def waker(self) -> asyncio.Event:
        """An event that is set at each change; the holder clears it and hands it back with ``forget``."""
        event = asyncio.Event()
        self._wakers.add(event)
        return event

    def forget(self, event: asyncio.Event) -> None:
        """Stop setting an event."""
        self._wakers.discard(event)
