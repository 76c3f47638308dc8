"""Reading the snapshot: masked, dated, and never half (runbook, First 5 Minutes)."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.errors import Unreachable
from bot.redact import Masker
from bot.sendcat.convex import ConvexClient
from bot.sendcat.snapshot import read_snapshot
from tests.bot.sendcat.wild import Wild, value

Build = Callable[..., Awaitable[tuple[ConvexClient, Wild]]]
IDLE = Path(__file__).parents[2] / "data" / "samples" / "snapshots" / "idle.json"


def idle(**changes: Any) -> dict[str, Any]:
    document = json.loads(IDLE.read_text(encoding="utf-8"))
    raw: dict[str, Any] = document.get("snapshot", document)
    return {**raw, "generatedAt": time.time() * 1000, **changes}


async def test_a_snapshot_is_read_masked_and_dated(convex: Build, masker: Masker, clock: SystemClock) -> None:
    raw = idle()
    raw["config"]["admission"]["redisUrl"] = "https://redis.example"
    client, server = await convex(value(raw))
    read = await read_snapshot(client, masker, clock, minutes=30)
    assert server.seen[0].json()["args"] == {"minutes": 30}
    assert abs(read.skew_ms) < 2_000
    assert read.skew_warning is None
    assert "redis.example" not in json.dumps(read.raw)
    assert read.snapshot.config.admission.redis_url.startswith("url#")
    assert read.note == ""
    assert read.took_ms >= 0


async def test_arguments_that_were_not_wished_are_left_out(convex: Build, masker: Masker, clock: SystemClock) -> None:
    client, server = await convex(value(idle()))
    await read_snapshot(client, masker, clock)
    assert server.seen[0].json()["args"] == {}


async def test_the_silently_cut_limit_is_told(convex: Build, masker: Masker, clock: SystemClock) -> None:
    client, _ = await convex(value(idle()))
    read = await read_snapshot(client, masker, clock, limit=150)
    assert (read.requested_limit, read.effective_limit) == (150, 50)
    assert "cuts limit 150" in read.note


async def test_R31_a_clock_that_is_apart_is_warned_about(convex: Build, masker: Masker, clock: SystemClock) -> None:
    client, _ = await convex(value(idle(generatedAt=time.time() * 1000 - 45_000)))
    read = await read_snapshot(client, masker, clock)
    assert read.skew_warning is not None
    assert "behind" in read.skew_warning
    assert "refused" not in read.skew_warning
    client, _ = await convex(value(idle(generatedAt=time.time() * 1000 + 150_000)))
    warning = (await read_snapshot(client, masker, clock)).skew_warning
    assert warning is not None
    assert "changes are refused" in warning


@pytest.mark.parametrize("answer", [None, [], "x", 7, {}])
async def test_R42_no_snapshot_is_never_a_good_one(
    convex: Build, masker: Masker, clock: SystemClock, answer: object
) -> None:
    client, _ = await convex(value(answer))
    with pytest.raises(Unreachable, match="half an answer") as caught:
        await read_snapshot(client, masker, clock, minutes=15)
    assert caught.value.then == """npx convex run ops:getReliabilitySnapshot '{"minutes":15}'"""


async def test_R42_half_an_answer_names_what_is_missing(convex: Build, masker: Masker, clock: SystemClock) -> None:
    raw = idle()
    del raw["bulkheads"], raw["toolJobs"]
    client, _ = await convex(value(raw))
    with pytest.raises(Unreachable) as caught:
        await read_snapshot(client, masker, clock)
    assert "bulkheads" in caught.value.what
    assert "toolJobs" in caught.value.what
