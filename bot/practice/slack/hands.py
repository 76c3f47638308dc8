"""Acting as a person: each method does what a person does in Slack, and delivers what Slack would deliver."""

from __future__ import annotations

import re
from typing import Any

from bot.practice.slack import blocks
from bot.practice.slack.ack import Ack, not_sent
from bot.practice.slack.answers import Answers
from bot.practice.slack.deliver import Delivery
from bot.practice.slack.faults import Faults
from bot.practice.slack.installed import InstalledApp
from bot.practice.slack.payloads import Payloads
from bot.practice.slack.people import Channel, Person
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.targets import Target, Targets
from bot.practice.slack.tickets import ResponseUrls
from bot.practice.slack.views import View, Views
from bot.practice.slack.workspace import Message, Workspace

REQUIRED = "Please complete this required field."


class Hands:
    """The people of the workspace. Each method answers with the app's ``Ack``.

    ``error`` of the ack says why Slack did not even send it: ``not_in_channel``, ``is_archived``,
    ``account_inactive``, ``invalid_command``, ``not_interactive``, ``not_subscribed``, ``slack_down``.
    """

    def __init__(
        self,
        workspace: Workspace,
        views: Views,
        app: InstalledApp,
        payloads: Payloads,
        responses: ResponseUrls,
        delivery: Delivery,
        faults: Faults,
    ) -> None:
        self.workspace, self.views, self.app = workspace, views, app
        self.payloads, self.responses, self.delivery, self.faults = payloads, responses, delivery, faults
        self.answers = Answers(workspace, views)
        self.targets = Targets(workspace, views)

    # words -----------------------------------------------------------------------------------------------------

    async def command(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> Ack:
        """Type a slash command, slash included; the answer in its ack is shown as Slack shows it."""
        person, where = self.workspace.person(user), self._place(user, channel)
        if (hindered := self._hindered(person, where)) is not None:
            return hindered
        command, _, rest = text.strip().partition(" ")
        if command == "/invite":
            return await self._invite(person, where, rest)
        known = self.app.commands.get(command)
        if known is None or "commands" not in self.app.scopes:
            self.workspace.tell(person.id, where.id, f"{command} is not a valid command.", from_slack=True)
            return not_sent("invalid_command")
        if thread_ts is not None:
            words = f"{command} is not supported in threads. Sorry!"
            self.workspace.tell(person.id, where.id, words, from_slack=True, thread_ts=thread_ts)
            return not_sent("not_supported_in_threads")
        typed = self.payloads.escaped_command(rest.strip()) if known.should_escape else rest.strip()
        response = self.responses.issue(where.id, person.id)
        payload = self.payloads.command(person, where, command, typed, response)
        ack = await self.delivery.deliver("slash_commands", payload)
        return self.answers.to_command(command, person.id, where.id, ack)

    async def say(self, user: str, channel: str, text: str, *, thread_ts: str | None = None) -> tuple[Message, Ack]:
        """Post an ordinary message; the ack is that of the mention or message event, if the app hears it."""
        person, where = self.workspace.person(user), self._place(user, channel)
        if (hindered := self._hindered(person, where)) is not None:
            raise SlackRefusal(str(hindered.error))
        words = self.payloads.escaped(text)
        message = self.workspace.post(
            Message(self.workspace.next_ts(), where.id, person.id, words, thread_ts=thread_ts)
        )
        ack = not_sent("not_subscribed")
        mentioned = f"<@{self.workspace.bot_user_id}>" in words
        if self.workspace.bot_user_id not in where.members:
            if mentioned:
                note = f"You mentioned @{self.app.name}, but they are not in this channel."
                self.workspace.tell(person.id, where.id, note, from_slack=True)
            return message, not_sent("bot_not_in_channel")
        kind = {"public": "message.channels", "private": "message.groups", "dm": "message.im"}[where.kind]
        if self.app.hears(kind):
            ack = await self._event(self.payloads.message_event("message", message), person)
        if mentioned and where.kind != "dm" and self.app.hears("app_mention"):
            ack = await self._event(self.payloads.message_event("app_mention", message), person)
        return message, ack

    async def mention(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Ack:
        """Write to the bot by name, also in a thread."""
        mark = f"@{self.app.name}"
        try:
            _, ack = await self.say(user, channel, text if mark in text else f"{mark} {text}", thread_ts=thread_ts)
        except SlackRefusal as refused:
            return not_sent(refused.error)
        return ack

    async def _invite(self, person: Person, where: Channel, rest: str) -> Ack:
        if self.app.name not in re.findall(r"[\w.-]+", rest):
            return not_sent("user_not_found")
        where.members.add(self.workspace.bot_user_id)
        self.workspace.touch(where.id)
        if not self.app.hears("member_joined_channel"):
            return Ack(200)
        event = {"type": "member_joined_channel", "user": self.workspace.bot_user_id, "channel": where.id}
        return await self._event(event | {"channel_type": "C", "team": person.team_id, "inviter": person.id}, person)

    # clicks ----------------------------------------------------------------------------------------------------

    async def click(
        self,
        user: str,
        target: Json | str,
        action: str,
        *,
        channel: str | None = None,
        block_id: str | None = None,
        value: str | None = None,
    ) -> Ack:
        """Press a button, named by its action id or its words.

        ``target`` is a message, ephemeral or view (its ``ts`` or id, or the dict that ``messages()`` gave: then the
        buttons of that dict count, as in a client that has not redrawn yet).
        """
        found = self.targets.find(user, target, channel)
        block, element = blocks.find(found.blocks, action, block_id=block_id, value=value)
        return await self._touch(user, found, block, element, None)

    async def select_option(
        self,
        user: str,
        target: Json | str,
        action: str,
        choice: Any,
        *,
        channel: str | None = None,
        block_id: str | None = None,
    ) -> Ack:
        """Choose in a menu, overflow, radio group, checkboxes or picker: an option's value or words, an id, a list."""
        found = self.targets.find(user, target, channel)
        block, element = blocks.find(found.blocks, action, block_id=block_id)
        held = blocks.typed_value(element, _overflow_choice(element, choice))
        return await self._touch(user, found, block, element, held)

    async def suggest(
        self, user: str, target: Json | str, action: str, typed: str, *, channel: str | None = None
    ) -> Ack:
        """Type into an external menu; the ack's JSON holds the options."""
        person, found = self.workspace.person(user), self.targets.find(user, target, channel)
        block, element = blocks.find(found.blocks, action)
        if found.view is not None:
            where: Json = {"container": {"type": "view", "view_id": found.view.id}}
            where["view"] = self.views.to_api(found.view)
        else:
            where = {"container": {"type": "message", "message_ts": found.ts, "channel_id": found.channel}}
        return await self._interact(person, self.payloads.suggestion(person, block, element, typed, where))

    async def _touch(self, user: str, found: Target, block: Json, element: Json, held: Json | None) -> Ack:
        person = self.workspace.person(user)
        action = self.payloads.action(element, block, {k: v for k, v in (held or {}).items() if k != "type"})
        if found.view is not None:
            if held is not None and element["type"] not in blocks.VALUELESS:
                found.view.values.setdefault(block["block_id"], {})[element["action_id"]] = held
            if block["type"] == "input" and not block.get("dispatch_action"):
                return Ack(200)
            return await self._interact(person, self.payloads.block_actions_on_view(person, found.view, action))
        where = self.workspace.channels[found.channel]
        if (hindered := self._hindered(person, where)) is not None:
            return hindered
        state = blocks.state_values(found.blocks, (block, element, held) if held else None)
        if found.ephemeral is not None:
            note = found.ephemeral
            response = self.responses.issue(where.id, person.id, original_ts=note.ts, thread_ts=note.thread_ts)
            build = self.payloads.block_actions_on_ephemeral
            return await self._interact(person, build(person, where, note, action, response, state))
        response = self.responses.issue(where.id, person.id, original_ts=found.ts, ephemeral=False)
        message = self.payloads.block_actions_on_message(person, where, found.shown, action, response, state)
        return await self._interact(person, message)

    async def shortcut(
        self, user: str, callback_id: str, message: Json | str | None = None, *, channel: str | None = None
    ) -> Ack:
        """Use a shortcut: a message's menu when a message is given, the global menu otherwise."""
        person = self.workspace.person(user)
        if self.app.shortcut(callback_id, "global" if message is None else "message") is None:
            return not_sent("unknown_shortcut")
        if message is None:
            return await self._interact(person, self.payloads.shortcut(person, callback_id))
        found = self.targets.find(user, message, channel)
        if found.message is None:
            return not_sent("message_not_found")
        where = self.workspace.channels[found.channel]
        if (hindered := self._hindered(person, where)) is not None:
            return hindered
        response = self.responses.issue(where.id, person.id, original_ts=found.ts, ephemeral=False)
        payload = self.payloads.message_action(person, where, found.message, callback_id, response)
        return await self._interact(person, payload)

    async def react(self, user: str, target: Json | str, name: str, *, channel: str | None = None) -> Ack:
        """Add an emoji to a message."""
        person, found = self.workspace.person(user), self.targets.find(user, target, channel)
        if found.message is None:
            return not_sent("message_not_found")
        where = self.workspace.channels[found.channel]
        if (hindered := self._hindered(person, where)) is not None:
            return hindered
        users = found.message.reactions.setdefault(name, [])
        if person.id in users:
            return not_sent("already_reacted")
        users.append(person.id)
        self.workspace.touch(where.id)
        if not self.app.hears("reaction_added") or self.workspace.bot_user_id not in where.members:
            return not_sent("not_subscribed")
        item = {"type": "message", "channel": where.id, "ts": found.ts}
        event = {"type": "reaction_added", "user": person.id, "reaction": name, "item_user": found.message.user}
        return await self._event(event | {"item": item, "event_ts": self.workspace.next_ts()}, person)

    async def unreact(self, user: str, target: Json | str, name: str, *, channel: str | None = None) -> Ack:
        """Take one's own emoji back; what an app has made of it stays."""
        person, found = self.workspace.person(user), self.targets.find(user, target, channel)
        users = found.message.reactions.get(name, []) if found.message is not None else []
        if found.message is None or person.id not in users:
            return not_sent("no_reaction")
        where = self.workspace.channels[found.channel]
        if (hindered := self._hindered(person, where)) is not None:
            return hindered
        users.remove(person.id)
        if not users:
            del found.message.reactions[name]
        self.workspace.touch(where.id)
        if not self.app.hears("reaction_removed") or self.workspace.bot_user_id not in where.members:
            return not_sent("not_subscribed")
        item = {"type": "message", "channel": where.id, "ts": found.ts}
        event = {"type": "reaction_removed", "user": person.id, "reaction": name, "item_user": found.message.user}
        return await self._event(event | {"item": item, "event_ts": self.workspace.next_ts()}, person)

    async def pin(self, user: str, target: Json | str, *, channel: str | None = None, remove: bool = False) -> Ack:
        """Hang a message at the top of its channel, or take it down; guests may not."""
        person, found = self.workspace.person(user), self.targets.find(user, target, channel)
        if found.message is None:
            return not_sent("message_not_found")
        where = self.workspace.channels[found.channel]
        if (hindered := self._hindered(person, where)) is not None:
            return hindered
        if person.kind != "member":
            return not_sent("restricted_action")
        pins = self.workspace.pins.setdefault(where.id, [])
        if (found.ts in pins) is not remove:
            return not_sent("no_pin" if remove else "already_pinned")
        if remove:
            pins.remove(found.ts)
        else:
            pins.append(found.ts)
        self.workspace.touch(where.id)
        return Ack(200)

    # forms and Home --------------------------------------------------------------------------------------------

    async def submit(self, user: str, view_id: str, values: Json | None = None) -> Ack:
        """Send a form. ``values`` by block id: ``{action_id: {...}}`` as Slack holds it, or what is typed or chosen."""
        person, view = self.workspace.person(user), self._own_view(user, view_id)
        self._fill(view, values or {})
        view.errors = {
            block["block_id"]: REQUIRED
            for block in view.content["blocks"]
            if block["type"] == "input"
            and not block.get("optional")
            and all(blocks.is_empty(held) for held in view.values.get(block["block_id"], {}).values())
        }
        if view.errors:
            self.workspace.touch()
            return not_sent("required_fields_missing")
        if view.content.get("submit") is None:
            return not_sent("no_submit_button")
        ack = await self._interact(person, self.payloads.view_submission(person, view))
        return self.answers.to_submission(view, ack)

    async def close(self, user: str, view_id: str, *, everything: bool = False) -> Ack:
        """Close a form (or the whole stack); the app is told when the form asked for it."""
        person, view = self.workspace.person(user), self._own_view(user, view_id)
        ack = Ack(200)
        for gone in self.views.close(view, everything=everything):
            if gone.content.get("notify_on_close"):
                cleared = everything or gone is not view
                ack = await self._interact(person, self.payloads.view_closed(person, gone, cleared=cleared))
        return ack

    async def open_home(self, user: str, *, tab: str = "home") -> Ack:
        """Open the app's Home (or its Messages) tab."""
        person, conversation = self.workspace.person(user), self.workspace.dm(user)
        if (hindered := self._hindered(person, None)) is not None:
            return hindered
        if not self.app.home_tab or not self.app.hears("app_home_opened"):
            return not_sent("not_subscribed")
        event: Json = {"type": "app_home_opened", "user": person.id, "channel": conversation.id, "tab": tab}
        event["event_ts"] = self.workspace.next_ts()
        home = self.views.homes.get(person.id)
        if home is not None and tab == "home":
            event["view"] = self.views.to_api(home)
        return await self._event(event, person)

    def _fill(self, view: View, values: Json) -> None:
        for block, element in blocks.interactive(view.content["blocks"]):
            if block["block_id"] not in values:
                continue
            given = values[block["block_id"]]
            if isinstance(given, dict) and element["action_id"] in given:
                given = given[element["action_id"]]
            elif isinstance(given, dict) and block["type"] != "input":
                continue
            held = blocks.typed_value(element, given)
            view.values.setdefault(block["block_id"], {})[element["action_id"]] = held

    def _own_view(self, user: str, view_id: str) -> View:
        view = self.views.find(view_id)
        if view.user != self.workspace.person(user).id:
            raise SlackRefusal("not_found")
        return view

    # what the workspace does -----------------------------------------------------------------------------------

    async def change_group(self, group: str, users: list[str]) -> Ack:
        """Change who is in a user group; the app hears ``subteam_members_changed``."""
        found = self.workspace.groups[group]
        before, found.users = found.users, [self.workspace.person(user).id for user in users]
        event = {
            "type": "subteam_members_changed",
            "subteam_id": group,
            "team_id": self.workspace.team_id,
            "added_users": [user for user in found.users if user not in before],
            "removed_users": [user for user in before if user not in found.users],
            "event_ts": self.workspace.next_ts(),
        }
        return await self._event(event, None)

    async def archive(self, user: str, channel: str) -> Ack:
        """Archive a channel; the app hears ``channel_archive``."""
        where = self.workspace.channel(channel)
        where.archived = True
        self.workspace.touch(where.id)
        person = self.workspace.person(user)
        event = {"type": "channel_archive", "channel": where.id, "user": person.id}
        return await self._event(event | {"event_ts": self.workspace.next_ts()}, person)

    # the last step ---------------------------------------------------------------------------------------------

    def _place(self, user: str, channel: str) -> Channel:
        return self.workspace.dm(user) if channel in ("dm", f"@{self.app.name}") else self.workspace.channel(channel)

    def _hindered(self, person: Person, where: Channel | None) -> Ack | None:
        """Why Slack does not let this person do anything here, or nothing."""
        if self.faults.down != "no":
            return not_sent("slack_down")
        if person.deleted:
            return not_sent("account_inactive")
        if where is not None and person.id not in where.members:
            return not_sent("not_in_channel")
        return not_sent("is_archived") if where is not None and where.archived else None

    async def _interact(self, person: Person, payload: Json) -> Ack:
        if (hindered := self._hindered(person, None)) is not None:
            return hindered
        if not self.app.interactive:
            return not_sent("not_interactive")
        return await self.delivery.deliver("interactive", payload)

    async def _event(self, event: Json, person: Person | None) -> Ack:
        if self.faults.down != "no":
            return not_sent("slack_down")
        if event["type"] != "message" and not self.app.hears(event["type"]):
            return not_sent("not_subscribed")
        payload = self.payloads.event(event, person.team_id if person else None)
        return await self.delivery.deliver_event(payload)


def _overflow_choice(element: Json, choice: Any) -> Any:
    """An overflow menu has no value of its own, but its payload carries the option."""
    if element["type"] == "overflow" and isinstance(choice, str):
        return {"selected_option": blocks.option(element, choice)}
    return choice
