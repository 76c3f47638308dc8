"""``files.*``: the three steps of an upload (address, bytes, completion)."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping

from bot.practice.slack.methods.chat import content, thread_of
from bot.practice.slack.methods.house import House, Method, number, parsed, place, required, writable
from bot.practice.slack.people import Channel
from bot.practice.slack.refusal import Json, SlackRefusal, invalid
from bot.practice.slack.workspace import Message, StoredFile

MAX_BYTES = 20 * 1024 * 1024


def upload_url(house: House, args: Json) -> Json:
    name = required(args, "filename").rpartition("/")[2]
    length = number(args, "length", 0)
    if length <= 0:
        raise invalid("invalid_arguments", ["[ERROR] must be greater than 0: length"])
    if length > MAX_BYTES:
        raise SlackRefusal("file_upload_size_restricted")
    mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
    stored = StoredFile(house.workspace.next_id("F"), name, length, mimetype, user=house.bot)
    house.workspace.stored_files[stored.id] = stored
    return {"upload_url": f"{house.workspace.base_url}/upload/{stored.id}", "file_id": stored.id}


def _destinations(house: House, args: Json) -> list[Channel]:
    names = [str(args["channel_id"])] if args.get("channel_id") else []
    names += [name for name in str(args.get("channels") or "").split(",") if name]
    found = [writable(place(house, "files.completeUploadExternal", {"channel": name})) for name in names]
    if any(house.bot not in channel.members for channel in found):
        raise SlackRefusal("not_in_channel")
    return found


def complete(house: House, args: Json) -> Json:
    given = parsed(args, "files", "invalid_arguments")
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise invalid("invalid_arguments", ["[ERROR] missing required field: files"])
    channels = _destinations(house, args)
    stored: list[StoredFile] = []
    for each in given:
        found = house.workspace.stored_files.get(str(each.get("id")))
        if found is None or found.posted or len(found.content) != found.length:
            raise SlackRefusal("file_not_found")
        found.title = str(each.get("title") or found.name)
        stored.append(found)
    comment = str(args.get("initial_comment") or "")
    blocks = content(house.workspace, args).blocks if args.get("blocks") else []
    threads = {channel.id: thread_of(house, channel, args) for channel in channels}
    for found in stored:
        found.posted = True
    for channel in channels:
        house.workspace.post(
            Message(
                house.workspace.next_ts(),
                channel.id,
                house.bot,
                comment,
                blocks=blocks,
                thread_ts=threads[channel.id],
                bot=True,
                files=list(stored),
            )
        )
    return {"files": [{**found.to_api(house.workspace.base_url), "id": found.id} for found in stored]}


METHODS: Mapping[str, Method] = {
    "files.getUploadURLExternal": upload_url,
    "files.completeUploadExternal": complete,
}
