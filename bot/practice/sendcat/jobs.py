"""The tool queue: jobs with classes, caps, leases, back-off and dead letters."""

from __future__ import annotations

from collections import Counter

from bot.practice.sendcat.environment import Environment
from bot.practice.sendcat.sentry import Warnings
from bot.practice.sendcat.tables import Ids, Series, ToolJob, ToolQueueAlert, document
from bot.practice.sendcat.values import Document, Json

WEB, PRODUCTS, GLOBAL_TOOL = "search_web", "search_products", "search_global"
TOOLS = (GLOBAL_TOOL, PRODUCTS, WEB)
CLASSES = ("realtime", "interactive", "batch")
CLASS_OF = {WEB: "realtime", PRODUCTS: "interactive", GLOBAL_TOOL: "batch"}
_RUN_KNOBS = {WEB: "TOOL_JOB_RUNMAX_WEB", PRODUCTS: "TOOL_JOB_RUNMAX_PROD", GLOBAL_TOOL: "TOOL_JOB_RUNMAX_GLOB"}
_QUEUE_KNOBS = {WEB: "TOOL_JOB_QMAX_WEB", PRODUCTS: "TOOL_JOB_QMAX_PROD", GLOBAL_TOOL: "TOOL_JOB_QMAX_GLOB"}
_CLASS_KNOBS = {name: f"TOOL_JOB_RUNMAX_QOS_{name.upper()}" for name in CLASSES}
MAX_BACKOFF_MS = 60_000
MAX_ERROR = 600
SAMPLED_JOBS = 5_000
ALERT_LIFE_MS = 14 * 86_400_000
_COUNTERS = {
    "queued": ("queued",),
    "running": ("running",),
    "failed": ("failed", "dead_letter"),
    "deadLetter": ("dead_letter",),
    "completed": ("completed",),
}


class QueueSaturated(Exception):
    """The queue of one tool is at its cap; the text starts with ``[queue_saturated:<tool>]``."""

    def __init__(self, tool: str, queued: int, cap: int) -> None:
        super().__init__(f"[queue_saturated:{tool}] Tool queue is full ({queued}/{cap}).")


