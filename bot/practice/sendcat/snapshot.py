"""``ops:getReliabilitySnapshot``: the whole state in one answer, with the sampling of the original."""

from __future__ import annotations

from collections import Counter

from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.jobs import SAMPLED_JOBS
from bot.practice.sendcat.limiter import tally
from bot.practice.sendcat.tables import RateLimitEvent, document
from bot.practice.sendcat.values import Document, Json

SAMPLED_LEASES = 1_000
SAMPLED_CACHE = 5_000


def snapshot(deployment: Deployment, minutes: int, limit: int, now_ms: int) -> Document:
    """The snapshot over the last ``minutes``, with at most ``limit`` rows in each list.

    What is read before it is cut to the window (Convex functions, section 3): the newest 40·limit events,
    10·limit alerts, 5·limit queue alerts, 1000 leases, 1000 keys (oldest first), 5000 cache entries, 5000 jobs.
    """
    start_ms = now_ms - minutes * 60_000
    limiter, queue = deployment.limiter, deployment.queue
    events = [event for event in limiter.events.newest(40 * limit) if event.created_at >= start_ms]
    alerts = [alert for alert in limiter.alerts.newest(10 * limit) if alert.created_at >= start_ms]
    queue_alerts = [alert for alert in queue.alerts.newest(5 * limit) if alert.created_at >= start_ms]
    circuits = deployment.circuits.newest(limit)
    leases = deployment.bulkheads.all_active(now_ms, SAMPLED_LEASES)
    jobs = queue.stats(SAMPLED_JOBS, now_ms)
    jobs["recentDeadLetters"] = [document(job) for job in queue.dead_letters(limit)]
    return {
        "generatedAt": now_ms,
        "windowMinutes": minutes,
        "config": deployment.environment.config(),
        "rateLimitPressure": {
            "sampledEvents": len(events),
            "byBucketOutcome": tally(Counter(f"{event.bucket}:{event.outcome}" for event in events)),
            "byBucketOutcomeReason": tally(
                Counter(f"{event.bucket}:{event.outcome}:{event.reason or 'none'}" for event in events)
            ),
            "alertsInWindow": len(alerts),
            "recentAlerts": [document(alert) for alert in alerts[:limit]],
        },
        "chatAdmission": _admission(events, deployment.environment.number("ADMISSION_ALLOWED_EVENT_SAMPLE_PCT")),
        "circuitBreakers": {
            "openCount": sum(row.state == "open" for row in circuits),
            "recent": [document(row) for row in circuits],
        },
        "bulkheads": {
            "activeLeaseCount": len(leases),
            "inFlightByProvider": tally(Counter(lease.provider for lease in leases)),
        },
        "replayProtection": deployment.idempotency.replay_section(start_ms),
        "toolCache": deployment.cache.stats(SAMPLED_CACHE, now_ms),
        "toolJobs": jobs,
        "toolQueueAlerts": {
            "alertsInWindow": len(queue_alerts),
            "recent": [document(alert) for alert in queue_alerts[:limit]],
        },
    }


def _admission(events: list[RateLimitEvent], sampled_pct: int) -> Document:
    counts = Counter((event.bucket, event.outcome) for event in events)
    admission = [event for event in events if event.bucket in ("chat_admission", "chat_admission_shadow")]
    reasons = Counter(event.reason or "none" for event in admission)
    unavailable = sum(event.reason == "redis_unavailable" for event in admission)

    def side(bucket: str) -> Document:
        return {
            "allowed": counts[bucket, "allowed"],
            "blocked": counts[bucket, "blocked"],
            "contentionFallback": counts[bucket, "contention_fallback"],
        }

    def refused_share(bucket: str) -> Json:
        blocked, allowed = counts[bucket, "blocked"], counts[bucket, "allowed"]
        return blocked / (blocked + allowed) if blocked + allowed else 0

    return {
        "enforce": side("chat_admission"),
        "shadow": side("chat_admission_shadow"),
        "topReasons": [{"reason": reason, "count": count} for reason, count in reasons.most_common(5)],
        "falsePositivePressure": {
            "shadowWouldBlockRate": refused_share("chat_admission_shadow"),
            "enforceRejectRate": refused_share("chat_admission"),
            "redisUnavailableShare": unavailable / len(admission) if admission else 0,
        },
        "sampledAllowedEventPct": sampled_pct,
    }
