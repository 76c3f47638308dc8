"""``chat.*``: posting, editing, deleting, scheduling, pointing at messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.practice.slack import blockkit, blocks
from bot.practice.slack.methods.house import House, Method, flag, number, parsed, place, required, the_message, writable
from bot.practice.slack.people import Channel
from bot.practice.slack.refusal import Json, SlackRefusal, invalid
from bot.practice.slack.workspace import Message, Scheduled, Workspace

POST_TEXT_CUT = 40_000
UPDATE_TEXT_MAX = 4_000
SCHEDULE_AHEAD_S = 120 * 24 * 3600
SCHEDULE_BURST, SCHEDULE_WINDOW_S = 30, 300


@dataclass(frozen=True)
class Content:
    """What a message says, checked and with its ids filled in."""

    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)


def content(workspace: Workspace, args: Json, *, updating: bool = False) -> Content:
    """Read ``text``, ``blocks`` and ``attachments``, refusing what Slack refuses about them."""
    text = str(args.get("text") or "")
    given = parsed(args, "blocks", "invalid_blocks_format")
    attached = parsed(args, "attachments", "invalid_attachments") or []
    if given is not None:
        found = blockkit.problems(given, "message")
        if found:
            raise invalid("invalid_blocks", found)
        if blockkit.characters(given) > blockkit.MAX_MESSAGE_CHARS:
            raise SlackRefusal("msg_blocks_too_long")
    if not isinstance(attached, list) or not all(isinstance(each, dict) for each in attached):
        raise SlackRefusal("invalid_attachments")
    if len(attached) > 100:
        raise SlackRefusal("too_many_attachments")
    for index, each in enumerate(attached):
        found = blockkit.problems(each.get("blocks", []), "message", f"/attachments/{index}/blocks")
        if found:
            raise invalid("invalid_attachments", found)
    if not text and not given and not attached:
        raise SlackRefusal("no_text")
    if updating and len(text) > UPDATE_TEXT_MAX:
        raise SlackRefusal("msg_too_long")

    def new_id() -> str:
        return workspace.next_id("", 5)

    attachments = [
        {**each, "blocks": blocks.with_ids(each["blocks"], new_id)} if "blocks" in each else dict(each)
        for each in attached
    ]
    return Content(text[:POST_TEXT_CUT], blocks.with_ids(given or [], new_id), attachments)


def metadata(args: Json) -> Json | None:
    """The message metadata, in the shape and size Slack takes."""
    value = parsed(args, "metadata", "invalid_metadata_format")
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event_payload"), dict) or not value.get("event_type"):
        raise SlackRefusal("invalid_metadata_format")
    if len(json.dumps(value)) > 8000:
        raise SlackRefusal("metadata_too_large")
    return value


def _address(house: House, args: Json) -> Channel:
    """Where a post goes: a channel id, or a person's id, which opens the direct conversation."""
    name = str(args.get("channel") or "")
    if name in house.workspace.people and name != house.bot:
        return house.workspace.dm(name)
    channel = place(house, "chat.postMessage", args)
    writable(channel)
    if house.bot in channel.members or (channel.kind == "public" and "chat:write.public" in house.scopes):
        return channel
    raise SlackRefusal("not_in_channel")


def thread_of(house: House, channel: Channel, args: Json) -> str | None:
    """The thread that is meant: a reply belongs to the thread of its parent. Refuses one that is not there."""
    thread_ts = args.get("thread_ts")
    if thread_ts is None:
        return None
    parent = house.workspace.message(channel.id, str(thread_ts))
    if parent is None:
        raise SlackRefusal("thread_not_found")
    return parent.thread_ts or parent.ts


def post_message(house: House, args: Json) -> Json:
    channel = _address(house, args)
    said = content(house.workspace, args)
    message = house.workspace.post(
        Message(
            ts=house.workspace.next_ts(),
            channel=channel.id,
            user=house.bot,
            text=said.text,
            blocks=said.blocks,
            attachments=said.attachments,
            thread_ts=thread_of(house, channel, args),
            broadcast=flag(args, "reply_broadcast"),
            bot=True,
            metadata=metadata(args),
        )
    )
    return {"channel": channel.id, "ts": message.ts, "message": house.workspace.to_api(message)}


