"""D, E, G, H: replay surge, stale cache, region trigger, milestone evidence."""

from __future__ import annotations

import itertools

from bot.practice.sendcat.accounts import SUBJECTS
from bot.practice.sendcat.circuits import PRIMARY, SERPER
from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.faults.tool_queue import queued
from bot.practice.sendcat.idempotency import GMAIL_LIFE_MS, GMAIL_SCOPE
from bot.practice.sendcat.workers import search_results

REPEATS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 6, 19)
"""Hits of the twelve keys that repeat: 78 duplicate hits."""
REPEATING, SURGE_PERIOD_MS = "66.249.93.10", 20_000
STALE_LIFE_MS = 6 * 3_600_000
"""Written while the time to live was set far too high, so that the entries stay."""


def _surge(stage: Stage, options: dict[str, Option]) -> None:
    """60 keys of the last 15 minutes, twelve of them repeated; the sender goes on until it is cleared."""
    for number in range(60):
        hits = REPEATS[number] if number < len(REPEATS) else 1
        first_ms = stage.now_ms - 2 * 60_000 - number * 12_000
        stage.on.idempotency.add(
            GMAIL_SCOPE,
            f"person{number}@example.com:{9000 + number}",
            first_seen_at=first_ms,
            last_seen_at=stage.now_ms - 5_000 if hits > 1 else first_ms,
            hits=hits,
            life_ms=GMAIL_LIFE_MS,
        )
        stage.on.process(GMAIL_SCOPE, f"person{number}@example.com:{9000 + number}")
    numbers = itertools.count()

    def impatient(at_ms: int) -> None:
        """A new push, and the last two once more, since their acknowledgement came too late."""
        newest = next(numbers)
        for number in range(max(0, newest - 2), newest + 1):
            stage.traffic.webhook("gmail_push", REPEATING, at_ms, message=f"slow{number}@example.com:{number}")

    stage.repeat(SURGE_PERIOD_MS, impatient, for_ms=-SURGE_PERIOD_MS)


def _hidden(stage: Stage, options: dict[str, Option]) -> None:
    """One key first seen 40 minutes ago with 511 hits: the 15-minute snapshot shows none of them."""
    stage.on.idempotency.add(
        GMAIL_SCOPE,
        "loud@example.com:4711",
        first_seen_at=stage.now_ms - 40 * 60_000,
        last_seen_at=stage.now_ms - 2_000,
        hits=511,
        life_ms=GMAIL_LIFE_MS,
    )


def _stale(stage: Stage, options: dict[str, Option]) -> None:
    """420 cached answers carry an old mark, while the search already gives a new one.

    With ``upstream_stale`` the search itself is still stale until the fault is cleared: emptying the namespace
    fills it again with the old mark.
    """
    upstream, cache = stage.on.upstreams[SERPER], stage.on.cache
    old, namespace = upstream.mark, stage.on.environment.web_namespace()
    stage.rest("jobs")
    cache.clear(namespace, 1_000_000)
    count = int(options.get("entries", 420))
    queries = [*SUBJECTS, *(f"popular question {number}" for number in range(count - len(SUBJECTS)))]
    for query in queries:
        cache.set(namespace, query, search_results(query, old), STALE_LIFE_MS, stage.now_ms - 60_000)
    if options.get("upstream_stale", False):
        stage.undo.append(lambda: setattr(upstream, "mark", "v2"))
    else:
        upstream.mark = "v2"


def _demand(stage: Stage, options: dict[str, Option]) -> None:
    """A forecast over the threshold; nothing clears it, since it is a decision and no fault."""
    stage.on.forecast_streams = int(options.get("streams", 25_000))
    stage.undo.append(lambda: setattr(stage.on, "forecast_streams", 0))


def _region_snapshot(stage: Stage, options: dict[str, Option]) -> None:
    """Two circuits opened within half an hour, and more than a hundred jobs queued."""
    for provider in (PRIMARY, SERPER):
        stage.on.agenda.at(stage.now_ms, lambda at, provider=provider: _open(stage, provider, at))  # type: ignore[misc]
    stage.rest("jobs", "chats")
    for number in range(101):
        queued(stage, f"waiting {number}", age_ms=50_000 - number * 100)


def _open(stage: Stage, provider: str, at_ms: int) -> None:
    for _ in range(6):
        stage.on.circuits.failure(provider, at_ms - 60_000, "HTTP 503")


def _milestone_circuit(stage: Stage, options: dict[str, Option]) -> None:
    """A circuit that opened 150 s ago and was not touched since."""
    stage.rest("chats")
    for _ in range(6):
        stage.on.circuits.failure(PRIMARY, stage.now_ms - 150_000, "HTTP 503")


def _milestone_queue(stage: Stage, options: dict[str, Option]) -> None:
    """The oldest queued job is 70 s old."""
    stage.rest("jobs")
    queued(stage, "late", age_ms=70_000)


FAULTS = (
    Fault("D", "surge", "one sender repeats its Gmail pushes: 78 duplicate hits", _surge),
    Fault("D", "hidden", "an old key repeated 511 times, invisible to the 15-minute snapshot", _hidden),
    Fault("E", "stale", "420 cached search results are older than what the search gives now", _stale),
    Fault("G", "demand", "a forecast of 25,000 concurrent streams", _demand),
    Fault("G", "snapshot", "two open circuits and 101 queued jobs", _region_snapshot),
    Fault("H", "circuit", "a circuit open and untouched for 150 s", _milestone_circuit),
    Fault("H", "queue", "the oldest queued job is 70 s old", _milestone_queue),
)
