"""The payloads Slack sends to an app, in full: commands, clicks, forms, shortcuts, menu loads, events."""

from __future__ import annotations

import html
import re
import secrets
from typing import Any

from bot.practice.slack.people import Channel, Person
from bot.practice.slack.refusal import Json
from bot.practice.slack.tickets import ResponseUrl, Triggers
from bot.practice.slack.views import View, Views
from bot.practice.slack.workspace import Ephemeral, Message, Workspace


class Payloads:
    """Builds payloads for one workspace. ``token`` is the legacy verification token that Slack still sends."""

    def __init__(self, workspace: Workspace, views: Views, triggers: Triggers) -> None:
        self.workspace, self.views, self.triggers = workspace, views, triggers
        self.verification_token = secrets.token_hex(12)

    # text ------------------------------------------------------------------------------------------------------

    def escaped(self, text: str) -> str:
        """What a person typed as the app receives it: ``@name`` and ``#channel`` as ids, links in brackets."""
        people = {person.name: f"<@{person.id}>" for person in self.workspace.people.values()}
        groups = {g.handle: f"<!subteam^{g.id}|@{g.handle}>" for g in self.workspace.groups.values()}
        channels = {c.name: f"<#{c.id}|{c.name}>" for c in self.workspace.channels.values() if c.kind != "dm"}
        everybody = {"channel": "<!channel>", "here": "<!here>", "everyone": "<!everyone>"}
        names = people | groups | everybody

        def swap(found: re.Match[str]) -> str:
            if found["link"]:
                return f"<{html.escape(found['link'], quote=False)}>"
            if found["at"]:
                return names.get(found["at"], "@" + found["at"])
            if found["hash"]:
                return channels.get(found["hash"], "#" + found["hash"])
            return html.escape(found[0], quote=False)

        pattern = r"(?P<link>https?://[^\s<>|]+)|(?<!\w)@(?P<at>[\w.-]+)|(?<!\w)#(?P<hash>[\w-]+)|[&<>]"
        return re.sub(pattern, swap, text)

    def escaped_command(self, text: str) -> str:
        """The same for a slash command, whose mentions also carry the name."""
        named = {f"<@{p.id}>": f"<@{p.id}|{p.name}>" for p in self.workspace.people.values()}
        return re.sub(r"<@U\w+>", lambda found: named.get(found[0], found[0]), self.escaped(text))

    # parts -----------------------------------------------------------------------------------------------------

    def response_address(self, response: ResponseUrl) -> str:
        return f"{self.workspace.base_url}/response/{response.token}"

    def _team(self, person: Person) -> Json:
        own = person.team_id == self.workspace.team_id
        return {"id": person.team_id, "domain": self.workspace.team_domain if own else "elsewhere"}

    def _head(self, kind: str, person: Person) -> Json:
        return {
            "type": kind,
            "user": {
                "id": person.id,
                "username": person.name,
                "name": person.name,
                "team_id": person.team_id,
            },
            "api_app_id": self.workspace.app_id,
            "token": self.verification_token,
            "team": self._team(person),
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _channel(self, channel: Channel) -> Json:
        names = {"dm": "directmessage", "private": "privategroup", "public": channel.name}
        return {"id": channel.id, "name": names[channel.kind]}

    # what people do --------------------------------------------------------------------------------------------

    def command(self, person: Person, channel: Channel, command: str, text: str, response: ResponseUrl) -> Json:
        """A slash command (form fields; the same keys over the socket)."""
        return {
            "token": self.verification_token,
            "team_id": person.team_id,
            "team_domain": self._team(person)["domain"],
            "channel_id": channel.id,
            "channel_name": self._channel(channel)["name"],
            "user_id": person.id,
            "user_name": person.name,
            "command": command,
            "text": text,
            "api_app_id": self.workspace.app_id,
            "is_enterprise_install": "false",
            "response_url": self.response_address(response),
            "trigger_id": self.triggers.issue(person.id),
        }

    def action(self, element: Json, block: Json, held: Json | None) -> Json:
        """One entry of ``actions``: the element that was touched and what it now holds."""
        shared = ("type", "action_id", "value", "style", "text", "placeholder", "initial_option")
        action: Json = {key: element[key] for key in shared if key in element}
        return action | {"block_id": block["block_id"], "action_ts": self.workspace.next_ts()} | (held or {})

    def block_actions_on_message(
        self, person: Person, channel: Channel, message: Json, action: Json, response: ResponseUrl, state: Json
    ) -> Json:
        """A click on a message; ``message`` as the person saw it."""
        ts = message["ts"]
        container: Json = {"type": "message", "message_ts": ts, "channel_id": channel.id, "is_ephemeral": False}
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        return self._head("block_actions", person) | {
            "container": container,
            "trigger_id": self.triggers.issue(person.id),
            "channel": self._channel(channel),
            "message": message,
            "state": {"values": state},
            "response_url": self.response_address(response),
            "actions": [action],
        }

    def block_actions_on_ephemeral(
        self, person: Person, channel: Channel, note: Ephemeral, action: Json, response: ResponseUrl, state: Json
    ) -> Json:
        """A click on an ephemeral message: the payload does not carry the message."""
        container: Json = {"type": "message", "message_ts": note.ts, "channel_id": channel.id, "is_ephemeral": True}
        if note.thread_ts:
            container["thread_ts"] = note.thread_ts
        return self._head("block_actions", person) | {
            "container": container,
            "trigger_id": self.triggers.issue(person.id),
            "channel": self._channel(channel),
            "state": {"values": state},
            "response_url": self.response_address(response),
            "actions": [action],
        }

    def block_actions_on_view(self, person: Person, view: View, action: Json) -> Json:
        """A click in a modal or in Home."""
        return self._head("block_actions", person) | {
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": self.triggers.issue(person.id),
            "view": self.views.to_api(view),
            "actions": [action],
        }

    def view_submission(self, person: Person, view: View) -> Json:
        """A form was sent."""
        return self._head("view_submission", person) | {
            "trigger_id": self.triggers.issue(person.id),
            "view": self.views.to_api(view),
            "response_urls": [],
        }

    def view_closed(self, person: Person, view: View, *, cleared: bool) -> Json:
        """A form was closed that asked to be told."""
        shown = self.views.to_api(view)
        return self._head("view_closed", person) | {"view": shown, "is_cleared": cleared}

    def shortcut(self, person: Person, callback_id: str) -> Json:
        """A global shortcut."""
        return self._head("shortcut", person) | {
            "callback_id": callback_id,
            "trigger_id": self.triggers.issue(person.id),
            "action_ts": self.workspace.next_ts(),
        }

    def message_action(
        self, person: Person, channel: Channel, message: Message, callback_id: str, response: ResponseUrl
    ) -> Json:
        """A message shortcut."""
        return self._head("message_action", person) | {
            "callback_id": callback_id,
            "trigger_id": self.triggers.issue(person.id),
            "action_ts": self.workspace.next_ts(),
            "message_ts": message.ts,
            "channel": self._channel(channel),
            "message": self.workspace.to_api(message),
            "response_url": self.response_address(response),
        }

    def suggestion(self, person: Person, block: Json, element: Json, typed: str, where: Json) -> Json:
        """An external menu asks for its options."""
        asked = {"action_id": element["action_id"], "block_id": block["block_id"], "value": typed}
        return self._head("block_suggestion", person) | asked | where

    # events ----------------------------------------------------------------------------------------------------

    def event(self, event: Json, team_id: str | None = None) -> Json:
        """An Events API callback around one event."""
        team = team_id or self.workspace.team_id
        return {
            "token": self.verification_token,
            "team_id": team,
            "context_team_id": self.workspace.team_id,
            "context_enterprise_id": None,
            "api_app_id": self.workspace.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": self.workspace.next_id("Ev"),
            "event_time": self.workspace.clock.now_ms() // 1000,
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": self.workspace.team_id,
                    "user_id": self.workspace.bot_user_id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }

    def message_event(self, kind: str, message: Message, **more: Any) -> Json:
        """``app_mention`` or ``message``."""
        channel = self.workspace.channels[message.channel]
        event = self.workspace.to_api(message) | {"type": kind, "channel": message.channel, "event_ts": message.ts}
        if kind == "message":
            event["channel_type"] = {"public": "channel", "private": "group", "dm": "im"}[channel.kind]
        return event | more
