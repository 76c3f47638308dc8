"""The load wire: keep-alive HTTP/1.1 over bare sockets, callbacks only (performance.md, "The drill engine").

One object for each connection, reused; no task and no future for a request. Answers are counted and dropped, up to
1 MiB; redirects are answers like any other; nothing is unpacked (safety.md, R14, R20).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, cast

import httptools

from bot.sendcat.dial import Origin
from bot.sendcat.load.stream import ChatStream
from slo.tally import Sample, StreamEnd

CONNECT_S = 5.0
MAX_BODY = 1 << 20
MAX_HEADERS = 64 << 10
MAX_IDLE_S = 3.0
"""A connection that was idle for longer is not used again: the far side may be closing it at this moment."""
AFTER_DONE_S = 1.0
"""How long a stream may stay open after its `done`."""


class Job:
    """One request on its way. Times are seconds of the engine's monotonic clock."""

    __slots__ = (
        "body_bytes",
        "done_at",
        "end_at",
        "error",
        "error_code",
        "first_byte_at",
        "first_token_at",
        "headers_at",
        "idle_s",
        "last_byte_at",
        "payload",
        "planned_at",
        "scenario",
        "sendcat_error",
        "sent_at",
        "stage",
        "status",
        "stream",
        "total_s",
        "user",
        "warmup",
    )

    def __init__(
        self,
        scenario: str,
        stage: str,
        warmup: bool,
        planned_at: float,
        payload: bytes,
        user: int | None,
        *,
        total_s: float,
        idle_s: float | None,
        stream: ChatStream | None,
    ) -> None:
        self.scenario = scenario
        self.stage = stage
        self.warmup = warmup
        self.planned_at = planned_at
        self.payload = payload
        self.user = user
        self.total_s = total_s
        self.idle_s = idle_s
        self.stream = stream
        self.sent_at = planned_at
        self.last_byte_at = planned_at
        self.headers_at: float | None = None
        self.first_byte_at: float | None = None
        self.first_token_at: float | None = None
        self.done_at: float | None = None
        self.end_at: float | None = None
        self.status: int | None = None
        self.error: str | None = None
        self.error_code: str | None = None
        self.sendcat_error = False
        self.body_bytes = 0

    def late(self, now: float) -> str | None:
        """The name of the time-out that has run out; after `done` only a short wait for the end is left."""
        if now - self.sent_at > self.total_s:
            return "TimeoutError"
        if self.idle_s is not None and now - self.last_byte_at > self.idle_s:
            return "TimeoutError"
        if self.done_at is not None and now - self.done_at > AFTER_DONE_S:
            return "TimeoutError"
        return None

    def broken(self, name: str) -> None:
        """The connection ended before the answer did. With a status the answer counts, and the body was cut off."""
        if self.status is None:
            self.error = name
        elif self.stream is not None and self.stream.end is None:
            self.error_code = self.error_code or name

    def sample(self, zero: float) -> Sample:
        """The measurement, in milliseconds from ``zero``."""

        def ms(at: float | None) -> float | None:
            return None if at is None else (at - zero) * 1000

        end: StreamEnd | None = None
        if self.stream is not None and self.status is not None and 200 <= self.status <= 299:
            end = self.stream.end or "cut"
        return Sample(
            scenario=self.scenario,
            stage=self.stage,
            warmup=self.warmup,
            planned_ms=(self.planned_at - zero) * 1000,
            sent_ms=(self.sent_at - zero) * 1000,
            headers_ms=ms(self.headers_at),
            first_token_ms=ms(self.first_token_at),
            end_ms=ms(self.end_at),
            status=self.status,
            error=self.error,
            stream=end,
            error_code=self.error_code or (self.stream.error_code if self.stream else None),
            sendcat_error=self.sendcat_error or end == "error",
            user=self.user,
            first_byte_ms=ms(self.first_byte_at),
        )


