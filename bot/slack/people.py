"""What the workspace says of an account: kind of person, and groups (safety.md, R7, R8; platform.md, 3.8).

Only Slack's own answer counts, at most a minute old. Whatever cannot be learned within a second is ``unknown``, and an
unknown person may do what a stranger may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.authority import Standing
from bot.clock import Clock
from bot.config import Config

T = TypeVar("T")

FRESH_S = 60.0
WITHIN_S = 1.0
_MOST = 5_000
_TROUBLE = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError)

UNKNOWN = Standing(known=False, kind="unknown")

log = structlog.get_logger("people")


class Directory:
    """Looks people up, each at most once a minute however many ask at the same time."""

    def __init__(self, client: AsyncWebClient, config: Config, clock: Clock, *, within_s: float = WITHIN_S) -> None:
        self.team = config.slack.team_id
        """The workspace that is served; `auth.test` tells it when the configuration does not."""
        self._client = client
        self._within_s = within_s
        roles = config.roles
        listed = {*roles.responder, *roles.release_manager, *roles.manager, *roles.admin}
        self._groups = tuple(sorted(name for name in listed - set(config.people) if name.startswith("S")))
        self._people: _Fresh[Mapping[str, Any]] = _Fresh(clock)
        self._members: _Fresh[frozenset[str]] = _Fresh(clock)

    async def standing(self, account: str) -> Standing:
        """The standing of ``slack:<user id>``. Never raises."""
        door, _, user = account.partition(":")
        if door != "slack" or not user:
            return UNKNOWN
        if (known := self._kept(user)) is not None:
            return known
        try:
            async with asyncio.timeout(self._within_s):
                person, *groups = await asyncio.gather(
                    self._people.get(user, lambda: self._info(user)), *(self._in(group, user) for group in self._groups)
                )
        except _TROUBLE as error:
            log.warning("membership not learned", error=type(error).__name__)
            return UNKNOWN
        return _standing(person, frozenset(group for group in groups if group is not None))

    def _kept(self, user: str) -> Standing | None:
        """The standing when every answer for it is still fresh: no task and no timer for what is known."""
        person = self._people.kept(user)
        lists = {group: self._members.kept(group) for group in self._groups}
        if person is None or None in lists.values():
            return None
        return _standing(person, frozenset(group for group, users in lists.items() if users and user in users))

    async def _info(self, user: str) -> Mapping[str, Any]:
        answer = await self._client.users_info(user=user)
        person = answer["user"]
        if not isinstance(person, Mapping) or person.get("id") != user:
            raise TypeError("not the person asked for")
        return person

    async def _in(self, group: str, user: str) -> str | None:
        """The group when the person is in it; a group that cannot be read has no members (R7)."""
        try:
            return group if user in await self._members.get(group, lambda: self._list(group)) else None
        except _TROUBLE as error:
            log.warning("group not read, nobody counts as its member", group=group, error=type(error).__name__)
            return None

    async def _list(self, group: str) -> frozenset[str]:
        answer = await self._client.usergroups_users_list(usergroup=group)
        return frozenset(str(user) for user in answer["users"])


def _standing(person: Mapping[str, Any], groups: frozenset[str]) -> Standing:
    """Only members have groups; whoever else is listed in one has none."""
    kind = _kind(person)
    return Standing(known=True, kind=kind, groups=groups if kind == "member" else frozenset())


def _kind(person: Mapping[str, Any]) -> Any:
    """The strictest word that fits."""
    if person.get("deleted"):
        return "deactivated"
    if person.get("is_bot") or person.get("is_workflow_bot") or person.get("id") == "USLACKBOT":
        return "bot"
    if person.get("is_stranger"):
        return "stranger"
    if person.get("is_restricted") or person.get("is_ultra_restricted"):
        return "guest"
    return "member"


class _Fresh(Generic[T]):
    """Values by key, kept for a minute; one load at a time for each, shared by all who wait. Failures are not kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, T]] = {}
        self._loading: dict[str, asyncio.Task[T]] = {}

    def kept(self, key: str) -> T | None:
        """The value when it is fresh."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and self._clock.monotonic() - kept[0] < FRESH_S else None

    async def get(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        found = self.kept(key)
        if found is not None:
            return found
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.ensure_future(self._load(key, load))
        return await asyncio.shield(task)

    async def _load(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        try:
            value = await load()
            if len(self._kept) >= _MOST:
                self._kept.clear()
            self._kept[key] = (self._clock.monotonic(), value)
            return value
        finally:
            self._loading.pop(key, None)
