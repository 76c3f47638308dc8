"""The app of a target as one of its users meets it: sign in or up, a token for Convex, a thread (operator-commands 11).

Speaks to the target's ``app_url`` with the user's own cookies, and to its ``api_url`` with the user's own token; never
with a deploy key. Cookies of two users never meet: each user has a client of his own.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from bot.errors import Unreachable
from bot.sendcat import CLIENT
from bot.sendcat.dial import Resolve, resolve
from bot.sendcat.wire import Answer, Wire
from bot.target import Target

SIGN_IN, SIGN_UP, TOKEN = "/api/auth/sign-in/email", "/api/auth/sign-up/email", "/api/auth/convex/token"
UNKNOWN_USER = frozenset({400, 401, 403, 404})
"""Answers to a sign-in that may mean that there is no such account yet."""
TIMEOUT = httpx.Timeout(connect=5.0, write=10.0, read=20.0, pool=5.0)
LONGEST_WAIT_S = 30.0
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")
_ID = re.compile(r"[0-9a-zA-Z_-]{8,64}")

Source = Literal["sign-in", "sign-up"]


class AppFailed(Unreachable):
    """One step of one user did not go well. ``again_s`` is how long to wait before another try, None: trying is vain.

    The text names the step, the status and the app's own error code; it holds nothing else that came from outside.
    """

    def __init__(self, what: str, *, again_s: float | None, ambiguous: bool = False) -> None:
        super().__init__(what, ambiguous=ambiguous)
        self.again_s = again_s


@dataclass(frozen=True, slots=True)
class Signed:
    """A user with a fresh token for Convex, and how the app let him in."""

    token: str = field(repr=False)
    source: Source


async def sign(
    target: Target,
    *,
    email: str,
    name: str,
    password: str,
    resolver: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
) -> Signed:
    """Sign in, else up, and fetch a token. Raises `AppFailed`, or `Refused` when the address may not be dialled."""
    wire = Wire(target.app_url, connections=1, timeout=TIMEOUT, resolver=resolver, tls=tls)
    try:
        body = {"email": email, "password": password}
        entered = await _post(wire, "sign-in", SIGN_IN, {**body, "rememberMe": True})
        source: Source = "sign-in"
        if entered.status in UNKNOWN_USER:
            source = "sign-up"
            entered = await _post(wire, "sign-up", SIGN_UP, {"name": name, **body})
        if entered.status != 200:
            raise _refused(source, entered)
        given = await _send(wire, "GET", "token", TOKEN, _headers(wire), None)
        if given.status != 200:
            raise _refused("token", given)
        told = _object(given)
        token = told.get("token")
        if not isinstance(token, str) or not 10 <= len(token) <= 8_192 or not token.isascii() or " " in token:
            raise AppFailed("token: the answer holds no token", again_s=None)
        return Signed(token, source)
    finally:
        await wire.aclose()


async def create_thread(
    target: Target,
    token: str,
    *,
    title: str,
    model_id: str,
    session_id: str,
    resolver: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
) -> str:
    """``threads:create`` as this user; the thread's id. Raises `AppFailed`; it is sent once, so it may be ambiguous."""
    wire = Wire(target.api_url, connections=1, timeout=TIMEOUT, resolver=resolver, tls=tls)
    args = {"title": title, "modelId": model_id, "sessionId": session_id}
    body = {"path": "threads:create", "args": args, "format": "json"}
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Convex-Client": CLIENT,
    }
    try:
        answer = await _send(wire, "POST", "threads:create", "/api/mutation", headers, body)
    finally:
        await wire.aclose()
    if answer.status not in (200, 560):
        raise _refused("threads:create", answer)
    told = _object(answer)
    if told.get("status") != "success":
        raise AppFailed("threads:create: the function failed", again_s=None)
    thread = told.get("value")
    if not isinstance(thread, str) or not _ID.fullmatch(thread):
        raise AppFailed("threads:create: the answer holds no thread id", again_s=None)
    return thread


def _headers(wire: Wire) -> dict[str, str]:
    origin = str(wire.origin)
    return {"Origin": origin, "Referer": f"{origin}/", "Accept": "application/json"}


async def _post(wire: Wire, step: str, path: str, body: Mapping[str, object]) -> Answer:
    return await _send(wire, "POST", step, path, {**_headers(wire), "Content-Type": "application/json"}, body)


async def _send(
    wire: Wire, method: str, step: str, path: str, headers: dict[str, str], body: Mapping[str, object] | None
) -> Answer:
    """One request. Repeating a sign-in or a token is harmless; a thread that may have been made is not made again."""
    content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    try:
        return await wire.send(method, path, headers=headers, content=content)
    except httpx.ConnectTimeout as error:
        raise AppFailed(f"{step}: no connection within 5 s", again_s=1.0) from error
    except httpx.ConnectError as error:
        raise AppFailed(f"{step}: no connection", again_s=1.0) from error
    except httpx.HTTPError as error:
        unclear = step == "threads:create"
        what = f"{step}: no whole answer ({type(error).__name__})"
        raise AppFailed(what, again_s=None if unclear else 1.0, ambiguous=unclear) from error


def _refused(step: str, answer: Answer) -> AppFailed:
    code = _object(answer, strict=False).get("code")
    named = f" {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
    what = f"{step}: HTTP {answer.status}{named}"
    if step == "sign-up" and answer.status == 422:
        what += ": the account exists with another password"
    unclear = step == "threads:create" and answer.status >= 500
    return AppFailed(what, again_s=None if unclear else _again_s(answer), ambiguous=unclear)


def _again_s(answer: Answer) -> float | None:
    """How long to wait before another try: what a 429 asks for, a second for a 5xx; None for everything else."""
    if answer.status == 429:
        asked = answer.headers.get("retry-after") or answer.headers.get("x-retry-after") or ""
        return min(float(asked), LONGEST_WAIT_S) if asked.isdigit() else 2.0
    return 1.0 if answer.status >= 500 else None


def _object(answer: Answer, *, strict: bool = True) -> dict[str, Any]:
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        return told
    if strict:
        raise AppFailed(f"HTTP {answer.status}, but not the app's JSON: check app_url of the target", again_s=None)
    return {}
