"""The snapshot and the reads beside it, held against the recorded samples field for field; truncation rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.practice.sendcat.arguments import Arguments
from bot.practice.sendcat.catalogue import BY_PATH
from bot.practice.sendcat.clock import PracticeClock
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.functions import Call, invoke
from bot.practice.sendcat.tables import (
    CacheEntry,
    Circuit,
    RateLimitAlert,
    RateLimitEvent,
    ToolJob,
    ToolQueueAlert,
)
from bot.practice.sendcat.values import Document, Json, encode

SAMPLES = Path(__file__).parents[3] / "data/samples/snapshots"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.json"))


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return found


def bare(now_ms: int, environment: dict[str, str] | None = None) -> Deployment:
    """A deployment without callers, at a moment."""
    return Deployment("practice-bare", PracticeClock.at(now_ms), environment or {}, seed=3)


async def call(on: Deployment, path: str, now_ms: int, **args: Json) -> Any:
    """A function's answer as a client reads it, whole numbers without ``.0``."""
    value = await invoke(BY_PATH[path], Call(on, Arguments(dict(args)), now_ms))
    return encode(value, tagged=False, floats=False)


def rebuild(name: str) -> Deployment:
    """A deployment in the state of a sample, put together from the documents that the sample shows."""
    recorded = sample(name)
    shown = recorded["snapshot"]
    on = bare(shown["generatedAt"], recorded["environment"])
    answers = {query["function"]: query["result"] for query in recorded.get("queries", [])}
    for row in shown["circuitBreakers"]["recent"]:
        on.circuits.rows[row["provider"]] = Circuit(**columns(row))
    for row in shown["rateLimitPressure"]["recentAlerts"]:
        on.limiter.alerts.add(RateLimitAlert(**columns(row)))
    for row in shown["toolQueueAlerts"]["recent"]:
        on.queue.alerts.add(ToolQueueAlert(**columns(row)))
    for row in shown["toolJobs"]["recentDeadLetters"]:
        on.queue.add(ToolJob(**columns(row)))
    for row in answers.get("idempotency:listRecentByScope", []):
        fields = columns(row)
        on.idempotency.add(
            fields["scope"],
            fields["key"],
            first_seen_at=fields["first_seen_at"],
            last_seen_at=fields["last_seen_at"],
            hits=fields["hit_count"],
            life_ms=fields["expires_at"] - fields["last_seen_at"],
        )
    _refused(on, shown, answers.get("rateLimit:listRecentEvents", []))
    _cached(on, shown)
    _leased(on, shown, answers.get("bulkhead:listInFlightByProvider", []))
    _open_jobs(on, shown)
    return on


def columns(row: dict[str, Any]) -> dict[str, Any]:
    """A document's fields by the names of our rows."""
    names = {"_id": "id", "_creationTime": "creation_time"}
    return {names.get(wire) or "".join(f"_{c.lower()}" if c.isupper() else c for c in wire): row[wire] for wire in row}


