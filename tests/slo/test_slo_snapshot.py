"""The snapshot is read as contract/convex-functions.md section 3 says, or refused by name."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slo.diff import diff
from slo.errors import BadSnapshot
from slo.snapshot import Snapshot

Raw = Callable[[str], dict[str, Any]]
Build = Callable[..., Snapshot]
NAMES = ("circuit-open", "idle", "queue-backlog", "rate-limit-pressure", "webhook-replay-and-cache")
MINUTE = 60_000


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_floats(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_snapshot_reads_the_same_with_15_and_with_15_0(raw_snapshot: Raw, name: str) -> None:
    raw = raw_snapshot(name)

    assert Snapshot.parse(_floats(raw)) == Snapshot.parse(raw)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_recorded_snapshot_is_lost(raw_snapshot: Raw, name: str) -> None:
    raw = raw_snapshot(name)

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: whole(v) for k, v in value.items() if k != "_creationTime"}
        return [whole(v) for v in value] if isinstance(value, list) else value

    written = Snapshot.parse(raw).model_dump(mode="json", by_alias=True, exclude_none=True)

    assert whole(written) == whole(raw)


def test_unknown_fields_are_tolerated(raw_snapshot: Raw) -> None:
    raw = raw_snapshot("idle") | {"newSection": {"x": 1}}
    raw["config"]["newKnobs"] = {"y": 2}

    assert Snapshot.parse(raw).window_minutes == 15


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths(inner, (*path, key))


OPEN_MAPS = (
    ("config", "rateLimits"),
    ("config", "circuits"),
    ("config", "bulkheads"),
    ("toolJobs", "byTool"),
    ("toolJobs", "pressureByTool"),
)


def test_half_an_answer_is_refused_by_the_name_of_what_is_missing(raw_snapshot: Raw) -> None:
    """Every single documented path of the idle snapshot is removed in turn."""
    optional = {"redisUrl", "redisToken", "keyPrefix"}
    removed = 0
    for path in _paths(raw_snapshot("idle")):
        inside_map = any(path[: len(m)] == m and len(path) == len(m) + 1 for m in OPEN_MAPS)
        counters = len(path) == 4 and path[2].startswith("max") and path[1] == "toolJobs"
        if inside_map or counters or path[-1] in optional:
            continue
        raw = raw_snapshot("idle")
        place = raw
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

        with pytest.raises(BadSnapshot) as refused:
            Snapshot.parse(raw)

        assert refused.value.paths == (f"{'.'.join(path)}: missing",)
        removed += 1
    assert removed > 100


@pytest.mark.parametrize("wrong", ["secret-value-xyz", None, [], True, float("nan"), float("inf"), 1.5])
def test_a_wrong_value_is_named_but_never_printed(raw_snapshot: Raw, wrong: Any) -> None:
    raw = raw_snapshot("idle")
    raw["toolJobs"]["byStatus"]["queued"] = wrong

    with pytest.raises(BadSnapshot) as refused:
        Snapshot.parse(raw)

    assert "toolJobs.byStatus.queued" in str(refused.value)
    assert "secret-value-xyz" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert pickle.loads(pickle.dumps(refused.value)).paths == refused.value.paths


@pytest.mark.parametrize("answer", [None, [], "text", 5, {}])
def test_no_snapshot_at_all_is_refused(answer: Any) -> None:
    with pytest.raises(BadSnapshot):
        Snapshot.parse(answer)


def _circuit(provider: str, now: int, **fields: Any) -> dict[str, Any]:
    row = {"provider": provider, "state": "open", "failureCount": 5, "successCount": 0, "updatedAt": now}
    return row | fields


def test_open_is_told_from_refusing_from_waiting_from_stale(snapshot: Build, raw_snapshot: Raw) -> None:
    """Reading rule 3, with every kind of row at once."""
    now = raw_snapshot("idle")["generatedAt"]
    rows = [
        _circuit("refusing", now, cooldownUntil=now + 1, lastFailureAt=now - 10),
        _circuit("edge", now, cooldownUntil=now, lastFailureAt=now - 16 * MINUTE),
        _circuit("failed_lately", now, cooldownUntil=now - 1, lastFailureAt=now - 14 * MINUTE),
        _circuit("stale", now, cooldownUntil=now - 86_400_000, lastFailureAt=now - 86_400_000),
        _circuit("bare", now),
        _circuit("testing", now, state="half_open", cooldownUntil=now + 5, lastFailureAt=now),
        _circuit("closed", now, state="closed", lastFailureAt=now),
    ]
    seen = snapshot("idle", {"circuitBreakers": {"openCount": 5, "recent": rows}})

    def names(found: Any) -> list[str]:
        return [row.provider for row in found]

    assert names(seen.open_in_table) == ["refusing", "edge", "failed_lately", "stale", "bare"]
    assert names(seen.circuits_refusing_now) == ["refusing"]
    assert names(seen.circuits_waiting_for_test) == ["edge", "failed_lately", "stale", "bare"]
    assert names(seen.circuits_counted_open) == ["refusing", "failed_lately"]
    assert names(seen.circuits_stale_open) == ["edge", "stale", "bare"]


def test_bulkheads_are_measured_against_their_own_caps(snapshot: Build) -> None:
    seen = snapshot("idle", {"bulkheads.inFlightByProvider": {"openrouter_chat_primary": 24, "ghost": 3}})

    assert seen.bulkhead_utilization("openrouter_chat_primary") == 1
    assert seen.bulkhead_utilization("serper_search") == 0
    assert seen.bulkhead_utilization("ghost") is None
    assert seen.full_bulkheads == ("openrouter_chat_primary",)
    assert seen.bulkhead_capacity == 108


def test_a_negative_queue_age_counts_as_zero(snapshot: Build) -> None:
    seen = snapshot("idle", {"toolJobs.oldestQueuedAgeMs": -4000})

    assert seen.tool_jobs.oldest_queued_age_ms == -4000
    assert seen.oldest_queued_age_ms == 0


def test_ages_count_from_the_deployments_clock(snapshot: Build) -> None:
    seen = snapshot("idle")

    assert seen.age_ms(seen.generated_at - 5) == 5
    assert seen.age_ms(seen.generated_at + 5) == 0


def test_the_admission_estimate_corrects_for_sampling(snapshot: Build) -> None:
    """Reading rule 2: 10 refusals and 5 allowed at 5% sampling are 10 of 110, not 10 of 15."""
    counts = {"allowed": 5, "blocked": 8, "contentionFallback": 2}
    seen = snapshot("idle", {"chatAdmission.enforce": counts})

    assert seen.enforce_reject_estimate == pytest.approx(10 / 110)
    assert seen.shadow_reject_estimate is None
    assert (
        snapshot(
            "idle", {"chatAdmission.enforce": counts, "chatAdmission.sampledAllowedEventPct": 0}
        ).enforce_reject_estimate
        is None
    )


@pytest.mark.parametrize(
    ("path", "full", "section"),
    [
        ("rateLimitPressure.sampledEvents", 2000, "rateLimitPressure"),
        ("rateLimitPressure.alertsInWindow", 500, "rateLimitPressure.alertsInWindow"),
        ("bulkheads.activeLeaseCount", 1000, "bulkheads"),
        ("replayProtection.keysInWindow", 1000, "replayProtection"),
        ("toolCache.sampledActiveEntries", 5000, "toolCache"),
        ("toolJobs.sampled", 5000, "toolJobs"),
        ("toolQueueAlerts.alertsInWindow", 250, "toolQueueAlerts"),
    ],
)
def test_a_part_at_its_limit_is_known_to_be_cut_off(snapshot: Build, path: str, full: int, section: str) -> None:
    """The table "Exact or sampled?", at the limit and one below it."""
    assert [item.section for item in snapshot("idle", {path: full}).truncated_sections()] == [section]
    assert snapshot("idle", {path: full - 1}).truncated_sections() == ()


def test_the_server_cuts_the_limit_to_50(snapshot: Build) -> None:
    seen = snapshot("idle", {"rateLimitPressure.sampledEvents": 2000})

    assert [item.section for item in seen.truncated_sections(150)] == ["rateLimitPressure"]
    assert [item.section for item in seen.truncated_sections(10)] == ["rateLimitPressure"]


def test_a_list_as_long_as_the_limit_may_be_cut_off(snapshot: Build) -> None:
    rows = [_circuit(f"p{i}", 0) for i in range(50)]
    (cut,) = snapshot("idle", {"circuitBreakers": {"openCount": 50, "recent": rows}}).truncated_sections()

    assert (cut.section, cut.certain) == ("circuitBreakers", False)


def test_dead_letters_of_the_window_are_told_from_those_of_the_week(snapshot: Build) -> None:
    """The backlog sample's three died 40 minutes ago."""
    assert snapshot("queue-backlog").dead_letters_in_window == ()
    assert len(snapshot("queue-backlog", {"windowMinutes": 60}).dead_letters_in_window) == 3


