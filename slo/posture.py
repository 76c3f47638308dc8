"""Judge a snapshot alone: the release gate's seven checks, read correctly.

VERDICTS, "Gate": circuits count only while they refuse or failed within the window, bulkheads against
their own caps, failed jobs within the window. What the original counts stands beside each check.
"""

from __future__ import annotations

from slo.policy import GatePolicy, Ownership
from slo.snapshot import SERVER_MAX_LIMIT, Snapshot
from slo.verdict import SNAPSHOT, Check, Judgement, Unit, Verdict, sum_up
from slo.verdict import judge as check

MAX_AGE_MS = 120_000
"""A snapshot older than this at judgement decides nothing."""


def judge(
    snapshot: Snapshot,
    policy: GatePolicy,
    ownership: Ownership,
    *,
    now_ms: int,
    before: Snapshot | None = None,
    limit: int = SERVER_MAX_LIMIT,
    failed_in_window: int | None = None,
) -> Judgement:
    """The posture at `now_ms` (milliseconds UTC).

    `before` is the snapshot from before a drill: then a bulkhead is red only when full in both.
    `limit` is the one the snapshot was asked with; `failed_in_window` an exact count of dead letters in the
    window, for when the snapshot's own list is too short to tell.
    """
    limits = policy.snapshot
    cut = {item.section: item.bias for item in snapshot.truncated_sections(limit) if item.certain}
    jobs = snapshot.tool_jobs

    def made(
        name: str,
        value: float | None,
        most: float,
        *,
        original: bool,
        unit: Unit = "count",
        reason: str = "",
        section: str | None = None,
    ) -> Check:
        result = check(
            name,
            value,
            most,
            scope=SNAPSHOT,
            unit=unit,
            owner=ownership.owner_of(f"snapshot:{name}"),
            reason=reason,
            original=original,
        )
        if section in cut and result.verdict is Verdict.PASS:
            # A lower bound under the limit proves nothing; one over the limit proves enough.
            why = f"the snapshot was cut off ({section}): {cut[section]}"
            return result.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": why})
        return result

    full = _full_bulkheads(snapshot, before)
    failed, failed_why = _failed(snapshot, limits.max_failed_tool_jobs, limit, failed_in_window)
    capacity_limit = max(limits.max_bulkhead_active_leases, snapshot.bulkhead_capacity)
    checks = (
        made(
            "open_circuits",
            len(snapshot.circuits_counted_open),
            limits.max_open_circuits,
            original=snapshot.circuit_breakers.open_count <= limits.max_open_circuits,
            reason=_circuits_reason(snapshot),
        ),
        made(
            "rate_limit_alerts_window",
            snapshot.rate_limit_pressure.alerts_in_window,
            limits.max_rate_limit_alerts_in_window,
            original=snapshot.rate_limit_pressure.alerts_in_window <= limits.max_rate_limit_alerts_in_window,
            section="rateLimitPressure.alertsInWindow",
        ),
        made(
            "bulkhead_active_leases",
            len(full),
            0,
            original=snapshot.bulkheads.active_lease_count <= capacity_limit,
            reason=_bulkheads_reason(snapshot, full, before),
            section="bulkheads",
        ),
        made(
            "tool_jobs_queued",
            jobs.by_status.queued,
            limits.max_queued_tool_jobs,
            original=jobs.by_status.queued <= limits.max_queued_tool_jobs,
            section="toolJobs",
        ),
        made(
            "tool_jobs_failed",
            failed,
            limits.max_failed_tool_jobs,
            original=jobs.by_status.failed <= limits.max_failed_tool_jobs,
            reason=failed_why,
        ),
        made(
            "tool_jobs_oldest_queued_age",
            snapshot.oldest_queued_age_ms,
            limits.max_oldest_queued_age_ms,
            original=jobs.oldest_queued_age_ms <= limits.max_oldest_queued_age_ms,
            unit="ms",
            section="toolJobs",
        ),
        made(
            "tool_jobs_oldest_running_age",
            snapshot.oldest_running_age_ms,
            limits.max_oldest_running_age_ms,
            original=jobs.oldest_running_age_ms <= limits.max_oldest_running_age_ms,
            unit="ms",
            section="toolJobs",
        ),
    )
    reason = stale(snapshot, now_ms)
    return sum_up(
        checks,
        original_rule=all(item.original for item in checks),
        reason=reason,
        also=(Verdict.INCOMPLETE,) if reason else (),
    )


def stale(snapshot: Snapshot, now_ms: int) -> str:
    """Why this snapshot is of no use at `now_ms`, or the empty text."""
    age_ms = now_ms - snapshot.generated_at
    if age_ms > MAX_AGE_MS:
        return f"the snapshot is {age_ms // 1000} s old at judgement (at most {MAX_AGE_MS // 1000} s)"
    if age_ms < -MAX_AGE_MS:
        return f"the deployment's clock is {-age_ms // 1000} s ahead of ours: ages cannot be judged"
    return ""


def _circuits_reason(snapshot: Snapshot) -> str:
    parts = []
    if counted := snapshot.circuits_counted_open:
        parts.append(f"open: {', '.join(row.provider for row in counted)}")
    if idle := snapshot.circuits_stale_open:
        parts.append(f"stale-open, waiting for a call to test them: {', '.join(row.provider for row in idle)}")
    if snapshot.circuit_breakers.open_count != len(snapshot.circuits_counted_open):
        parts.append(f"the table says {snapshot.circuit_breakers.open_count} open")
    return "; ".join(parts)


def _full_bulkheads(snapshot: Snapshot, before: Snapshot | None) -> tuple[str, ...]:
    full = snapshot.full_bulkheads
    if before is None:
        return full
    return tuple(provider for provider in full if provider in before.full_bulkheads)


def _bulkheads_reason(snapshot: Snapshot, full: tuple[str, ...], before: Snapshot | None) -> str:
    def load(provider: str) -> str:
        used = snapshot.bulkheads.in_flight_by_provider.get(provider, 0)
        return f"{provider} {used}/{snapshot.config.bulkheads[provider].max_concurrent}"

    parts = [f"full: {', '.join(load(provider) for provider in full)}"] if full else []
    new = [provider for provider in snapshot.full_bulkheads if provider not in full]
    if new and before is not None:
        parts.append(f"full only after the drill: {', '.join(load(provider) for provider in new)}")
    if unknown := sorted(set(snapshot.bulkheads.in_flight_by_provider) - set(snapshot.config.bulkheads)):
        parts.append(f"no cap known for {', '.join(unknown)}")
    return "; ".join(parts)


def _failed(snapshot: Snapshot, most: int, limit: int, exact: int | None) -> tuple[float | None, str]:
    """Dead letters of the window, and a note; None when the list is too short to tell."""
    total = snapshot.tool_jobs.by_status.failed
    note = f"{total} in total (7 days)" if total else ""
    if exact is not None:
        return exact, note
    listed = snapshot.tool_jobs.recent_dead_letters
    recent = len(snapshot.dead_letters_in_window)
    rows = min(max(1, limit), SERVER_MAX_LIMIT)
    if len(listed) < rows or recent < len(listed) or recent > most or total <= most:
        return recent, note
    return None, f"at least {recent} in the window, {total} in total: the list of {rows} is too short to tell"
