"""States that look like trouble and are none, put into a practice deployment: what a careful reading passes over."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

from bot.practice.sendcat.circuits import EBAY, GLOBAL, GMAIL, PRIMARY, SECONDARY
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.idempotency import GMAIL_LIFE_MS, GMAIL_SCOPE
from bot.practice.sendcat.jobs import PRODUCTS, WEB
from bot.practice.sendcat.tables import ToolJob
from bot.practice.sendcat.workers import search_results

MINUTE = 60_000
Decoy = Callable[[Deployment, random.Random, int], None]


def old_dead_letters(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Kept for seven days: however many there are, they are not news."""
    for number in range(rng.randint(5, 40)):
        _dead(on, now_ms - rng.randint(20, 4_000) * MINUTE - number)


def few_dead_letters(on: Deployment, rng: random.Random, now_ms: int) -> None:
    for number in range(rng.randint(1, 3)):
        _dead(on, now_ms - rng.randint(1, 14) * MINUTE - number)


def _dead(on: Deployment, at_ms: int) -> None:
    on.queue.add(
        ToolJob(
            id=on.ids.new(),
            creation_time=float(at_ms - 9_000),
            source="chat_http",
            tool_name=WEB,
            qos_class="realtime",
            args_json=json.dumps({"query": f"once asked {at_ms}"}),
            status="dead_letter",
            attempts=2,
            max_attempts=2,
            available_at=at_ms - 9_000,
            last_error="Web search failed: 503",
            dead_letter_reason="Web search failed: 503",
            dead_letter_at=at_ms,
            completed_at=at_ms,
            created_at=at_ms - 9_000,
            updated_at=at_ms,
            expires_at=at_ms + 7 * 24 * 60 * MINUTE,
        )
    )


