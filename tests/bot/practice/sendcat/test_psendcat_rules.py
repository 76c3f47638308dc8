"""Limits, circuits, bulkheads, keys, cache and queue behave as the contract says (Convex functions, sections 2 to 9)."""

from __future__ import annotations

from typing import Any

import pytest

from bot.practice.sendcat.arguments import Arguments, FunctionFailed, check
from bot.practice.sendcat.catalogue import BY_PATH, CATALOGUE
from bot.practice.sendcat.circuits import EBAY, PRIMARY, SERPER
from bot.practice.sendcat.clock import PracticeClock
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.functions import Call, invoke
from bot.practice.sendcat.jobs import QueueSaturated
from bot.practice.sendcat.upstreams import Health
from bot.practice.sendcat.values import Json

NOW = 1_795_420_800_000
MINUTE = 60_000


@pytest.fixture
def on() -> Deployment:
    """A deployment without callers."""
    return Deployment("practice-bare", PracticeClock.at(NOW), {"SERPER_API_KEY": "x"}, seed=3)


async def call(on: Deployment, path: str, **args: Json) -> Any:
    """A function as a client calls it: arguments validated, everything due settled before."""
    check(dict(args), BY_PATH[path].fields)
    return await invoke(BY_PATH[path], Call(on, Arguments(dict(args)), on.settle()))


# --- arguments ---


def test_the_catalogue_has_every_function_of_the_contract() -> None:
    assert len(CATALOGUE) == len(BY_PATH) == 39
    assert [function.path for function in CATALOGUE if function.public] == ["threads:create"]
    assert {f.path for f in CATALOGUE if f.kind == "Action"} == {
        "rateLimit:monitorAndAlert",
        "toolJobs:monitorQueueHealth",
        "toolJobs:processQueue",
    }


@pytest.mark.parametrize("function", CATALOGUE, ids=lambda function: function.path)
def test_arguments_are_validated_strictly(function: Any) -> None:
    """An unknown argument, a missing one, a null, a wrong type: each is an error."""
    right: dict[str, Json] = {}
    for name, field in function.fields.items():
        value: Json = {"number": 5, "string": (field.choices or ("x",))[0], "id": "j" * 32}[field.kind]
        right[name] = value
    check(right, function.fields)
    with pytest.raises(FunctionFailed, match="extra field `surprise`"):
        check(right | {"surprise": 1}, function.fields)
    for name, field in function.fields.items():
        for wrong in (None, True, [], {}, "x" * 3 if field.kind == "number" else 7):
            with pytest.raises(FunctionFailed, match="does not match validator"):
                check(right | {name: wrong}, function.fields)
        without = {key: value for key, value in right.items() if key != name}
        if field.optional:
            check(without, function.fields)
        else:
            with pytest.raises(FunctionFailed, match=f"missing the required field `{name}`"):
                check(without, function.fields)


@pytest.mark.parametrize(
    ("path", "args", "default", "most"),
    [
        ("rateLimit:listRecentEvents", {}, 50, 200),
        ("rateLimit:listRecentAlerts", {}, 50, 200),
        ("circuitBreaker:listStatuses", {}, 20, 100),
        ("bulkhead:listInFlightByProvider", {"provider": "p"}, 100, 500),
        ("idempotency:listRecentByScope", {"scope": "s"}, 20, 200),
        ("toolJobs:listDeadLetters", {}, 100, 500),
        ("toolJobs:listRecentQueueAlerts", {}, 50, 200),
    ],
)
async def test_row_limits(on: Deployment, path: str, args: dict[str, Json], default: int, most: int) -> None:
    for number in range(600):
        on.limiter.record("http", "b", str(number), "blocked", NOW)
        on.limiter.raise_alert(str(number), "blocked", 1, 1, 5, now_ms=NOW)
        on.circuits.success(str(number), NOW)
        on.bulkheads.add("p", str(number), acquired_at=NOW, expires_at=NOW + MINUTE)
        on.idempotency.claim("s", str(number), MINUTE, NOW)
        on.queue.raise_alert(str(number), 2, 1, 5, now_ms=NOW)
    for _ in range(600):
        job = on.queue.enqueue("chat_http", "search_web", "{}", NOW, 0)
        on.queue.fail(job, "no", NOW)

    assert len(await call(on, path, **args)) == default
    assert len(await call(on, path, **args, limit=10_000)) == most
    assert len(await call(on, path, **args, limit=3)) == 3
    if "limit: 1" in path or path.startswith("toolJobs"):
        assert len(await call(on, path, **args, limit=-5)) == 1
        assert len(await call(on, path, **args, limit=2.9)) == 2
    else:
        for odd in (2.5, -1):
            with pytest.raises(FunctionFailed):
                await call(on, path, **args, limit=odd)


