"""The two hosts on real sockets and the real clock: broken connections, departing clients, many streams at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bot.practice.sendcat import PracticeSendcat, Script
from bot.practice.sendcat.circuits import PRIMARY
from tests.conftest import SLOW

SNAPSHOT = {"path": "ops:getReliabilitySnapshot", "args": {}}
CLEAR = {"path": "toolCache:clearNamespace", "args": {"namespace": "search_web_v1"}}


@pytest.fixture
async def practice() -> AsyncIterator[PracticeSendcat]:
    practice = PracticeSendcat(seed=4)
    await practice.start()
    yield practice
    await practice.stop()


@pytest.fixture
async def client(practice: PracticeSendcat) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Convex {practice.deploy_key}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        yield client


async def snapshot(practice: PracticeSendcat, client: httpx.AsyncClient) -> Any:
    return (await client.post(f"{practice.api_url}/api/query", json=SNAPSHOT)).json()["value"]


def chat_request(practice: PracticeSendcat, user: int = 0) -> dict[str, Any]:
    entry = practice.pool[user]
    return {
        "url": f"{practice.site_url}/api/chat",
        "json": {"threadId": entry["threadId"]},
        "headers": {"Authorization": f"Bearer {entry['authToken']}"},
    }


async def test_two_hosts_answer_on_ports_of_their_own(practice: PracticeSendcat, client: httpx.AsyncClient) -> None:
    health = await client.get(f"{practice.site_url}/api/chat/health")
    functions_there = await client.post(f"{practice.site_url}/api/query", json=SNAPSHOT)

    assert practice.api_url != practice.site_url
    assert health.json()["ok"] is True
    assert functions_there.status_code == 404
    assert (await snapshot(practice, client))["circuitBreakers"]["openCount"] == 0


async def test_a_connection_breaks_before_after_or_in_the_middle(
    practice: PracticeSendcat, client: httpx.AsyncClient
) -> None:
    """Before: nothing happened. After: it happened, and nobody said so. In the middle: half an answer."""
    practice.script(Script("toolCache:clearNamespace", drop=True))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(f"{practice.api_url}/api/mutation", json=CLEAR)
    assert practice.counters.mutations.total() == 0

    practice.script(Script("toolCache:clearNamespace", drop_after_commit=True))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(f"{practice.api_url}/api/mutation", json=CLEAR)
    assert practice.counters.mutations.total() == 1

    practice.switches.half_answer = True
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(f"{practice.api_url}/api/query", json=SNAPSHOT)
    practice.script(Script("/api/gmail/push", half_answer=True))
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post(f"{practice.site_url}/api/gmail/push", json={})


async def test_a_client_that_leaves_while_the_provider_connects_counts_as_a_failure(
    practice: PracticeSendcat, client: httpx.AsyncClient
) -> None:
    """Reading the headers and cancelling opens the primary circuit after five times."""
    practice.deployment.upstreams[PRIMARY].connect_ms = (150, 150)
    for _ in range(5):
        async with client.stream("POST", **chat_request(practice)) as answer:
            assert answer.status_code == 200
    for _ in range(100):
        if practice.counters.chats["aborted"] == 5:
            break
        await asyncio.sleep(0.02)

    row = practice.deployment.circuits.row(PRIMARY, 0)
    assert practice.counters.chats == {"aborted": 5}
    assert (row.state, row.last_error) == ("open", "AbortError: The operation was aborted")


async def test_streams_run_side_by_side(practice: PracticeSendcat, client: httpx.AsyncClient) -> None:
    practice.deployment.environment.set("BULKHEAD_OR_PRI_MAX_CONCURRENT", "500")
    answers = await asyncio.gather(*(client.post(**chat_request(practice, user=n % 20)) for n in range(60)))

    assert all(answer.text.endswith('data: {"type":"done"}\n\n') for answer in answers)
    assert practice.counters.chats == {"done": 60}
    assert practice.counters.connections > 1
    assert practice.counters.statuses["POST /api/chat 200"] == 60


@pytest.mark.parametrize(
    ("fault", "variant"),
    [("A", "abusive"), ("B", "primary"), ("C", "sustained"), ("D", "surge"), ("F", "caps")],
)
async def test_a_fault_shows_in_the_very_next_snapshot_on_the_real_clock(
    practice: PracticeSendcat, client: httpx.AsyncClient, fault: str, variant: str
) -> None:
    """And still ten seconds later."""
    practice.inject(fault, variant=variant)
    for _ in range(2):
        seen = await snapshot(practice, client)
        now_ms = seen["generatedAt"]
        match fault:
            case "A":
                assert seen["rateLimitPressure"]["alertsInWindow"] >= 1
            case "B":
                (row,) = [row for row in seen["circuitBreakers"]["recent"] if row["state"] == "open"]
                assert row["provider"] == PRIMARY
                assert row["cooldownUntil"] > now_ms
            case "C":
                assert seen["bulkheads"]["inFlightByProvider"][PRIMARY] == 24
            case "D":
                assert seen["replayProtection"]["duplicateHitsInWindow"] >= 78
            case _:
                assert seen["toolJobs"]["byStatus"]["running"] == 2
                assert seen["toolJobs"]["oldestQueuedAgeMs"] > 60_000
        practice.clock.advance(10_000)


async def test_stopping_does_not_wait_for_open_streams(practice: PracticeSendcat, client: httpx.AsyncClient) -> None:
    upstream = practice.deployment.upstreams[PRIMARY]
    upstream.token_ms, upstream.tokens = 1_000, 60
    async with client.stream("POST", **chat_request(practice)) as answer:
        first = await anext(answer.aiter_text())
        async with asyncio.timeout(5 * SLOW):
            await practice.stop()

    assert '"start"' in first
