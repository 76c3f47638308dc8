"""The line to one deployment: who asks, how often, how long, and what an answer is worth (safety.md, R26, R36).

Only this module holds a deploy key, and only while it builds a header. Reads are tried up to three times within 30 s;
writes are sent once. Facts of the wire: convex-http-api.md, sections 3 to 5 and 8.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import stamina

from bot.clock import Clock
from bot.errors import Broken
from bot.redact import Masker, Scrubber
from bot.sendcat import CLIENT
from bot.sendcat.dial import Resolve, resolve
from bot.sendcat.mask import Mask
from bot.sendcat.trouble import Again, Call, CallFailed, Cause, garbled, refused_outside, unanswered
from bot.sendcat.wire import TIMEOUT, Answer, Wire
from bot.target import Target

MAX_ANSWER = (16 << 20) + (64 << 10)
"""Bytes of the longest answer: a function may return 16 MiB."""
MAX_CONCURRENT = 4
"""Calls at a time: in an incident our own polling is load too."""
TRIES = 3
TOTAL_S = 30.0
"""A read is tried three times and is over after 30 s, whatever happens."""
MUTATION_S = 20.0
ACTION_S = 290.0

T = TypeVar("T")


class Line:
    """Sends calls to one target and reads what comes back. Every failure is a `CallFailed`."""

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
        self.skew_ms: int | None = None
        """Server's clock minus ours by the last answer's ``Date`` header, to a second; None before one came (R31)."""
        if target.deploy_key is not None:
            scrubber.learn(target.deploy_key.get_secret_value())

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def read(self, call: Call, once: Callable[[], Awaitable[T]]) -> T:
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

    async def write(self, call: Call, once: Callable[[], Awaitable[T]]) -> T:
        """One try, within the time that such a call may take; when it runs out nobody knows whether it happened."""
        limit = ACTION_S if call.kind == "action" else MUTATION_S + 15
        try:
            async with asyncio.timeout(limit):
                return await once()
        except Again as error:
            raise error.failure from None
        except TimeoutError:
            raise CallFailed(call, Cause.SLOW, f"No answer within {limit:.0f} s.", ambiguous=True) from None

    async def document(self, call: Call, method: str, path: str, content: bytes | None = None) -> Any:
        """The JSON of an answer with status 200; every other answer is a failure."""
        answer = await self.send(call, method, path, content)
        if answer.status != 200:
            raise self.refusal(call, answer)
        return self.json(call, answer)

    async def send(
        self, call: Call, method: str, path: str, content: bytes | None = None, *, anonymous: bool = False
    ) -> Answer:
        """One request and its answer, whatever its status; raises `CallFailed` or `Again` when none came."""
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
        self.skew_ms = round(told * 1000) + 500 - (before_ms + after_ms) // 2

    def refusal(self, call: Call, answer: Answer) -> CallFailed | Again:
        """What an answer outside of the call itself means: wrong key, not deployed, overloaded, paused."""
        code, message = None, ""
        try:
            told = json.loads(answer.body[: 64 << 10])
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            code = self.clean(told.get("code"))[:60] or None
            message = self.clean(told.get("message"))
        return refused_outside(call, answer.status, code, message, self.target.deploy_key_env)

    def json(self, call: Call, answer: Answer) -> Any:
        """The JSON of an answer, whole numbers as int; raises `CallFailed` for anything else."""
        if not answer.whole:
            raise garbled(call, answer.status, f"more than {MAX_ANSWER >> 20} MiB long")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise garbled(call, answer.status, "packed although we asked for plain text")
        try:
            return json.loads(answer.body, parse_float=_number, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            kind = "a web page" if answer.body.lstrip()[:1] == b"<" else "not whole JSON"
            raise garbled(call, answer.status, f"the answer is {kind}") from None

    def clean(self, text: object) -> str:
        """Foreign text without secrets or people; `trouble` shows 300 characters of it."""
        return self._mask.text(self._scrubber.scrub(text[:4000])) if isinstance(text, str) else ""


def _number(text: str) -> int | float:
    """15.0 is 15; what a float cannot hold exactly stays a float."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
