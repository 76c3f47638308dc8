"""B. Circuit opens: which provider is refused, and since when (Runbook, playbook B, signal).

Open in the table is not refused now: only a cool-down that still runs, or failures within the window, make an outage.
An idle circuit whose cool-down is long over is shown, and is not one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise

from playbooks.facts import Facts
from playbooks.functions import LEFTOVER_PROVIDER
from playbooks.reading import Reading, Signal
from playbooks.thresholds import CircuitSettings
from slo.snapshot import Circuit, Snapshot

PRIMARY, SECONDARY = "openrouter_chat_primary", "openrouter_chat_secondary"
CHAT = "chat_stream_http"


@dataclass(frozen=True)
class _Outage:
    """A circuit that matters: ``variant`` open, flapping, half_open, failing (cool-down just over), closing."""

    row: Circuit
    variant: str
    severity: float
    words: str


def judge(facts: Facts, settings: CircuitSettings) -> Signal:
    """Fired by a circuit that refuses, failed within the window, or flaps; or by chats that fail at the provider."""
    now = facts.now
    if now is None:
        return Signal("B", "not judged", "no snapshot", missing=("snapshot",))
    outages: list[_Outage] = []
    readings: list[Reading] = []
    for row in now.circuit_breakers.recent:
        outage = _outage(row, facts, now, settings)
        note = outage.words if outage else _calm(row, now)
        if outage:
            outages.append(outage)
        if outage or row.state != "closed":
            age_ms = now.age_ms(row.updated_at)
            readings.append(Reading(row.provider, row.state, "closed", "", outage is not None, age_ms, note=note))
    failing = _failing_chats(facts, settings)
    readings += failing
    if outages:
        outages.sort(key=lambda outage: (-outage.severity, outage.row.provider))
        top = outages[0]
        why = f"circuit `{top.row.provider}` {top.words}" + _failover(top.row.provider, now)
        severity = min(1.0, top.severity + 0.02 * (len(outages) - 1))
        return Signal("B", "fired", why, top.variant, severity, tuple(readings))
    if failing and PRIMARY not in now.full_bulkheads:
        why = "chats fail at the provider although no circuit is open"
        return Signal("B", "fired", why, "failing", 0.8, tuple(readings))
    stale = [reading.name for reading in readings if reading.value == "open"]
    why = f"no circuit refuses; {', '.join(stale)} only look open (idle since)" if stale else "no circuit is open"
    return Signal("B", "quiet", why, "stale-open" if stale else None, 0.0, tuple(readings))


def _outage(row: Circuit, facts: Facts, now: Snapshot, settings: CircuitSettings) -> _Outage | None:
    weight = settings.weight.get(row.provider)
    if weight is None:
        return None
    left_ms = (row.cooldown_until or 0) - now.generated_at
    failed_lately = now.in_window(row.last_failure_at)
    if row.state == "closed":
        return _just_closed(row, facts, weight)
    if not (failed_lately or (row.state == "open" and left_ms > 0)):
        return None
    if row.provider == PRIMARY and _failover_works(now):
        weight -= 0.1
    if _flapping(row.provider, facts):
        return _Outage(row, "flapping", min(1.0, weight + 0.03), "is flapping: it opened again after its cool-down")
    if row.state == "half_open":
        return _Outage(row, "half_open", weight * 0.85, "is half open: the next call decides")
    if left_ms > 0:
        return _Outage(row, "open", weight, f"is open and refuses for another {_seconds(left_ms)} s")
    words = f"is open; its cool-down is over for {_seconds(-left_ms)} s and it failed within the window"
    return _Outage(row, "failing", weight * 0.85, words)


def _just_closed(row: Circuit, facts: Facts, weight: float) -> _Outage | None:
    """Closed now, refusing in an earlier of these looks: a trial passed seconds ago, which flapping does too."""
    refused = any(row.provider == seen.provider for look in facts.looks[:-1] for seen in look.circuits_counted_open)
    if not refused:
        return None
    if _flapping(row.provider, facts):
        return _Outage(row, "flapping", weight, "is flapping: it opened again after its cool-down")
    return _Outage(row, "closing", weight * 0.7, "was open in an earlier look and closed since: look again")


def _calm(row: Circuit, now: Snapshot) -> str:
    if row.provider == LEFTOVER_PROVIDER:
        return "a leftover that no call uses"
    if row.state == "open" and row.cooldown_until is not None:
        over_ms = now.generated_at - row.cooldown_until
        return f"cool-down over for {over_ms // 60_000} min, not tested since: not an outage"
    return "no failure within the window: not an outage"


def _flapping(provider: str, facts: Facts) -> bool:
    """Opened again: after an earlier cool-down was over, out of half open, or after it was seen closed."""
    rows = [row for look in facts.looks for row in look.circuit_breakers.recent if row.provider == provider]
    opened = [row for row in rows if row.state == "open"]
    reopened = any(
        later.updated_at > earlier.updated_at and later.updated_at >= (earlier.cooldown_until or 0)
        for earlier, later in pairwise(opened)
    )
    states = [state for state, _ in groupby(row.state for row in rows)]
    return reopened or states.count("open") > 1 or ("half_open", "open") in pairwise(states)


def _failover_works(now: Snapshot) -> bool:
    secondary = [row for row in now.circuit_breakers.recent if row.provider == SECONDARY]
    return now.config.chat_gateway.provider_failover_enabled and all(row.state == "closed" for row in secondary)


def _failover(provider: str, now: Snapshot) -> str:
    if provider != PRIMARY:
        return ""
    if not now.config.chat_gateway.provider_failover_enabled:
        return "; failover is off, so chats fail"
    return "; chats take the secondary route" if _failover_works(now) else "; the secondary route is not healthy either"


def _failing_chats(facts: Facts, settings: CircuitSettings) -> list[Reading]:
    """Error codes of the drill's chat streams that point to the provider."""
    honest = facts.drill.honest if facts.drill else None
    scenario = honest.scenario(CHAT) if honest else None
    if scenario is None or scenario.pooled is None:
        return []
    codes = scenario.pooled.error_codes
    return [
        Reading(f"chat streams ended with {code}", codes[code], 0, "streams", fired=True)
        for code in settings.stream_errors
        if codes.get(code, 0) > 0
    ]


def _seconds(ms: int) -> int:
    """Whole seconds, rounded up."""
    return -(-ms // 1000)
