"""Raw measurements of one stage, added up as they come.

A tally keeps plain columns on the hot path; percentiles and histograms are made from them afterwards
(`slo.summary`). Two tallies of one stage (two processes, two rounds) are merged by `merge`.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slo.scenarios import CHAT

StreamEnd = Literal["done", "error", "cut"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that was sent. Times are milliseconds on one monotonic clock, from the drill's start.

    `planned_ms` is when it should have been sent; `end_ms` when its body ended, or when it failed.
    `error` is the name of a network error (then there is no status). `stream` says how a chat stream
    ended, `error_code` names the code of its `error` event or of an error header, `sendcat_error` tells
    that the error came from Sendcat and not from the platform before it. `user` is the pool index.
    `first_token_ms` is the first `content` or `reasoning` event, `first_byte_ms` the first byte at all.
    """

    scenario: str
    stage: str
    warmup: bool
    planned_ms: float
    sent_ms: float
    headers_ms: float | None = None
    first_token_ms: float | None = None
    end_ms: float | None = None
    status: int | None = None
    error: str | None = None
    stream: StreamEnd | None = None
    error_code: str | None = None
    sendcat_error: bool = False
    user: int | None = None
    first_byte_ms: float | None = None

    @property
    def answered(self) -> bool:
        """A response came; what the original calls completed."""
        return self.status is not None and self.error is None

    @property
    def two_xx(self) -> bool:
        return self.answered and self.status is not None and 200 <= self.status <= 299

    @property
    def succeeded(self) -> bool:
        """2xx; for chat also `done` on the stream (DESIGN section 4, "What a chat request's success is")."""
        return self.two_xx and (self.scenario != CHAT or self.stream == "done")

    @property
    def refused(self) -> bool:
        """Answered, but with a status below 500 that is no success: a limit or a guard said no."""
        return self.answered and not self.two_xx and self.status is not None and self.status < 500

    @property
    def finished_ms(self) -> float:
        """When it was over: end of the body for chat, headers for webhooks, the failure otherwise."""
        last = self.headers_ms if self.scenario != CHAT and self.answered else None
        for moment in (last, self.end_ms, self.headers_ms):
            if moment is not None:
                return moment
        return self.sent_ms


def _column() -> array[float]:
    return array("d")