class Connection(asyncio.Protocol):
    """One socket: idle, or busy with one job."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser: Any = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.job: Job | None = None
        self.opening: asyncio.Task[None] | None = None
        self.opened_at = 0.0
        self.idle_since = 0.0
        self.closed = False
        self._fresh()

    def _fresh(self) -> None:
        self._complete = self._headers_seen = self._framed = self._informational = self._garbage = self._keep = False
        self._header_bytes = 0

    # Socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.closed:
            self.transport.abort()
        elif self.job is not None:
            self.job.last_byte_at = self._pool.now()
            self.transport.write(self.job.payload)

    def start(self, job: Job) -> None:
        """Send a request on an open, idle connection."""
        self.job = job
        self._fresh()
        assert self.transport is not None
        self.transport.write(job.payload)

    def data_received(self, data: bytes) -> None:
        job = self.job
        if job is None:
            self.abort()
            return
        job.last_byte_at = self._pool.now()
        if not self._headers_seen:
            self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except Exception:  # the parser's own errors, and an upgrade nobody asked for
            self._end("ProtocolError", keep=False)
            return
        if self._complete:
            self._end(None, keep=self._keep and not self._garbage)
        elif not self._headers_seen and self._header_bytes > MAX_HEADERS:
            self._end("ProtocolError", keep=False)
        elif job.body_bytes > MAX_BODY:
            self._end("AnswerTooLong", keep=False)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.transport = None
        if self.job is not None:
            # Without a length the end of the connection is the end of the answer.
            whole = exc is None and self._headers_seen and not self._framed
            self._end(None if whole else type(exc).__name__ if exc else "RemoteDisconnected", keep=False)
        self._pool.gone(self)

    def abort(self) -> None:
        """Close at once, without a farewell."""
        self.closed = True
        if self.opening is not None:
            self.opening.cancel()
        if self.transport is not None:
            self.transport.abort()

    def fail(self, name: str) -> None:
        """Give the job up under this error's name, and the connection with it."""
        self._end(name, keep=False)

    def _end(self, error: str | None, *, keep: bool) -> None:
        job, self.job = self.job, None
        if job is None:
            return
        now = self._pool.now()
        job.end_at = now if error is None or job.done_at is None else job.done_at
        if error is not None:
            job.broken(error)
        if keep and not self.closed:
            self._fresh()
            self.idle_since = now
            self._pool.rest(self)
        else:
            self.abort()
        self._pool.finished(job)

    # Parser

    def on_message_begin(self) -> None:
        if self._complete:
            self._garbage = True

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.lower()
        if key in (b"content-length", b"transfer-encoding"):
            self._framed = True
        elif key == b"x-sendcat-error-code" and self.job is not None:
            self.job.sendcat_error = True
            self.job.error_code = value[:60].decode("latin-1")

    def on_headers_complete(self) -> None:
        job = self.job
        if job is None or self._garbage:
            return
        status = self._parser.get_status_code()
        self._informational = status < 200
        if not self._informational:
            self._headers_seen = True
            self._framed = self._framed or status in (204, 304)
            job.status = status
            job.headers_at = self._pool.now()

    def on_body(self, body: bytes) -> None:
        job = self.job
        if job is None or self._garbage:
            return
        job.body_bytes += len(body)
        if job.first_byte_at is None:
            job.first_byte_at = self._pool.now()
        stream = job.stream
        if stream is not None and job.status is not None and 200 <= job.status <= 299:
            stream.feed(body)
            if stream.first_token and job.first_token_at is None:
                job.first_token_at = self._pool.now()
            if stream.end is not None and job.done_at is None:
                job.done_at = self._pool.now()

    def on_message_complete(self) -> None:
        if self._informational:
            self._informational = self._framed = False
        else:
            self._complete = True
            self._keep = bool(self._parser.should_keep_alive())


class Pool:
    """The connections to one origin, at its checked addresses. Opens what is needed, reuses what is warm."""

    def __init__(
        self,
        origin: Origin,
        addresses: Sequence[str],
        tls: ssl.SSLContext | None,
        now: Callable[[], float],
        finished: Callable[[Job], None],
        *,
        connect_s: float = CONNECT_S,
        unresolved: str = "",
    ) -> None:
        self._unresolved = unresolved or "OSError"
        self._origin = origin
        self._addresses = list(addresses)
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._connect_s = connect_s
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self.now = now
        self.finished = finished

    @property
    def sockets(self) -> int:
        """Connections that are open or opening."""
        return len(self._all)

    def jobs(self) -> list[Job]:
        """Requests on their way."""
        return [conn.job for conn in self._all if conn.job is not None]

    def send(self, job: Job) -> None:
        """Send now, on a warm connection or a new one; `finished` is called when it is over."""
        now = self.now()
        job.sent_at = job.last_byte_at = now
        while self._idle:
            conn = self._idle.pop()
            if conn.closed or conn.transport is None or conn.transport.is_closing():
                continue
            if now - conn.idle_since > MAX_IDLE_S:
                conn.abort()
                continue
            conn.start(job)
            return
        conn = Connection(self)
        conn.job, conn.opened_at = job, now
        self._all.add(conn)
        conn.opening = self._loop.create_task(self._open(conn))

    async def _open(self, conn: Connection) -> None:
        last: BaseException | None = None
        for address in list(self._addresses):
            try:
                await self._loop.create_connection(
                    lambda: conn,
                    address,
                    self._origin.port,
                    ssl=self._tls,
                    server_hostname=self._origin.host if self._tls is not None else None,
                )
            except asyncio.CancelledError:
                self.gone(conn)
                raise
            except (OSError, ssl.SSLError) as error:
                last = error
                # Try the others first next time: a name may point to an address where nobody listens.
                self._addresses.remove(address)
                self._addresses.append(address)
            else:
                conn.opening = None
                return
        conn.opening = None
        conn.fail(type(last).__name__ if last is not None else self._unresolved)
        self.gone(conn)

    def rest(self, conn: Connection) -> None:
        self._idle.append(conn)

    def gone(self, conn: Connection) -> None:
        self._all.discard(conn)

    def sweep(self) -> None:
        """Apply the time-outs; called every few milliseconds, not for each request."""
        now = self.now()
        for conn in list(self._all):
            job = conn.job
            if job is None:
                if conn.opening is None and now - conn.idle_since > MAX_IDLE_S:
                    conn.abort()
            elif conn.opening is not None and now - conn.opened_at > self._connect_s:
                conn.fail("ConnectTimeout")
            else:
                name = job.late(now)
                if name is not None:
                    conn.fail(name)

    def abort(self) -> int:
        """Close every socket at once; returns how many requests were cut off by it. They are not counted."""
        cut = 0
        for conn in list(self._all):
            if conn.job is not None:
                conn.job = None
                cut += 1
            conn.abort()
        self._idle.clear()
        return cut
