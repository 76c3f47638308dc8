"""What a failed milestone should look at: more users first, then the one lawful step of the right knob."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from playbooks.milestone_knobs import Load, advise
from slo.snapshot import Snapshot

IDLE = Path(__file__).parent.parent / "data" / "samples" / "snapshots" / "idle.json"


def look(**changes: Any) -> Snapshot:
    raw = json.loads(IDLE.read_text())["snapshot"]
    for path, value in changes.items():
        at, *names = raw, *path.split("__")
        for name in names[:-1]:
            at = at[name]
        at[names[-1]] = value
    return Snapshot.parse(raw)


def lines(*red: str, now: Snapshot | None = None, load: Load | None = None) -> list[str]:
    return [item.line for item in advise(red, now or look(), load, 20)]


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        # 6,000 chats in 6 min are 5,000 in 5 min: 167 users of 30 chats each, or +25%.
        (Load(20, 6_000, 360_000, 5_000), ["pool --count=167", "tune RATE_LIMIT_CHAT_STREAM_MAX 37"]),
        # 60,000 in 5 min would be more users than can be made: only the step is left, and it is far too short.
        (Load(20, 60_000, 300_000, 50_000), ["tune RATE_LIMIT_CHAT_STREAM_MAX 37"]),
        (Load(20, 600, 30_000, 10), ["tune RATE_LIMIT_CHAT_STREAM_MAX 37"]),
        (Load(20, 6_000, 360_000, 0), []),
    ],
)
def test_refused_chats_are_counted_by_user_and_window(load: Load, expected: list[str]) -> None:
    """Weakness 23: 20 users of 30 chats in 5 minutes are 600, whatever the streams are."""
    assert lines("429_rate", load=load) == expected


def test_admission_is_told_from_the_limit_of_a_user() -> None:
    refused = {"chat_admission:blocked:user_inflight": 40}
    now = look(
        rateLimitPressure__byBucketOutcomeReason=refused,
        rateLimitPressure__byBucketOutcome={"chat_admission:blocked": 40},
    )

    assert lines("429_rate", now=now, load=Load(20, 600, 60_000, 300)) == ["tune ADMISSION_USER_MAX_INFLIGHT 2"]


def test_a_queue_moves_the_pair_of_caps() -> None:
    tools = {"search_web": {"queued": 9, "running": 2, "completed": 0, "failed": 0, "deadLetter": 0}}
    now = look(toolJobs__byTool=tools)

    assert lines("oldest_queued_job_age", now=now) == ["tune TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3"]


def test_a_pool_that_is_not_fit_is_made_and_nothing_else_is_touched() -> None:
    assert lines("chat_auth_pool_size", "chat_pool_fresh") == ["pool --count=20"]
    assert advise({"chat_auth_pool_size"}, None, None, 50)[0].line == "pool --count=50"


def test_what_is_well_asks_for_nothing() -> None:
    assert lines() == []
    assert lines("unknown_status_rate", load=Load(20, 100, 1_000, 5)) == []
