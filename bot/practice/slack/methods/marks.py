"""Pins, bookmarks, reactions: what people hang on channels and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bot.practice.slack.methods.house import House, Method, joined, required, the_message, writable
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.workspace import Bookmark


def pin(house: House, args: Json) -> Json:
    channel = writable(joined(house, "pins.add", args))
    message = the_message(house, channel, required(args, "timestamp", "no_item_specified"))
    pinned = house.workspace.pins.setdefault(channel.id, [])
    if message.ts in pinned:
        raise SlackRefusal("already_pinned")
    pinned.append(message.ts)
    house.workspace.touch(channel.id)
    return {}


def unpin(house: House, args: Json) -> Json:
    channel = joined(house, "pins.remove", args)
    pinned = house.workspace.pins.get(channel.id, [])
    ts = required(args, "timestamp", "no_item_specified")
    if ts not in pinned:
        raise SlackRefusal("no_pin")
    pinned.remove(ts)
    house.workspace.touch(channel.id)
    return {}


def pins(house: House, args: Json) -> Json:
    channel = joined(house, "pins.list", args)
    found = [house.workspace.message(channel.id, ts) for ts in house.workspace.pins.get(channel.id, [])]
    items = [
        {"type": "message", "channel": channel.id, "message": house.workspace.to_api(message), "created_by": house.bot}
        for message in found
        if message is not None
    ]
    return {"items": items}


def _bookmark(house: House, args: Json) -> Bookmark:
    found = house.workspace.bookmarks.get(required(args, "bookmark_id", "not_found"))
    if found is None or found.channel != args.get("channel_id"):
        raise SlackRefusal("not_found")
    return found


def _link(args: Json) -> str:
    link = required(args, "link", "invalid_link")
    if not re.match(r"https?://", link):
        raise SlackRefusal("invalid_link")
    return link


def add_bookmark(house: House, args: Json) -> Json:
    channel = writable(joined(house, "bookmarks.add", args, "channel_id"))
    if args.get("type") != "link":
        raise SlackRefusal("invalid_bookmark_type")
    bookmark = Bookmark(
        house.workspace.next_id("Bk"),
        channel.id,
        required(args, "title"),
        _link(args),
        str(args.get("emoji") or ""),
    )
    house.workspace.bookmarks[bookmark.id] = bookmark
    house.workspace.touch(channel.id)
    return {"bookmark": bookmark.to_api()}


def edit_bookmark(house: House, args: Json) -> Json:
    joined(house, "bookmarks.edit", args, "channel_id")
    bookmark = _bookmark(house, args)
    bookmark.title = str(args.get("title") or bookmark.title)
    bookmark.emoji = str(args.get("emoji") or bookmark.emoji)
    if args.get("link"):
        bookmark.link = _link(args)
    house.workspace.touch(bookmark.channel)
    return {"bookmark": bookmark.to_api()}


def remove_bookmark(house: House, args: Json) -> Json:
    joined(house, "bookmarks.remove", args, "channel_id")
    del house.workspace.bookmarks[_bookmark(house, args).id]
    house.workspace.touch(str(args.get("channel_id")))
    return {}


def bookmarks(house: House, args: Json) -> Json:
    channel = joined(house, "bookmarks.list", args, "channel_id")
    return {"bookmarks": [b.to_api() for b in house.workspace.bookmarks.values() if b.channel == channel.id]}


def react(house: House, args: Json) -> Json:
    channel = writable(joined(house, "reactions.add", args))
    message = the_message(house, channel, required(args, "timestamp", "no_item_specified"))
    name = required(args, "name", "invalid_name")
    if not re.fullmatch(r"[a-z0-9_+'\-]+(::skin-tone-[2-6])?", name):
        raise SlackRefusal("invalid_name")
    users = message.reactions.setdefault(name, [])
    if house.bot in users:
        raise SlackRefusal("already_reacted")
    users.append(house.bot)
    house.workspace.touch(channel.id)
    return {}


def reactions(house: House, args: Json) -> Json:
    channel = joined(house, "reactions.get", args)
    message = the_message(house, channel, required(args, "timestamp", "no_item_specified"))
    return {"type": "message", "channel": channel.id, "message": house.workspace.to_api(message)}


METHODS: Mapping[str, Method] = {
    "pins.add": pin,
    "pins.remove": unpin,
    "pins.list": pins,
    "bookmarks.add": add_bookmark,
    "bookmarks.edit": edit_bookmark,
    "bookmarks.remove": remove_bookmark,
    "bookmarks.list": bookmarks,
    "reactions.add": react,
    "reactions.get": reactions,
}
