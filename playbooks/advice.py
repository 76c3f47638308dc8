"""Whether a step of a page is for now: what the signal says against it, and which knobs it is about (pure).

The page keeps the runbook's order, and a person may take any step. But a step that the runbook makes conditional ("if
it is flapping", "if the traffic is legitimate", "if the dead-letter backlog grows") is proposed only when its condition
holds; otherwise the card says why not, and leads to the next step whose condition does (Runbook, playbooks A to F;
contract, "Runbook against code").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from playbooks.facts import Facts
from playbooks.functions import WORKER
from playbooks.judges.b_circuit import PRIMARY, SECONDARY
from playbooks.judges.f_tool_queue import CAPS_OF, CIRCUIT_OF, busiest
from playbooks.knobs import effective, knob
from playbooks.reading import Signal
from playbooks.relief import BUCKET_OF
from slo.snapshot import Snapshot

GMAIL = "gmail_oauth"
BUSY = 0.8
"""From this share of its slots a bulkhead is short of them."""
COOLDOWN_S = 60
"""The shortest time in which a circuit can be seen to open again: one cool-down of the primary route."""
_KNOB_OF = {bucket: name for name, bucket in BUCKET_OF.items()}
_WEBHOOKS = ("gmail_push", "whatsapp_webhook")
_NOT_ABUSE: Mapping[str, str] = {
    "legitimate": "it looks like legitimate traffic, not abuse",
    "contention": "this is contention: many writes to one key, not abuse",
    "redis": "Redis does not answer: nobody asks too often",
}
_LIMITS_STAY: Mapping[str, str] = {
    "abusive": "this is abuse: the limits stay, a higher one lets more of it in",
    "contention": "more limit does not cure contention: find the key that many write at once",
    "redis": "no limit is at fault: Redis does not answer",
}


def against(step: int, signal: Signal, facts: Facts) -> str:
    """What speaks against taking this step of the signal's page now; empty when nothing does, or nothing is known."""
    now, judge = facts.now, _JUDGES.get((signal.letter, step))
    return judge(signal, facts, now) if judge is not None and now is not None else ""


def focus(step: int, signal: Signal, now: Snapshot) -> tuple[str, ...]:
    """The knobs that this step is about as things stand, where the signal alone does not name them."""
    match signal.letter, step:
        case "D", 4:
            return (*_refused_knobs(now), *_short_of_slots(now))
        case "E", 2:
            return _stale_versions(signal, now)
        case "F", 2 if signal.variant == "leaked_slots":
            return ("BULKHEAD_TOOL_JOB_MAX",)
        case "F", 2 if signal.variant == "backlog":
            return CAPS_OF.get(busiest(now), ())
    return ()


def _abuse(signal: Signal, facts: Facts, now: Snapshot) -> str:
    return _NOT_ABUSE.get(signal.variant or "", "")


def _limits(signal: Signal, facts: Facts, now: Snapshot) -> str:
    if signal.state == "quiet":
        return "nobody is refused more than usual: no limit is too low"
    return _LIMITS_STAY.get(signal.variant or "", "")


def _cooldown(signal: Signal, facts: Facts, now: Snapshot) -> str:
    if signal.variant == "flapping":
        return ""
    if signal.state == "quiet":
        return "no circuit refuses: no cool-down is too short"
    looks, span_s = len(facts.looks), facts.span_ms // 1000
    if span_s < COOLDOWN_S:
        return f"not seen flapping, but {span_s} s of looks span no cool-down: watch it to tell"
    return f"not flapping in {looks} looks over {span_s} s: a longer cool-down cures nothing"


def _failover(signal: Signal, facts: Facts, now: Snapshot) -> str:
    primary = next((row for row in now.circuit_breakers.recent if row.provider == PRIMARY), None)
    degraded = primary is not None and (primary in now.circuits_counted_open or primary.state == "half_open")
    told = signal.fired and (PRIMARY in signal.why or "chats fail" in signal.why)
    if not (degraded or told):
        return "the primary route is not degraded"
    if now.config.chat_gateway.provider_failover_enabled:
        return "FF_PROVIDER_FAILOVER_ENABLED is true already"
    second = next((row for row in now.circuits_counted_open if row.provider == SECONDARY), None)
    if second is not None:
        return f"the secondary route is not healthy: circuit {SECONDARY} is open too"
    return ""


def _concurrency(signal: Signal, facts: Facts, now: Snapshot) -> str:
    return {
        "leaked": "the slots are leaked, not used: more of them fill up again (step 3)",
        "once": "one look does not tell a spike from saturation: look again",
        "spike": "it was a short spike, and is over",
    }.get(signal.variant or "", "every provider is below its own cap" if signal.state == "quiet" else "")


def _lease_life(signal: Signal, facts: Facts, now: Snapshot) -> str:
    if signal.variant == "leaked":
        return ""
    return "no lease outlived a call: its life is not the cause"


def _webhook_capacity(signal: Signal, facts: Facts, now: Snapshot) -> str:
    if focus(4, signal, now):
        return ""
    return "no webhook is refused and no slot is short: capacity is not why the sender repeats"


def _namespace(signal: Signal, facts: Facts, now: Snapshot) -> str:
    return signal.why if signal.state == "quiet" else ""


def _version(signal: Signal, facts: Facts, now: Snapshot) -> str:
    return "" if signal.state != "quiet" else "only if it should persist across deploys"


def _workers(signal: Signal, facts: Facts, now: Snapshot) -> str:
    if signal.state == "quiet":
        return "the queue drains: capacity is not short"
    return {
        "upstream": "the upstream fails: capacity does not help",
        "no_drain": "nobody drains: capacity changes nothing (step 6)",
    }.get(signal.variant or "", "")


