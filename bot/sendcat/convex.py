"""The Convex client: a closed, typed set of functions, and the listed knobs (safety.md, R21, R26, R36; decision 8).

Only this module holds a deploy key, and only while it builds a header. Reads are tried up to three times within 30 s;
writes are sent once. Facts of the wire: convex-http-api.md, sections 3 to 6 and 8.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import stamina

from bot.clock import Clock
from bot.errors import Broken, Refused, Unknown
from bot.redact import Masker, Scrubber
from bot.sendcat import CLIENT
from bot.sendcat.dial import Resolve, resolve
from bot.sendcat.mask import Mask
from bot.sendcat.trouble import (
    Again,
    Call,
    CallFailed,
    CallKind,
    Cause,
    by_hand,
    function_threw,
    garbled,
    refused_outside,
    unanswered,
)
from bot.sendcat.wire import TIMEOUT, Answer, Wire
from bot.target import Target
from playbooks.functions import Function, FunctionError, function
from playbooks.knobs import REDACTED, all_knobs

__all__ = ["CallFailed", "Cause", "ConvexClient", "DeploymentInfo"]

MAX_ANSWER = (16 << 20) + (64 << 10)
"""Bytes of the longest answer: a function may return 16 MiB."""
MAX_CONCURRENT = 4
"""Calls at a time: in an incident our own polling is load too."""
TRIES = 3
TOTAL_S = 30.0
"""A read is tried three times and is over after 30 s, whatever happens."""
MUTATION_S = 20.0
ACTION_S = 290.0

_PATHS: Mapping[CallKind, str] = {"query": "/api/query", "mutation": "/api/mutation", "action": "/api/action"}
_KINDS: Mapping[str, CallKind] = {"Q": "query", "M": "mutation", "A": "action"}
_LIST_ENV = "/api/v1/list_environment_variables"
_AUDIT_LOG = "/api/v1/list_audit_log_events"
_UPDATE_ENV = "/api/v1/update_environment_variables"

T = TypeVar("T")


@dataclass(frozen=True)
class DeploymentInfo:
    """What the deployment says of itself: ``cloud`` or ``selfHosted``, and its type (prod, dev, preview) if told."""

    kind: str
    deployment_type: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class AuditEvent:
    """One line of Convex's audit log: what kind of actor did what, when (ms UTC); ``knob`` when it was about one."""

    action: str
    at_ms: int
    actor: str
    knob: str | None


