"""People are masked before anything is stored or shown, and the snapshot stays readable (safety.md, R37)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bot.redact import Masker
from bot.sendcat.mask import Mask
from slo.snapshot import Snapshot

SAMPLES = sorted((Path(__file__).parents[2] / "data" / "samples" / "snapshots").glob("*.json"))
PEOPLE = ("ann@example.com", "user_5fQx", "198.51.100.7", "2001:db8::7", "+15555550123", "red lamp for Ann")


def sample(file: Path) -> dict[str, Any]:
    document = json.loads(file.read_text(encoding="utf-8"))
    found: dict[str, Any] = document.get("snapshot", document)
    return found


def planted() -> dict[str, Any]:
    """A snapshot with a person in every place that reading rule 9 names."""
    raw = copy.deepcopy(sample(next(file for file in SAMPLES if file.stem == "queue-backlog")))
    raw["config"]["admission"]["redisUrl"] = "https://user_5fQx:pw@redis.ann.example"
    job = raw["toolJobs"]["recentDeadLetters"][0]
    job["argsJson"] = '{"query":"red lamp for Ann"}'
    job["resultJson"] = '{"mail":"ann@example.com"}'
    job["lastError"] = "search for red lamp for Ann failed at 198.51.100.7"
    job["deadLetterReason"] = "ann@example.com gave up"
    raw["rateLimitPressure"]["recentAlerts"] = [
        {
            "alertKey": "chat_stream|blocked|user:user_5fQx",
            "bucket": "chat_stream",
            "outcome": "blocked",
            "threshold": 25,
            "observed": 26,
            "windowMinutes": 5,
            "createdAt": 1,
            "expiresAt": 2,
        }
    ]
    raw["rateLimitPressure"]["byBucketOutcomeReason"]["chat_stream:blocked:ip:2001:db8::7"] = 1
    raw["circuitBreakers"]["recent"] = [
        {
            "provider": "serper_search",
            "state": "open",
            "failureCount": 4,
            "successCount": 0,
            "lastError": "call +15555550123 about red lamp for Ann",
            "updatedAt": 1,
        }
    ]
    return raw


def test_R37_no_planted_person_is_left_in_a_snapshot(masker: Masker) -> None:
    text = json.dumps(Mask(masker).snapshot(planted()))
    for person in PEOPLE:
        assert person not in text
    assert "redis.ann" not in text


def test_R37_a_masked_snapshot_reads_as_the_raw_one(masker: Masker) -> None:
    raw = planted()
    before, after = Snapshot.parse(raw), Snapshot.parse(Mask(masker).snapshot(raw))
    assert after.tool_jobs.by_status == before.tool_jobs.by_status
    assert after.generated_at == before.generated_at
    assert [row.provider for row in after.circuit_breakers.recent] == ["serper_search"]


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_nothing_but_customer_data_changes(file: Path, masker: Masker) -> None:
    raw = sample(file)
    masked = Mask(masker).snapshot(raw)
    changed = set(differing(raw, masked))
    assert changed <= {"argsJson", "resultJson"}
    assert Mask(masker).snapshot(masked) == masked


def differing(a: Any, b: Any, field: str = "") -> list[str]:
    if isinstance(a, dict):
        assert list(a) == list(b)
        return [hit for name in a for hit in differing(a[name], b[name], name)]
    if isinstance(a, list):
        assert len(a) == len(b)
        return [hit for x, y in zip(a, b, strict=True) for hit in differing(x, y, field)]
    return [] if a == b else [field]


def test_the_same_person_has_the_same_mark_and_another_key_gives_another(masker: Masker) -> None:
    mask, other = Mask(masker), Mask(Masker(b"another"))
    assert mask.text("Ann@Example.com") == mask.text("ann@example.com")
    assert mask.text("ann@example.com") != mask.text("bob@example.com")
    assert mask.text("ann@example.com") != other.text("ann@example.com")


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("chat_stream:user:user_5fQx", "chat_stream:user:"),
        ("gmail_push:ip:198.51.100.7", "gmail_push:ip:"),
        ("whatsapp_webhook:ip:2001:db8::7", "whatsapp_webhook:ip:"),
        ("gmail_push:ip:unknown", "gmail_push:ip:unknown"),
    ],
)
def test_R37_limiter_keys_keep_their_words_and_lose_their_people(masker: Masker, key: str, kept: str) -> None:
    event = {"bucket": "x", "key": key}
    masked = Mask(masker).result("rateLimit:listRecentEvents", [event])[0]["key"]
    assert masked.startswith(kept)
    assert key.endswith("unknown") or key.removeprefix(kept) not in masked


def test_R37_replay_keys_and_message_ids_are_masked(masker: Masker) -> None:
    rows = [
        {"scope": "gmail_push_history", "key": "ann@example.com:123456", "hitCount": 3},
        {"scope": "whatsapp_message", "key": "wamid.HBgLMTU1NTU1NTAxMDA=", "hitCount": 1},
    ]
    masked = Mask(masker).result("idempotency:listRecentByScope", rows)
    assert masked[0]["key"].startswith("email#")
    assert "123456" not in masked[0]["key"]
    assert masked[1]["key"].startswith("key#")
    assert [row["scope"] for row in masked] == ["gmail_push_history", "whatsapp_message"]


def test_R37_a_cached_value_is_masked_as_a_whole(masker: Masker) -> None:
    assert Mask(masker).result("toolCache:get", "lamps for Ann").startswith("text#")
    assert Mask(masker).result("toolCache:get", None) is None


@pytest.mark.parametrize(
    "words", ["HTTP 503", "eBay search failed: 500", "max_attempts", "serper search timeout", "queue_timeout"]
)
def test_the_cause_of_a_failure_stays_when_it_names_nobody(masker: Masker, words: str) -> None:
    assert Mask(masker).value({"lastError": words}) == {"lastError": words}


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T07:47:22.413Z",
        "07:47:22",
        "search_web_v1",
        "moonshotai/kimi-k2.5",
        "oldest_queued_age|1795419000000",
        "chat_stream:blocked:none",
        "openrouter_chat_primary",
        "",
    ],
)
def test_ordinary_words_stay(masker: Masker, text: str) -> None:
    assert Mask(masker).text(text) == text


def test_what_is_nested_too_deep_is_dropped_and_never_crashes(masker: Masker) -> None:
    deep: Any = "ann@example.com"
    for _ in range(500):
        deep = [deep]
    assert "ann@" not in json.dumps(Mask(masker).value(deep))