def stale_open(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Open in the table, cool-down long over, nobody calls."""
    provider = rng.choice((EBAY, GLOBAL, GMAIL, SECONDARY))
    failed_ms = now_ms - rng.randint(18, 3_000) * MINUTE
    for number in range(4):
        on.circuits.failure(provider, failed_ms + number * 700, "HTTP 500")


def idle_half_open(on: Deployment, rng: random.Random, now_ms: int) -> None:
    provider = rng.choice((EBAY, GLOBAL, GMAIL, SECONDARY))
    failed_ms = now_ms - rng.randint(20, 600) * MINUTE
    for number in range(4):
        on.circuits.failure(provider, failed_ms + number * 700, "HTTP 502")
    on.circuits.gate(provider, failed_ms + rng.randint(3, 15) * MINUTE)


def recovered(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Was open some minutes ago; a call has succeeded since."""
    provider = rng.choice((EBAY, GLOBAL, GMAIL))
    failed_ms = now_ms - rng.randint(4, 12) * MINUTE
    for number in range(4):
        on.circuits.failure(provider, failed_ms + number * 700, "HTTP 503")
    on.circuits.success(provider, failed_ms + 3 * MINUTE)


def leftover_open(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """A row that no call uses, and a row of somebody's test."""
    for provider in ("openrouter_chat", "phase_2_canary_probe"):
        for _ in range(5):
            on.circuits.failure(
                provider, now_ms - rng.randint(1, 40) * 1_000, "HTTP 503", threshold=4, cooldown_ms=60_000
            )


def allowed_only(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Sampled admissions: events, and nobody is refused."""
    for number in range(rng.randint(5, 90)):
        at_ms = now_ms - rng.randint(1, 14 * MINUTE)
        on.limiter.record("chat_http", "chat_admission", f"chat_admission:user:u{number}", "allowed", at_ms)


def shadow_refusals(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Observed only: nobody is refused."""
    for number in range(rng.randint(10, 120)):
        at_ms, key = now_ms - rng.randint(1, 4 * MINUTE), f"chat_admission_shadow:user:u{number}"
        on.limiter.record("chat_http", "chat_admission_shadow", key, "blocked", at_ms, reason="global_msg_rate")


def few_refusals(on: Deployment, rng: random.Random, now_ms: int) -> None:
    bucket = rng.choice(("whatsapp_webhook", "gmail_push", "chat_stream"))
    for number in range(rng.randint(1, 5)):
        at_ms = now_ms - number * 170_000 - rng.randint(1_000, 60_000)
        on.limiter.record("http", bucket, f"{bucket}:ip:198.51.100.{number}", "blocked", at_ms)


def old_pressure(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Over since some minutes: the alert stays in the window, the rows of the last minutes are clean."""
    bucket = rng.choice(("whatsapp_webhook", "gmail_push"))
    end_ms = now_ms - rng.randint(6, 9) * MINUTE
    for number in range(rng.randint(42, 90)):
        key = f"{bucket}:ip:203.0.113.{number % 6}"
        on.limiter.record("http", bucket, key, "blocked", end_ms - number // 6 * 5_000)
    on.limiter.monitor(end_ms + 1_000)


def long_leases(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """A few slots that crashed callers left: no saturation."""
    for number in range(rng.randint(2, 9)):
        acquired_ms = now_ms - rng.randint(1, 8) * MINUTE
        on.bulkheads.add(PRIMARY, f"old-{number}", acquired_at=acquired_ms, expires_at=acquired_ms + 10 * MINUTE)


def busy_bulkhead(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Well used, not full."""
    provider = rng.choice((SECONDARY, GMAIL, GLOBAL))
    for number in range(int(on.bulkheads.limit(provider) * rng.uniform(0.5, 0.85))):
        on.bulkheads.add(provider, f"busy-{number}", acquired_at=now_ms - 900, expires_at=now_ms + 59_000)


def few_duplicates(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """A retry now and then is what retries are for."""
    for number in range(rng.randint(20, 90)):
        _key(on, f"some{number}", now_ms - rng.randint(1, 14 * MINUTE), hits=2 if number < rng.randint(1, 7) else 1)


def old_loud_key(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Repeated hundreds of times, and quiet since hours."""
    last_ms = now_ms - rng.randint(1, 10) * 60 * MINUTE
    _key(on, "loud-once", last_ms - 30 * MINUTE, hits=rng.randint(100, 600), last_seen_ms=last_ms)


def many_keys(on: Deployment, rng: random.Random, now_ms: int) -> None:
    for number in range(rng.randint(200, 600)):
        _key(on, f"busy{number}", now_ms - rng.randint(1, 14 * MINUTE), hits=1)


def _key(on: Deployment, name: str, first_ms: int, *, hits: int, last_seen_ms: int | None = None) -> None:
    on.idempotency.add(
        GMAIL_SCOPE,
        f"{name}@example.com:{first_ms}",
        first_seen_at=first_ms,
        last_seen_at=first_ms + 4_000 if last_seen_ms is None and hits > 1 else last_seen_ms or first_ms,
        hits=hits,
        life_ms=GMAIL_LIFE_MS,
    )


def big_cache(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Many fresh entries, and some of an old version that reads no longer use."""
    for namespace in (on.environment.web_namespace(), on.environment.products_namespace(), "search_web_v0"):
        for number in range(rng.randint(20, 300)):
            query = f"asked {number}"
            on.cache.set(namespace, query, search_results(query, "v1"), 10 * MINUTE, now_ms - 30_000)


def busy_queue(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """A burst of jobs that is worked off."""
    for number in range(rng.randint(3, 14)):
        tool = rng.choice((WEB, PRODUCTS))
        on.workers.enqueue("chat_http", tool, json.dumps({"query": f"burst {number}"}), now_ms)


def old_queue_alert(on: Deployment, rng: random.Random, now_ms: int) -> None:
    on.queue.raise_alert("dead_letter_depth", 26, 20, 15, now_ms=now_ms - rng.randint(2, 13) * MINUTE)


def other_settings(on: Deployment, rng: random.Random, now_ms: int) -> None:
    """Tuned within the rules."""
    tuned = (
        ("BULKHEAD_OR_PRI_LEASE_TTL_MS", "300000"),
        ("RATE_LIMIT_GMAIL_OAUTH_MAX", "37"),
        ("TOOL_JOB_QMAX_GLOB", "48"),
        ("CIRCUIT_GLOBAL_SEARCH_COOLDOWN_MS", "180000"),
        ("TOOL_CACHE_PRODUCT_SEARCH_TTL_MS", "900000"),
    )
    on.environment.change([rng.choice(tuned)])


DECOYS: Mapping[str, Decoy] = {
    decoy.__name__: decoy
    for decoy in (
        old_dead_letters,
        few_dead_letters,
        stale_open,
        idle_half_open,
        recovered,
        leftover_open,
        allowed_only,
        shadow_refusals,
        few_refusals,
        old_pressure,
        long_leases,
        busy_bulkhead,
        few_duplicates,
        old_loud_key,
        many_keys,
        big_cache,
        busy_queue,
        old_queue_alert,
        other_settings,
    )
}