def update(house: House, args: Json) -> Json:
    channel = place(house, "chat.update", args)
    message = the_message(house, channel, required(args, "ts"))
    if message.user != house.bot:
        raise SlackRefusal("cant_update_message")
    writable(channel)
    said = content(house.workspace, args, updating=True)
    message.text, message.blocks, message.attachments = said.text, said.blocks, said.attachments
    message.metadata = metadata(args) or message.metadata
    message.edits += 1
    if not said.blocks:
        message.edited_ts = house.workspace.next_ts()
    house.workspace.touch(channel.id)
    shown = house.workspace.to_api(message)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


def post_ephemeral(house: House, args: Json) -> Json:
    channel = writable(place(house, "chat.postEphemeral", args))
    if house.bot not in channel.members:
        raise SlackRefusal("not_in_channel")
    user = required(args, "user")
    if user not in channel.members:
        raise SlackRefusal("user_not_in_channel")
    said = content(house.workspace, args)
    note = house.workspace.tell(
        user,
        channel.id,
        said.text,
        blocks=said.blocks,
        attachments=said.attachments,
        thread_ts=thread_of(house, channel, args),
    )
    return {"message_ts": note.ts}


def delete(house: House, args: Json) -> Json:
    channel = place(house, "chat.delete", args)
    message = the_message(house, channel, required(args, "ts"))
    if message.user != house.bot:
        raise SlackRefusal("cant_delete_message")
    house.workspace.delete(message)
    return {"channel": channel.id, "ts": message.ts}


def permalink(house: House, args: Json) -> Json:
    channel = place(house, "chat.getPermalink", args)
    message = the_message(house, channel, required(args, "message_ts"))
    address = f"{house.workspace.base_url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        address += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": address}


def schedule(house: House, args: Json) -> Json:
    channel = _address(house, args)
    said = content(house.workspace, args)
    post_at_s, now_s = number(args, "post_at", 0), house.workspace.clock.now_ms() // 1000
    if post_at_s <= now_s:
        raise SlackRefusal("time_in_past")
    if post_at_s > now_s + SCHEDULE_AHEAD_S:
        raise SlackRefusal("time_too_far")
    near = [
        each
        for each in house.workspace.scheduled.values()
        if each.channel == channel.id and abs(each.post_at_s - post_at_s) < SCHEDULE_WINDOW_S
    ]
    if len(near) >= SCHEDULE_BURST:
        raise SlackRefusal("restricted_too_many")
    message: Json = {"text": said.text, "blocks": said.blocks, "attachments": said.attachments}
    message |= {"thread_ts": thread_of(house, channel, args), "metadata": metadata(args)}
    waiting = Scheduled(house.workspace.next_id("Q"), channel.id, post_at_s, message)
    house.workspace.scheduled[waiting.id] = waiting
    shown = {"text": said.text, "type": "delayed_message", "bot_id": house.workspace.bot_id, "user": house.bot}
    return {"channel": channel.id, "scheduled_message_id": waiting.id, "post_at": post_at_s, "message": shown}


def delete_scheduled(house: House, args: Json) -> Json:
    waiting = house.workspace.scheduled.get(required(args, "scheduled_message_id"))
    if waiting is None or waiting.channel != args.get("channel"):
        raise SlackRefusal("invalid_scheduled_message_id")
    del house.workspace.scheduled[waiting.id]
    return {}


def deliver_due(workspace: Workspace) -> list[Message]:
    """Post every scheduled message whose time has come (those with metadata are dropped, as Slack does)."""
    now_s = workspace.clock.now_ms() // 1000
    due = sorted((each for each in workspace.scheduled.values() if each.post_at_s <= now_s), key=lambda s: s.post_at_s)
    posted: list[Message] = []
    for each in due:
        del workspace.scheduled[each.id]
        channel = workspace.channels.get(each.channel)
        if each.message["metadata"] is None and channel is not None and not channel.archived:
            said = {name: value for name, value in each.message.items() if name != "metadata"}
            fresh = Message(workspace.next_ts(), each.channel, workspace.bot_user_id, bot=True, **said)
            posted.append(workspace.post(fresh))
    return posted


def validate_blocks(house: House, args: Json) -> Json:
    given = parsed(args, "blocks", "invalid_blocks_format")
    found = blockkit.problems(given, "message")
    if found:
        raise invalid("invalid_blocks", found)
    return {}


METHODS: Mapping[str, Method] = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.postEphemeral": post_ephemeral,
    "chat.delete": delete,
    "chat.getPermalink": permalink,
    "chat.scheduleMessage": schedule,
    "chat.deleteScheduledMessage": delete_scheduled,
    "blocks.validate": validate_blocks,
}
