"""What one person sees: channels, messages with their threads, own ephemerals, modals, Home."""

from __future__ import annotations

from bot.practice.slack.deliver import Delivery
from bot.practice.slack.deployments import Deployments
from bot.practice.slack.faults import Faults
from bot.practice.slack.installed import InstalledApp
from bot.practice.slack.people import Channel, Person
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.views import Views
from bot.practice.slack.workspace import Ephemeral, Message, Workspace


class Screen:
    """Draws the workspace for one person as plain data."""

    def __init__(
        self,
        workspace: Workspace,
        views: Views,
        app: InstalledApp,
        delivery: Delivery,
        faults: Faults,
        deployments: Deployments,
    ) -> None:
        self.workspace, self.views, self.app, self.delivery, self.faults = workspace, views, app, delivery, faults
        self.deployments = deployments

    def state(self, user: str, channel: str | None = None) -> Json:
        """The whole screen; the first channel the person sees when none is named. Reading marks it as read."""
        me = self.workspace.person(user)
        dm = self.workspace.dm(me.id)
        seen = [each for each in self.workspace.channels.values() if self._sees(me, each)]
        here = self.workspace.channel(channel) if channel else (seen[0] if seen else dm)
        if not self._sees(me, here):
            raise SlackRefusal("channel_not_found")
        if self.workspace.timeline[here.id]:
            self.workspace.read_up_to[(me.id, here.id)] = max(self.workspace.timeline[here.id], key=float)
        home = self.views.homes.get(me.id)
        return {
            "revision": self.workspace.revision,
            "me": self._person(me),
            "app": self._app(),
            "people": [self._person(person) | {"kind": person.kind} for person in self.workspace.people.values()],
            "channels": [self._channel(me, each) for each in seen],
            "channel": {
                "id": here.id,
                "name": self._name(me, here),
                "topic": here.topic,
                "pins": list(self.workspace.pins.get(here.id, [])),
                "bookmarks": [b.to_api() for b in self.workspace.bookmarks.values() if b.channel == here.id],
            },
            "messages": [self.message(each) for each in self.workspace.top_level(here.id)],
            "ephemerals": [self.ephemeral(note) for note in self.workspace.ephemerals if note.user_to == me.id],
            "views": self.stack(me.id),
            "home": {"id": home.id, "blocks": home.content["blocks"]} if home else None,
            "faults": {"down": self.faults.down != "no", "storm_429": self.faults.storm_429},
            "deployments": self.deployments.shown(),
        }

    def message(self, message: Message) -> Json:
        """One message as it is drawn, its replies included."""
        author = self.workspace.people.get(message.user)
        replies = [] if message.is_reply else self.workspace.replies(message.channel, message.ts)
        shown: Json = {
            "ts": message.ts,
            "channel": message.channel,
            "user": message.user,
            "username": author.display if author else message.user,
            "bot": message.bot,
            "text": message.text,
            "blocks": message.blocks,
            "attachments": message.attachments,
            "reply_count": len(replies),
            "replies": [self.message(reply) for reply in replies],
            "edited": message.edited_ts is not None,
            "edits": message.edits,
            "subtype": message.subtype,
            "reactions": [{"name": name, "users": list(users)} for name, users in message.reactions.items()],
            "files": [
                {
                    "id": stored.id,
                    "name": stored.name,
                    "title": stored.title,
                    "url": f"/files/{stored.id}/{stored.name}",
                    "mimetype": stored.mimetype,
                    "size": len(stored.content),
                }
                for stored in message.files
            ],
            "ephemeral": False,
        }
        if message.thread_ts is not None:
            shown["thread_ts"] = message.thread_ts
        return shown

    def ephemeral(self, note: Ephemeral) -> Json:
        """An ephemeral as its person sees it."""
        shown: Json = {
            "id": note.id,
            "ts": note.ts,
            "user_to": note.user_to,
            "channel": note.channel,
            "text": note.text,
            "blocks": note.blocks,
            "attachments": note.attachments,
            "ephemeral": True,
            "from_slack": note.from_slack,
        }
        if note.thread_ts is not None:
            shown["thread_ts"] = note.thread_ts
        return shown

    def stack(self, user: str) -> list[Json]:
        """The person's open modals, the top one last."""
        return [
            self.views.to_api(view) | ({"errors": dict(view.errors)} if view.errors else {})
            for view in self.views.stacks.get(user, [])
        ]

    def home_id(self, user: str) -> str | None:
        """The id of the person's Home view, once one was published."""
        home = self.views.homes.get(self.workspace.person(user).id)
        return home.id if home else None

    def errors(self, view_id: str) -> dict[str, str]:
        """What an open view's last submission was refused for; nothing when it is gone."""
        try:
            return dict(self.views.find(view_id).errors)
        except SlackRefusal:
            return {}

    def _sees(self, me: Person, channel: Channel) -> bool:
        return me.id in channel.members or (channel.kind == "public" and me.kind == "member")

    def _name(self, me: Person, channel: Channel) -> str:
        return self.app.name if channel.kind == "dm" else channel.name

    def _channel(self, me: Person, channel: Channel) -> Json:
        read = float(self.workspace.read_up_to.get((me.id, channel.id), 0))
        top = self.workspace.top_level(channel.id)
        return {
            "id": channel.id,
            "name": self._name(me, channel),
            "kind": channel.kind,
            "member": me.id in channel.members,
            "archived": channel.archived,
            "topic": channel.topic,
            "unread": sum(1 for message in top if float(message.ts) > read and message.user != me.id),
        }

    def _person(self, person: Person) -> Json:
        return {
            "id": person.id,
            "name": person.name,
            "display": person.display,
            "role_hint": person.role_hint,
        }

    def _app(self) -> Json:
        return {
            "id": self.workspace.app_id,
            "name": self.app.name,
            "bot_user_id": self.workspace.bot_user_id,
            "commands": [
                {"command": each.command, "description": each.description, "usage_hint": each.usage_hint}
                for each in self.app.commands.values()
            ],
            "shortcuts": [
                {
                    "name": each.name,
                    "callback_id": each.callback_id,
                    "type": each.type,
                    "description": each.description,
                }
                for each in self.app.shortcuts
            ],
            "connected": self.delivery.connected,
            "mode": self.delivery.mode,
        }
