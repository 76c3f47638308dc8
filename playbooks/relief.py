"""What a knob is meant to relieve, and how long to wait before judging whether it did.

Pressures are read from the snapshots before and after, each in its own unit, more is worse; never from
``alertsInWindow``, which says that pressure was there, not that it is. Settle times: VERDICTS, "Tuning retest".
"""

from __future__ import annotations

from collections.abc import Sequence

from playbooks.change_set import Step
from playbooks.functions import WORKER
from playbooks.knobs import Knob, Value, effective, knob
from playbooks.steps import Family, family
from playbooks.tuning import PARTNER
from slo.retest import Pressure
from slo.snapshot import Snapshot
from slo.verdict import Unit

BUCKET_OF = {
    "RATE_LIMIT_CHAT_STREAM_MAX": "chat_stream",
    "RATE_LIMIT_GMAIL_PUSH_MAX": "gmail_push",
    "RATE_LIMIT_WHATSAPP_MAX": "whatsapp_webhook",
    "RATE_LIMIT_GMAIL_OAUTH_MAX": "gmail_oauth_callback",
    "RATE_LIMIT_WA_LINK_CODE_MAX": "whatsapp_linking_code",
}
"""The bucket of rate-limit events that a maximum bounds."""
TOOL_OF = {"WEB": "search_web", "PROD": "search_products", "GLOB": "search_global"}
QOS_TOOL = {"REALTIME": "WEB", "INTERACTIVE": "PROD", "BATCH": "GLOB"}
QUIET = {"refusals": 2.0, "leases": 0.5, "queue": 0.5, "queued": 5.0}
"""By the first word of a pressure's name: below this nothing presses. A single refusal, half of a bulkhead or a queue
in use, a handful of jobs that wait for the next claim: that is traffic, and it differs between any two looks."""
SETTLE_S = 30
"""Bulkheads, queue caps, and whatever has no time of its own."""


def settle_s(steps: Sequence[Step], snapshot: Snapshot) -> int:
    """Seconds until the effects of these steps show: the longest of theirs.

    A rate limit: one of its windows; a cool-down: one new cool-down; a cache version: none; the rest 30 s.
    """
    return max((_settle_s(knob(step.knob), step.after, snapshot) for step in steps), default=0)


def _settle_s(one: Knob, after: Value, snapshot: Snapshot) -> int:
    if one.name in BUCKET_OF:
        window = effective(snapshot, knob(one.name.removesuffix("_MAX") + "_WINDOW_MS"))
        return -(-window // 1000) if isinstance(window, int) else 300
    if one.type == "int" and family(one) is Family.COOLDOWN and isinstance(after, int):
        return -(-after // 1000)
    return 0 if one.family == "tool_cache" and one.type != "int" else SETTLE_S


def window_minutes(steps: Sequence[Step], snapshot: Snapshot) -> int | None:
    """The snapshot window in which these steps are judged: as long as they settle, None for the usual one.

    Refusals are counted over a window; one that reaches back before the change would hide what it did.
    """
    limits = [step for step in steps if step.knob in BUCKET_OF]
    return max(1, -(-settle_s(limits, snapshot) // 60)) if limits else None


def pressures(steps: Sequence[Step], before: Snapshot, after: Snapshot) -> tuple[Pressure, ...]:
    """What these steps are meant to relieve, in both snapshots; each once. A step down relieves nothing by itself."""
    found: dict[str, Pressure] = {}
    for step in steps:
        if not _relieves(step):
            continue
        for name, unit in _names(step.knob):
            if name not in found:
                quiet = QUIET.get(name.split(" ")[0], 0.0)
                sides = _read(name, before), _read(name, after)
                found[name] = Pressure(name=name, before=sides[0], after=sides[1], unit=unit, quiet=quiet)
    return tuple(found.values())


def _relieves(step: Step) -> bool:
    """A lease that comes down frees slots; every other number relieves by going up; a switch has no pressure."""
    if isinstance(step.after, bool) or not isinstance(step.after, int) or not isinstance(step.before, int):
        return False
    if family(knob(step.knob)) is Family.LEASE and "BULKHEAD" in step.knob:
        return step.after < step.before
    return step.after > step.before


def _names(name: str) -> tuple[tuple[str, Unit], ...]:
    """The pressures of a knob: a name that `_read` understands, and its unit."""
    if name in BUCKET_OF:
        return ((f"refusals of {BUCKET_OF[name]}", "count"),)
    path = (knob(name).snapshot_path or "").split(".")
    if name.startswith("BULKHEAD_") and path[1:2] == ["bulkheads"]:
        if path[2] == WORKER:
            return (("queued jobs", "count"),)
        return ((f"leases of {path[2]}", "rate"),)
    if path[1:2] == ["circuits"]:
        return ((f"open circuit of {path[2]}", "count"),)
    if name in PARTNER:
        word = name.rsplit("_", 1)[1]
        return ((f"queued {TOOL_OF[QOS_TOOL.get(word, word)]} jobs", "count"),)
    if name.startswith("TOOL_JOB_QMAX_"):
        return ((f"queue of {TOOL_OF[name.rsplit('_', 1)[1]]}", "rate"),)
    if name.startswith("TOOL_JOB_") and knob(name).playbooks:
        return (("queued jobs", "count"),)
    return ()


def _read(name: str, look: Snapshot) -> float | None:
    what, _, of = name.partition(" of ")
    match what:
        case "refusals":
            outcomes = look.rate_limit_pressure.by_bucket_outcome
            return sum(n for key, n in outcomes.items() if key.split(":")[0] == of and not key.endswith(":allowed"))
        case "leases":
            return look.bulkhead_utilization(of)
        case "open circuit":
            return float(any(row.provider == of for row in look.circuits_counted_open))
        case "queue":
            pressure = look.tool_jobs.pressure_by_tool.get(of)
            return pressure.queued_utilization if pressure else None
        case "queued jobs":
            return look.tool_jobs.by_status.queued
    counts = look.tool_jobs.by_tool.get(what.split(" ")[1])
    return counts.queued if counts else 0.0
