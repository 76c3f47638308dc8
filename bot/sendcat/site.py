"""One small client for the endpoints of the site host: asks, notes, drops the answer (safety.md, R14, R20)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

import httpx

from bot.clock import Clock
from bot.sendcat.dial import Resolve, resolve
from bot.sendcat.wire import Wire, read_raw
from bot.target import Target

CONNECT_S = 5.0
TOTAL_S = 15.0
MAX_BODY = 1 << 20


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """Status and headers; ``latency_ms`` until the headers. The body is gone, ``body_bytes`` of it were read."""

    status: int
    headers: httpx.Headers
    latency_ms: float
    body_bytes: int
    whole: bool

    @property
    def from_sendcat(self) -> bool:
        """An error came from Sendcat itself and not from the platform or a proxy before it."""
        return "x-sendcat-error-code" in self.headers


class SiteFailed(Exception):
    """No answer; ``kind`` names the error, ``latency_ms`` is how long it took to fail."""

    def __init__(self, kind: str, text: str, latency_ms: float) -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind = kind
        self.latency_ms = latency_ms


class SiteClient:
    """Requests to one target's endpoints, one time limit over everything."""

    def __init__(
        self,
        target: Target,
        clock: Clock,
        *,
        total_s: float = TOTAL_S,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._total_s = total_s
        timeout = httpx.Timeout(total_s, connect=min(CONNECT_S, total_s))
        self._wire = Wire(target.site_url, connections=1, timeout=timeout, resolver=resolver, tls=tls)

    async def __aenter__(self) -> SiteClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.aclose()

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> SiteAnswer:
        """One request. Raises `SiteFailed` when no answer came in time, `Refused` when it may not be sent at all."""
        began = self._clock.monotonic()

        def spent() -> float:
            return (self._clock.monotonic() - began) * 1000

        try:
            async with (
                asyncio.timeout(self._total_s),
                self._wire.open(method, path, headers=headers, content=content) as response,
            ):
                latency = spent()
                size, whole = await self._drop(response)
                return SiteAnswer(response.status_code, response.headers, latency, size, whole)
        except httpx.TimeoutException:
            raise SiteFailed("TimeoutError", f"no answer within {self._total_s:g} s", spent()) from None
        except TimeoutError:
            raise SiteFailed("TimeoutError", f"no answer within {self._total_s:g} s", spent()) from None
        except httpx.HTTPError as error:
            raise SiteFailed(type(error).__name__, str(error), spent()) from None

    async def _drop(self, response: httpx.Response) -> tuple[int, bool]:
        """The status is the answer; a body that breaks or does not end changes nothing about it."""
        try:
            body, whole = await read_raw(response, MAX_BODY)
        except httpx.HTTPError:
            return 0, False
        return len(body), whole