# --- rate limits ---


async def test_a_window_starts_at_a_multiple_of_its_length(on: Deployment) -> None:
    on.clock.advance(50_000)
    answers = [await call(on, "rateLimit:checkAndIncrement", key="k", max=2, windowMs=MINUTE) for _ in range(3)]
    on.clock.advance(10_000)
    fresh = await call(on, "rateLimit:checkAndIncrement", key="k", max=2, windowMs=MINUTE)

    assert [answer["allowed"] for answer in answers] == [True, True, False]
    assert [answer["remaining"] for answer in answers] == [1, 0, 0]
    assert answers[2]["retryAfterMs"] == 10_000
    assert fresh["allowed"] is True


async def test_one_event_for_each_key_and_reason_in_five_seconds(on: Deployment) -> None:
    """A key refused all the time for five minutes leaves 60 events, however many requests it made."""
    for step in range(3_000):
        on.limiter.record("http", "gmail_push", "gmail_push:ip:192.0.2.1", "blocked", NOW + step * 100)
    on.clock.advance(5 * MINUTE)
    event = (await call(on, "rateLimit:listRecentEvents", limit=1))[0]
    summary = await call(on, "rateLimit:getEventSummary", minutes=5)

    assert summary["byBucketOutcome"] == {"gmail_push:blocked": 60}
    assert summary["bySourceBucketOutcome"] == {"http:gmail_push:blocked": 60}
    assert event["dedupeKey"].startswith("http|gmail_push|gmail_push:ip:192.0.2.1|blocked||")
    assert "reason" not in event


async def test_events_by_bucket_look_at_twice_the_limit_only(on: Deployment) -> None:
    on.limiter.record("http", "gmail_push", "old", "blocked", NOW)
    for number in range(20):
        on.limiter.record("http", "whatsapp_webhook", str(number), "blocked", NOW + 1)

    assert await call(on, "rateLimit:listRecentEvents", limit=10, bucket="gmail_push") == []
    assert len(await call(on, "rateLimit:listRecentEvents", limit=11, bucket="gmail_push")) == 1


@pytest.mark.parametrize(
    ("bucket", "outcome", "threshold"),
    [
        ("whatsapp_webhook", "blocked", 40),
        ("gmail_push", "contention_fallback", 5),
        ("chat_stream", "blocked", 25),
        ("chat_admission", "contention_fallback", 3),
        ("gmail_oauth_callback", "blocked", None),
        ("chat_admission_shadow", "blocked", None),
    ],
)
async def test_alerts_are_raised_at_the_threshold(
    on: Deployment, bucket: str, outcome: str, threshold: int | None
) -> None:
    count = (threshold or 500) - 1
    for number in range(count):
        on.limiter.record("http", bucket, str(number), outcome, NOW)
    before = await call(on, "rateLimit:monitorAndAlert")
    on.limiter.record("http", bucket, "last", outcome, NOW)
    after = await call(on, "rateLimit:monitorAndAlert")

    assert before["createdAlerts"] == 0
    assert after["createdAlerts"] == (0 if threshold is None else 1)


async def test_an_alert_comes_once_in_each_half_hour_of_the_clock(on: Deployment) -> None:
    arguments: dict[str, Json] = {
        "bucket": "gmail_push",
        "outcome": "blocked",
        "threshold": 40,
        "observed": 40,
        "windowMinutes": 5,
    }
    answers = []
    for wait_ms in (29 * MINUTE, 30_000, MINUTE):
        on.clock.advance(wait_ms)
        answers.append((await call(on, "rateLimit:raiseAlertIfNeeded", **arguments))["created"])
    alerts = await call(on, "rateLimit:listRecentAlerts")

    assert answers == [True, False, True]
    assert alerts[0]["alertKey"] == f"gmail_push|blocked|{NOW + 30 * MINUTE}"


