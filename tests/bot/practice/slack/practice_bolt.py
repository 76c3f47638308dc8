"""The smallest real Bolt app, its manifest, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.slack import PracticeSlack

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Sendcat"},
    "features": {
        "app_home": {"home_tab_enabled": True},
        "bot_user": {"display_name": "sendcat"},
        "shortcuts": [
            {"name": "Start triage", "type": "global", "callback_id": "triage.start", "description": "Starts"},
            {"name": "Add to timeline", "type": "message", "callback_id": "timeline.add", "description": "Adds"},
        ],
        "slash_commands": [{"command": "/sendcat", "description": "Runbook", "should_escape": True}],
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                "commands",
                "chat:write",
                "app_mentions:read",
                "channels:read",
                "groups:read",
                "users:read",
                "usergroups:read",
                "files:write",
            ],
            "bot_optional": [
                "channels:history",
                "reactions:read",
                "pins:write",
                "bookmarks:write",
                "channels:write.topic",
            ],
        }
    },
    "settings": {
        "interactivity": {"is_enabled": True},
        "event_subscriptions": {
            "bot_events": ["app_home_opened", "app_mention", "reaction_added", "subteam_members_changed"]
        },
        "socket_mode_enabled": True,
    },
}

BUTTON = {"type": "button", "action_id": "triage.stop", "text": {"type": "plain_text", "text": "Stop"}, "value": "r-1"}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def card(text: str) -> list[dict[str, Any]]:
    return [section(text), {"type": "actions", "elements": [BUTTON]}]


class SteppedClock:
    """A wall clock that moves only when told."""

    def __init__(self, now_ms: int = 1_795_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)


class Bolt:
    """One command, one button, one form, one event - and what they were called with."""

    def __init__(self, slack: PracticeSlack, session: aiohttp.ClientSession) -> None:
        self.client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, session=session)
        self.client.retry_handlers = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        app = self.app = AsyncApp(client=self.client, signing_secret=slack.signing_secret)

        @app.command("/sendcat")
        async def command(ack: Any, body: Any, client: Any, respond: Any) -> None:
            self.heard.append(("command", body))
            word = body["text"].split(" ")[0]
            if word == "help":
                await ack("Type `/sendcat triage`.")
            elif word == "sleep":
                await asyncio.sleep(0.4)
                await ack("late")
            elif word == "form":
                await ack()
                await client.views_open(trigger_id=body["trigger_id"], view=FORM)
            elif word == "respond":
                await ack()
                await respond("by response url", response_type="in_channel")
            else:
                await ack()
                await client.chat_postMessage(channel=body["channel_id"], text="Triage", blocks=card("RUNNING"))

        @app.action("triage.stop")
        async def stop(ack: Any, body: Any, client: Any) -> None:
            self.heard.append(("action", body))
            await ack()
            await client.chat_update(
                channel=body["channel"]["id"],
                ts=body["message"]["ts"],
                text="Stopped",
                blocks=[section("STOPPED by <@" + body["user"]["id"] + ">")],
            )

        @app.view("gate.form")
        async def form(ack: Any, body: Any) -> None:
            self.heard.append(("view", body))
            reason = body["view"]["state"]["values"]["reason"]["text"]["value"]
            if len(reason) < 5:
                await ack(response_action="errors", errors={"reason": "Say why."})
            else:
                await ack()

        @app.event("app_mention")
        async def mention(body: Any) -> None:
            self.heard.append(("mention", body))

        @app.event("reaction_added")
        async def reaction(body: Any) -> None:
            self.heard.append(("reaction", body))

        @app.event("app_home_opened")
        async def home(body: Any, client: Any) -> None:
            self.heard.append(("home", body))
            await client.views_publish(
                user_id=body["event"]["user"], view={"type": "home", "blocks": [section("Nothing waits for you.")]}
            )

        @app.shortcut("timeline.add")
        async def shortcut(ack: Any, body: Any) -> None:
            self.heard.append(("shortcut", body))
            await ack()

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [body for name, body in self.heard if name == kind]


FORM: dict[str, Any] = {
    "type": "modal",
    "callback_id": "gate.form",
    "title": {"type": "plain_text", "text": "Approve gate"},
    "submit": {"type": "plain_text", "text": "Approve"},
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


@asynccontextmanager
async def connected(slack: PracticeSlack, bolt: Bolt, ping_interval: float = 10) -> AsyncIterator[Any]:
    """The app's socket. With a short interval a busy machine loses it, and the payloads that are on their way."""
    handler = AsyncSocketModeHandler(
        bolt.app,
        slack.app_token,
        web_client=AsyncWebClient(token=slack.app_token, base_url=slack.api_url),
        ping_interval=ping_interval,
    )
    await handler.connect_async()
    try:
        yield handler
    finally:
        await handler.close_async()
