"""What went wrong with one Convex call, told plainly: which call, why, and the line to run by hand.

The table is section 5.1 of convex-http-api.md: what may be repeated, and what may have happened although nobody said
so. Texts of `errorMessage` choose a better hint, never what is done (section 5.3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import httpx

from bot.errors import Unreachable

CallKind = Literal["query", "mutation", "action", "admin read", "admin write"]
_READS = frozenset({"query", "admin read"})


class Cause(StrEnum):
    """Why a call failed, for those who decide what to say next."""

    WRONG_KEY = "wrong key"
    NO_PERMISSION = "permission missing"
    PAUSED = "paused"
    NOT_DEPLOYED = "not deployed"
    SLOW = "slow"
    DOWN = "not reachable"
    BUSY = "overloaded"
    THREW = "the function failed"
    REJECTED = "our request was refused"
    GARBLED = "not an answer of Convex"


@dataclass(frozen=True)
class Call:
    """One call: what is asked, of which target, and how a person would ask the same by hand."""

    target: str
    kind: CallKind
    name: str
    by_hand: str

    @property
    def reads(self) -> bool:
        return self.kind in _READS

    def __str__(self) -> str:
        return f"{self.name} on {self.target}"


class CallFailed(Unreachable):
    """A call to Convex that brought no useful answer.

    ``ambiguous`` is True when a write may have happened: never repeat it, read first (R26). ``permission`` names the
    missing right of the deploy key, ``request_id`` the run in the deployment's logs; ``then`` is the line to run by
    hand.
    """

    def __init__(
        self,
        call: Call,
        cause: Cause,
        detail: str,
        *,
        ambiguous: bool = False,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        permission: str | None = None,
    ) -> None:
        what = f"{call}: {cause}. {detail}".rstrip()
        if request_id:
            what += f" Request id {request_id}."
        if not call.reads:
            what += (
                " It may have happened all the same: read before trying again." if ambiguous else " Nothing changed."
            )
        rule = "an unclear write is never repeated (R26)" if ambiguous else None
        super().__init__(what, rule=rule, then=call.by_hand, ambiguous=ambiguous)
        self.call = call
        self.cause = cause
        self.status = status
        self.code = code
        self.request_id = request_id
        self.permission = permission


class Again(Exception):
    """A failure that a read may try again after ``wait_s`` seconds; it carries what to say when it stays."""

    def __init__(self, failure: CallFailed, wait_s: float | None = None) -> None:
        super().__init__(failure.cause)
        self.failure = failure
        self.wait_s = wait_s


def by_hand(function: str, args: Mapping[str, object]) -> str:
    """``npx convex run F '{...}'``, safe to paste into a shell."""
    if not args:
        return f"npx convex run {function}"
    text = json.dumps(args, separators=(",", ":"), ensure_ascii=False).replace("'", "'\\''")
    return f"npx convex run {function} '{text}'"


_REQUEST_ID = re.compile(r"\[Request ID: ([0-9A-Za-z-]{6,64})\]")
_PERMISSION = re.compile(r"\b(deployment:[A-Za-z:]{3,60})")
_NO_PERMISSION = "do not have permission to perform this operation"
_PAUSED = re.compile(
    r"deployment is (?:currently )?(?:paused|disabled|suspended)|deployment has been disabled|has been disabled"
)
_NOT_FOUND = re.compile(r"Could not find (?:public )?function")


def request_id_of(text: str) -> str | None:
    """The run's id inside an error message; the key to finding it in the logs."""
    found = _REQUEST_ID.search(text)
    return found.group(1) if found else None


def function_threw(call: Call, message: str, data: object, key_env: str) -> CallFailed:
    """From ``status:error``: the function ran (or was refused by the runner) and said no. Never repeated."""
    request_id = request_id_of(message)
    permission = _permission(message)
    text = _REQUEST_ID.sub("", message).strip()
    if _NO_PERMISSION in message:
        named = f"`{permission}`" if permission else "a permission"
        return CallFailed(
            call,
            Cause.NO_PERMISSION,
            f"The deploy key in {key_env} lacks {named}; make a key that has it.",
            request_id=request_id,
            permission=permission,
        )
    if _PAUSED.search(message):
        detail = "The deployment is paused or disabled; no function runs until it is resumed in the Convex dashboard."
        return CallFailed(call, Cause.PAUSED, detail, request_id=request_id)
    if _NOT_FOUND.search(message):
        detail = f"The function is not deployed there, or the key in {key_env} has no administrator rights."
        return CallFailed(call, Cause.NOT_DEPLOYED, detail, request_id=request_id)
    if data is not None:
        text = f"{text} {json.dumps(data, ensure_ascii=False)}"
    return CallFailed(
        call, Cause.THREW, f"It said: {_short(text)}", request_id=request_id, ambiguous=_after_throw(call)
    )


