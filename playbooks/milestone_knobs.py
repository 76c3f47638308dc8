"""Which knobs to look at when a milestone failed, each with the line that is legal now (Runbook, playbook H, action 4).

The first cause of an honest failure is arithmetic: 30 chats in 5 minutes for each user are few beside thousands of
streams (operator-commands.md section 12, 23). What more users cure needs no change of a protection and is told first.
Pure: nothing is proposed here, the lines are for a person.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from playbooks.change_set import Standing, line_of
from playbooks.judges.b_circuit import PRIMARY
from playbooks.judges.f_tool_queue import CAPS_OF, busiest
from playbooks.knobs import effective, knob
from playbooks.tuning import legal
from slo.authpool import COVERAGE, FRESH, SIZE
from slo.snapshot import Snapshot

BUCKET, ADMISSION = "chat_stream", "chat_admission"
LIMIT, WINDOW = "RATE_LIMIT_CHAT_STREAM_MAX", "RATE_LIMIT_CHAT_STREAM_WINDOW_MS"
COOLDOWN, SLOTS = "CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS", "BULKHEAD_OR_PRI_MAX_CONCURRENT"
FAILOVER = "FF_PROVIDER_FAILOVER_ENABLED"
ADMISSIONS = {
    "user_inflight": "ADMISSION_USER_MAX_INFLIGHT",
    "global_inflight": "ADMISSION_GLOBAL_MAX_INFLIGHT",
    "global_msg_rate": "ADMISSION_GLOBAL_MAX_MSG_PER_SEC",
    "global_tool_rate": "ADMISSION_GLOBAL_MAX_TOOL_PER_SEC",
}
"""The maximum behind each reason of a refused admission."""
BUSY = 0.8
MOST_USERS = 1_000
_REFUSED = frozenset({"429_rate", "2xx_success_rate", "stream_success_rate"})
_SLOW = frozenset({"p95_completion_latency", "p95_first_token_latency", "stream_success_rate", "5xx_rate"})


@dataclass(frozen=True)
class Load:
    """What was sent: ``users`` of the pool, ``chats`` in all, over ``took_ms``; ``refused`` of them with a 429."""

    users: int
    chats: int
    took_ms: float
    refused: int = 0


@dataclass(frozen=True)
class Advice:
    """One thing to look at, and the line that would do it; empty where a person must look first."""

    text: str
    line: str = ""


def advise(red: Collection[str], now: Snapshot | None, load: Load | None, needed_users: int) -> tuple[Advice, ...]:
    """For the checks that are red (by name), with the snapshot after the drill: the most likely cause first."""
    found: list[Advice] = []
    if {SIZE, COVERAGE, FRESH} & set(red):
        found.append(Advice(f"the pool needs {needed_users} users whose tokens hold", f"pool --count={needed_users}"))
    if now is not None:
        if _REFUSED & set(red) and load is not None and load.refused:
            found += _refused(now, load)
        if {"sustained_open_circuits", *_SLOW} & set(red):
            found += _provider(now)
        if "oldest_queued_job_age" in red:
            found += _queue(now)
    return tuple(dict.fromkeys(found))


def _refused(now: Snapshot, load: Load) -> Iterator[Advice]:
    """429: by the limit for each user, or by admission; the events of the snapshot tell which."""
    by_reason = now.rate_limit_pressure.by_bucket_outcome_reason
    reasons = [name for name in ADMISSIONS if any(ADMISSION in key and key.endswith(name) for key in by_reason)]
    for reason in reasons:
        yield _step(now, (ADMISSIONS[reason],), f"admission refused chats ({reason})")
    most, window = effective(now, knob(LIMIT)), effective(now, knob(WINDOW))
    limited = any(key.startswith(f"{BUCKET}:") and not key.endswith(":allowed") for key in _outcomes(now))
    if not isinstance(most, int) or not isinstance(window, int) or (reasons and not limited):
        return
    # A window takes as many chats as arrive in it; a shorter drill falls into one.
    per_window = load.chats * min(1.0, window / max(load.took_ms, 1.0))
    each, needed = math.ceil(per_window / max(load.users, 1)), math.ceil(per_window / most)
    minutes = f"{window / 60_000:g} min"
    if each > most and needed <= MOST_USERS:
        text = f"{load.users} users sent about {each} chats each in {minutes}; {LIMIT} is {most}: {needed} users fit in"
        yield Advice(text, f"pool --count={needed}")
    yield _step(now, (LIMIT,), f"or more for each user: {LIMIT} is {most} in {minutes}")


def _outcomes(now: Snapshot) -> Collection[str]:
    return now.rate_limit_pressure.by_bucket_outcome


def _provider(now: Snapshot) -> Iterator[Advice]:
    """The model's route: a circuit that refuses, slots that are used up, no second route (playbooks B and C)."""
    counted = {row.provider for row in now.circuits_counted_open}
    if PRIMARY in counted:
        yield _step(now, (COOLDOWN,), f"circuit {PRIMARY} is open: a longer cool-down first (playbook B, action 4)")
        if not now.config.chat_gateway.provider_failover_enabled:
            text = f"there is no second route: {FAILOVER} is false (playbook B, action 5)"
            yield Advice(text, line_of({FAILOVER: "true"}))
    if (now.bulkhead_utilization(PRIMARY) or 0) >= BUSY:
        share = round(100 * (now.bulkhead_utilization(PRIMARY) or 0))
        yield _step(now, (SLOTS,), f"{share}% of the slots of {PRIMARY} are in use (playbook C, action 2)")


def _queue(now: Snapshot) -> Iterator[Advice]:
    tool = busiest(now)
    caps = CAPS_OF.get(tool, ())
    if caps:
        yield _step(now, caps, f"jobs of {tool} wait (playbook F, action 2)")


def _step(now: Snapshot, names: tuple[str, ...], why: str) -> Advice:
    """The largest lawful step up of these knobs together, as a line; without one the reason stands alone."""
    texts = {}
    for name in names:
        value = effective(now, knob(name))
        reach = legal(name, Standing(None, value)) if value is not None else None
        if reach is None or reach.high == reach.old:
            return Advice(f"{why}; no lawful step up is left")
        texts[name] = str(reach.high)
    return Advice(f"{why}; one change may lead to {' and '.join(texts.values())}", line_of(texts))
