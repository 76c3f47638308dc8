"""Reads single messages for the timeline: who wrote what and when, from Slack and not from whoever asks (ux.md, 11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import Refused, Unreachable
from bot.slack.text import undone
from bot.world import Said

_TROUBLE = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
_NOT_THERE = frozenset({"message_not_found", "thread_not_found"})
_CLOSED = frozenset({"channel_not_found", "not_in_channel", "missing_scope", "no_permission"})


class Messages:
    """One message at a time; top level first, then inside threads, since an event names no thread."""

    def __init__(self, client: AsyncWebClient, origin: Callable[[], str | None] = lambda: None) -> None:
        self._client = client
        self._origin = origin

    def address(self, channel: str, ts: str) -> str:
        """The permalink of a message, made without asking Slack: it must be there within an acknowledgement."""
        origin = self._origin()
        return f"{origin.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}" if origin else ""

    async def read(self, channel: str, ts: str) -> Said:
        """The message. Raises `Refused` when it is not there or the bot may not read there, else `Unreachable`."""
        around: dict[str, Any] = {"channel": channel, "latest": ts, "oldest": ts, "inclusive": True, "limit": 2}
        try:
            found = _pick(await self._client.conversations_history(**around), ts)
            if found is None:
                found = _pick(await self._client.conversations_replies(ts=ts, **around), ts)
        except _TROUBLE as error:
            raise _explained(error) from None
        if found is None:
            raise _missing()
        return Said(
            channel=channel,
            ts=ts,
            author=f"slack:{found['user']}" if found.get("user") else "",
            text=_words(found),
            at_ms=int(Decimal(ts) * 1000),
            link=await self._link(channel, ts),
        )

    async def _link(self, channel: str, ts: str) -> str:
        try:
            answer = await self._client.chat_getPermalink(channel=channel, message_ts=ts)
        except _TROUBLE:
            return ""
        return str(answer.get("permalink") or "")


def _pick(answer: Any, ts: str) -> Mapping[str, Any] | None:
    messages = answer.get("messages") or []
    return next((each for each in messages if isinstance(each, Mapping) and each.get("ts") == ts), None)


def _words(message: Mapping[str, Any]) -> str:
    """The text; of a message that is only files, their names. Slack's entities are undone, `inert` comes later."""
    text = undone(str(message.get("text") or ""))
    files = [str(each.get("name") or "file") for each in message.get("files") or [] if isinstance(each, Mapping)]
    return " ".join([text.strip(), *(f"[{name}]" for name in files)]).strip()


def _explained(error: BaseException) -> Refused | Unreachable:
    word = ""
    if isinstance(error, SlackApiError):
        data = getattr(error.response, "data", None)
        word = str(data.get("error", "")) if isinstance(data, Mapping) else ""
    if word in _NOT_THERE:
        return _missing()
    if word in _CLOSED:
        return Refused(f"The bot may not read there: {word}.", then="in the channel: /invite @sendcat")
    return Unreachable(
        f"Slack does not show the message: {word or type(error).__name__}.", then="try again in a minute"
    )


def _missing() -> Refused:
    return Refused("This message is not there any more.", then="/sendcat incident note")
