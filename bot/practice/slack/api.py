"""The Web API: token, faults, scopes, tiers, then the method - and a record of every call and its effect."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from bot.practice.slack import scopes
from bot.practice.slack.faults import ApiFault, Faults
from bot.practice.slack.methods import METHODS, House
from bot.practice.slack.refusal import Json, SlackRefusal
from bot.practice.slack.tiers import Tiers

NO_TOKEN = frozenset({"blocks.validate"})
CHECKS_SCOPE_BY_PLACE = frozenset({"conversations.list"})
KEPT_CALLS = 20_000


@dataclass(frozen=True)
class Call:
    """One Web API call: whether it had its effect (``applied``) and what the caller was told."""

    method: str
    args: Json
    applied: bool
    error: str | None
    status: int
    answered: bool
    at_ms: int
    body: Json


@dataclass(frozen=True)
class Answer:
    """What goes back; ``drop`` ends the connection instead."""

    body: Json
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


class WebApi:
    """Every method behind one door. ``calls`` keeps the latest calls; ``count`` and ``counts`` forget none."""

    def __init__(self, house: House, faults: Faults, tiers: Tiers) -> None:
        self.house, self.faults, self.tiers = house, faults, tiers
        self.bot_token = "xoxb-practice-" + secrets.token_hex(16)
        self.app_token = f"xapp-1-{house.workspace.app_id}-practice-" + secrets.token_hex(16)
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._made: Counter[tuple[str, bool]] = Counter()
        self.socket_tickets: dict[str, int] = {}

    def count(self, method: str, *, applied: bool | None = True) -> int:
        """How many calls of a method had their effect (``applied=None``: how many were made)."""
        return sum(times for (name, had), times in self._made.items() if name == method and applied in (None, had))

    def counts(self) -> Counter[str]:
        """Effects by method."""
        return Counter({name: times for (name, applied), times in self._made.items() if applied})

    async def call(self, method: str, token: str | None, args: Json) -> Answer:
        """One call from arguments to answer."""
        if self.faults.down != "no":
            gone = Answer({"ok": False, "error": "service_unavailable"}, 503, drop=self.faults.down == "drop")
            return self._recorded(method, args, gone, applied=False)
        fault = self.faults.for_call(method)
        if fault and not fault.apply:
            return self._recorded(method, args, await self._failed(fault), applied=False)
        answer = self._applied(method, token, args)
        applied = bool(answer.body["ok"])
        if fault is None:
            return self._recorded(method, args, answer, applied=applied)
        self._remember(method, args, answer, fault, applied)
        if fault.drop or fault.status:
            return await self._failed(fault)
        await asyncio.sleep(fault.delay_s)
        return answer

    def _remember(self, method: str, args: Json, answer: Answer, fault: ApiFault, applied: bool) -> None:
        told = Answer({"ok": False, "error": fault.error or "lost"}, fault.status, drop=fault.drop)
        self._recorded(method, args, told if fault.drop or fault.status else answer, applied=applied)

    async def _failed(self, fault: ApiFault) -> Answer:
        await asyncio.sleep(fault.delay_s)
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.status == 429 else {}
        return Answer({"ok": False, "error": fault.error or "lost"}, fault.status or 500, headers, drop=fault.drop)

    def _recorded(self, method: str, args: Json, answer: Answer, *, applied: bool) -> Answer:
        error = None if answer.body.get("ok") else str(answer.body.get("error"))
        at_ms = self.house.workspace.clock.now_ms()
        self._made[method, applied] += 1
        self.calls.append(Call(method, args, applied, error, answer.status, not answer.drop, at_ms, answer.body))
        return answer

    def _applied(self, method: str, token: str | None, args: Json) -> Answer:
        headers: dict[str, str] = {}
        try:
            app_level = self._identify(method, token)
            if app_level:
                return Answer({"ok": True, **self._app_level(method)})
            if method not in METHODS:
                raise SlackRefusal("unknown_method", req_method=method)
            headers = {
                "X-OAuth-Scopes": ",".join(sorted(self.house.scopes)),
                "X-Accepted-OAuth-Scopes": ",".join(scopes.accepted(method)),
            }
            if method not in CHECKS_SCOPE_BY_PLACE:
                scopes.check(method, self.house.scopes)
            self.tiers.check(method, args)
            return Answer({"ok": True, **METHODS[method](self.house, args)}, headers=headers)
        except SlackRefusal as refused:
            return Answer(refused.body(), refused.status, headers | refused.headers)

    def _identify(self, method: str, token: str | None) -> bool:
        """Whether this is an app-level call; refuses a token of the wrong kind."""
        if method in NO_TOKEN:
            return False
        if not token:
            raise SlackRefusal("not_authed")
        if _same(token, self.app_token):
            if method not in ("apps.connections.open", "auth.test"):
                raise SlackRefusal("not_allowed_token_type")
            return True
        if not _same(token, self.bot_token):
            raise SlackRefusal("invalid_auth")
        if self.faults.revoked:
            raise SlackRefusal("token_revoked")
        if method == "apps.connections.open":
            raise SlackRefusal("not_allowed_token_type")
        return False

    def _app_level(self, method: str) -> dict[str, Any]:
        workspace = self.house.workspace
        if method == "auth.test":
            return {"app_name": workspace.people[workspace.bot_user_id].name, "app_id": workspace.app_id}
        ticket = secrets.token_urlsafe(24)
        self.socket_tickets[ticket] = workspace.clock.now_ms()
        host = workspace.base_url.removeprefix("http://")
        return {"url": f"ws://{host}/socket?ticket={ticket}&app_id={workspace.app_id}"}


def _same(given: str, ours: str) -> bool:
    return secrets.compare_digest(given.encode(), ours.encode())