def _after_throw(call: Call) -> bool:
    """A mutation that threw is rolled back; an action may have had side effects before it threw."""
    return call.kind == "action"


def refused_outside(call: Call, status: int, code: str | None, message: str, key_env: str) -> CallFailed | Again:
    """From any answer that is neither 200 nor 560: `Again` where a read may be tried once more."""
    request_id = request_id_of(message)
    permission = _permission(message)
    said = f"HTTP {status}{f' {code}' if code else ''}"
    told = f"{said}: {_short(message)}" if message and code else said

    def failed(cause: Cause, detail: str, *, ambiguous: bool = False) -> CallFailed:
        return CallFailed(
            call,
            cause,
            detail,
            ambiguous=ambiguous and not call.reads,
            status=status,
            code=code,
            request_id=request_id,
            permission=permission,
        )

    if status == 403 and (code == "OperationNotPermitted" or permission):
        named = f"`{permission}`" if permission else f"the right for {call.name}"
        return failed(
            Cause.NO_PERMISSION, f"{said}. The deploy key in {key_env} lacks {named}; make a key that has it."
        )
    if status in (401, 403):
        detail = f"{said}. The deploy key in {key_env} is wrong, revoked, or for another deployment."
        return failed(Cause.WRONG_KEY, detail)
    if 300 <= status < 400:
        return failed(Cause.GARBLED, f"{said}: redirects are not followed (R14). Check api_url of the target.")
    if status == 404:
        return failed(Cause.NOT_DEPLOYED, f"{said}. Check api_url of the target; nothing answers to this path there.")
    if status == 429:
        return _again(failed(Cause.BUSY, told, ambiguous=call.kind == "action"), 3.0)
    if status in (421, 425):
        return _again(failed(Cause.BUSY, told), 1.0)
    if status == 408:
        return _again(failed(Cause.SLOW, f"{said}: the server gave up waiting.", ambiguous=True), 1.0)
    if status == 503:
        return _again(failed(Cause.BUSY, told, ambiguous=_unclear_503(call, code)), 1.0)
    if status >= 500:
        return _again(failed(Cause.DOWN, told, ambiguous=True), None)
    return failed(Cause.REJECTED, told)


_NEVER_STARTED = frozenset({"ExpiredInQueue", "ExecuteFullError", "UpstreamConnectError"})
_NEVER_COMMITTED = frozenset({"OptimisticConcurrencyControlFailure", "CommitterFullError"})


def _unclear_503(call: Call, code: str | None) -> bool:
    if code in _NEVER_STARTED:
        return False
    restarted = code is not None and (code.endswith("IndexesUnavailable") or code == "TableSummariesUnavailable")
    if code in _NEVER_COMMITTED or restarted:
        return call.kind == "action"
    return True


def _again(failure: CallFailed, wait_s: float | None) -> CallFailed | Again:
    return Again(failure, wait_s) if failure.call.reads else failure


def unanswered(call: Call, error: httpx.HTTPError) -> CallFailed | Again:
    """From a transport failure. Before the request was sent nothing can have happened; afterwards a write may have."""
    name = type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        return _again(CallFailed(call, Cause.DOWN, "No connection within 5 s."), None)
    if isinstance(error, httpx.ConnectError | httpx.PoolTimeout):
        return _again(CallFailed(call, Cause.DOWN, f"No connection: {_short(str(error) or name)}."), None)
    if isinstance(error, httpx.TimeoutException):
        return _again(CallFailed(call, Cause.SLOW, "No answer in time.", ambiguous=not call.reads), None)
    detail = f"The connection broke before the answer was whole ({name})."
    return _again(CallFailed(call, Cause.DOWN, detail, ambiguous=not call.reads), None)


def garbled(call: Call, status: int, what: str) -> CallFailed:
    """From a 200 that is not Convex's JSON: a proxy's page, half an answer, too much of one."""
    return CallFailed(
        call,
        Cause.GARBLED,
        f"HTTP {status}, but {what}. Check api_url of the target; a proxy may stand in between.",
        ambiguous=not call.reads,
        status=status,
    )


def _permission(text: str) -> str | None:
    found = _PERMISSION.search(text)
    return found.group(1).rstrip(":") if found else None


def _short(text: str, limit: int = 300) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
