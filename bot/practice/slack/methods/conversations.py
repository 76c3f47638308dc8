"""``conversations.*``: what channels there are, who is in them, what was said."""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.slack.methods.house import (
    House,
    Method,
    flag,
    joined,
    page_of,
    place,
    required,
    the_message,
    writable,
)
from bot.practice.slack.people import Channel, ChannelKind
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.workspace import Message

TOPIC_MAX = 250
_KIND_OF: Mapping[str, ChannelKind] = {"public_channel": "public", "private_channel": "private", "im": "dm"}
_READ_SCOPE: Mapping[ChannelKind, str] = {"public": "channels:read", "private": "groups:read", "dm": "im:read"}


def _shown(house: House, channel: Channel, *, with_count: bool = False) -> Json:
    return channel.to_api(bot_user_id=house.bot, with_count=with_count)


def info(house: House, args: Json) -> Json:
    channel = place(house, "conversations.info", args)
    return {"channel": _shown(house, channel, with_count=flag(args, "include_num_members"))}


def listing(house: House, args: Json) -> Json:
    kinds: list[ChannelKind] = []
    for name in str(args.get("types") or "public_channel").split(","):
        kind = _KIND_OF.get(name.strip())
        if kind is None:
            raise SlackRefusal("invalid_types")
        if _READ_SCOPE[kind] not in house.scopes:
            provided = ",".join(sorted(house.scopes))
            raise SlackRefusal("missing_scope", needed=_READ_SCOPE[kind], provided=provided)
        kinds.append(kind)
    seen = [
        channel
        for channel in house.workspace.channels.values()
        if channel.kind in kinds
        and (channel.kind == "public" or house.bot in channel.members)
        and not (channel.archived and flag(args, "exclude_archived"))
    ]
    page, cursor = page_of(seen, args)
    channels = [_shown(house, channel, with_count=True) for channel in page]
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def members(house: House, args: Json) -> Json:
    channel = place(house, "conversations.members", args)
    page, cursor = page_of(sorted(channel.members), args)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def _between(found: list[Message], args: Json) -> list[Message]:
    oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    inclusive = flag(args, "inclusive")
    return [m for m in found if oldest < float(m.ts) < latest or (inclusive and float(m.ts) in (oldest, latest))]


def _said(house: House, page: list[Message], args: Json) -> list[Json]:
    with_metadata = flag(args, "include_all_metadata")
    return [house.workspace.to_api(message, with_metadata=with_metadata) for message in page]


def history(house: House, args: Json) -> Json:
    channel = joined(house, "conversations.history", args)
    found = _between(house.workspace.top_level(channel.id), args)[::-1]
    page, cursor = page_of(found, args)
    return {
        "messages": _said(house, page, args),
        "has_more": bool(cursor),
        "pin_count": len(house.workspace.pins.get(channel.id, [])),
        "response_metadata": {"next_cursor": cursor},
    }


def replies(house: House, args: Json) -> Json:
    channel = joined(house, "conversations.replies", args)
    parent = the_message(house, channel, required(args, "ts"), "thread_not_found")
    root = parent.thread_ts or parent.ts
    thread = [m for m in house.workspace.timeline[channel.id].values() if root in (m.ts, m.thread_ts)]
    page, cursor = page_of(_between(thread, args), args, 1000)
    return {
        "messages": _said(house, page, args),
        "has_more": bool(cursor),
        "response_metadata": {"next_cursor": cursor},
    }


def open_dm(house: House, args: Json) -> Json:
    user = str(args.get("users") or "")
    if "," in user:
        raise SlackRefusal("method_not_supported_for_channel_type")
    if user not in house.workspace.people or user == house.bot:
        raise SlackRefusal("user_not_found")
    return {"channel": {"id": house.workspace.dm(user).id}}


def join(house: House, args: Json) -> Json:
    channel = writable(place(house, "conversations.join", args))
    if channel.kind != "public":
        raise SlackRefusal("method_not_supported_for_channel_type")
    channel.members.add(house.bot)
    house.workspace.touch(channel.id)
    return {"channel": _shown(house, channel)}


def set_topic(house: House, args: Json) -> Json:
    channel = writable(joined(house, "conversations.setTopic", args))
    topic = str(args.get("topic") or "")
    if len(topic) > TOPIC_MAX:
        raise SlackRefusal("too_long")
    channel.topic = topic
    workspace = house.workspace
    line = f"set the channel topic: {topic}"
    workspace.post(Message(workspace.next_ts(), channel.id, house.bot, line, bot=True, subtype="channel_topic"))
    return {"topic": topic, "channel": _shown(house, channel)}


METHODS: Mapping[str, Method] = {
    "conversations.info": info,
    "conversations.list": listing,
    "conversations.members": members,
    "conversations.history": history,
    "conversations.replies": replies,
    "conversations.open": open_dm,
    "conversations.join": join,
    "conversations.setTopic": set_topic,
}