class ConvexClient:
    """Calls functions and reads or sets knobs of one target. Close it, or use it as an async context manager.

    Every failure is a `CallFailed` (an `Unreachable`) that names the call, the plain cause, the request id, and the
    line to run by hand. A function that is not on the list raises `Unknown`, wrong arguments too.
    """

    def __init__(
        self,
        target: Target,
        clock: Clock,
        scrubber: Scrubber,
        *,
        timeout: httpx.Timeout = TIMEOUT,
        total_s: float = TOTAL_S,
        masker: Masker | None = None,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self._clock = clock
        self._scrubber = scrubber
        self._mask = Mask(masker or Masker(secrets.token_bytes(16)))
        self._timeout = timeout
        self._total_s = total_s
        self._wire = Wire(target.api_url, connections=MAX_CONCURRENT, timeout=timeout, resolver=resolver, tls=tls)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._skew_ms: int | None = None
        if target.deploy_key is not None:
            scrubber.learn(target.deploy_key.get_secret_value())

    async def __aenter__(self) -> ConvexClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._wire.aclose()

    @property
    def skew_ms(self) -> int | None:
        """Server's clock minus ours by the last answer's ``Date`` header, to a second; None before one came (R31)."""
        return self._skew_ms

    # Functions

    async def query(self, name: str, args: Mapping[str, object] | None = None) -> Any:
        """The value of one listed query, whole numbers as int. Tried up to three times within 30 s."""
        return await self._run("Q", name, args or {})

    async def mutate(self, name: str, args: Mapping[str, object] | None = None) -> Any:
        """Run one listed mutation, once. ``ambiguous`` on the error means that it may have happened."""
        return await self._run("M", name, args or {})

    async def action(self, name: str, args: Mapping[str, object] | None = None) -> Any:
        """Run one listed action, once; it may take minutes. ``ambiguous`` as with `mutate`."""
        return await self._run("A", name, args or {})

    async def _run(self, kind: str, name: str, args: Mapping[str, object]) -> Any:
        listed = _listed(name, kind)
        try:
            checked = listed.check(args)
        except FunctionError as error:
            raise Unknown(str(error)) from None
        call = Call(self.target.name, _KINDS[kind], name, by_hand(name, checked))
        body = {"path": name, "args": checked, "format": "json"}
        content = json.dumps(body, allow_nan=False, ensure_ascii=False).encode()

        async def once() -> Any:
            answer = await self._send(call, "POST", _PATHS[call.kind], content)
            return self._value(call, answer)

        return await self._read(call, once) if call.reads else await self._write(call, once)

    def _value(self, call: Call, answer: Answer) -> Any:
        """The value inside the envelope; 560 is a function error of older backends, parsed like 200."""
        if answer.status not in (200, 560):
            raise self._refusal(call, answer)
        envelope = self._json(call, answer)
        status = envelope.get("status") if isinstance(envelope, dict) else None
        if status == "success" and "value" in envelope and answer.status == 200:
            return envelope["value"]
        if status == "error":
            message = self._clean(envelope.get("errorMessage"))
            data = envelope.get("errorData")
            told = self._clean(json.dumps(data)) if data is not None else None
            raise function_threw(call, message, told, self.target.deploy_key_env)
        raise garbled(call, answer.status, "without the members of Convex's answer")

    # Deployment

    async def environment(self) -> dict[str, str]:
        """The stored values of the listed knobs, and of nothing else; secret knobs show only that they are set (R36).

        The answer of the deployment holds all its secrets; what is not listed is dropped here. A knob that is not
        listed is unset, or hidden by the backend.
        """
        call = Call(self.target.name, "admin read", "the list of environment variables", "npx convex env list")

        async def once() -> dict[str, str]:
            answer = await self._send(call, "GET", _LIST_ENV)
            if answer.status == 404:
                answer = await self._send(call, "GET", _LIST_ENV.replace("/v1", ""))
            if answer.status != 200:
                raise self._refusal(call, answer)
            document = self._json(call, answer)
            listed = document.get("environmentVariables") if isinstance(document, dict) else None
            if not isinstance(listed, dict):
                raise garbled(call, answer.status, "without the list of variables")
            return {
                name: REDACTED if knob.secret else listed[name]
                for name, knob in all_knobs().items()
                if isinstance(listed.get(name), str)
            }

        return await self._read(call, once)

    async def set_environment(self, changes: Mapping[str, str | None]) -> None:
        """Set (or with None remove) listed knobs, all together, once. Raises `Refused` for anything else.

        There is no compare-and-set: the caller reads before and after (R24, R25).
        """
        knobs = all_knobs()
        if not changes:
            raise Refused("No change was named.")
        for name, value in changes.items():
            if name not in knobs or knobs[name].secret:
                raise Refused(f"{name[:60]} is not a knob that may be set.", rule="only listed knobs exist (R21)")
            if value is not None and len(value.encode()) > 8192:
                raise Refused(f"The value for {name} is longer than 8 KiB.", rule="convex-http-api.md, section 6.3")
        lines = [
            f"npx convex env remove {name}" if value is None else f"npx convex env set {name} '{value}'"
            for name, value in sorted(changes.items())
        ]
        call = Call(self.target.name, "admin write", f"setting {', '.join(sorted(changes))}", " && ".join(lines))
        body = {"changes": [{"name": name, "value": value} for name, value in sorted(changes.items())]}

        async def once() -> None:
            content = json.dumps(body, ensure_ascii=False).encode()
            answer = await self._send(call, "POST", _UPDATE_ENV, content)
            if answer.status == 404:
                answer = await self._send(call, "POST", _UPDATE_ENV.replace("/v1", ""), content)
            if answer.status != 200:
                raise self._refusal(call, answer)

        await self._write(call, once)

    async def audit_events(self, since_ms: int, *, pages: int = 10) -> tuple[AuditEvent, ...]:
        """What Convex's own audit log says since a moment, oldest first, at most 100 events a page.

        Needs ``deployment:auditLog:view`` and a plan that has the log: else `CallFailed` with the code
        ``AuditLogsDisabled`` or ``AuditLogsTooOld``. Names of variables that are no listed knobs are dropped here, and
        so are addresses of people (R36, R37).
        """
        call = Call(self.target.name, "admin read", "the audit log of the deployment", "npx convex dashboard")
        found: list[AuditEvent] = []
        cursor = ""
        for _ in range(pages):
            path = f"{_AUDIT_LOG}?from={max(0, since_ms)}&limit=100"
            if cursor:
                path += f"&cursor={quote(cursor, safe='')}"

            async def once(path: str = path) -> Any:
                answer = await self._send(call, "GET", path)
                if answer.status != 200:
                    raise self._refusal(call, answer)
                return self._json(call, answer)

            document = await self._read(call, once)
            items = document.get("items") if isinstance(document, dict) else None
            if not isinstance(items, list):
                raise garbled(call, 200, "without the list of events")
            found += [event for item in items if (event := self._event(item)) is not None]
            paging = document.get("pagination")
            cursor = str(paging.get("nextCursor") or "") if isinstance(paging, dict) and paging.get("hasMore") else ""
            if not cursor:
                break
        return tuple(found)

    def _event(self, item: object) -> AuditEvent | None:
        if not isinstance(item, dict) or not isinstance(item.get("action"), str):
            return None
        at_ms, actor, metadata = item.get("createTime"), item.get("actor"), item.get("metadata")
        if not isinstance(at_ms, int) or isinstance(at_ms, bool):
            return None
        name = metadata.get("variable_name") if isinstance(metadata, dict) else None
        kind = actor.get("type") if isinstance(actor, dict) else actor
        return AuditEvent(
            action=self._clean(item["action"])[:60],
            at_ms=at_ms,
            actor=self._clean(kind)[:40] or "unknown",
            knob=name if isinstance(name, str) and name in all_knobs() else None,
        )

    async def deployment_info(self) -> DeploymentInfo:
        """What kind of deployment answers: the check "is this really production?". Needs ``deployment:data:view``."""
        call = Call(self.target.name, "admin read", "deployment_info", "npx convex dashboard")

        async def once() -> DeploymentInfo:
            answer = await self._send(call, "GET", "/api/v1/deployment_info")
            if answer.status != 200:
                raise self._refusal(call, answer)
            told = self._json(call, answer)
            if not isinstance(told, dict) or not isinstance(told.get("kind"), str):
                raise garbled(call, answer.status, "without the kind of the deployment")
            return DeploymentInfo(told["kind"][:40], _text(told.get("deploymentType")), _text(told.get("projectSlug")))

        return await self._read(call, once)

    async def instance_name(self) -> str | None:
        """The deployment's own name, asked without a key; None where the path does not exist (behind proxies)."""
        call = Call(self.target.name, "admin read", "instance_name", f"curl {self.target.api_url}/instance_name")

        async def once() -> str | None:
            answer = await self._send(call, "GET", "/instance_name", anonymous=True)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise self._refusal(call, answer)
            name = answer.body.decode("utf-8", "replace").strip()
            return name if name and len(name) <= 100 and name.isprintable() and "<" not in name else None

        return await self._read(call, once)

    async def server_time(self) -> int:
        """The server's clock in milliseconds UTC, from its newest timestamp (``POST /api/query_ts``)."""
        call = Call(self.target.name, "admin read", "query_ts", f"curl -X POST {self.target.api_url}/api/query_ts")

        async def once() -> int:
            answer = await self._send(call, "POST", "/api/query_ts", b"")
            if answer.status != 200:
                raise self._refusal(call, answer)
            told = self._json(call, answer)
            try:
                nanoseconds = int.from_bytes(base64.b64decode(told["ts"], validate=True), "little")
            except (KeyError, TypeError, ValueError):
                raise garbled(call, answer.status, "without a timestamp") from None
            return nanoseconds // 1_000_000

        return await self._read(call, once)

    # Sending

    async def _read(self, call: Call, once: Callable[[], Awaitable[T]]) -> T:
        """Up to three tries within 30 s; the last failure is the one that is told."""
        last: Again | None = None

        def again(error: Exception) -> bool | float:
            nonlocal last
            if not isinstance(error, Again):
                return False
            last = error
            return error.wait_s if error.wait_s is not None else True

        try:
            async with asyncio.timeout(self._total_s):
                retries = stamina.retry_context(
                    on=again, attempts=TRIES, timeout=self._total_s, wait_initial=0.2, wait_max=3.0, wait_jitter=0.3
                )
                async for attempt in retries:
                    with attempt:
                        return await once()
        except Again as error:
            raise error.failure from None
        except TimeoutError:
            if last is not None:
                raise last.failure from None
            raise CallFailed(call, Cause.SLOW, f"No whole answer within {self._total_s:g} s.") from None
        raise AssertionError("unreachable")

    async def _write(self, call: Call, once: Callable[[], Awaitable[T]]) -> T:
        limit = ACTION_S if call.kind == "action" else MUTATION_S + 15
        try:
            async with asyncio.timeout(limit):
                return await once()
        except Again as error:
            raise error.failure from None
        except TimeoutError:
            raise CallFailed(call, Cause.SLOW, f"No answer within {limit:.0f} s.", ambiguous=True) from None

    async def _send(
        self, call: Call, method: str, path: str, content: bytes | None = None, *, anonymous: bool = False
    ) -> Answer:
        headers = {"Convex-Client": CLIENT, "Accept": "application/json"}
        if not anonymous:
            headers["Authorization"] = f"Convex {self._key()}"
        if content is not None:
            headers["Content-Type"] = "application/json"
        timeout = self._timeout
        if call.kind == "action":
            timeout = httpx.Timeout(connect=timeout.connect, write=timeout.write, pool=timeout.pool, read=ACTION_S)
        async with self._slots:
            before = self._clock.now_ms()
            try:
                answer = await self._wire.send(
                    method, path, headers=headers, content=content, timeout=timeout, limit=MAX_ANSWER
                )
            except httpx.HTTPError as error:
                raise unanswered(call, error) from None
            self._note_time(answer, before, self._clock.now_ms())
        return answer

    def _key(self) -> str:
        if self.target.deploy_key is None:
            raise Broken(
                f"No deploy key for {self.target.name}: {self.target.deploy_key_env} is not set.",
                then=f"export {self.target.deploy_key_env}=... (this deployment's deploy key), then `sendcat doctor`",
            )
        return self.target.deploy_key.get_secret_value()

    def _note_time(self, answer: Answer, before_ms: int, after_ms: int) -> None:
        try:
            told = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return
        # The header is cut to whole seconds; its middle is the best guess.
        self._skew_ms = round(told * 1000) + 500 - (before_ms + after_ms) // 2

    def _refusal(self, call: Call, answer: Answer) -> CallFailed | Again:
        code, message = None, ""
        try:
            told = json.loads(answer.body[: 64 << 10])
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            code = self._clean(told.get("code"))[:60] or None
            message = self._clean(told.get("message"))
        return refused_outside(call, answer.status, code, message, self.target.deploy_key_env)

    def _json(self, call: Call, answer: Answer) -> Any:
        if not answer.whole:
            raise garbled(call, answer.status, f"more than {MAX_ANSWER >> 20} MiB long")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise garbled(call, answer.status, "packed although we asked for plain text")
        try:
            return json.loads(answer.body, parse_float=_number, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            kind = "a web page" if answer.body.lstrip()[:1] == b"<" else "not whole JSON"
            raise garbled(call, answer.status, f"the answer is {kind}") from None

    def _clean(self, text: object) -> str:
        """Foreign text without secrets or people; `trouble` shows 300 characters of it."""
        return self._mask.text(self._scrubber.scrub(text[:4000])) if isinstance(text, str) else ""


def _listed(name: str, kind: str) -> Function:
    try:
        found = function(name)
    except FunctionError as error:
        raise Unknown(str(error)) from None
    if found.kind != kind:
        word = {"Q": "query", "M": "mutation", "A": "action"}
        raise Refused(f"{name} is a {word[found.kind]}, not a {word[kind]}.", rule="reads and changes never mix (R21)")
    return found


def _number(text: str) -> int | float:
    """15.0 is 15; what a float cannot hold exactly stays a float."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None
