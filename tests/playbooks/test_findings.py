"""What reads say in lines: sampled figures are labelled, foreign words stay words, nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest

from playbooks.findings import circuits, of_answer, of_span
from playbooks.sampling import sampled
from playbooks.spans import FieldRef
from slo.snapshot import Snapshot
from tests.bot.practice.sendcat.psendcat_kit import deployed

ROW: dict[str, Any] = {"hitCount": 1, "firstSeenAt": 0, "lastSeenAt": 0}


@pytest.mark.parametrize(
    ("function", "args", "value", "says"),
    [
        ("rateLimit:getEventSummary", {"minutes": 15}, {"total": 2000}, "newest 2000 events"),
        ("rateLimit:getEventSummary", {"minutes": 15}, {"total": 1999}, ""),
        ("rateLimit:listRecentEvents", {"limit": 2}, [{}, {}], "newest events only"),
        ("rateLimit:listRecentEvents", {"limit": 3}, [{}, {}], ""),
        ("rateLimit:listRecentEvents", {"limit": 3, "bucket": "gmail_push"}, [], "there may be more"),
        ("rateLimit:listRecentAlerts", {}, [{}] * 50, "newest alerts"),
        ("circuitBreaker:listStatuses", {"limit": 20}, [{}] * 20, "last updated circuits"),
        ("bulkhead:listInFlightByProvider", {"provider": "x", "limit": 24}, [{}] * 24, "end first only"),
        ("idempotency:listRecentByScope", {"scope": "x", "limit": 50}, [{}] * 50, "whatever their hits"),
        ("idempotency:listRecentByScope", {"scope": "x"}, [{}] * 19, ""),
        ("toolCache:listNamespaceStats", {}, {"sampledActiveEntries": 5000}, "entries that end last"),
        ("toolJobs:getQueueStats", {"limit": 20000}, {"sampled": 5000}, ""),
        ("toolJobs:getQueueStats", {}, {"sampled": 5000}, "oldest jobs are the first"),
        ("toolJobs:listDeadLetters", {}, [{}] * 100, "last updated dead letters"),
        ("toolJobs:listRecentQueueAlerts", {}, [{}] * 50, "newest alerts"),
        ("toolCache:get", {}, "text", ""),
    ],
)
def test_a_read_says_what_it_left_out(function: str, args: dict[str, object], value: Any, says: str) -> None:
    """The table "Exact or sampled?", by the limit that was asked for or the function's own."""
    found = sampled(function, args, value)

    assert says in found
    assert bool(found) == bool(says)


async def test_trap_3_truncated_figures_are_labelled_wherever_they_are_shown() -> None:
    """2100 events, 1100 keys, and 200 jobs behind 5000 newer ones: the same reads as triage, each with its label."""
    async with deployed() as on:
        now_ms = on.practice.clock.now_ms()
        for number in range(2_100):
            on.practice.deployment.limiter.record("http", "gmail_push", f"gmail_push:ip:{number}", "blocked", now_ms)
        for number in range(1_100):
            on.practice.deployment.idempotency.add(
                "gmail_push_history",
                f"k{number}",
                first_seen_at=now_ms - 60_000 + number,
                last_seen_at=now_ms,
                hits=1,
                life_ms=3_600_000,
            )
        snapshot = await on.call("ops:getReliabilitySnapshot")
        summary = await on.call("rateLimit:getEventSummary", minutes=15)
        keys = await on.call("idempotency:listRecentByScope", scope="gmail_push_history", limit=200)
    now = Snapshot.parse(snapshot)

    assert "replayProtection: the newest keys left out" in sampled("ops:getReliabilitySnapshot", {}, snapshot)
    assert "rateLimitPressure: older events left out" in sampled("ops:getReliabilitySnapshot", {}, snapshot)
    [total, *_] = of_answer("rateLimit:getEventSummary", {"minutes": 15}, summary, now)
    assert "rate-limit events in 15 min (sampled: only the newest 2000 events were read)" in total.text
    [line, *_] = of_answer("idempotency:listRecentByScope", {"scope": "gmail_push_history", "limit": 200}, keys, now)
    assert "(sampled: the keys first seen last only" in line.text
    [field] = of_span(FieldRef("replayProtection"), now)
    assert "(sampled: the newest keys are lost, which are the surge)" in field.text


async def test_circuits_are_told_apart_by_their_cool_down() -> None:
    """Stale-open is not really open; what is closed or was never called shares a line."""
    async with deployed() as on:
        on.practice.inject("B", variant="stale_open")
        on.practice.inject("B", variant="primary")
        now = Snapshot.parse(await on.call("ops:getReliabilitySnapshot"))
    names = ("openrouter_chat_primary", "ebay_search", "serper_search", "global_search")
    lines = {finding.text: finding.tone for finding in circuits(names, now)}

    refusing, stale, *rest = lines
    assert "openrouter_chat_primary: open, refuses for another" in refusing
    assert lines[refusing] == "bad"
    assert "ebay_search: looks open, but its cool-down is over" in stale
    assert lines[stale] != "bad"
    assert rest[-1] == "circuits never called: global_search"
