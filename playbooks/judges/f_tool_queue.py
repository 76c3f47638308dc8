"""F. Tool queue backlog: jobs that wait too long, and why (Runbook, playbook F, signal and action 1).

Five causes look alike from afar. They are told apart in this order: worker slots that leaked, an upstream that fails,
nobody who drains, running caps that are reached, and a plain backlog.
"""

from __future__ import annotations

from itertools import pairwise

from playbooks.facts import Facts
from playbooks.functions import WORKER
from playbooks.reading import Reading, Signal
from playbooks.thresholds import QueueSettings
from slo.snapshot import Snapshot

CIRCUIT_OF = {"search_web": "serper_search", "search_products": "ebay_search", "search_global": "global_search"}
"""The provider a tool calls."""
CAPS_OF = {
    "search_web": ("TOOL_JOB_RUNMAX_WEB", "TOOL_JOB_RUNMAX_QOS_REALTIME"),
    "search_products": ("TOOL_JOB_RUNMAX_PROD", "TOOL_JOB_RUNMAX_QOS_INTERACTIVE"),
    "search_global": ("TOOL_JOB_RUNMAX_GLOB", "TOOL_JOB_RUNMAX_QOS_BATCH"),
}
"""The running caps of a tool and of its QoS class: both are applied, so both move together."""
UPSTREAM_SEVERITY = 0.66
_WORDS = {
    "leaked_slots": "all worker slots are taken and hardly a job runs: slots leaked",
    "upstream": "the jobs fail at the upstream",
    "no_drain": "nothing runs and no worker drains the queue",
    "caps": "the running caps are reached",
    "backlog": "more jobs come than are worked off",
}


def judge(facts: Facts, settings: QueueSettings) -> Signal:
    """Fired by a job that waits too long, a queue near its cap or rising, jobs in back-off, or new dead letters."""
    now = facts.now
    if now is None:
        return Signal("F", "not judged", "no snapshot", missing=("snapshot",))
    cut = facts.truncated("toolJobs")
    readings = _readings(facts, now, settings, sampled=cut is not None)
    if not any(reading.fired for reading in readings):
        if cut is not None:
            stats = 'toolJobs:getQueueStats {"limit":20000}'
            why = f"only the newest jobs were counted: {cut}"
            return Signal("F", "not judged", why, None, 0, readings, (stats,))
        why = "the queue drains"
        if now.tool_jobs.by_status.dead_letter:
            why = f"the queue drains; its {now.tool_jobs.by_status.dead_letter} dead letters are old"
        return Signal("F", "quiet", why, None, 0, readings)
    variant = _variant(facts, now, settings)
    tool = busiest(now)
    why = f"{_waiting(now)}: {_WORDS[variant]}"
    if variant == "caps":
        why += f" for `{tool}`; raise `{'` and `'.join(CAPS_OF.get(tool, ()))}` together, one alone changes nothing"
    missing = () if len(facts.looks) > 1 else ("a second snapshot, to see whether it drains",)
    return Signal("F", "fired", why, variant, _severity(now, readings, variant, settings), readings, missing)


def _readings(facts: Facts, now: Snapshot, settings: QueueSettings, *, sampled: bool) -> tuple[Reading, ...]:
    jobs, limits = now.tool_jobs, now.config.tool_queue_alerts
    rising, rising_note = _rising(facts, settings)
    waiting = jobs.oldest_queued_age_ms < 0
    fresh = len(now.dead_letters_in_window)
    slots = now.config.bulkheads[WORKER].max_concurrent if WORKER in now.config.bulkheads else None
    readings = [
        Reading(
            "queued jobs",
            jobs.by_status.queued,
            limits.max_queued_jobs,
            "jobs",
            jobs.by_status.queued > limits.max_queued_jobs or rising or _stuck(facts, settings),
            sampled=sampled,
            note=rising_note,
        ),
        Reading(
            "oldest queued job",
            now.oldest_queued_age_ms,
            limits.max_oldest_queued_age_ms,
            "ms",
            now.oldest_queued_age_ms > limits.max_oldest_queued_age_ms
            or (waiting and jobs.by_status.queued >= settings.backoff_jobs),
            sampled=sampled,
            note="all queued jobs wait for their back-off" if waiting else "",
        ),
        Reading(
            "oldest running job",
            now.oldest_running_age_ms,
            limits.max_oldest_running_age_ms,
            "ms",
            now.oldest_running_age_ms > limits.max_oldest_running_age_ms,
            sampled=sampled,
        ),
        Reading(
            "dead letters of this window",
            fresh,
            settings.upstream_dead_letters,
            "jobs",
            _upstream_fails(now, settings),
            note=f"{jobs.by_status.dead_letter} in all, kept for 7 days",
        ),
        Reading(
            "worker slots",
            now.bulkheads.in_flight_by_provider.get(WORKER, 0),
            slots,
            "leases",
            len(facts.looks) > 1
            and all(_slots_leaked(look) and look.tool_jobs.by_status.queued for look in facts.looks),
        ),
    ]
    for tool, pressure in jobs.pressure_by_tool.items():
        high = pressure.queued_utilization >= settings.queued_utilization
        if high or pressure.queued_utilization > 0:
            cap = settings.queued_utilization
            readings.append(Reading(f"{tool} queue", pressure.queued_utilization, cap, "rate", high, sampled=sampled))
    return tuple(readings)


