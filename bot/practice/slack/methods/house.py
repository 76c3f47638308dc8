"""What a Web API method may touch, and how it reads its arguments and finds its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.practice.slack import scopes
from bot.practice.slack.people import Channel
from bot.practice.slack.refusal import Json, SlackRefusal, invalid
from bot.practice.slack.tickets import Triggers
from bot.practice.slack.views import Views
from bot.practice.slack.workspace import Message, Workspace


@dataclass(frozen=True)
class House:
    """The parts of the workspace that methods work on; ``scopes`` are the bot's granted ones."""

    workspace: Workspace
    views: Views
    triggers: Triggers
    scopes: frozenset[str]

    @property
    def bot(self) -> str:
        return self.workspace.bot_user_id


Method = Callable[[House, Json], Json]


def required(args: Json, name: str, error: str = "invalid_arguments") -> str:
    """A required string argument."""
    value = args.get(name)
    if value is None or value == "":
        if error == "invalid_arguments":
            raise invalid(error, [f"[ERROR] missing required field: {name}"])
        raise SlackRefusal(error)
    return str(value)


def flag(args: Json, name: str, default: bool = False) -> bool:
    """A boolean argument, also as form text (``true``, ``1``)."""
    value = args.get(name, default)
    return value if isinstance(value, bool) else str(value).lower() in ("1", "true")


def number(args: Json, name: str, default: int) -> int:
    """An integer argument, also as form text."""
    try:
        return int(args.get(name, default))
    except (TypeError, ValueError):
        raise invalid("invalid_arguments", [f"[ERROR] must be an integer: {name}"]) from None


def parsed(args: Json, name: str, error: str) -> Any:
    """A JSON argument, sent as JSON or as text holding JSON; ``None`` when absent."""
    value = args.get(name)
    if isinstance(value, str):
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise SlackRefusal(error) from None
    return value


def place(house: House, method: str, args: Json, name: str = "channel") -> Channel:
    """The conversation an argument names, visible to the bot and covered by its scopes."""
    channel = house.workspace.channels.get(str(args.get(name, "")))
    scopes.check(method, house.scopes, channel.kind if channel else None)
    if channel is None or (channel.kind == "private" and house.bot not in channel.members):
        raise SlackRefusal("channel_not_found")
    return channel


def joined(house: House, method: str, args: Json, name: str = "channel") -> Channel:
    """The conversation an argument names, with the bot in it."""
    channel = place(house, method, args, name)
    if house.bot not in channel.members:
        raise SlackRefusal("not_in_channel")
    return channel


def writable(channel: Channel) -> Channel:
    """Refuse an archived channel."""
    if channel.archived:
        raise SlackRefusal("is_archived")
    return channel


def the_message(house: House, channel: Channel, ts: object, error: str = "message_not_found") -> Message:
    """The message with that ``ts``."""
    message = house.workspace.message(channel.id, str(ts))
    if message is None:
        raise SlackRefusal(error)
    return message


def page_of(items: list[Any], args: Json, default: int = 100) -> tuple[list[Any], str]:
    """One page of a list and the cursor of the next (empty at the end)."""
    start = 0
    cursor = str(args.get("cursor") or "")
    if cursor:
        if not cursor.startswith("next:") or not cursor.removeprefix("next:").isdigit():
            raise SlackRefusal("invalid_cursor")
        start = int(cursor.removeprefix("next:"))
    limit = min(max(1, number(args, "limit", default)), 999)
    rest = len(items) > start + limit
    return items[start : start + limit], f"next:{start + limit}" if rest else ""
