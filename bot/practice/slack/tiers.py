"""How often a method may be called: Slack's rate-limit tiers with their 429 (``platform.md`` 3.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from bot.clock import Clock
from bot.practice.slack.refusal import Json, SlackRefusal

Strictness = Literal["off", "realistic", "strict"]

_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
_TIER: Mapping[str, int] = {
    "chat.update": 3,
    "chat.postEphemeral": 4,
    "chat.scheduleMessage": 3,
    "chat.deleteScheduledMessage": 3,
    "chat.delete": 3,
    "views.open": 4,
    "views.push": 4,
    "views.update": 4,
    "views.publish": 4,
    "conversations.info": 3,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.list": 2,
    "conversations.members": 4,
    "conversations.open": 3,
    "conversations.join": 3,
    "conversations.setTopic": 2,
    "bookmarks.add": 2,
    "bookmarks.edit": 2,
    "bookmarks.remove": 2,
    "bookmarks.list": 3,
    "pins.add": 2,
    "pins.remove": 2,
    "pins.list": 2,
    "reactions.add": 3,
    "reactions.get": 3,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "users.info": 4,
    "users.list": 2,
    "users.lookupByEmail": 3,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
}
POST_PER_CHANNEL_S = 1.0
POST_BURST = 10
POST_WORKSPACE_PER_MINUTE = 300


class Tiers:
    """One leaking bucket per method (posts: per channel, and one for the workspace).

    ``realistic`` lets a minute's worth through at once and then holds the tier's pace; ``strict`` tolerates no burst
    beyond two; ``off`` never limits. Methods that Slack lists as "special" or without a tier are not limited.
    """

    def __init__(self, clock: Clock, strictness: Strictness = "realistic") -> None:
        self.clock = clock
        self.strictness = strictness
        self._level: dict[str, tuple[float, int]] = {}

    def check(self, method: str, args: Json) -> None:
        """Refuse with 429 ``ratelimited`` and ``Retry-After`` when the bucket of this call is full."""
        if self.strictness == "off":
            return
        if method == "chat.postMessage":
            self._take(f"{method}:{args.get('channel')}", POST_PER_CHANNEL_S, POST_BURST)
            self._take(method, POST_WORKSPACE_PER_MINUTE / 60, POST_WORKSPACE_PER_MINUTE)
        elif method in _TIER:
            per_minute = _PER_MINUTE[_TIER[method]]
            self._take(method, per_minute / 60, per_minute)

    def _take(self, bucket: str, per_second: float, burst: int) -> None:
        capacity = burst if self.strictness == "realistic" else min(burst, 2)
        now_ms = self.clock.now_ms()
        level, at_ms = self._level.get(bucket, (0.0, now_ms))
        level = max(0.0, level - (now_ms - at_ms) / 1000 * per_second)
        if level + 1 > capacity:
            wait_s = max(1, math.ceil((level + 1 - capacity) / per_second))
            raise SlackRefusal("ratelimited", status=429, headers={"Retry-After": str(wait_s)})
        self._level[bucket] = (level + 1, now_ms)
