"""The tables of a practice deployment: typed rows inside, documents with wire names outside."""

from __future__ import annotations

import bisect
import dataclasses
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from bot.practice.sendcat.values import Document, Json


class Ids:
    """Makes document ids and creation times, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"ids-{seed}")
        self._last = 0.0

    def new(self) -> str:
        return f"j{self._random.getrandbits(124):031x}"

    def creation_time(self, now_ms: int) -> float:
        """``now_ms``, with a small fraction when several documents are made in one millisecond."""
        self._last = self._last + 1 / 1024 if now_ms == int(self._last) else float(now_ms)
        return self._last


@dataclass(slots=True, kw_only=True)
class Row:
    """One stored document. An optional field without value is None here and absent outside."""

    id: str
    creation_time: float


@dataclass(slots=True, kw_only=True)
class RateLimitWindow(Row):
    key: str
    window_start: int
    count: int
    expires_at: int
    updated_at: int


@dataclass(slots=True, kw_only=True)
class RateLimitEvent(Row):
    source: str
    bucket: str
    key: str
    outcome: str
    reason: str | None = None
    retry_after_ms: int | None = None
    path: str | None = None
    method: str | None = None
    dedupe_key: str | None = None
    created_at: int
    expires_at: int


@dataclass(slots=True, kw_only=True)
class RateLimitAlert(Row):
    alert_key: str
    bucket: str
    outcome: str
    threshold: float
    observed: float
    window_minutes: float
    created_at: int
    expires_at: int


@dataclass(slots=True, kw_only=True)
class Circuit(Row):
    provider: str
    state: str = "closed"
    failure_count: int = 0
    success_count: int = 0
    last_failure_at: int | None = None
    last_success_at: int | None = None
    cooldown_until: int | None = None
    last_error: str | None = None
    updated_at: int


@dataclass(slots=True, kw_only=True)
class Lease(Row):
    provider: str
    lease_id: str
    acquired_at: int
    expires_at: int


@dataclass(slots=True, kw_only=True)
class IdempotencyKey(Row):
    scope: str
    key: str
    first_seen_at: int
    last_seen_at: int
    hit_count: int
    expires_at: int


@dataclass(slots=True, kw_only=True)
class CacheEntry(Row):
    namespace: str
    key: str
    value: str
    created_at: int
    expires_at: int


@dataclass(slots=True, kw_only=True)
class ToolJob(Row):
    source: str
    tool_name: str
    qos_class: str | None
    args_json: str
    status: str
    attempts: int
    max_attempts: int
    available_at: int
    lease_expires_at: int | None = None
    result_json: str | None = None
    last_error: str | None = None
    dead_letter_reason: str | None = None
    dead_letter_at: int | None = None
    created_at: int
    updated_at: int
    completed_at: int | None = None
    expires_at: int


@dataclass(slots=True, kw_only=True)
class ToolQueueAlert(Row):
    alert_key: str
    kind: str
    observed: float
    threshold: float
    window_minutes: float
    created_at: int
    expires_at: int


@dataclass(slots=True, kw_only=True)
class Thread(Row):
    title: str | None = None
    model_id: str
    session_id: str
    user_id: str | None = None
    parent_thread_id: str | None = None


def document(row: Row) -> Document:
    """The row as clients see it: camelCase names in alphabetical order, absent instead of null."""
    result: dict[str, Json] = {}
    for wire, attribute in _wire_names(type(row)):  # type: ignore[arg-type]
        value = getattr(row, attribute)
        if value is not None:
            result[wire] = value
    return result


@cache
def _wire_names(kind: type[Row]) -> tuple[tuple[str, str], ...]:
    names = [(_wire_name(field.name), field.name) for field in dataclasses.fields(kind)]
    return tuple(sorted(names))


def _wire_name(attribute: str) -> str:
    head, *rest = attribute.split("_")
    name = head + "".join(word.capitalize() for word in rest)
    return f"_{name}" if attribute in ("id", "creation_time") else name


RowT = TypeVar("RowT", bound=Row)


class Series(Generic[RowT]):
    """Rows kept in ascending order of one number, cheap to append to and to read from either end."""

    def __init__(self, order: Callable[[RowT], float]) -> None:
        self._order = order
        self._rows: list[RowT] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowT]:
        return iter(self._rows)

    def add(self, row: RowT) -> None:
        if self._rows and self._order(row) < self._order(self._rows[-1]):
            bisect.insort(self._rows, row, key=self._order)
        else:
            self._rows.append(row)

    def newest(self, count: int) -> list[RowT]:
        """At most ``count`` rows, highest order first."""
        return self._rows[: -count - 1 : -1] if count > 0 else []

    def since(self, lowest: float) -> list[RowT]:
        """Rows whose order is at least ``lowest``, lowest first."""
        return self._rows[bisect.bisect_left(self._rows, lowest, key=self._order) :]

    def drop(self, unwanted: Callable[[RowT], bool]) -> list[RowT]:
        """Delete and return the rows for which ``unwanted`` holds."""
        dropped = [row for row in self._rows if unwanted(row)]
        if dropped:
            self._rows = [row for row in self._rows if not unwanted(row)]
        return dropped
