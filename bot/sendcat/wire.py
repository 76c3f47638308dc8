"""One guarded httpx client: it speaks to one origin, and to nobody else (safety.md, R14, R15, R20)."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from bot.errors import Refused
from bot.sendcat import CLIENT
from bot.sendcat.dial import Origin, Resolve, checked_addresses, resolve, tls_context

for _chatty in ("httpx", "httpcore"):
    # At INFO httpx logs whole addresses (a probe's token is one), at DEBUG httpcore logs headers (R36).
    logging.getLogger(_chatty).setLevel(logging.WARNING)

TIMEOUT = httpx.Timeout(connect=5.0, write=10.0, read=20.0, pool=5.0)
"""Seconds; convex-http-api.md, section 5.4."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens sockets to checked addresses of one origin only."""

    def __init__(self, origin: Origin, resolver: Resolve = resolve) -> None:
        self._origin = origin
        self._resolver = resolver
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if (host, port) != (self._origin.host, self._origin.port):
            raise Refused(f"{host}:{port} is not the target.", rule="one exact origin for each target (R14)")
        try:
            addresses = await checked_addresses(self._origin, self._resolver)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} does not resolve: {error}") from error
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        assert last is not None
        raise last

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise Refused("Sendcat is reached over TCP only.", rule="one exact origin for each target (R14)")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class GuardedTransport(httpx.AsyncBaseTransport):
    """httpx over a pool that dials through `GuardedBackend`; follows nothing, unpacks nothing."""

    def __init__(
        self,
        origin: Origin,
        *,
        connections: int = 4,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._origin = origin
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=(tls or tls_context()) if origin.scheme == "https" else None,
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=15.0,
            retries=0,
            network_backend=GuardedBackend(origin, resolver),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if Origin.parse(str(request.url)) != self._origin:
            raise Refused(
                f"A request for {Origin.parse(str(request.url))} was held back: the target is {self._origin}.",
                rule="each credential belongs to one target and is never sent elsewhere (R15)",
            )
        assert isinstance(request.stream, httpx.AsyncByteStream)
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        wanted = httpcore.Request(
            request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        with _as_httpx(request):
            answer = await self._pool.handle_async_request(wanted)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream, request),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """httpcore's exceptions under httpx's names, which are the same."""
    try:
        yield
    except Exception as error:
        kind = getattr(httpx, type(error).__name__, None)
        if type(error).__module__.startswith("httpcore") and isinstance(kind, type):
            raise kind(str(error) or type(error).__name__, request=request) from error
        raise


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers, and at most ``limit`` bytes of body; ``whole`` is False when there was more."""

    status: int
    headers: httpx.Headers
    body: bytes
    whole: bool


class Wire:
    """One client for one origin. Close it, or use it as an async context manager."""

    def __init__(
        self,
        url: str,
        *,
        connections: int = 4,
        timeout: httpx.Timeout = TIMEOUT,
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.origin = Origin.parse(url)
        self._client = httpx.AsyncClient(
            base_url=str(self.origin),
            transport=GuardedTransport(self.origin, connections=connections, resolver=resolver, tls=tls),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": CLIENT, "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """The answer as soon as its headers are there; the body is not read. Raises httpx errors and `Refused`."""
        request = self._client.build_request(
            method, path, headers=headers, content=content, timeout=timeout or httpx.USE_CLIENT_DEFAULT
        )
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
        timeout: httpx.Timeout | None = None,
        limit: int = 1 << 20,
    ) -> Answer:
        """One request, one answer of at most ``limit`` bytes; never unpacked, never redirected."""
        async with self.open(method, path, headers=headers, content=content, timeout=timeout) as response:
            body, whole = await read_raw(response, limit)
            return Answer(response.status_code, response.headers, body, whole)

    async def aclose(self) -> None:
        await self._client.aclose()


async def read_raw(response: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """The first ``limit`` bytes as they came over the wire, and whether that was all."""
    kept = bytearray()
    async for part in response.aiter_raw():
        kept += part
        if len(kept) > limit:
            return bytes(kept[:limit]), False
    return bytes(kept), True