async def test_the_monitors_run_by_themselves_every_five_minutes(on: Deployment) -> None:
    on.environment.set("SENTRY_DSN", "https://x@sentry.invalid/1")
    for number in range(50):
        on.limiter.record("http", "gmail_push", str(number), "blocked", NOW + 1_000)
        on.queue.enqueue("chat_http", "search_web", "{}", NOW + 1_000)
    on.clock.advance(5 * MINUTE - 1)
    early = await call(on, "ops:getReliabilitySnapshot")
    on.clock.advance(1)
    late = await call(on, "ops:getReliabilitySnapshot")

    assert early["rateLimitPressure"]["alertsInWindow"] == 0
    assert late["rateLimitPressure"]["alertsInWindow"] == 1
    assert [alert["kind"] for alert in late["toolQueueAlerts"]["recent"]] == ["oldest_queued_age"]
    assert [warning.logger for warning in on.warnings.sent] == ["convex.rateLimit.monitor", "convex.toolJobs.monitor"]
    assert on.warnings.sent[0].message == "Rate limit alert: gmail_push blocked"


async def test_what_is_old_is_cleaned_up_every_hour(on: Deployment) -> None:
    on.limiter.record("http", "b", "k", "blocked", NOW)
    on.idempotency.claim("s", "k", MINUTE, NOW)
    on.clock.advance(8 * 24 * 3_600_000)
    summary = await call(on, "rateLimit:getEventSummary", minutes=1440)

    assert len(on.limiter.events) == 0
    assert summary["total"] == 0
    assert not on.idempotency.claim("s", "k", MINUTE, on.settle()).duplicate


# --- circuits ---


async def test_a_circuit_opens_at_the_threshold_and_tests_after_the_cooldown(on: Deployment) -> None:
    failure: dict[str, Json] = {"provider": "p", "threshold": 3, "cooldownMs": 10_000, "error": "e" * 900}
    first = await call(on, "circuitBreaker:checkGate", provider="p")
    states = [(await call(on, "circuitBreaker:recordFailure", **failure))["state"] for _ in range(3)]
    shut = await call(on, "circuitBreaker:checkGate", provider="p")
    on.clock.advance(4_000)
    await call(on, "circuitBreaker:recordFailure", **failure)
    renewed = await call(on, "circuitBreaker:checkGate", provider="p")
    on.clock.advance(10_000)
    (row,) = await call(on, "circuitBreaker:listStatuses")
    trials = [await call(on, "circuitBreaker:checkGate", provider="p") for _ in range(2)]
    again = await call(on, "circuitBreaker:recordFailure", **failure)

    assert first == {"allowed": True, "state": "closed"}
    assert states == ["closed", "closed", "open"]
    assert shut == {"allowed": False, "state": "open", "retryAfterMs": 10_000}
    assert renewed["retryAfterMs"] == 10_000
    assert (row["state"], row["cooldownUntil"], len(row["lastError"])) == ("open", NOW + 14_000, 500)
    assert trials == [{"allowed": True, "state": "half_open"}] * 2
    assert again["state"] == "open"


async def test_any_success_closes_a_circuit_and_leaves_no_trace_of_the_error(on: Deployment) -> None:
    for _ in range(5):
        on.circuits.failure(PRIMARY, NOW, "HTTP 503")
    await call(on, "circuitBreaker:recordSuccess", provider=PRIMARY)
    (row,) = await call(on, "circuitBreaker:listStatuses")

    assert (row["state"], row["failureCount"], row["successCount"]) == ("closed", 0, 1)
    assert "cooldownUntil" not in row
    assert "lastError" not in row


async def test_failures_count_in_a_row_without_a_window(on: Deployment) -> None:
    for _ in range(4):
        on.circuits.failure(PRIMARY, NOW, "HTTP 503")
    on.clock.advance(24 * 3_600_000)

    assert on.circuits.failure(PRIMARY, on.settle(), "HTTP 503").state == "open"


# --- bulkheads ---


