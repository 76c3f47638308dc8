"""The function catalogue: every operator function with its kind and the arguments it takes."""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.sendcat import functions as run
from bot.practice.sendcat.arguments import MAYBE_NUMBER, MAYBE_TEXT, NUMBER, TEXT, Field
from bot.practice.sendcat.functions import Function
from bot.practice.sendcat.jobs import TOOLS

_LIMIT = {"limit": MAYBE_NUMBER}
_JOB = {"jobId": Field("id", table="toolJobs")}
_OUTCOME = Field("string", choices=("allowed", "blocked", "contention_fallback"))
_REFUSAL = Field("string", choices=("blocked", "contention_fallback"))
_SOURCE = Field("string", choices=("chat_action", "chat_http", "http"))
_JOB_SOURCE = Field("string", choices=("chat_action", "chat_http"))
_ALERT = {"threshold": NUMBER, "observed": NUMBER, "windowMinutes": NUMBER}
_PROVIDER = {"provider": TEXT}
_NAMESPACE_KEY = {"namespace": TEXT, "key": TEXT}

CATALOGUE: tuple[Function, ...] = (
    Function(
        "ops:getReliabilitySnapshot",
        "Query",
        run.reliability_snapshot,
        {"minutes": MAYBE_NUMBER, "limit": MAYBE_NUMBER},
    ),
    Function("rateLimit:getEventSummary", "Query", run.event_summary, {"minutes": MAYBE_NUMBER}),
    Function("rateLimit:listRecentAlerts", "Query", run.recent_alerts, _LIMIT),
    Function("rateLimit:listRecentEvents", "Query", run.recent_events, _LIMIT | {"bucket": MAYBE_TEXT}),
    Function("rateLimit:monitorAndAlert", "Action", lambda call: call.deployment.limiter.monitor(call.now_ms)),
    Function(
        "rateLimit:raiseAlertIfNeeded",
        "Mutation",
        run.raise_rate_alert,
        {"bucket": TEXT, "outcome": _REFUSAL} | _ALERT,
    ),
    Function(
        "rateLimit:checkAndIncrement",
        "Mutation",
        run.check_and_increment,
        {"key": TEXT, "max": NUMBER, "windowMs": NUMBER},
    ),
    Function(
        "rateLimit:recordEvent",
        "Mutation",
        run.record_event,
        {
            "source": _SOURCE,
            "bucket": TEXT,
            "key": TEXT,
            "outcome": _OUTCOME,
            "reason": MAYBE_TEXT,
            "retryAfterMs": MAYBE_NUMBER,
            "path": MAYBE_TEXT,
            "method": MAYBE_TEXT,
        },
    ),
    Function("rateLimit:cleanupExpired", "Mutation", lambda call: call.deployment.limiter.cleanup(call.now_ms)),
    Function("circuitBreaker:listStatuses", "Query", run.circuit_statuses, _LIMIT),
    Function("circuitBreaker:checkGate", "Mutation", run.check_gate, _PROVIDER),
    Function("circuitBreaker:recordSuccess", "Mutation", run.record_success, _PROVIDER),
    Function(
        "circuitBreaker:recordFailure",
        "Mutation",
        run.record_failure,
        _PROVIDER | {"threshold": NUMBER, "cooldownMs": NUMBER, "error": MAYBE_TEXT},
    ),
    Function("bulkhead:listInFlightByProvider", "Query", run.in_flight, _PROVIDER | _LIMIT),
    Function(
        "bulkhead:acquireSlot",
        "Mutation",
        run.acquire_slot,
        _PROVIDER | {"leaseId": TEXT, "maxConcurrent": NUMBER, "leaseTtlMs": NUMBER},
    ),
    Function("bulkhead:releaseSlot", "Mutation", run.release_slot, _PROVIDER | {"leaseId": TEXT}),
    Function(
        "bulkhead:cleanupExpiredLeases",
        "Mutation",
        lambda call: {"deleted": call.deployment.bulkheads.cleanup(call.now_ms)},
    ),
    Function("idempotency:listRecentByScope", "Query", run.recent_keys, {"scope": TEXT} | _LIMIT),
    Function("idempotency:claimKey", "Mutation", run.claim_key, {"scope": TEXT, "key": TEXT, "ttlMs": MAYBE_NUMBER}),
    Function(
        "idempotency:cleanupExpired",
        "Mutation",
        lambda call: {"deleted": call.deployment.idempotency.cleanup(call.now_ms)},
    ),
    Function("toolCache:listNamespaceStats", "Query", run.namespace_stats, _LIMIT),
    Function(
        "toolCache:clearNamespace",
        "Mutation",
        run.clear_namespace,
        {"namespace": TEXT, "maxDeletes": MAYBE_NUMBER},
    ),
    Function("toolCache:get", "Query", run.cache_get, _NAMESPACE_KEY),
    Function("toolCache:set", "Mutation", run.cache_set, _NAMESPACE_KEY | {"value": TEXT, "ttlMs": NUMBER}),
    Function(
        "toolCache:cleanupExpired",
        "Mutation",
        lambda call: {"deleted": call.deployment.cache.cleanup(call.now_ms)},
    ),
    Function("toolJobs:getQueueStats", "Query", run.queue_stats, _LIMIT),
    Function("toolJobs:listDeadLetters", "Query", run.dead_letters, _LIMIT),
    Function(
        "toolJobs:requeueDeadLetter",
        "Mutation",
        lambda call: call.deployment.queue.requeue_dead_letter(call.arguments.text("jobId"), call.now_ms),
        _JOB,
    ),
    Function("toolJobs:monitorQueueHealth", "Action", lambda call: call.deployment.queue.monitor(call.now_ms)),
    Function("toolJobs:listRecentQueueAlerts", "Query", run.queue_alerts, _LIMIT),
    Function("toolJobs:processQueue", "Action", run.process_queue, {"maxJobs": MAYBE_NUMBER}),
    Function(
        "toolJobs:enqueue",
        "Mutation",
        run.enqueue,
        {
            "source": _JOB_SOURCE,
            "toolName": Field("string", choices=TOOLS),
            "argsJson": TEXT,
            "maxAttempts": MAYBE_NUMBER,
        },
    ),
    Function("toolJobs:get", "Query", run.get_job, _JOB),
    Function("toolJobs:claimNext", "Mutation", run.claim_next),
    Function("toolJobs:complete", "Mutation", run.complete_job, _JOB | {"resultJson": TEXT}),
    Function("toolJobs:fail", "Mutation", run.fail_job, _JOB | {"error": TEXT}),
    Function(
        "toolJobs:cleanupExpired",
        "Mutation",
        lambda call: {"deleted": call.deployment.queue.cleanup(call.now_ms)},
    ),
    Function("toolJobs:raiseQueueAlertIfNeeded", "Mutation", run.raise_queue_alert, {"kind": TEXT} | _ALERT),
    Function(
        "threads:create",
        "Mutation",
        run.create_thread,
        {
            "title": MAYBE_TEXT,
            "modelId": TEXT,
            "parentThreadId": Field("id", optional=True, table="threads"),
            "sessionId": TEXT,
        },
        public=True,
    ),
)

BY_PATH: Mapping[str, Function] = {function.path: function for function in CATALOGUE}