def _refused(on: Deployment, shown: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    for row in listed:
        on.limiter.events.add(RateLimitEvent(**columns(row)))
    now_ms = shown["generatedAt"]
    for pair, count in shown["rateLimitPressure"]["byBucketOutcome"].items():
        bucket, outcome = pair.split(":")
        known = sum(row["bucket"] == bucket for row in listed)
        for number in range(count - known):
            source = "chat_http" if bucket.startswith("chat") else "http"
            on.limiter.record(source, bucket, f"{bucket}:ip:{number}", outcome, now_ms - 60_000)


def _cached(on: Deployment, shown: dict[str, Any]) -> None:
    for namespace, count in shown["toolCache"]["byNamespace"].items():
        for number in range(count):
            on.cache.set(namespace, f"q{number}", "[]", 60_000, shown["generatedAt"])


def _leased(on: Deployment, shown: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    now_ms = shown["generatedAt"]
    for row in listed:
        on.bulkheads.add(row["provider"], row["leaseId"], acquired_at=row["acquiredAt"], expires_at=row["expiresAt"])
    for provider, count in shown["bulkheads"]["inFlightByProvider"].items():
        known = sum(row["provider"] == provider for row in listed)
        for number in range(count - known):
            on.bulkheads.add(provider, f"x{number}", acquired_at=now_ms, expires_at=now_ms + 600_000)


def _open_jobs(on: Deployment, shown: dict[str, Any]) -> None:
    jobs, now_ms = shown["toolJobs"], shown["generatedAt"]
    for tool, counts in jobs["byTool"].items():
        for status, age in (("queued", jobs["oldestQueuedAgeMs"]), ("running", jobs["oldestRunningAgeMs"])):
            for _ in range(counts[status]):
                job = on.queue.enqueue("chat_http", tool, '{"query":"x"}', now_ms - age)
                job.status = status


@pytest.mark.parametrize("name", NAMES)
async def test_the_snapshot_equals_the_sample(name: str) -> None:
    """The same state gives the same snapshot: every key, every document, every figure; ids of ours aside."""
    recorded = sample(name)
    on = rebuild(name)

    answer = await call(
        on, "ops:getReliabilitySnapshot", recorded["snapshot"]["generatedAt"], **recorded["snapshotArgs"]
    )

    assert answer == recorded["snapshot"]
    assert ordered(answer) == ordered(recorded["snapshot"])


@pytest.mark.parametrize("name", NAMES)
async def test_the_reads_beside_it_equal_the_sample(name: str) -> None:
    recorded = sample(name)
    on = rebuild(name)
    for query in recorded.get("queries", []):
        answer = await call(on, query["function"], recorded["snapshot"]["generatedAt"], **query["args"])
        if query["function"] == "toolJobs:getQueueStats":
            ages = ("oldestQueuedAgeMs", "oldestRunningAgeMs")
            assert {**answer, **{age: query["result"][age] for age in ages}} == query["result"]
        else:
            assert without_ids(answer) == without_ids(query["result"]), query["function"]
        assert ordered(answer) == ordered(query["result"])


async def test_clearing_the_samples_namespace_gives_the_samples_answers() -> None:
    recorded = sample("webhook-replay-and-cache")
    on, now_ms = rebuild("webhook-replay-and-cache"), recorded["after"]["snapshot"]["generatedAt"]
    for step in recorded["after"]["calls"]:
        assert await call(on, step["function"], now_ms, **step["args"]) == step["result"]

    assert await call(on, "ops:getReliabilitySnapshot", now_ms) == recorded["after"]["snapshot"]


async def test_the_samples_alerts_come_from_its_events() -> None:
    """The monitors of the two pressure samples answer as recorded, on the state before their alerts."""
    for name in ("rate-limit-pressure", "queue-backlog"):
        recorded = sample(name)
        on, now_ms = rebuild(name), recorded["snapshot"]["generatedAt"]
        on.limiter.alerts.drop(lambda _: True)
        on.queue.alerts.drop(lambda _: True)
        for function, expected in recorded["monitorsRun"].items():
            assert await call(on, function, now_ms) == expected


def without_ids(value: Any) -> Any:
    """A copy without document ids and creation times."""
    if isinstance(value, list):
        return [without_ids(item) for item in value]
    if isinstance(value, dict):
        return {key: without_ids(item) for key, item in value.items() if key not in ("_id", "_creationTime")}
    return value


def ordered(value: Any) -> Any:
    """The order of all keys in a value."""
    if isinstance(value, list):
        return [ordered(item) for item in value]
    return [(key, ordered(item)) for key, item in value.items()] if isinstance(value, dict) else None


# --- truncation (Convex functions, "Exact or sampled?") ---

NOW = 1_795_420_800_000


async def test_2100_events_show_as_exactly_2000() -> None:
    on = bare(NOW)
    for number in range(2_100):
        on.limiter.record("http", "gmail_push", f"gmail_push:ip:{number}", "blocked", NOW - 1_000)

    snapshot = await call(on, "ops:getReliabilitySnapshot", NOW)
    summary = await call(on, "rateLimit:getEventSummary", NOW, minutes=15)
    narrow = await call(on, "ops:getReliabilitySnapshot", NOW, limit=5)

    assert snapshot["rateLimitPressure"]["sampledEvents"] == summary["total"] == 2_000
    assert narrow["rateLimitPressure"]["sampledEvents"] == 200


async def test_1100_replay_keys_lose_the_newest() -> None:
    on = bare(NOW)
    for number in range(1_100):
        on.idempotency.claim("whatsapp_message", f"m{number}", 1_000_000, NOW - 200_000 + number)
    for _ in range(5):
        on.idempotency.claim("whatsapp_message", "m1099", 1_000_000, NOW)

    replay = (await call(on, "ops:getReliabilitySnapshot", NOW))["replayProtection"]

    assert replay["keysInWindow"] == 1_000
    assert replay["duplicateHitsInWindow"] == 0


async def test_old_queued_jobs_behind_5000_finished_ones_are_invisible() -> None:
    on = bare(NOW, {"TOOL_JOB_QMAX_WEB": "200"})
    for number in range(200):
        on.queue.enqueue("chat_http", "search_web", "{}", NOW - 900_000 + number)
    for number in range(5_000):
        job = on.queue.enqueue("chat_http", "search_products", "{}", NOW - 500_000 + number)
        on.queue.complete(job, "[]", NOW)

    jobs = (await call(on, "ops:getReliabilitySnapshot", NOW))["toolJobs"]

    assert jobs["sampled"] == 5_000
    assert jobs["byStatus"]["queued"] == 0
    assert jobs["oldestQueuedAgeMs"] == 0


async def test_leases_and_cache_entries_are_cut_by_expiry() -> None:
    on = bare(NOW)
    for number in range(1_050):
        on.bulkheads.add("serper_search", f"l{number}", acquired_at=NOW, expires_at=NOW + 1_000 + number)
    for number in range(5_100):
        on.cache.set("search_web_v1", f"q{number}", "[]", 10_000 + number, NOW)
    on.cache.set("search_products_v1", "late", "[]", 9_000_000, NOW)

    snapshot = await call(on, "ops:getReliabilitySnapshot", NOW)

    assert snapshot["bulkheads"]["activeLeaseCount"] == 1_000
    assert snapshot["toolCache"] == {"byNamespace": {"search_web_v1": 5_000}, "sampledActiveEntries": 5_000}


async def test_alerts_and_lists_follow_the_limit() -> None:
    on = bare(NOW)
    for number in range(60):
        on.limiter.raise_alert(f"bucket{number}", "blocked", 1, 2, 5, now_ms=NOW - number)
        on.queue.raise_alert(f"kind{number}", 2, 1, 5, now_ms=NOW - number)

    small = await call(on, "ops:getReliabilitySnapshot", NOW, limit=5)

    assert small["rateLimitPressure"]["alertsInWindow"] == 50
    assert small["toolQueueAlerts"]["alertsInWindow"] == 25
    assert [alert["bucket"] for alert in small["rateLimitPressure"]["recentAlerts"]] == [
        f"bucket{number}" for number in range(5)
    ]


@pytest.mark.parametrize(
    ("given", "minutes", "circuits"),
    [
        ({}, 15, 50),
        ({"minutes": 0, "limit": 1}, 1, 5),
        ({"minutes": 2.9, "limit": 7.9}, 2, 7),
        ({"minutes": 100_000, "limit": 150}, 1440, 50),
    ],
)
async def test_arguments_of_the_snapshot_are_floored_and_cut(given: Document, minutes: int, circuits: int) -> None:
    on = bare(NOW)
    for number in range(60):
        on.circuits.success(f"provider{number}", NOW)

    snapshot = await call(on, "ops:getReliabilitySnapshot", NOW, **given)

    assert snapshot["windowMinutes"] == minutes
    assert len(snapshot["circuitBreakers"]["recent"]) == circuits


async def test_more_rows_come_only_with_the_variable() -> None:
    on = bare(NOW, {"OPS_MAX_ROWS_PER_SECTION": "150", "OPS_DEFAULT_WINDOW_MINUTES": "30"})
    for number in range(200):
        on.circuits.success(f"provider{number}", NOW)

    snapshot = await call(on, "ops:getReliabilitySnapshot", NOW, limit=1_000)

    assert snapshot["windowMinutes"] == 30
    assert len(snapshot["circuitBreakers"]["recent"]) == 150


async def test_an_expired_entry_counts_nowhere_and_is_deleted_with_the_namespace() -> None:
    on = bare(NOW)
    on.cache.set("search_web_v1", "old", "[]", 5_000, NOW - 10_000)
    assert isinstance(on.cache.set("search_web_v1", "new", "[]", 5_000, NOW), CacheEntry)

    stats = await call(on, "toolCache:listNamespaceStats", NOW)
    cleared = await call(on, "toolCache:clearNamespace", NOW, namespace="search_web_v1")

    assert stats["sampledActiveEntries"] == 1
    assert cleared == {"deleted": 2, "hasMore": False}