async def test_a_slot_is_refused_when_full_and_the_same_lease_is_taken_once(on: Deployment) -> None:
    def slot(lease: str, ttl_ms: int = 60_000) -> dict[str, Json]:
        return {"provider": "p", "leaseId": lease, "maxConcurrent": 2, "leaseTtlMs": ttl_ms}

    answers = [await call(on, "bulkhead:acquireSlot", **slot(name)) for name in ("a", "a", "b", "c")]
    on.clock.advance(59_500)
    nearly = await call(on, "bulkhead:acquireSlot", **slot("c"))
    on.clock.advance(500)
    freed = await call(on, "bulkhead:acquireSlot", **slot("c", ttl_ms=1))
    listed = await call(on, "bulkhead:listInFlightByProvider", provider="p")

    assert [answer["acquired"] for answer in answers] == [True, True, True, False]
    assert [answer["inFlight"] for answer in answers] == [1, 1, 2, 2]
    assert answers[3]["retryAfterMs"] == 60_000
    assert nearly["retryAfterMs"] == 1_000
    assert freed["acquired"] is True
    assert [lease["expiresAt"] - lease["acquiredAt"] for lease in listed] == [15_000]
    assert await call(on, "bulkhead:releaseSlot", provider="p", leaseId="c") == {"released": True}
    assert await call(on, "bulkhead:releaseSlot", provider="p", leaseId="c") == {"released": False}


async def test_expired_leases_do_not_count_and_are_deleted_500_at_a_time(on: Deployment) -> None:
    for number in range(700):
        on.bulkheads.add("p", str(number), acquired_at=NOW, expires_at=NOW + 1_000 + number)
    on.clock.advance(MINUTE)

    assert await call(on, "bulkhead:listInFlightByProvider", provider="p") == []
    assert await call(on, "bulkhead:cleanupExpiredLeases") == {"deleted": 500}
    assert await call(on, "bulkhead:cleanupExpiredLeases") == {"deleted": 200}


# --- idempotency ---


async def test_a_key_is_claimed_once_and_its_life_only_grows(on: Deployment) -> None:
    first = await call(on, "idempotency:claimKey", scope="s", key="k", ttlMs=100_000)
    on.clock.advance(10_000)
    second = await call(on, "idempotency:claimKey", scope="s", key="k", ttlMs=5_000)
    (row,) = await call(on, "idempotency:listRecentByScope", scope="s")
    on.clock.advance(200_000)
    expired = await call(on, "idempotency:claimKey", scope="s", key="k")

    assert (first["duplicate"], first["hitCount"]) == (False, 1)
    assert (second["duplicate"], second["hitCount"], second["firstSeenAt"]) == (True, 2, NOW)
    assert row["expiresAt"] == NOW + 100_000
    assert expired["duplicate"] is True


# --- cache ---


async def test_the_cache_overwrites_expires_and_clears_in_parts(on: Deployment) -> None:
    entry: dict[str, Json] = {"namespace": "search_web_v1", "key": "Trail SHOES", "value": "1", "ttlMs": 10_000}
    stored = await call(on, "toolCache:set", **entry)
    on.clock.advance(5_000)
    await call(on, "toolCache:set", **(entry | {"value": "2"}))
    read = await call(on, "toolCache:get", namespace="search_web_v1", key="trail shoes")
    too_large = await call(on, "toolCache:set", **(entry | {"value": "x" * 65_537}))
    for number in range(5):
        await call(on, "toolCache:set", **(entry | {"key": str(number)}))
    wrong = await call(on, "toolCache:clearNamespace", namespace="search_web")
    parts = [await call(on, "toolCache:clearNamespace", namespace="search_web_v1", maxDeletes=4) for _ in range(3)]
    on.clock.advance(10_000)

    assert stored == {"key": "trail shoes", "expiresAt": NOW + 10_000}
    assert read == "2"
    assert too_large is None
    assert wrong == {"deleted": 0, "hasMore": False}
    assert parts == [
        {"deleted": 4, "hasMore": True},
        {"deleted": 2, "hasMore": False},
        {"deleted": 0, "hasMore": False},
    ]
    assert await call(on, "toolCache:get", namespace="search_web_v1", key="trail shoes") is None


# --- the tool queue ---


def waiting(on: Deployment, tool: str, count: int, at_ms: int = NOW) -> list[str]:
    return [on.queue.enqueue("chat_http", tool, f'{{"query":"{n}"}}', at_ms).id for n in range(count)]


async def drained(on: Deployment, **args: Json) -> Any:
    return await call(on, "toolJobs:processQueue", **args)


@pytest.mark.parametrize(("tool", "cap"), [("search_web", 80), ("search_products", 80), ("search_global", 40)])
async def test_a_full_queue_refuses_by_tool(on: Deployment, tool: str, cap: int) -> None:
    waiting(on, tool, cap)
    with pytest.raises(QueueSaturated, match=rf"^\[queue_saturated:{tool}\]"):
        waiting(on, tool, 1)


