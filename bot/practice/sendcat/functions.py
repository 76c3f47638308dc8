"""The function catalogue: every operator function with its kind, its arguments and what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bot.practice.sendcat import jobs as tool_jobs
from bot.practice.sendcat.arguments import (
    Arguments,
    Field,
    FunctionFailed,
)
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.idempotency import DEFAULT_LIFE_MS
from bot.practice.sendcat.jobs import QueueSaturated
from bot.practice.sendcat.snapshot import snapshot
from bot.practice.sendcat.tables import ToolJob, document
from bot.practice.sendcat.values import Document, Json

Kind = Literal["Query", "Mutation", "Action"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the deployment, the arguments, the time, and the end user if one is signed in."""

    deployment: Deployment
    arguments: Arguments
    now_ms: int
    user_id: str | None = None


Body: TypeAlias = Callable[[Call], Json] | Callable[[Call], Coroutine[None, None, Json]]


@dataclass(frozen=True, slots=True)
class Function:
    """One entry of the catalogue. Everything but ``public`` functions needs a deploy key."""

    path: str
    kind: Kind
    run: Body
    fields: Mapping[str, Field] = field(default_factory=dict)
    public: bool = False


async def invoke(function: Function, call: Call) -> Json:
    result = function.run(call)
    if asyncio.iscoroutine(result):
        answer: Json = await result
        return answer
    plain: Json = result
    return plain


def reliability_snapshot(call: Call) -> Json:
    number = call.deployment.environment.number
    most = number("OPS_MAX_ROWS_PER_SECTION")
    minutes = call.arguments.whole("minutes", number("OPS_DEFAULT_WINDOW_MINUTES"), 1, 1440)
    return snapshot(call.deployment, minutes, call.arguments.whole("limit", most, 5, most), call.now_ms)


# --- rateLimit ---


def event_summary(call: Call) -> Json:
    asked = call.arguments.maybe_number("minutes")
    minutes = 15 if asked is None else max(1, min(asked, 1440))
    return call.deployment.limiter.summary(minutes, call.now_ms)


def recent_alerts(call: Call) -> Json:
    alerts = call.deployment.limiter.alerts.newest(call.arguments.rows("limit", 50, 200))
    return [document(alert) for alert in alerts]


def recent_events(call: Call) -> Json:
    count = call.arguments.rows("limit", 50, 200)
    events, bucket = call.deployment.limiter.events, call.arguments.maybe_text("bucket")
    if bucket is None:
        return [document(event) for event in events.newest(count)]
    found: list[Json] = [document(event) for event in events.newest(2 * count) if event.bucket == bucket]
    return found[:count]


def raise_rate_alert(call: Call) -> Json:
    arguments = call.arguments
    alert_id = call.deployment.limiter.raise_alert(
        arguments.text("bucket"),
        arguments.text("outcome"),
        arguments.number("threshold"),
        arguments.number("observed"),
        arguments.number("windowMinutes"),
        now_ms=call.now_ms,
    )
    return {"created": False} if alert_id is None else {"created": True, "alertId": alert_id}


def check_and_increment(call: Call) -> Json:
    arguments = call.arguments
    window_ms = max(1, int(arguments.number("windowMs")))
    answer = call.deployment.limiter.admit(arguments.text("key"), int(arguments.number("max")), window_ms, call.now_ms)
    return {
        "allowed": answer.allowed == 1,
        "remaining": answer.remaining,
        "retryAfterMs": answer.retry_after_ms,
    }


def record_event(call: Call) -> Json:
    arguments = call.arguments
    retry_after_ms = arguments.maybe_number("retryAfterMs")
    call.deployment.limiter.record(
        arguments.text("source"),
        arguments.text("bucket"),
        arguments.text("key"),
        arguments.text("outcome"),
        call.now_ms,
        reason=arguments.maybe_text("reason"),
        retry_after_ms=None if retry_after_ms is None else int(retry_after_ms),
        path=arguments.maybe_text("path"),
        method=arguments.maybe_text("method"),
    )
    return None


# --- circuitBreaker ---


def circuit_statuses(call: Call) -> Json:
    return [document(row) for row in call.deployment.circuits.newest(call.arguments.rows("limit", 20, 100))]


def check_gate(call: Call) -> Json:
    gate = call.deployment.circuits.gate(call.arguments.text("provider"), call.now_ms)
    answer: Document = {"allowed": gate.allowed, "state": gate.state}
    return answer if gate.allowed else answer | {"retryAfterMs": gate.retry_after_ms}


def record_success(call: Call) -> Json:
    row = call.deployment.circuits.success(call.arguments.text("provider"), call.now_ms)
    return {"state": row.state}


def record_failure(call: Call) -> Json:
    row = call.deployment.circuits.failure(
        call.arguments.text("provider"),
        call.now_ms,
        call.arguments.maybe_text("error"),
        threshold=call.arguments.number("threshold"),
        cooldown_ms=call.arguments.number("cooldownMs"),
    )
    return {"state": row.state, "failureCount": row.failure_count}


# --- bulkhead ---


def in_flight(call: Call) -> Json:
    count = call.arguments.rows("limit", 100, 500)
    leases = call.deployment.bulkheads.active(call.arguments.text("provider"), call.now_ms)
    return [document(lease) for lease in leases[:count]]