class ToolQueue:
    """Jobs and queue alerts. Nothing here runs a job: see ``workers.py``."""

    def __init__(self, ids: Ids, environment: Environment, warnings: Warnings) -> None:
        self._ids = ids
        self._environment = environment
        self._warnings = warnings
        self._by_id: dict[str, ToolJob] = {}
        self._open: dict[str, ToolJob] = {}
        self.jobs: Series[ToolJob] = Series(lambda row: row.creation_time)
        self.alerts: Series[ToolQueueAlert] = Series(lambda row: row.created_at)

    def enqueue(self, source: str, tool: str, args_json: str, now_ms: int, max_attempts: int | None = None) -> ToolJob:
        """Add a job, or raise :class:`QueueSaturated`."""
        cap = self._environment.number(_QUEUE_KNOBS[tool])
        queued = sum(job.tool_name == tool and job.status == "queued" for job in self._open.values())
        if queued >= cap:
            raise QueueSaturated(tool, queued, cap)
        attempts = self._environment.number("TOOL_JOB_MAX_ATTEMPTS") if max_attempts is None else max_attempts
        return self.add(
            ToolJob(
                id=self._ids.new(),
                creation_time=self._ids.creation_time(now_ms),
                source=source,
                tool_name=tool,
                qos_class=CLASS_OF[tool],
                args_json=args_json,
                status="queued",
                attempts=0,
                max_attempts=attempts,
                available_at=now_ms,
                created_at=now_ms,
                updated_at=now_ms,
                expires_at=now_ms + self._environment.number("TOOL_JOB_TTL_MS"),
            )
        )

    def add(self, job: ToolJob) -> ToolJob:
        """Store a job as it is, also one with a history."""
        self._by_id[job.id] = job
        self.jobs.add(job)
        self._track(job)
        return job

    def get(self, job_id: str) -> ToolJob | None:
        return self._by_id.get(job_id)

    def counts(self) -> Counter[tuple[str, str]]:
        """Queued and running jobs by tool and status, exact."""
        return Counter((job.tool_name, job.status) for job in self._open.values())

    def claim_next(self, now_ms: int) -> ToolJob | None:
        """Take the next job that the caps of its class and tool let run; overdue running jobs go back first."""
        for job in list(self._open.values()):
            if job.status == "running" and job.lease_expires_at is not None and job.lease_expires_at <= now_ms:
                job.status, job.available_at, job.lease_expires_at = "queued", now_ms, None
                job.updated_at = now_ms
        running_tools = Counter(job.tool_name for job in self._open.values() if job.status == "running")
        running_classes = Counter(CLASS_OF[tool] for tool in running_tools.elements())
        available = sorted(
            (job for job in self._open.values() if job.status == "queued" and job.available_at <= now_ms),
            key=lambda job: (job.available_at, job.creation_time),
        )[: self._environment.number("TOOL_JOB_CLAIM_SCAN")]
        for name in CLASSES:
            if running_classes[name] >= self._environment.number(_CLASS_KNOBS[name]):
                continue
            for job in available:
                if (job.qos_class or CLASS_OF[job.tool_name]) != name:
                    continue
                if running_tools[job.tool_name] < self.running_cap(job.tool_name):
                    return self._start(job, now_ms)
        return None

    def running_cap(self, tool: str) -> int:
        return self._environment.number(_RUN_KNOBS[tool])

    def complete(self, job: ToolJob, result_json: str, now_ms: int) -> None:
        job.status, job.result_json = "completed", result_json
        job.completed_at = job.updated_at = now_ms
        job.lease_expires_at = None
        job.expires_at = now_ms + self._environment.number("TOOL_JOB_TTL_MS")
        self._track(job)

    def fail(self, job: ToolJob, error: str, now_ms: int) -> str:
        """Back to the queue with a pause, or to the dead letters after the last attempt: ``requeued`` or
        ``dead_letter``."""
        job.last_error = error[:MAX_ERROR]
        job.updated_at = now_ms
        job.lease_expires_at = None
        if job.attempts < job.max_attempts:
            base_ms = self._environment.number("TOOL_JOB_RETRY_BASE_MS")
            job.status = "queued"
            job.available_at = now_ms + min(base_ms * 2 ** max(0, job.attempts - 1), MAX_BACKOFF_MS)
            self._track(job)
            return "requeued"
        job.status, job.dead_letter_reason = "dead_letter", error[:MAX_ERROR]
        job.dead_letter_at = job.completed_at = now_ms
        job.expires_at = now_ms + self._environment.number("TOOL_JOB_DLQ_TTL_MS")
        self._track(job)
        return "dead_letter"

    def requeue_dead_letter(self, job_id: str, now_ms: int) -> Document:
        """``toolJobs:requeueDeadLetter``: marks the job and runs nothing; the queue cap is not checked."""
        job = self._by_id.get(job_id)
        if job is None:
            return {"ok": False, "reason": "missing"}
        if job.status != "dead_letter":
            return {"ok": False, "reason": "not_dead_letter"}
        job.status, job.attempts, job.available_at = "queued", 0, now_ms
        job.dead_letter_reason = job.dead_letter_at = job.lease_expires_at = None
        job.updated_at = now_ms
        job.expires_at = now_ms + self._environment.number("TOOL_JOB_TTL_MS")
        self._track(job)
        return {"ok": True}

    def dead_letters(self, count: int) -> list[ToolJob]:
        """At most ``count`` dead letters, last updated first."""
        dead = [job for job in self.jobs if job.status == "dead_letter"]
        return sorted(dead, key=lambda job: job.updated_at, reverse=True)[:count]

    def stats(self, limit: int, now_ms: int) -> Document:
        """``toolJobs:getQueueStats``: among the newest ``limit`` jobs of all states."""
        sample = self.jobs.newest(limit)
        seen: Counter[tuple[str, str]] = Counter((job.tool_name, job.status) for job in sample)
        by_tool: dict[str, Json] = {}
        pressure: dict[str, Json] = {}
        totals: Counter[str] = Counter()
        for tool in TOOLS:
            counts = {name: sum(seen[tool, status] for status in states) for name, states in _COUNTERS.items()}
            totals.update(counts)
            by_tool[tool] = dict(counts)
            pressure[tool] = {
                "queuedUtilization": counts["queued"] / self._environment.number(_QUEUE_KNOBS[tool]),
                "runningUtilization": counts["running"] / self.running_cap(tool),
            }
        queued = [job.available_at for job in sample if job.status == "queued"]
        running = [job.updated_at for job in sample if job.status == "running"]
        return {
            "sampled": len(sample),
            "byStatus": {name: totals[name] for name in _COUNTERS},
            "byTool": by_tool,
            "pressureByTool": pressure,
            "oldestQueuedAgeMs": now_ms - min(queued, default=now_ms),
            "oldestRunningAgeMs": now_ms - min(running, default=now_ms),
        }

    def monitor(self, now_ms: int) -> Document:
        """``toolJobs:monitorQueueHealth``: a look at the present moment, condition ``observed > threshold``."""
        number = self._environment.number
        if not self._environment.flag("TOOL_QUEUE_ALERTS_ENABLED"):
            return {"enabled": False, "createdAlerts": 0, "sentryAlerts": 0}
        stats = self.stats(SAMPLED_JOBS, now_ms)
        status = stats["byStatus"]
        assert isinstance(status, dict)
        readings: tuple[tuple[str, Json, int], ...] = (
            ("queued_depth", status["queued"], number("TOOL_QUEUE_ALERT_MAX_QUEUED")),
            ("dead_letter_depth", status["deadLetter"], number("TOOL_QUEUE_ALERT_MAX_DLQ")),
            (
                "oldest_queued_age",
                stats["oldestQueuedAgeMs"],
                number("TOOL_QUEUE_ALERT_MAX_QUEUED_AGE_MS"),
            ),
            (
                "oldest_running_age",
                stats["oldestRunningAgeMs"],
                number("TOOL_QUEUE_ALERT_MAX_RUNNING_AGE_MS"),
            ),
        )
        minutes = number("TOOL_QUEUE_ALERT_WINDOW_MIN")
        created = sent = 0
        for kind, observed, threshold in readings:
            assert isinstance(observed, int)
            if self.raise_alert(kind, observed, threshold, minutes, now_ms=now_ms) is not None:
                created += 1
                sent += self._warnings.queue(kind, observed=observed, threshold=threshold, now_ms=now_ms)
        return {"enabled": True, "createdAlerts": created, "sentryAlerts": sent, "windowMinutes": minutes}

    def raise_alert(
        self, kind: str, observed: float, threshold: float, window_minutes: float, *, now_ms: int
    ) -> str | None:
        """Store an alert, once for each kind and cool-down slot of the clock; its id, or None."""
        slot_ms = self._environment.number("TOOL_QUEUE_ALERT_COOLDOWN_MS")
        alert_key = f"{kind}|{now_ms - now_ms % slot_ms}"
        if observed <= threshold or any(alert.alert_key == alert_key for alert in self.alerts):
            return None
        alert = ToolQueueAlert(
            id=self._ids.new(),
            creation_time=self._ids.creation_time(now_ms),
            alert_key=alert_key,
            kind=kind,
            observed=observed,
            threshold=threshold,
            window_minutes=window_minutes,
            created_at=now_ms,
            expires_at=now_ms + ALERT_LIFE_MS,
        )
        self.alerts.add(alert)
        return alert.id

    def cleanup(self, now_ms: int) -> int:
        dropped = self.jobs.drop(lambda job: job.expires_at <= now_ms)
        for job in dropped:
            del self._by_id[job.id]
            self._open.pop(job.id, None)
        alerts = self.alerts.drop(lambda alert: alert.expires_at <= now_ms)
        return len(dropped) + len(alerts)

    def _start(self, job: ToolJob, now_ms: int) -> ToolJob:
        job.status = "running"
        job.attempts += 1
        job.updated_at = now_ms
        job.lease_expires_at = now_ms + self._environment.number("TOOL_JOB_LEASE_MS")
        return job

    def _track(self, job: ToolJob) -> None:
        if job.status in ("queued", "running"):
            self._open[job.id] = job
        else:
            self._open.pop(job.id, None)


def reduced(job: ToolJob) -> Document:
    """What ``toolJobs:get`` shows of a job."""
    shown = ("_id", "attempts", "completedAt", "deadLetterReason", "lastError", "maxAttempts", "resultJson")
    whole = document(job)
    result: Document = {name: whole[name] for name in shown if name in whole}
    return result | {"status": job.status, "toolName": job.tool_name}