async def test_classes_go_first_realtime_and_keep_their_caps(on: Deployment) -> None:
    for tool in ("search_global", "search_products", "search_web"):
        waiting(on, tool, 4)
    claimed = []
    while (job := await call(on, "toolJobs:claimNext")) is not None:
        claimed.append(job["toolName"])

    assert claimed == ["search_web"] * 2 + ["search_products"] * 2 + ["search_global"]


@pytest.mark.parametrize("raised", ["TOOL_JOB_RUNMAX_WEB", "TOOL_JOB_RUNMAX_QOS_REALTIME", "BULKHEAD_TOOL_JOB_MAX"])
async def test_one_running_cap_alone_changes_nothing(on: Deployment, raised: str) -> None:
    on.environment.set(raised, "9")
    waiting(on, "search_web", 9)
    claimed = [on.queue.claim_next(NOW) for _ in range(9)]

    assert sum(job is not None for job in claimed) == 2


async def test_a_flood_of_one_capped_tool_hides_the_others(on: Deployment) -> None:
    on.environment.change([("TOOL_JOB_QMAX_WEB", "500"), ("TOOL_JOB_CLAIM_SCAN", "200")])
    waiting(on, "search_web", 202)
    waiting(on, "search_products", 1, NOW + 1)
    on.clock.advance(10)
    tools = [on.queue.claim_next(on.settle()) for _ in range(3)]

    assert [job.tool_name if job else None for job in tools] == ["search_web", "search_web", None]


async def test_a_job_with_an_expired_lease_goes_back_at_the_next_claim(on: Deployment) -> None:
    (job_id,) = waiting(on, "search_web", 1)
    assert on.queue.claim_next(NOW) is not None
    on.clock.advance(44_999)
    assert on.queue.claim_next(on.settle()) is None
    on.clock.advance(1)
    again = on.queue.claim_next(on.settle())

    assert again is not None
    assert (again.id, again.attempts) == (job_id, 2)


async def test_a_failing_job_waits_and_then_dies(on: Deployment) -> None:
    """``oldestQueuedAgeMs`` is negative while every queued job waits for its back-off."""
    on.environment.set("TOOL_JOB_RETRY_BASE_MS", "20000")
    on.upstreams[SERPER].fail(Health("status", 400))
    (job_id,) = waiting(on, "search_web", 1)
    first = await drained(on)
    stats = await call(on, "toolJobs:getQueueStats")
    idle = await drained(on)
    on.clock.advance(20_000)
    second = await drained(on)
    (dead,) = await call(on, "toolJobs:listDeadLetters")

    assert first == {"processed": 1, "jobs": [{"jobId": job_id, "status": "requeued"}]}
    assert stats["oldestQueuedAgeMs"] == -20_000
    assert idle == {"processed": 0, "jobs": []}
    assert second["jobs"][0]["status"] == "dead_letter"
    assert dead["attempts"] == 2
    assert dead["deadLetterReason"] == dead["lastError"] == "Web search failed: 400"
    assert dead["completedAt"] == dead["deadLetterAt"]


@pytest.mark.parametrize(("attempts", "pause_ms"), [(1, 1_000), (2, 2_000), (3, 4_000), (7, 60_000), (9, 60_000)])
def test_the_backoff_doubles_up_to_a_minute(on: Deployment, attempts: int, pause_ms: int) -> None:
    job = on.queue.enqueue("chat_http", "search_web", "{}", NOW, 10)
    job.attempts = attempts
    on.queue.fail(job, "no", NOW)

    assert job.available_at == NOW + pause_ms


async def test_requeueing_a_dead_letter_marks_it_and_runs_nothing(on: Deployment) -> None:
    (job_id,) = waiting(on, "search_web", 1)
    not_yet = await call(on, "toolJobs:requeueDeadLetter", jobId=job_id)
    on.upstreams[SERPER].fail(Health("status", 400))
    on.environment.set("TOOL_JOB_MAX_ATTEMPTS", "2")
    await drained(on)
    on.clock.advance(2_000)
    await drained(on)
    on.upstreams[SERPER].heal()
    done = await call(on, "toolJobs:requeueDeadLetter", jobId=job_id)
    on.clock.advance(10 * MINUTE)
    idle = await call(on, "toolJobs:getQueueStats")
    job = on.queue.get(job_id)
    assert job is not None
    kept = job.status, job.attempts, job.last_error, job.dead_letter_reason, job.completed_at is not None
    await drained(on)

    assert not_yet == {"ok": False, "reason": "not_dead_letter"}
    assert await call(on, "toolJobs:requeueDeadLetter", jobId="j" + "0" * 31) == {"ok": False, "reason": "missing"}
    assert done == {"ok": True}
    assert idle["byStatus"]["queued"] == 1
    assert kept == ("queued", 0, "Web search failed: 400", None, True)
    assert (await call(on, "toolJobs:get", jobId=job_id))["status"] == "completed"


