"""C. Bulkhead saturation: each provider against its own cap (Runbook, playbook C, signal and action 1).

Saturation counts when it is sustained: one look at full slots is only a reason for a second one. Leases older than a
call can take are leaked, not load, and need no second look. The tool queue's workers are playbook F's.
"""

from __future__ import annotations

from playbooks.facts import Facts
from playbooks.functions import LEFTOVER_PROVIDER, WORKER
from playbooks.judges.b_circuit import PRIMARY, SECONDARY
from playbooks.reading import Reading, Signal
from playbooks.thresholds import BulkheadSettings
from slo.snapshot import Snapshot

_SECOND_LOOK = "a second snapshot, some seconds later"


def judge(facts: Facts, settings: BulkheadSettings) -> Signal:
    """Fired by a provider at its cap now; sustained when an earlier look and all between agree."""
    now = facts.now
    if now is None:
        return Signal("C", "not judged", "no snapshot", missing=("snapshot",))
    cut = facts.truncated("bulkheads")
    used = {name: now.bulkhead_utilization(name) or 0.0 for name in now.config.bulkheads if name != WORKER}
    full = sorted((name for name, share in used.items() if share >= settings.full), key=lambda name: -_weight(name))
    readings = tuple(
        Reading(
            f"{name} leases",
            now.bulkheads.in_flight_by_provider.get(name, 0),
            now.config.bulkheads[name].max_concurrent,
            "leases",
            name in full,
            _oldest_ms(name, facts, now),
            cut is not None,
            _leak_note(name, facts, now, settings),
        )
        for name, share in used.items()
        if share > 0
    )
    if not full:
        if cut is not None:
            return Signal("C", "not judged", f"only some leases were counted: {cut}", None, 0, readings)
        spiked = any((look.bulkhead_utilization(name) or 0) >= settings.full for look in facts.looks for name in used)
        why = "a short spike, over now" if spiked else "every provider is below its cap"
        return Signal("C", "quiet", why, "spike" if spiked else None, 0.0, readings)
    top = next((name for name in full if _sustained(name, facts, settings)), full[0])
    in_flight, cap = now.bulkheads.in_flight_by_provider.get(top, 0), now.config.bulkheads[top].max_concurrent
    leased = f"`{top}` has {in_flight} of {cap} leases"
    unread = () if facts.leases is not None else (_leases_of(top),)
    if _leaked(top, facts, now, settings) >= settings.leaked_share * in_flight:
        why = f"{leased}, and most are older than a call can take: leaked, they end with their own life"
        return Signal("C", "fired", why, "leaked", _weight(top), readings)
    if not _sustained(top, facts, settings):
        why = f"{leased}: saturated now, needs a second look"
        return Signal("C", "fired", why, "once", _weight(top) * 0.6, readings, (_SECOND_LOOK, *unread))
    why = f"{leased}, over looks {facts.span_ms // 1000} s apart"
    return Signal("C", "fired", why, "sustained", _weight(top), readings, unread)


def _weight(provider: str) -> float:
    return {PRIMARY: 0.9, SECONDARY: 0.75, LEFTOVER_PROVIDER: 0.2}.get(provider, 0.7)


def _sustained(provider: str, facts: Facts, settings: BulkheadSettings) -> bool:
    """Full now and in every look back to one that is at least ``sustained_ms`` older."""
    newest = facts.looks[-1].generated_at
    for look in reversed(facts.looks):
        if (look.bulkhead_utilization(provider) or 0) < settings.full:
            return False
        if newest - look.generated_at >= settings.sustained_ms:
            return True
    return False


def call_limit_ms(provider: str, now: Snapshot, settings: BulkheadSettings) -> float:
    """How long a lease of this provider may be held by a call that still lives."""
    routes = now.config.chat_provider_routes
    timeouts = {
        PRIMARY: routes.primary_timeout_ms * (1 + routes.primary_retries),
        SECONDARY: routes.secondary_timeout_ms * (1 + routes.secondary_retries),
    }
    if provider in timeouts:
        return timeouts[provider] + settings.leaked_grace_ms
    return now.config.bulkheads[provider].lease_ttl_ms * settings.leaked_ttl_share


def _leaked(provider: str, facts: Facts, now: Snapshot, settings: BulkheadSettings) -> float:
    """Leases of the provider that outlived any call; -1 when the rows were not read."""
    if facts.leases is None:
        return -1
    limit_ms = call_limit_ms(provider, now, settings)
    return sum(lease.provider == provider and now.age_ms(lease.acquired_at) > limit_ms for lease in facts.leases)


def _leak_note(provider: str, facts: Facts, now: Snapshot, settings: BulkheadSettings) -> str:
    leaked = _leaked(provider, facts, now, settings)
    return f"{leaked:.0f} older than a call can take" if leaked > 0 else ""


def leaked_leases(provider: str, facts: Facts, settings: BulkheadSettings) -> int | None:
    """Leases that outlived any call; None when the rows were not read."""
    found = -1.0 if facts.now is None else _leaked(provider, facts, facts.now, settings)
    return None if found < 0 else int(found)


def _oldest_ms(provider: str, facts: Facts, now: Snapshot) -> int | None:
    ages = [now.age_ms(lease.acquired_at) for lease in facts.leases or () if lease.provider == provider]
    return max(ages, default=None)


def _leases_of(provider: str) -> str:
    return f'bulkhead:listInFlightByProvider {{"provider":"{provider}","limit":100}}'
