"""Short-lived permissions Slack hands out: trigger ids (3 s, once) and response URLs (5 posts in 30 minutes)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from bot.clock import Clock
from bot.practice.slack.refusal import SlackRefusal

TRIGGER_LIFE_MS = 3_000
RESPONSE_LIFE_MS = 30 * 60 * 1000
RESPONSE_POSTS = 5
KEPT = 10_000


@dataclass
class Trigger:
    """Whose interaction it was, when, and whether a view was opened with it."""

    id: str
    user: str
    issued_ms: int
    exchanged: bool = False


class Triggers:
    """Trigger ids: each opens one view, within three seconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._issued: dict[str, Trigger] = {}

    def issue(self, user: str) -> str:
        """A fresh trigger id for a person's interaction."""
        now_ms = self.clock.now_ms()
        trigger_id = f"{now_ms}.{secrets.randbelow(10**12):012d}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = Trigger(trigger_id, user, now_ms)
        while len(self._issued) > KEPT:
            del self._issued[next(iter(self._issued))]
        return trigger_id

    def exchange(self, trigger_id: object) -> str:
        """The person behind a trigger id, which is used up; refuses as Slack does."""
        trigger = self._issued.get(str(trigger_id))
        if trigger is None:
            raise SlackRefusal("invalid_trigger_id")
        if trigger.exchanged:
            raise SlackRefusal("exchanged_trigger_id")
        if self.clock.now_ms() - trigger.issued_ms > TRIGGER_LIFE_MS:
            raise SlackRefusal("expired_trigger_id")
        trigger.exchanged = True
        return trigger.user


@dataclass
class ResponseUrl:
    """Where answers go: the place, the person, and the message that was clicked (``original_ts``), if any."""

    token: str
    channel: str
    user: str
    issued_ms: int
    original_ts: str | None = None
    ephemeral: bool = True
    thread_ts: str | None = None
    posts: int = 0


class ResponseUrls:
    """Response URLs by their secret token."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._issued: dict[str, ResponseUrl] = {}

    def issue(
        self,
        channel: str,
        user: str,
        *,
        original_ts: str | None = None,
        ephemeral: bool = True,
        thread_ts: str | None = None,
    ) -> ResponseUrl:
        """A fresh response URL."""
        token = secrets.token_urlsafe(24)
        fresh = ResponseUrl(token, channel, user, self.clock.now_ms(), original_ts, ephemeral, thread_ts)
        self._issued[token] = fresh
        while len(self._issued) > KEPT:
            del self._issued[next(iter(self._issued))]
        return fresh

    def use(self, token: str) -> ResponseUrl:
        """Spend one of the five posts; ``used_url`` or ``expired_url`` (404) when there is none left."""
        found = self._issued.get(token)
        if found is None or self.clock.now_ms() - found.issued_ms > RESPONSE_LIFE_MS:
            raise SlackRefusal("expired_url", status=404)
        if found.posts >= RESPONSE_POSTS:
            raise SlackRefusal("used_url", status=404)
        found.posts += 1
        return found