def acquire_slot(call: Call) -> Json:
    slot = call.deployment.bulkheads.acquire(
        call.arguments.text("provider"),
        call.arguments.text("leaseId"),
        call.now_ms,
        limit=call.arguments.number("maxConcurrent"),
        ttl_ms=call.arguments.number("leaseTtlMs"),
    )
    return {"acquired": slot.acquired, "inFlight": slot.in_flight, "retryAfterMs": slot.retry_after_ms}


def release_slot(call: Call) -> Json:
    bulkheads = call.deployment.bulkheads
    return {"released": bulkheads.release(call.arguments.text("provider"), call.arguments.text("leaseId"))}


# --- idempotency ---


def recent_keys(call: Call) -> Json:
    rows = call.deployment.idempotency.newest(call.arguments.text("scope"), call.arguments.rows("limit", 20, 200))
    return [document(row) for row in rows]


def claim_key(call: Call) -> Json:
    life_ms = call.arguments.maybe_number("ttlMs")
    claim = call.deployment.idempotency.claim(
        call.arguments.text("scope"),
        call.arguments.text("key"),
        DEFAULT_LIFE_MS if life_ms is None else int(life_ms),
        call.now_ms,
    )
    return {
        "duplicate": claim.duplicate,
        "keyId": claim.key_id,
        "firstSeenAt": claim.first_seen_at,
        "hitCount": claim.hit_count,
    }


# --- toolCache ---


def namespace_stats(call: Call) -> Json:
    return call.deployment.cache.stats(call.arguments.whole("limit", 5000, 100, 20_000), call.now_ms)


def clear_namespace(call: Call) -> Json:
    most = call.arguments.whole("maxDeletes", 10_000, 1)
    return call.deployment.cache.clear(call.arguments.text("namespace"), most)


def cache_get(call: Call) -> Json:
    arguments = call.arguments
    return call.deployment.cache.get(arguments.text("namespace"), arguments.text("key"), call.now_ms)


def cache_set(call: Call) -> Json:
    arguments = call.arguments
    entry = call.deployment.cache.set(
        arguments.text("namespace"),
        arguments.text("key"),
        arguments.text("value"),
        int(arguments.number("ttlMs")),
        call.now_ms,
    )
    return None if entry is None else {"key": entry.key, "expiresAt": entry.expires_at}


# --- toolJobs ---


def queue_stats(call: Call) -> Json:
    return call.deployment.queue.stats(call.arguments.whole("limit", 5000, 100, 20_000), call.now_ms)


def dead_letters(call: Call) -> Json:
    return [document(job) for job in call.deployment.queue.dead_letters(call.arguments.whole("limit", 100, 1, 500))]


def queue_alerts(call: Call) -> Json:
    alerts = call.deployment.queue.alerts.newest(call.arguments.whole("limit", 50, 1, 200))
    return [document(alert) for alert in alerts]


def raise_queue_alert(call: Call) -> Json:
    arguments = call.arguments
    alert_id = call.deployment.queue.raise_alert(
        arguments.text("kind"),
        arguments.number("observed"),
        arguments.number("threshold"),
        arguments.number("windowMinutes"),
        now_ms=call.now_ms,
    )
    return {"created": False} if alert_id is None else {"created": True, "alertId": alert_id}


async def process_queue(call: Call) -> Json:
    deployment = call.deployment
    drain = deployment.workers.drain(call.now_ms, call.arguments.maybe_number("maxJobs"))
    while not drain.done:
        due_ms = deployment.agenda.next_ms()
        wait_ms = 5 if due_ms is None else max(1, due_ms - deployment.clock.now_ms())
        await deployment.clock.sleep(min(wait_ms, 250))
        deployment.settle()
    return drain.result()


def enqueue(call: Call) -> Json:
    arguments = call.arguments
    attempts = arguments.maybe_number("maxAttempts")
    try:
        job = call.deployment.workers.enqueue(
            arguments.text("source"),
            arguments.text("toolName"),
            arguments.text("argsJson"),
            call.now_ms,
            None if attempts is None else max(1, int(attempts)),
        )
    except QueueSaturated as full:
        raise FunctionFailed(f"Uncaught Error: {full}") from full
    return job.id


def _job(call: Call) -> ToolJob | None:
    return call.deployment.queue.get(call.arguments.text("jobId"))


def get_job(call: Call) -> Json:
    job = _job(call)
    return None if job is None else tool_jobs.reduced(job)


def claim_next(call: Call) -> Json:
    job = call.deployment.queue.claim_next(call.now_ms)
    if job is None:
        return None
    return {
        "argsJson": job.args_json,
        "attempts": job.attempts,
        "jobId": job.id,
        "maxAttempts": job.max_attempts,
        "toolName": job.tool_name,
    }


def complete_job(call: Call) -> Json:
    job = _job(call)
    if job is not None and job.status == "running":
        call.deployment.queue.complete(job, call.arguments.text("resultJson"), call.now_ms)
    return None


def fail_job(call: Call) -> Json:
    job = _job(call)
    if job is None or job.status != "running":
        return None
    return {"status": call.deployment.queue.fail(job, call.arguments.text("error"), call.now_ms)}


def create_thread(call: Call) -> Json:
    arguments = call.arguments
    return call.deployment.accounts.create_thread(
        arguments.text("modelId"),
        arguments.text("sessionId"),
        call.now_ms,
        title=arguments.maybe_text("title"),
        user_id=call.user_id,
        parent_thread_id=arguments.maybe_text("parentThreadId"),
    ).id