def _rising(facts: Facts, settings: QueueSettings) -> tuple[bool, str]:
    """Whether the queue grew from look to look over a time that says something; and the words for it."""
    queued = [look.tool_jobs.by_status.queued for look in facts.looks]
    if len(queued) < 2:
        return False, ""
    change = queued[-1] - queued[0]
    grew = change > 0 and all(later >= earlier for earlier, later in pairwise(queued))
    long_enough = facts.span_ms >= settings.rising_ms and queued[-1] >= settings.rising_queued
    word = "rising" if change > 0 else "draining" if change < 0 else "not draining"
    return grew and long_enough, f"{word}: {' → '.join(map(str, queued))}" if any(queued) else ""


def _stuck(facts: Facts, settings: QueueSettings) -> bool:
    """Jobs that could run and nobody works on, look after look: an accepted job starts its drain at once."""
    return (
        len(facts.looks) > 1
        and facts.span_ms >= settings.rising_ms
        and all(
            look.tool_jobs.by_status.queued >= settings.stuck_jobs
            and look.tool_jobs.by_status.running == 0
            and WORKER not in look.bulkheads.in_flight_by_provider
            for look in facts.looks
        )
        and facts.looks[-1].oldest_queued_age_ms >= facts.span_ms
    )


def _slots_leaked(look: Snapshot) -> bool:
    """All worker slots taken, and for most of them no job runs."""
    taken = look.bulkheads.in_flight_by_provider.get(WORKER, 0)
    slots = look.config.bulkheads[WORKER].max_concurrent if WORKER in look.config.bulkheads else 0
    return slots > 0 and taken >= slots and look.tool_jobs.by_status.running * 2 <= taken


def _variant(facts: Facts, now: Snapshot, settings: QueueSettings) -> str:
    jobs = now.tool_jobs
    taken = now.bulkheads.in_flight_by_provider.get(WORKER, 0)
    if _slots_leaked(now):
        return "leaked_slots"
    tool = busiest(now)
    pressures = (look.tool_jobs.pressure_by_tool.get(tool) for look in facts.looks)
    at_cap = any(pressure is not None and pressure.running_utilization >= 1 for pressure in pressures)
    if _circuit_fails(tool, now) or jobs.oldest_queued_age_ms < 0 or (not at_cap and _upstream_fails(now, settings)):
        return "upstream"
    if taken == 0 and jobs.by_status.running == 0:
        return "no_drain"
    return "caps" if at_cap else "backlog"


def _upstream_fails(now: Snapshot, settings: QueueSettings) -> bool:
    return len(now.dead_letters_in_window) >= settings.upstream_dead_letters


def _circuit_fails(tool: str, now: Snapshot) -> bool:
    """Whether the circuit of the tool's provider is not closed, and not merely idle."""
    return any(
        row.provider == CIRCUIT_OF.get(tool)
        and (row in now.circuits_counted_open or (row.state == "half_open" and now.in_window(row.last_failure_at)))
        for row in now.circuit_breakers.recent
    )


def busiest(now: Snapshot) -> str:
    """The tool with the most queued jobs; with dead letters when none is queued."""
    tools = now.tool_jobs.by_tool
    return max(sorted(tools), key=lambda tool: (tools[tool].queued, tools[tool].dead_letter), default="")


def _waiting(now: Snapshot) -> str:
    queued = now.tool_jobs.by_status.queued
    if not queued:
        return f"no job waits, {len(now.dead_letters_in_window)} dead letters of this window"
    return f"{queued} job{'s' if queued > 1 else ''} wait{'' if queued > 1 else 's'}, the oldest {_age(now)}"


def _age(now: Snapshot) -> str:
    return f"{now.oldest_queued_age_ms / 1000:.0f} s"


def _severity(now: Snapshot, readings: tuple[Reading, ...], variant: str, settings: QueueSettings) -> float:
    """A few stuck jobs rank below an open chat circuit; a queue that refuses new jobs ranks near the top.

    Jobs that fail at the upstream rank above that search provider's own circuit: action 1 of F looks at it anyway.
    """
    fill = max((p.queued_utilization for p in now.tool_jobs.pressure_by_tool.values()), default=0.0)
    limits = now.config.tool_queue_alerts
    late = min(1.0, now.oldest_queued_age_ms / max(1, limits.max_oldest_queued_age_ms) / 5)
    severity = 0.5 + 0.3 * min(1.0, fill) + 0.1 * late
    if now.tool_jobs.by_status.dead_letter > limits.max_dead_letter_jobs:
        severity += 0.05
    if variant == "upstream":
        severity = max(severity, UPSTREAM_SEVERITY)
    return min(0.92, severity + (0.05 if variant == "leaked_slots" else 0.0))