@pytest.mark.parametrize(("asked", "done"), [(None, 3), (1, 1), (0, 1), (7.9, 7), (50, 10)])
async def test_a_drain_takes_a_few_jobs_in_sequence(on: Deployment, asked: float | None, done: int) -> None:
    waiting(on, "search_web", 20)
    answer = await drained(on, **({} if asked is None else {"maxJobs": asked}))

    assert answer["processed"] == done
    assert {job["status"] for job in answer["jobs"]} == {"completed"}
    assert on.bulkheads.in_flight(on.settle())["tool_job_worker"] == 0


async def test_without_a_worker_slot_a_drain_is_skipped(on: Deployment) -> None:
    for number in range(6):
        on.bulkheads.acquire("tool_job_worker", str(number), NOW)

    assert await drained(on) == {"processed": 0, "jobs": [], "skipped": "worker_saturated"}


async def test_nothing_drains_by_itself_but_an_enqueued_job_takes_others_along(on: Deployment) -> None:
    waiting(on, "search_web", 4)
    on.clock.advance(3_600_000)
    alone = (await call(on, "toolJobs:getQueueStats"))["byStatus"]["queued"]
    args: dict[str, Json] = {"source": "chat_http", "toolName": "search_web", "argsJson": '{"query":"q"}'}
    await call(on, "toolJobs:enqueue", **args)
    on.clock.advance(5_000)
    after = (await call(on, "toolJobs:getQueueStats"))["byStatus"]["queued"]

    assert (alone, after) == (4, 2)


async def test_an_open_circuit_fails_jobs_without_counting(on: Deployment) -> None:
    for _ in range(4):
        on.circuits.failure(EBAY, NOW, "HTTP 500")
    waiting(on, "search_products", 1)
    await drained(on)

    assert on.circuits.row(EBAY, NOW).failure_count == 4


async def test_queue_alerts_need_more_than_the_threshold_and_come_once_in_a_quarter_hour(on: Deployment) -> None:
    on.environment.set("TOOL_QUEUE_ALERT_MAX_DLQ", "3")
    for _ in range(3):
        job = on.queue.enqueue("chat_http", "search_web", "{}", NOW, 0)
        on.queue.fail(job, "no", NOW)
    at_threshold = await call(on, "toolJobs:monitorQueueHealth")
    job = on.queue.enqueue("chat_http", "search_web", "{}", NOW, 0)
    on.queue.fail(job, "no", NOW)
    over, again = [await call(on, "toolJobs:monitorQueueHealth") for _ in range(2)]
    (alert,) = await call(on, "toolJobs:listRecentQueueAlerts")
    on.environment.set("TOOL_QUEUE_ALERTS_ENABLED", "false")
    off = await call(on, "toolJobs:monitorQueueHealth")

    assert [answer["createdAlerts"] for answer in (at_threshold, over, again)] == [0, 1, 0]
    assert (alert["alertKey"], alert["observed"]) == (f"dead_letter_depth|{NOW}", 4)
    assert off == {"enabled": False, "createdAlerts": 0, "sentryAlerts": 0}


# --- time ---


def test_the_same_seed_gives_the_same_history_however_time_passes() -> None:
    """One jump of half an hour and 1800 small steps end in the same state."""
    from bot.practice.sendcat import PracticeSendcat
    from bot.practice.sendcat.snapshot import snapshot

    ends = []
    for step_ms in (30 * MINUTE, 1_000):
        practice = PracticeSendcat(clock=PracticeClock.at(NOW), seed=9)
        practice.inject("F", variant="caps")
        for _ in range(30 * MINUTE // step_ms):
            practice.clock.advance(step_ms)
            practice.deployment.settle()
        ends.append(snapshot(practice.deployment, 15, 50, practice.clock.now_ms()))

    assert ends[0] == ends[1]


def test_a_real_clock_moves_by_itself_and_never_back() -> None:
    clock = PracticeClock.real()
    first = clock.now_ms()
    clock.advance(5_000)

    assert clock.now_ms() >= first + 5_000
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