def test_diff_of_a_snapshot_with_itself_is_empty(snapshot: Build) -> None:
    for name in NAMES:
        assert diff(snapshot(name), snapshot(name)) == ()


def test_diff_tells_numbers_then_configuration(snapshot: Build) -> None:
    before = snapshot("idle")
    after = snapshot(
        "idle",
        {
            "config.bulkheads.serper_search.maxConcurrent": 14,
            "toolJobs.byStatus.queued": 7,
            "bulkheads.inFlightByProvider": {"serper_search": 2},
            "generatedAt": before.generated_at + 1000,
        },
    )

    assert [str(delta) for delta in diff(before, after)] == [
        "bulkheads.inFlightByProvider.serper_search: absent -> 2",
        f"toolJobs.byStatus.queued: {before.tool_jobs.by_status.queued} -> 7 "
        f"({7 - before.tool_jobs.by_status.queued:+d})",
        "config.bulkheads.serper_search.maxConcurrent: 12 -> 14 (+2)",
    ]


def test_diff_follows_a_circuit_by_its_provider(snapshot: Build, raw_snapshot: Raw) -> None:
    changed = copy.deepcopy(raw_snapshot("circuit-open"))
    changed["circuitBreakers"]["recent"].reverse()
    changed["circuitBreakers"]["recent"][0]["state"] = "closed"
    provider = changed["circuitBreakers"]["recent"][0]["provider"]

    deltas = diff(snapshot("circuit-open"), Snapshot.parse(changed))

    assert [delta.path for delta in deltas] == [f"circuitBreakers.recent.{provider}.state"]


def test_diff_never_shows_a_secret(snapshot: Build) -> None:
    before = snapshot("idle", {"config.admission.redisUrl": "https://one.example"})
    after = snapshot("idle", {"config.admission.redisUrl": "https://two.example"})

    (delta,) = diff(before, after)

    assert "example" not in str(delta)
    assert delta.before != delta.after


def test_every_sample_snapshot_is_covered(samples: Path) -> None:
    assert sorted(path.stem for path in (samples / "snapshots").glob("*.json")) == sorted(NAMES)
    for path in (samples / "snapshots").glob("*.json"):
        after = json.loads(path.read_text()).get("after", {}).get("snapshot")
        if after:
            Snapshot.parse(after)