def _monitor(signal: Signal, facts: Facts, now: Snapshot) -> str:
    if signal.variant in ("no_drain", "leaked_slots"):
        return "it runs by itself every 5 minutes, and moves no job (step 6 does)"
    return "it runs by itself every 5 minutes: the upstream first" if signal.variant == "upstream" else ""


def _queue_caps(signal: Signal, facts: Facts, now: Snapshot) -> str:
    near = any(reading.fired and reading.name.endswith(" queue") for reading in signal.readings)
    return "" if near else "no tool's queue is near its cap"


def _time_outs(signal: Signal, facts: Facts, now: Snapshot) -> str:
    lease = effective(now, knob("TOOL_JOB_LEASE_MS"))
    if not isinstance(lease, int) or now.oldest_running_age_ms >= lease:
        return ""
    return (
        f"no job outlives its lease: the oldest runs {now.oldest_running_age_ms / 1000:.0f} s of {lease / 1000:.0f} s"
    )


def _requeue(signal: Signal, facts: Facts, now: Snapshot) -> str:
    jobs = now.tool_jobs.by_status
    if signal.variant == "leaked_slots":
        return "every worker slot is taken: a drain would be skipped, wait a minute"
    if signal.variant in ("caps", "backlog"):
        return "the workers run at their caps as it is: requeue when the queue drains"
    if not jobs.dead_letter:
        return "" if jobs.queued else "no dead letters, and nothing is queued"
    if failing := upstreams_failing(now):
        return f"{failing[0]} still fails: requeued now, the jobs come straight back (playbook B first)"
    return ""


def first(signal: Signal) -> str:
    """The playbook that comes before this one, empty when none does: jobs that fail at their provider are B's."""
    return "B" if (signal.letter, signal.variant) == ("F", "upstream") else ""


def drains_in_vain(now: Snapshot) -> str:
    """The provider that refuses every job that is queued: drained now, they all die; empty when some would run."""
    tools = [tool for tool, counts in now.tool_jobs.by_tool.items() if counts.queued]
    refusing = {row.provider for row in now.circuits_refusing_now}
    behind = [CIRCUIT_OF.get(tool, "") for tool in tools]
    return behind[0] if behind and all(provider in refusing for provider in behind) else ""


def upstreams_failing(now: Snapshot) -> tuple[str, ...]:
    """Providers of tools that refuse, or whose circuit failed within the window and has not closed since."""
    counted = {row.provider for row in now.circuits_counted_open}
    half = {
        r.provider for r in now.circuit_breakers.recent if r.state == "half_open" and now.in_window(r.last_failure_at)
    }
    return tuple(provider for provider in CIRCUIT_OF.values() if provider in counted | half)


def _refused_knobs(now: Snapshot) -> tuple[str, ...]:
    outcomes = now.rate_limit_pressure.by_bucket_outcome
    return tuple(_KNOB_OF[bucket] for bucket in _WEBHOOKS if outcomes.get(f"{bucket}:blocked", 0))


def _stale_versions(signal: Signal, now: Snapshot) -> tuple[str, ...]:
    spaces = now.config.tool_cache_namespaces
    knobs = {
        spaces.web_search: "TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION",
        spaces.product_search: "TOOL_CACHE_PRODUCTS_NS_VER",
    }
    stale = {reading.name.split()[0] for reading in signal.readings if reading.fired}
    return tuple(name for space, name in knobs.items() if space in stale)


def _short_of_slots(now: Snapshot) -> tuple[str, ...]:
    return ("BULKHEAD_GMAIL_OAUTH_MAX_CONCURRENT",) if (now.bulkhead_utilization(GMAIL) or 0) >= BUSY else ()


_JUDGES: Mapping[tuple[str, int], Callable[[Signal, Facts, Snapshot], str]] = {
    ("A", 2): _abuse,
    ("A", 3): _limits,
    ("B", 4): _cooldown,
    ("B", 5): _failover,
    ("C", 2): _concurrency,
    ("C", 3): _lease_life,
    ("D", 4): _webhook_capacity,
    ("E", 1): _namespace,
    ("E", 2): _version,
    ("F", 2): _workers,
    ("F", 3): _queue_caps,
    ("F", 4): _monitor,
    ("F", 5): _time_outs,
    ("F", 6): _requeue,
}
"""By letter and number of the step; a test holds them against the pages."""

QUEUE_CAUSES: Mapping[str, str] = {
    "caps": "capacity: the running caps are reached",
    "backlog": "capacity: more jobs come than are worked off",
    "upstream": "upstream: the jobs fail at their provider",
    "no_drain": "neither: nobody drains the queue, which is normal without traffic",
    "leaked_slots": "neither: worker slots leaked, they end within a minute",
}
"""Playbook F, action 1, in one line: worker saturation, upstream failure, or what only looks like it."""


def queue_cause(signal: Signal, now: Snapshot) -> str:
    """Capacity, upstream, or neither, with the numbers that say so."""
    if not signal.fired:
        return f"neither: {signal.why}"
    taken = now.bulkheads.in_flight_by_provider.get(WORKER, 0)
    slots = now.config.bulkheads[WORKER].max_concurrent if WORKER in now.config.bulkheads else 0
    words = QUEUE_CAUSES.get(signal.variant or "", signal.why)
    tool = busiest(now)
    running = now.tool_jobs.by_tool[tool].running if tool in now.tool_jobs.by_tool else 0
    return f"{words} ({tool or 'no tool'}: {running} running; {taken} of {slots} worker slots taken)"
