"""What the app's own answers do: the ack of a command, posts to a response URL, the ack of a form."""

from __future__ import annotations

from typing import Any

from bot.practice.slack.ack import Ack
from bot.practice.slack.methods.chat import Content, content
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.tickets import ResponseUrl
from bot.practice.slack.views import View, Views
from bot.practice.slack.workspace import Message, Workspace


class Answers:
    """Puts the app's answers on the screen, or tells the person that they could not be."""

    def __init__(self, workspace: Workspace, views: Views) -> None:
        self.workspace, self.views = workspace, views

    # commands --------------------------------------------------------------------------------------------------

    def to_command(self, command: str, user: str, channel: str, ack: Ack) -> Ack:
        """Show what a slash command was answered; ``invalid_command_response`` when Slack cannot read it."""
        if ack.error is not None:
            self.failed(command, user, channel, ack.error)
            return ack
        if not ack.body.strip():
            return ack
        said = ack.json or {"text": ack.body}
        if not said.get("text") and not said.get("blocks") and not said.get("attachments"):
            return ack
        try:
            self._show(said, ResponseUrl("", channel, user, 0))
        except SlackRefusal:
            refused = ack.refused("invalid_command_response")
            self.failed(command, user, channel, "invalid_command_response")
            return refused
        return ack

    def failed(self, command: str, user: str, channel: str, error: str) -> None:
        """What Slack itself says to the person when a command failed."""
        self.workspace.tell(user, channel, f'{command} failed with the error "{error}"', from_slack=True)

    # response URLs ---------------------------------------------------------------------------------------------

    def to_response_url(self, response: ResponseUrl, said: Json) -> None:
        """One post to a response URL: new, in place of the original, or its deletion."""
        if said.get("delete_original"):
            self._forget_original(response)
        elif said.get("replace_original") and response.original_ts is not None:
            self._replace_original(response, said)
        else:
            self._show(said, response)

    def _show(self, said: Json, response: ResponseUrl) -> None:
        shown = content(self.workspace, said)
        thread_ts = said.get("thread_ts")
        if said.get("response_type") == "in_channel":
            message = self._as_message(shown, response.channel)
            message.thread_ts = str(thread_ts) if thread_ts else None
            self.workspace.post(message)
        else:
            self.workspace.tell(
                response.user,
                response.channel,
                shown.text,
                blocks=shown.blocks,
                attachments=shown.attachments,
                thread_ts=str(thread_ts) if thread_ts else response.thread_ts,
            )

    def _as_message(self, shown: Content, channel: str) -> Message:
        return Message(
            ts=self.workspace.next_ts(),
            channel=channel,
            user=self.workspace.bot_user_id,
            text=shown.text,
            blocks=shown.blocks,
            attachments=shown.attachments,
            bot=True,
        )

    def _replace_original(self, response: ResponseUrl, said: Json) -> None:
        shown = content(self.workspace, said)
        original = self._original(response)
        if original is None:
            raise SlackRefusal("message_not_found", status=404)
        original.text, original.blocks, original.attachments = shown.text, shown.blocks, shown.attachments
        self.workspace.touch(response.channel)

    def _forget_original(self, response: ResponseUrl) -> None:
        if response.ephemeral:
            kept = [note for note in self.workspace.ephemerals if note.ts != response.original_ts]
            self.workspace.ephemerals[:] = kept
            self.workspace.touch(response.channel)
            return
        message = self.workspace.message(response.channel, response.original_ts)
        if message is None:
            raise SlackRefusal("message_not_found", status=404)
        self.workspace.delete(message)

    def _original(self, response: ResponseUrl) -> Any:
        if response.ephemeral:
            return self.workspace.ephemeral(str(response.original_ts))
        return self.workspace.message(response.channel, response.original_ts)

    # forms -----------------------------------------------------------------------------------------------------

    def to_submission(self, view: View, ack: Ack) -> Ack:
        """What happens to a form: closed, corrected, replaced, covered, or all of them cleared."""
        if ack.error is not None:
            view.errors = {"": "We had some trouble connecting. Try again?"}
            self.workspace.touch()
            return ack
        said = ack.json
        try:
            self._respond(view, said)
        except SlackRefusal as refused:
            view.errors = {"": "We had some trouble connecting. Try again?"}
            self.workspace.touch()
            return ack.refused(refused.error)
        return ack

    def _respond(self, view: View, said: Json) -> None:
        action = said.get("response_action")
        if action == "errors":
            self._errors(view, said.get("errors"))
        elif action == "update":
            self.views.update(view, said.get("view"))
        elif action == "push":
            self.views.push(view.user, said.get("view"))
        elif action == "clear":
            self.views.close(view, everything=True)
        elif not said or action is None:
            self.views.close(view)
        else:
            raise SlackRefusal("invalid_response_action")

    def _errors(self, view: View, errors: Any) -> None:
        inputs = {block["block_id"] for block in view.content["blocks"] if block["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
            raise SlackRefusal("invalid_errors")
        view.errors = {str(block_id): str(text) for block_id, text in errors.items()}
        self.workspace.touch()