@dataclass(slots=True)
class StageTally:
    """Everything one stage measured.

    Honest columns count from the planned time: `latency_ms` of what succeeded, `refused_ms` and
    `failed_ms` apart, `headers_ms`, `first_token_ms`, `send_lag_ms`. The `original_*` columns count from
    the sending, failures included, as the original program does. `planned` is set by the generator;
    what was planned and never sent is `unsent`. `consume_body` is the original's milestone mode.
    """

    scenario: str
    stage: str
    warmup: bool = False
    consume_body: bool = False
    planned: int = 0
    sent: int = 0
    answered: int = 0
    succeeded: int = 0
    sendcat_errors: int = 0
    started_ms: float | None = None
    ended_ms: float | None = None
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    error_codes: Counter[str] = field(default_factory=Counter)
    users: set[int] = field(default_factory=set)
    latency_ms: array[float] = field(default_factory=_column)
    refused_ms: array[float] = field(default_factory=_column)
    failed_ms: array[float] = field(default_factory=_column)
    headers_ms: array[float] = field(default_factory=_column)
    first_token_ms: array[float] = field(default_factory=_column)
    send_lag_ms: array[float] = field(default_factory=_column)
    original_ms: array[float] = field(default_factory=_column)
    original_first_token_ms: array[float] = field(default_factory=_column)

    def add(self, sample: Sample) -> None:
        """Count one request. Raises ValueError when it belongs to another scenario."""
        if sample.scenario != self.scenario:
            raise ValueError(f"a sample of {sample.scenario} does not belong to {self.scenario}")
        end = sample.finished_ms
        self.sent += 1
        self.started_ms = sample.sent_ms if self.started_ms is None else min(self.started_ms, sample.sent_ms)
        self.ended_ms = end if self.ended_ms is None else max(self.ended_ms, end)
        self.send_lag_ms.append(max(0.0, sample.sent_ms - sample.planned_ms))
        if sample.user is not None:
            self.users.add(sample.user)
        if sample.error_code is not None:
            self.error_codes[sample.error_code] += 1
        self.sendcat_errors += sample.sendcat_error
        if sample.answered:
            self.answered += 1
            self.statuses[str(sample.status)] += 1
            if sample.headers_ms is not None:
                self.headers_ms.append(sample.headers_ms - sample.planned_ms)
            if sample.first_token_ms is not None:
                self.first_token_ms.append(sample.first_token_ms - sample.planned_ms)
        else:
            self.errors[sample.error or "Error"] += 1
        if self.scenario == CHAT and sample.two_xx:
            # A stream that nobody saw ending did not arrive whole.
            self.streams[sample.stream or "cut"] += 1
        if sample.succeeded:
            self.succeeded += 1
            self.latency_ms.append(end - sample.planned_ms)
        elif sample.refused:
            self.refused_ms.append(end - sample.planned_ms)
        else:
            self.failed_ms.append(end - sample.planned_ms)
        self._add_original(sample)

    def _add_original(self, sample: Sample) -> None:
        headers = sample.headers_ms if sample.answered and sample.headers_ms is not None else None
        over = sample.end_ms if sample.end_ms is not None else sample.finished_ms
        until = over if headers is None or self.consume_body else headers
        first = until if headers is None else headers
        if headers is not None and self.consume_body and sample.first_byte_ms is not None:
            first = sample.first_byte_ms
        self.original_ms.append(round(until - sample.sent_ms))
        self.original_first_token_ms.append(round(first - sample.sent_ms))

    @property
    def unsent(self) -> int:
        """Planned, never sent: load that the generator owes."""
        return max(0, self.planned - self.sent)

    @property
    def wall_ms(self) -> float:
        """From the first sending to the last end."""
        if self.started_ms is None or self.ended_ms is None:
            return 0.0
        return self.ended_ms - self.started_ms

    def merge(self, other: StageTally) -> None:
        """Add another tally of the same scenario to this one. Raises ValueError for another scenario."""
        if other.scenario != self.scenario:
            raise ValueError(f"a tally of {other.scenario} does not belong to {self.scenario}")
        self.planned += other.planned
        self.sent += other.sent
        self.answered += other.answered
        self.succeeded += other.succeeded
        self.sendcat_errors += other.sendcat_errors
        starts = [at for at in (self.started_ms, other.started_ms) if at is not None]
        ends = [at for at in (self.ended_ms, other.ended_ms) if at is not None]
        self.started_ms = min(starts, default=None)
        self.ended_ms = max(ends, default=None)
        for mine, theirs in (
            (self.statuses, other.statuses),
            (self.errors, other.errors),
            (self.streams, other.streams),
            (self.error_codes, other.error_codes),
        ):
            mine.update(theirs)
        self.users |= other.users
        for column, more in zip(self._columns(), other._columns(), strict=True):
            column.extend(more)

    def to_wire(self) -> dict[str, Any]:
        """Plain JSON values, columns packed; `from_wire` reads it back without a loss (between processes)."""
        packed: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        packed |= {name: dict(getattr(self, name)) for name in _COUNTS}
        packed |= {name: b64encode(getattr(self, name).tobytes()).decode("ascii") for name in _COLUMNS}
        return packed | {"users": sorted(self.users)}

    @classmethod
    def from_wire(cls, raw: Mapping[str, Any]) -> StageTally:
        """A tally from its packed form. Raises ValueError or KeyError when it is not one."""
        fields: dict[str, Any] = {name: raw[name] for name in _PLAIN}
        fields |= {name: Counter(raw[name]) for name in _COUNTS}
        fields |= {name: array("d", b64decode(raw[name])) for name in _COLUMNS}
        return cls(**fields, users=set(raw["users"]))

    def _columns(self) -> tuple[array[float], ...]:
        return tuple(getattr(self, name) for name in _COLUMNS)


_PLAIN = (
    "scenario",
    "stage",
    "warmup",
    "consume_body",
    "planned",
    "sent",
    "answered",
    "succeeded",
    "sendcat_errors",
    "started_ms",
    "ended_ms",
)
_COUNTS = ("statuses", "errors", "streams", "error_codes")
_COLUMNS = (
    "latency_ms",
    "refused_ms",
    "failed_ms",
    "headers_ms",
    "first_token_ms",
    "send_lag_ms",
    "original_ms",
    "original_first_token_ms",
)


def pooled(scenario: str, tallies: Iterable[StageTally]) -> StageTally:
    """All stages but warm-ups as one: what the verdict looks at (VERDICTS, Endpoint checks)."""
    whole = StageTally(scenario, "pooled")
    for tally in tallies:
        if not tally.warmup:
            whole.merge(tally)
    return whole
