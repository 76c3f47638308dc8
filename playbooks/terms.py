"""The names a page may put in backquotes besides command lines, functions and knobs: closed sets.

A word on a page that stands in none of them is a mistake of the page, and is reported like one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from playbooks.functions import BUCKETS, LEFTOVER_PROVIDER, PROVIDERS, SCOPES, WORKER
from slo.snapshot import Snapshot

RUNBOOK_COMMANDS = (
    "snapshot",
    "probe",
    "drill",
    "gate",
    "canary",
    "gameday",
    "dashboard",
    "region-readiness",
    "milestone-gate",
)
"""The operator commands of the runbook, in its order. A page may name them before the bot has them all."""

ENDPOINTS = ("/api/chat", "/api/gmail/push", "/api/whatsapp/webhook", "/api/chat/health")

PATHS = (
    "scripts/reliability/slo-baseline.json",
    "scripts/reliability/ownership-matrix.json",
    "reliability-phase-log.md",
    ".output/reliability/",
    ".output/reliability/release-gate-*.json",
    ".output/reliability/canary-check-*.json",
    ".output/reliability/game-day-*.json",
    ".output/reliability/load-drill-*.json",
    ".output/reliability/synthetic-probes-*.json",
    ".output/reliability/region-readiness-*.json",
    ".output/reliability/reliability-snapshot-*.json",
    ".output/reliability/milestone-gate-<milestone>-<timestamp>.json",
    ".output/reliability/slo-dashboard.md",
    ".output/reliability/slo-dashboard.json",
)
"""Files that pages speak of."""

MILESTONES = ("m1_1k", "m2_5k", "m3_20k")
TOOLS = ("search_web", "search_products", "search_global")
NAMESPACES = ("search_web_v1", "search_products_v1")
SCENARIOS = ("gmail_push_webhook", "whatsapp_webhook", "chat_stream_http")
OUTCOMES = ("allowed", "blocked", "contention_fallback")
REASONS = ("user_inflight", "global_inflight", "global_msg_rate", "global_tool_rate", "redis_unavailable")
STATES = ("closed", "open", "half_open", "queued", "running", "completed", "failed", "dead_letter")
QUEUE_ALERTS = ("queued_depth", "dead_letter_depth", "oldest_queued_age", "oldest_running_age")
FIELDS = (
    "acquiredAt",
    "availableAt",
    "cooldownUntil",
    "createdAt",
    "deleted",
    "expiresAt",
    "firstSeenAt",
    "hasMore",
    "hitCount",
    "lastError",
    "lastFailureAt",
    "lastSeenAt",
    "limit",
    "maxConcurrent",
    "maxDeletes",
    "minTwoXxRate",
    "pass",
    "passed",
    "recentDeadLetters",
    "startedAt",
    "updatedAt",
)
"""Fields of stored documents, arguments and artifacts."""
CHECKS = ("p95", "5xx", "429", "2xx", "unknown_status_rate", "network_error_rate", "5xx_rate", "stream_success_rate")
ANSWERS = (
    "200",
    "503",
    "Retry-After",
    "X-Idempotent-Replay",
    "done",
    "error",
    "provider-route",
    "tool-backpressure",
    "queue_timeout",
    "queue_saturated",
    "upstream_unavailable",
    "worker_saturated",
    "HTTP 503",
)
"""Statuses, headers and stream events as the endpoints send them."""
OTHERS = (
    "convex.rateLimit.monitor",
    "activateMultiRegionProgram=true",
    "single_region",
    "active_standby",
    "active_active",
)

TERMS: frozenset[str] = frozenset(
    (
        *(*PROVIDERS, LEFTOVER_PROVIDER, WORKER, *SCOPES, *BUCKETS),
        *(*MILESTONES, *TOOLS, *NAMESPACES, *SCENARIOS, *OUTCOMES, *REASONS, *STATES),
        *(*QUEUE_ALERTS, *FIELDS, *CHECKS, *ANSWERS, *OTHERS),
    )
)

_FIELD_PATH = re.compile(r"[a-z][A-Za-z]*(?:\.[A-Za-z_<>]+)*")


def is_snapshot_field(path: str) -> bool:
    """Whether the snapshot has such a field, in wire names: ``toolJobs.byStatus.queued``, ``config.regionTopology``."""
    if not _FIELD_PATH.fullmatch(path):
        return False
    kind: Any = Snapshot
    for part in path.split("."):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {info.alias or name: info.annotation for name, info in kind.model_fields.items()}
            if part not in fields:
                return False
            kind = fields[part]
        elif get_origin(kind) in (dict, Mapping):
            kind = get_args(kind)[1]
        else:
            return False
    return True
