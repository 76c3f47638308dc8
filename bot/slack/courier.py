"""One call to Slack, and what came of it: every answer and every silence becomes one of six outcomes.

Nothing is repeated here (the SDK's own retries are off): an answer that was lost may hide a message that stands, so
who calls must look before calling again (safety.md, R33).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blocks import Message

EVENT_TYPE = "sendcat_card"
"""Metadata of every message of ours; its payload carries the letter's mark, by which it is found again."""

How = Literal["sent", "rate_limited", "unreachable", "unclear", "gone", "unwritable", "undrawable", "refused"]
"""
sent          Slack has it, under ``ts``
rate_limited  certainly not sent; wait ``retry_s``, with everybody who calls this method
unreachable   certainly not sent; Slack is down, or the token is being mended
unclear       it may have been sent
gone          the message to edit is not there, or closed to edits
unwritable    the bot cannot write to this place
undrawable    Slack refuses these blocks
refused       it will never be taken as it is
"""

_RATE = frozenset({"ratelimited", "rate_limited"})
_BROKEN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
_UNWRITABLE = frozenset(
    {"not_in_channel", "channel_not_found", "user_not_in_channel", "is_archived", "restricted_action", "no_permission"}
)
_UNDRAWABLE = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "invalid_attachments", "msg_blocks_too_long", "msg_too_long"}
)
_TOKEN = frozenset({"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"})
"""The workspace's trouble, not this message's: it is kept until the token is mended."""

TOKEN_RETRY_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """``error`` is Slack's word, or the kind of the failure; never an address or a body."""

    how: How
    ts: str | None = None
    channel: str | None = None
    error: str = ""
    retry_s: float = 0.0


class Courier:
    """The calls the outbox needs, over the SDK's client."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._directs: dict[str, str] = {}

    async def post(self, channel: str, message: Message, mark: str, thread_ts: str | None) -> Outcome:
        """A new message; ``mark`` finds it again."""
        return await outcome_of(
            self._client.chat_postMessage(
                channel=channel,
                text=message.text,
                blocks=message.blocks,
                thread_ts=thread_ts,
                metadata=_metadata(mark),
                unfurl_links=False,
                unfurl_media=False,
            )
        )

    async def edit(self, channel: str, ts: str, message: Message, mark: str) -> Outcome:
        """A newer rendering of a message of ours. To repeat it does no harm, so a lost answer is not unclear."""
        outcome = await outcome_of(
            self._client.chat_update(
                channel=channel, ts=ts, text=message.text, blocks=message.blocks, metadata=_metadata(mark)
            )
        )
        return Outcome("unreachable", error=outcome.error) if outcome.how == "unclear" else outcome

    async def whisper(self, channel: str, user: str, message: Message, thread_ts: str | None) -> Outcome:
        """A message for one person's eyes, or a direct message where the bot may not speak."""
        outcome = await outcome_of(
            self._client.chat_postEphemeral(
                channel=channel, user=user, text=message.text, blocks=message.blocks, thread_ts=thread_ts
            )
        )
        if outcome.how == "unwritable" or (outcome.how == "gone" and thread_ts):
            said = self._client.chat_postMessage(channel=user, text=message.text, blocks=message.blocks)
            outcome = await outcome_of(said)
        return Outcome(outcome.how, None, None, outcome.error, outcome.retry_s)

    async def pin(self, channel: str, ts: str, wanted: bool) -> Outcome:
        """Pin a message of ours, or take the pin away. To repeat it does no harm: what is so already is ``sent``."""
        hung = {"channel": channel, "timestamp": ts}
        outcome = await outcome_of(self._client.pins_add(**hung) if wanted else self._client.pins_remove(**hung))
        if outcome.error in ("already_pinned", "no_pin"):
            return Outcome("sent")
        return Outcome("unreachable", error=outcome.error) if outcome.how == "unclear" else outcome

    async def bookmark(self, channel: str, ts: str, title: str) -> str | None:
        """A bookmark of the channel that leads to a message, by Slack's id; None where the bot may not."""
        try:
            found = await self._client.chat_getPermalink(channel=channel, message_ts=ts)
            link = str(found["permalink"])
            answer = await self._client.bookmarks_add(channel_id=channel, title=title, type="link", link=link)
            return str(answer["bookmark"]["id"])
        except (*_TROUBLE, KeyError, TypeError):
            return None

    async def unbookmark(self, channel: str, bookmark: str) -> None:
        """Take a bookmark away; one that somebody took away already is gone all the same."""
        with contextlib.suppress(*_TROUBLE):
            await self._client.bookmarks_remove(channel_id=channel, bookmark_id=bookmark)

    async def direct(self, user: str) -> str | None:
        """The direct conversation with a person, by id; None when it cannot be opened now."""
        if user not in self._directs:
            try:
                answer = await self._client.conversations_open(users=user)
                self._directs[user] = str(answer["channel"]["id"])
            except _TROUBLE:
                return None
        return self._directs[user]

    async def upload(self, channel: str, path: Path, title: str, thread_ts: str | None) -> Outcome:
        """A file in three steps; only the last one shows it, so only there an answer can be lost."""
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            return Outcome("refused", error=f"{path.name}: {type(error).__name__}")
        if not content:
            return Outcome("refused", error=f"{path.name} is empty")
        try:
            begun = await self._client.files_getUploadURLExternal(filename=path.name, length=len(content))
            session = self._client.session
            if session is None or session.closed:
                return Outcome("unreachable", error="no session")
            async with session.post(str(begun["upload_url"]), data=content, allow_redirects=False) as answer:
                if answer.status != 200:
                    return Outcome("unreachable", error=f"upload {answer.status}")
        except _TROUBLE as error:
            outcome = _failure(error)
            return Outcome("unreachable", error=outcome.error) if outcome.how == "unclear" else outcome
        return await outcome_of(
            self._client.files_completeUploadExternal(
                files=[{"id": str(begun["file_id"]), "title": title[:200]}], channel_id=channel, thread_ts=thread_ts
            )
        )

    async def find(
        self, channel: str, mark: str, *, since_ms: int, thread_ts: str | None, file: str | None = None
    ) -> Outcome:
        """Look for a message that may have been sent since then: ``sent`` with its ts, or ``gone``.

        ``refused`` means that the bot may not look (no history scope).
        """
        oldest = f"{max(0, since_ms - 60_000) / 1000:.6f}"
        cursor: str | None = None
        for _ in range(10):
            call = (
                self._client.conversations_replies(
                    channel=channel,
                    ts=thread_ts,
                    oldest=oldest,
                    limit=200,
                    cursor=cursor,
                    include_all_metadata=True,
                )
                if thread_ts
                else self._client.conversations_history(
                    channel=channel, oldest=oldest, limit=200, cursor=cursor, include_all_metadata=True
                )
            )
            try:
                answer = await call
            except _TROUBLE as error:
                outcome = _failure(error)
                if outcome.how in ("gone", "unwritable"):
                    return Outcome("refused", error=outcome.error)
                return Outcome("unreachable", error=outcome.error) if outcome.how == "unclear" else outcome
            for message in answer.get("messages") or []:
                if _is(message, mark, file):
                    return Outcome("sent", ts=str(message["ts"]), channel=channel)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                break
        return Outcome("gone")


