"""What a person points at: a message, an ephemeral or a view, by id or as it was seen earlier."""

from __future__ import annotations

from dataclasses import dataclass

from bot.practice.slack.refusal import Json
from bot.practice.slack.views import View, Views
from bot.practice.slack.workspace import Ephemeral, Message, Workspace


@dataclass(frozen=True)
class Target:
    """The thing, the blocks the person sees on it, and the message object as it was seen."""

    blocks: list[Json]
    shown: Json
    channel: str = ""
    ts: str = ""
    message: Message | None = None
    ephemeral: Ephemeral | None = None
    view: View | None = None


class Targets:
    """Finds what a person means."""

    def __init__(self, workspace: Workspace, views: Views) -> None:
        self.workspace, self.views = workspace, views

    def find(self, user: str, target: Json | str, channel: str | None = None) -> Target:
        """The target; ``LookupError`` when there is nothing of that name for this person."""
        seen = target if isinstance(target, dict) else None
        ref = str(seen.get("id") or seen.get("ts")) if seen is not None else str(target)
        person = self.workspace.person(user)
        for view in [*self.views.stacks.get(person.id, ()), *self.views.homes.values()]:
            if view.id == ref and view.user == person.id:
                return Target(_blocks(seen, view.content["blocks"]), seen or {}, view=view)
        note = self.workspace.ephemeral(ref)
        if note is not None and note.user_to == person.id:
            blocks = _blocks(seen, note.blocks, note.attachments)
            return Target(blocks, seen or {}, note.channel, note.ts, ephemeral=note)
        return self._message(seen, ref, channel)

    def _message(self, seen: Json | None, ref: str, channel: str | None) -> Target:
        named = str(seen["channel"]) if seen is not None and "channel" in seen else channel
        channels = [self.workspace.channel(named).id] if named else list(self.workspace.timeline)
        for channel_id in channels:
            message = self.workspace.message(channel_id, ref)
            if message is not None:
                shown = self.workspace.to_api(message)
                if seen is not None:
                    shown |= {key: seen[key] for key in ("text", "blocks", "attachments") if key in seen}
                blocks = _blocks(seen, message.blocks, message.attachments)
                return Target(blocks, shown, channel_id, message.ts, message=message)
        if seen is not None and named:
            return Target(_blocks(seen, []), seen, self.workspace.channel(named).id, str(seen["ts"]))
        raise LookupError(f"no message, ephemeral or view {ref!r} for this person")


def _blocks(seen: Json | None, current: list[Json], attachments: list[Json] | None = None) -> list[Json]:
    top = seen["blocks"] if seen is not None and "blocks" in seen else current
    attached = seen.get("attachments", []) if seen is not None else attachments or []
    return [*top, *(block for each in attached for block in each.get("blocks", ()))]
