"""The reliability snapshot: the answer of `ops:getReliabilitySnapshot`, and how to read it correctly.

Shapes and rules: contract/convex-functions.md section 3. Every age counts from `generatedAt`, the
deployment's clock, never from ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError

from slo.effective import Config
from slo.errors import BadSnapshot, fault_paths
from slo.wire import Count, Millis, Number, Wire

SERVER_MAX_LIMIT = 50
"""The server cuts `limit` to this, whatever was asked for (operator-commands.md section 12, 27)."""


class RateLimitAlert(Wire):
    alert_key: str
    bucket: str
    outcome: str
    threshold: Number
    observed: Number
    window_minutes: Number
    notified_by_email: bool | None = None
    created_at: Millis
    expires_at: Millis


class RateLimitPressure(Wire):
    """Counts are events, at most one for each key in 5 s, not requests (reading rule 1)."""

    sampled_events: Count
    by_bucket_outcome: dict[str, Count]
    by_bucket_outcome_reason: dict[str, Count]
    alerts_in_window: Count
    recent_alerts: tuple[RateLimitAlert, ...]


class AdmissionOutcomes(Wire):
    allowed: Count
    blocked: Count
    contention_fallback: Count


class ReasonCount(Wire):
    reason: str
    count: Count


class FalsePositivePressure(Wire):
    """Rates 0..1 as the server counts them: far too high, since allowed events are sampled (rule 2)."""

    shadow_would_block_rate: Number
    enforce_reject_rate: Number
    redis_unavailable_share: Number


class ChatAdmission(Wire):
    enforce: AdmissionOutcomes
    shadow: AdmissionOutcomes
    top_reasons: tuple[ReasonCount, ...]
    false_positive_pressure: FalsePositivePressure
    sampled_allowed_event_pct: Number


class Circuit(Wire):
    """One row of `outboundCircuitBreakers`; an idle provider can stay `open` for days (rule 3)."""

    provider: str
    state: Literal["closed", "open", "half_open"]
    failure_count: Count
    success_count: Count
    last_failure_at: Millis | None = None
    last_success_at: Millis | None = None
    cooldown_until: Millis | None = None
    last_error: str | None = None
    updated_at: Millis


class CircuitBreakers(Wire):
    """`open_count` counts rows of `recent` in state open; it does not mean "refuses now"."""

    open_count: Count
    recent: tuple[Circuit, ...]


class Bulkheads(Wire):
    """Unexpired leases; providers without a lease are absent from `in_flight_by_provider`."""

    active_lease_count: Count
    in_flight_by_provider: dict[str, Count]


class ReplayScope(Wire):
    total_keys: Count
    duplicate_keys: Count
    duplicate_hits: Count


class ReplayProtection(Wire):
    """Only keys *first seen* inside the window: replays of older messages are invisible (rule 4)."""

    keys_in_window: Count
    duplicate_hits_in_window: Count
    by_scope: dict[str, ReplayScope]


class ToolCache(Wire):
    sampled_active_entries: Count
    by_namespace: dict[str, Count]


class JobCounts(Wire):
    """Tool jobs by state; `dead_letter` is also counted in `failed`."""

    queued: Count
    running: Count
    failed: Count
    dead_letter: Count
    completed: Count


class ToolPressure(Wire):
    """Count over cap; may exceed 1."""

    queued_utilization: Number
    running_utilization: Number


class ToolJob(Wire):
    """One row of `toolJobs`. `args_json`, `last_error` and `result_json` hold what users wrote (rule 9)."""

    id: str | None = Field(default=None, alias="_id")
    source: str
    tool_name: str
    qos_class: str | None = None
    args_json: str | None = None
    status: str
    attempts: Count
    max_attempts: Count
    available_at: Millis
    lease_expires_at: Millis | None = None
    result_json: str | None = None
    last_error: str | None = None
    dead_letter_reason: str | None = None
    dead_letter_at: Millis | None = None
    created_at: Millis
    updated_at: Millis
    completed_at: Millis | None = None
    expires_at: Millis


class ToolJobs(Wire):
    """`oldest_queued_age_ms` is as sent and may be negative; `Snapshot.oldest_queued_age_ms` is not."""

    sampled: Count
    by_status: JobCounts
    by_tool: dict[str, JobCounts]
    pressure_by_tool: dict[str, ToolPressure]
    oldest_queued_age_ms: Millis
    oldest_running_age_ms: Millis
    recent_dead_letters: tuple[ToolJob, ...]


class ToolQueueAlert(Wire):
    alert_key: str
    kind: str
    observed: Number
    threshold: Number
    window_minutes: Number
    created_at: Millis
    expires_at: Millis


class ToolQueueAlerts(Wire):
    alerts_in_window: Count
    recent: tuple[ToolQueueAlert, ...]


@dataclass(frozen=True, slots=True)
class Truncated:
    """A part of the snapshot that was (or may have been) cut off, and what is missing from it.

    `certain` is False where the answer is exactly as long as the limit, so that it may be complete.
    """

    section: str
    bias: str
    certain: bool = True


class Snapshot(Wire):
    """The whole answer. Build it with `Snapshot.parse`."""

    generated_at: Millis
    window_minutes: Number
    config: Config
    rate_limit_pressure: RateLimitPressure
    chat_admission: ChatAdmission
    circuit_breakers: CircuitBreakers
    bulkheads: Bulkheads
    replay_protection: ReplayProtection
    tool_cache: ToolCache
    tool_jobs: ToolJobs
    tool_queue_alerts: ToolQueueAlerts

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Snapshot:
        """Read one answer; fields we do not know are kept.

        Raises `BadSnapshot` naming every missing or wrong path (never a value) for half an answer.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise BadSnapshot(fault_paths(error)) from None

    # Time

    def age_ms(self, ts: int) -> int:
        """How long before this snapshot `ts` was; never negative (server clocks differ by a little)."""
        return max(0, self.generated_at - ts)

    @property
    def window_ms(self) -> int:
        """The window really used, in milliseconds."""
        return int(self.window_minutes * 60_000)

    def in_window(self, ts: int | None) -> bool:
        """Whether `ts` lies inside the snapshot's window; an absent time does not."""
        return ts is not None and self.age_ms(ts) <= self.window_ms

    # Circuits (reading rule 3)

    @property
    def open_in_table(self) -> tuple[Circuit, ...]:
        """Rows stored as open, whether or not they refuse anything now; what `openCount` counts."""
        return tuple(row for row in self.circuit_breakers.recent if row.state == "open")

    @property
    def circuits_refusing_now(self) -> tuple[Circuit, ...]:
        """Open with the cool-down still running: these refuse calls at this moment."""
        return tuple(row for row in self.open_in_table if self._cooling(row))

    @property
    def circuits_waiting_for_test(self) -> tuple[Circuit, ...]:
        """Open with the cool-down over: the next call tests them; without traffic they stay so for days."""
        return tuple(row for row in self.open_in_table if not self._cooling(row))

    @property
    def circuits_counted_open(self) -> tuple[Circuit, ...]:
        """What a judge counts: refusing now, or traffic failed within the window (VERDICTS, Gate)."""
        return tuple(row for row in self.open_in_table if self._cooling(row) or self.in_window(row.last_failure_at))

    @property
    def circuits_stale_open(self) -> tuple[Circuit, ...]:
        """Open, cool-down over, and no failure within the window: shown apart, never red by itself."""
        counted = self.circuits_counted_open
        return tuple(row for row in self.open_in_table if row not in counted)

    def _cooling(self, row: Circuit) -> bool:
        return row.cooldown_until is not None and row.cooldown_until > self.generated_at

    # Bulkheads (reading rule 8)

    def bulkhead_utilization(self, provider: str) -> float | None:
        """In-flight over this provider's own cap (1.0 = full); None when it has no cap to compare with."""
        cap = self.config.bulkheads.get(provider)
        if cap is None or cap.max_concurrent <= 0:
            return None
        return self.bulkheads.in_flight_by_provider.get(provider, 0) / cap.max_concurrent

    @property
    def full_bulkheads(self) -> tuple[str, ...]:
        """Providers at or above their own cap."""
        return tuple(
            provider
            for provider in self.config.bulkheads
            if (used := self.bulkhead_utilization(provider)) is not None and used >= 1
        )

    @property
    def bulkhead_capacity(self) -> int:
        """Sum of all configured caps."""
        return sum(cap.max_concurrent for cap in self.config.bulkheads.values())

    # Tool jobs (reading rules 5 and 6)

    @property
    def oldest_queued_age_ms(self) -> int:
        """Age of the oldest queued job; a negative one (all wait for their back-off) counts as 0."""
        return max(0, self.tool_jobs.oldest_queued_age_ms)

    @property
    def oldest_running_age_ms(self) -> int:
        """Age of the oldest running job, never negative."""
        return max(0, self.tool_jobs.oldest_running_age_ms)

    @property
    def dead_letters_in_window(self) -> tuple[ToolJob, ...]:
        """Dead letters of this window; `failed` counts those of seven days."""
        return tuple(
            job for job in self.tool_jobs.recent_dead_letters if self.in_window(job.dead_letter_at or job.updated_at)
        )

    # Admission (reading rule 2)

    @property
    def enforce_reject_estimate(self) -> float | None:
        """Share of enforced admissions that were refused, corrected for sampling; None without data."""
        return self._reject_estimate(self.chat_admission.enforce)

    @property
    def shadow_reject_estimate(self) -> float | None:
        """Share of shadow admissions that would have been refused, corrected; None without data."""
        return self._reject_estimate(self.chat_admission.shadow)

    def _reject_estimate(self, seen: AdmissionOutcomes) -> float | None:
        rejects = seen.blocked + seen.contention_fallback
        sampled_pct = self.chat_admission.sampled_allowed_event_pct
        if sampled_pct <= 0 or rejects + seen.allowed == 0:
            return None
        return rejects / (rejects + seen.allowed * 100 / sampled_pct)

    # Exact or sampled?

    def truncated_sections(self, limit: int = SERVER_MAX_LIMIT) -> tuple[Truncated, ...]:
        """What was cut off, by the table "Exact or sampled?"; `limit` is the one that was asked for."""
        rows = min(max(1, limit), SERVER_MAX_LIMIT)
        pressure, jobs = self.rate_limit_pressure, self.tool_jobs
        parts = (
            (
                pressure.sampled_events >= 40 * rows,
                "rateLimitPressure",
                "undercount; the old part of the window is lost",
                True,
            ),
            (pressure.alerts_in_window >= 10 * rows, "rateLimitPressure.alertsInWindow", "undercount", True),
            (
                len(self.circuit_breakers.recent) >= rows,
                "circuitBreakers",
                "circuits updated longest ago are lost",
                False,
            ),
            (self.bulkheads.active_lease_count >= 1000, "bulkheads", "long leases are lost", True),
            (
                self.replay_protection.keys_in_window >= 1000,
                "replayProtection",
                "the newest keys are lost, which are the surge",
                True,
            ),
            (self.tool_cache.sampled_active_entries >= 5000, "toolCache", "longest-lived are lost", True),
            (jobs.sampled >= 5000, "toolJobs", "the oldest queued job is the first to be lost", True),
            (
                len(jobs.recent_dead_letters) >= rows,
                "toolJobs.recentDeadLetters",
                "older dead letters are lost",
                False,
            ),
            (
                self.tool_queue_alerts.alerts_in_window >= 5 * rows,
                "toolQueueAlerts",
                "undercount",
                True,
            ),
        )
        return tuple(Truncated(section, bias, certain) for cut, section, bias, certain in parts if cut)