_TROUBLE = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)


async def outcome_of(call: Awaitable[Any]) -> Outcome:
    """What came of a call; never raises for what Slack or the network does."""
    try:
        answer = await call
    except _TROUBLE as error:
        return _failure(error)
    return Outcome("sent", ts=answer.get("ts"), channel=answer.get("channel"))


def _failure(error: BaseException) -> Outcome:
    """What a failed call means for what was to be sent."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return Outcome("unreachable", error="no connection")
    if not isinstance(error, SlackApiError):
        return Outcome("unclear", error=type(error).__name__)
    response = error.response
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    data = getattr(response, "data", None)
    word = str(data.get("error", "")) if isinstance(data, Mapping) else ""
    if status == 429 or word in _RATE:
        return Outcome("rate_limited", error="ratelimited", retry_s=_retry_after(getattr(response, "headers", {})))
    if word in _TOKEN:
        return Outcome("unreachable", error=word, retry_s=TOKEN_RETRY_S)
    if status >= 500 or word in _BROKEN or not word:
        return Outcome("unclear", error=word or f"status {status}")
    for words, how in _WORDS:
        if word in words:
            return Outcome(how, error=word)
    return Outcome("refused", error=word)


_WORDS: tuple[tuple[frozenset[str], How], ...] = (
    (_GONE, "gone"),
    (_UNWRITABLE, "unwritable"),
    (_UNDRAWABLE, "undrawable"),
)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of Retry-After; 30 when it is missing or no number."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return min(3600.0, max(0.0, float(value)))
            except ValueError:
                break
    return 30.0


def _metadata(mark: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"key": mark}}


def _is(message: Mapping[str, Any], mark: str, file: str | None) -> bool:
    """Whether a message of the history is the one; a file carries no metadata and is known by its unique name."""
    if file is not None:
        return any(file in (each.get("name"), each.get("title")) for each in message.get("files") or [])
    metadata = message.get("metadata") or {}
    return metadata.get("event_type") == EVENT_TYPE and (metadata.get("event_payload") or {}).get("key") == mark
