"""The seven snapshot checks, read correctly; what the original counts stands beside each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slo import posture
from slo.policy import GatePolicy, Ownership
from slo.snapshot import Snapshot
from slo.verdict import Check, Judgement, Verdict

Build = Callable[..., Snapshot]
Judge = Callable[..., Judgement]
NAMES = (
    "open_circuits",
    "rate_limit_alerts_window",
    "bulkhead_active_leases",
    "tool_jobs_queued",
    "tool_jobs_failed",
    "tool_jobs_oldest_queued_age",
    "tool_jobs_oldest_running_age",
)


@pytest.fixture
def judged(gate_policy: GatePolicy, ownership: Ownership) -> Judge:
    def build(seen: Snapshot, *, later_ms: int = 1000, **more: Any) -> Judgement:
        return posture.judge(seen, gate_policy, ownership, now_ms=seen.generated_at + later_ms, **more)

    return build


def find(judgement: Judgement, name: str) -> Check:
    return next(check for check in judgement.checks if check.name == name)


def test_the_originals_seven_verdicts_are_reproduced_beside_ours(
    judged: Judge, snapshot: Build, rules: dict[str, Any]
) -> None:
    for case in rules["snapshotVerdicts"]:
        made = judged(snapshot(case["snapshotFile"].removesuffix(".json")))

        assert [check.name for check in made.checks] == list(NAMES)
        assert [check.original for check in made.checks] == [c["pass"] for c in case["gate"]["checks"]]
        assert made.original_rule is case["gate"]["pass"]


def test_an_idle_deployment_passes(judged: Judge, snapshot: Build) -> None:
    assert judged(snapshot("idle")).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("path", "name", "limit"),
    [
        ("rateLimitPressure.alertsInWindow", "rate_limit_alerts_window", 2),
        ("toolJobs.byStatus.queued", "tool_jobs_queued", 120),
        ("toolJobs.oldestQueuedAgeMs", "tool_jobs_oldest_queued_age", 300_000),
        ("toolJobs.oldestRunningAgeMs", "tool_jobs_oldest_running_age", 300_000),
    ],
)
def test_each_limit_is_exact(judged: Judge, snapshot: Build, path: str, name: str, limit: int) -> None:
    at, over = judged(snapshot("idle", {path: limit})), judged(snapshot("idle", {path: limit + 1}))

    assert at.verdict is Verdict.PASS
    assert over.verdict is Verdict.FAIL
    assert [check.name for check in over.failed] == [name]


def test_weakness_20_a_stale_open_circuit_is_shown_and_not_red(judged: Judge, snapshot: Build) -> None:
    """A forgotten circuit, idle since its cool-down, blocks every release of the original."""
    idle = snapshot("idle")
    row = {
        "provider": "gmail_oauth",
        "state": "open",
        "failureCount": 4,
        "successCount": 0,
        "cooldownUntil": idle.generated_at - 86_400_000,
        "lastFailureAt": idle.generated_at - 86_400_000,
        "updatedAt": idle.generated_at - 86_400_000,
    }
    made = judged(snapshot("idle", {"circuitBreakers": {"openCount": 1, "recent": [row]}}))

    assert made.verdict is Verdict.PASS
    assert made.original_rule is False
    assert find(made, "open_circuits").reason == (
        "stale-open, waiting for a call to test them: gmail_oauth; the table says 1 open"
    )


def test_a_refusing_circuit_fails_by_name(judged: Judge, snapshot: Build) -> None:
    made = judged(snapshot("circuit-open"))

    assert [check.name for check in made.failed] == ["open_circuits"]
    assert find(made, "open_circuits").value == 1
    assert "open: serper_search" in find(made, "open_circuits").reason


def test_weakness_18_one_full_provider_is_seen_where_the_original_cannot_fail(judged: Judge, snapshot: Build) -> None:
    """24 of 24 at one provider, 24 of 120 in the sum."""
    full = {"activeLeaseCount": 24, "inFlightByProvider": {"openrouter_chat_primary": 24}}
    made = judged(snapshot("idle", {"bulkheads": full}))

    assert made.verdict is Verdict.FAIL
    assert made.original_rule is True
    assert find(made, "bulkhead_active_leases").reason == "full: openrouter_chat_primary 24/24"


def test_a_bulkhead_that_only_the_drill_filled_is_shown_and_not_red(judged: Judge, snapshot: Build) -> None:
    full = {"activeLeaseCount": 24, "inFlightByProvider": {"openrouter_chat_primary": 24}}
    after = snapshot("idle", {"bulkheads": full})

    shown = judged(after, before=snapshot("idle"))

    assert shown.verdict is Verdict.PASS
    assert "full only after the drill" in find(shown, "bulkhead_active_leases").reason
    assert judged(after, before=after).verdict is Verdict.FAIL


def test_weakness_19_dead_letters_of_last_week_do_not_block_today(judged: Judge, snapshot: Build) -> None:
    """The table counts seven days; the window decides, the total stands beside."""
    made = judged(snapshot("idle", {"toolJobs.byStatus.failed": 5000}))

    assert made.verdict is Verdict.PASS
    assert made.original_rule is False
    assert find(made, "tool_jobs_failed").reason == "5000 in total (7 days)"


def test_a_list_too_short_to_count_the_window_decides_nothing(judged: Judge, snapshot: Build) -> None:
    """The list holds 50 at most, the limit is 80."""
    base = snapshot("queue-backlog")
    job = base.tool_jobs.recent_dead_letters[0].model_dump(by_alias=True, exclude_none=True)
    jobs = [job | {"deadLetterAt": base.generated_at - 1000} for _ in range(50)]
    changes = {"toolJobs.recentDeadLetters": jobs, "toolJobs.byStatus.failed": 81, "bulkheads.inFlightByProvider": {}}
    seen = snapshot("queue-backlog", changes)

    assert judged(seen).verdict is Verdict.INCOMPLETE
    assert judged(seen, failed_in_window=81).verdict is Verdict.FAIL
    assert judged(seen, failed_in_window=80).verdict is Verdict.PASS
    assert judged(snapshot("queue-backlog", changes | {"toolJobs.byStatus.failed": 80})).verdict is Verdict.PASS


def test_a_cut_off_sample_proves_no_pass_but_proves_a_failure(judged: Judge, snapshot: Build) -> None:
    cut = judged(snapshot("idle", {"toolJobs.sampled": 5000}))
    bad = judged(snapshot("idle", {"toolJobs.sampled": 5000, "toolJobs.byStatus.queued": 121}))

    assert cut.verdict is Verdict.INCOMPLETE
    assert {check.name for check in cut.undecided} == {
        "tool_jobs_queued",
        "tool_jobs_oldest_queued_age",
        "tool_jobs_oldest_running_age",
    }
    assert bad.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("later_ms", "verdict"),
    [
        (0, Verdict.PASS),
        (120_000, Verdict.PASS),
        (120_001, Verdict.INCOMPLETE),
        (-120_000, Verdict.PASS),
        (-120_001, Verdict.INCOMPLETE),
    ],
)
def test_a_snapshot_older_than_120_s_decides_nothing(
    judged: Judge, snapshot: Build, later_ms: int, verdict: Verdict
) -> None:
    made = judged(snapshot("idle"), later_ms=later_ms)

    assert made.verdict is verdict
    assert bool(made.reason) is (verdict is Verdict.INCOMPLETE)


def test_a_negative_queue_age_passes(judged: Judge, snapshot: Build) -> None:
    assert judged(snapshot("idle", {"toolJobs.oldestQueuedAgeMs": -9000})).verdict is Verdict.PASS


def test_checks_carry_their_owners(judged: Judge, snapshot: Build, ownership: Ownership) -> None:
    made = judged(snapshot("idle"))

    assert find(made, "tool_jobs_failed").owner == ownership.surfaces["snapshot:tool_jobs_failed"]
    assert find(made, "bulkhead_active_leases").owner == ownership.defaults
