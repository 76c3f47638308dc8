"""E. Stale cached tool results: old answers although the upstream recovered (Runbook, playbook E, signal).

Counts of entries say nothing about staleness: only a fresh answer beside the cached one does.
"""

from __future__ import annotations

from playbooks.facts import Facts
from playbooks.reading import Reading, Signal
from playbooks.thresholds import CacheSettings

_COMPARE = "a fresh answer beside the cached one"


def judge(facts: Facts, settings: CacheSettings) -> Signal:
    """Fired when compared answers of a namespace in use differ from fresh ones."""
    now = facts.now
    if now is None:
        return Signal("E", "not judged", "no snapshot", missing=("snapshot",))
    cut = facts.truncated("toolCache")
    spaces = now.config.tool_cache_namespaces
    used = {name: now.tool_cache.by_namespace.get(name, 0) for name in (spaces.web_search, spaces.product_search)}
    readings = [
        Reading(f"{name} entries", count, None, "entries", sampled=cut is not None) for name, count in used.items()
    ]
    if facts.cached:
        for name in used:
            asked = [answer.differs for answer in facts.cached if answer.namespace == name]
            if not asked:
                continue
            share = sum(asked) / len(asked)
            readings.append(
                Reading(f"{name} stale answers", share, settings.stale_share, "rate", share >= settings.stale_share)
            )
        stale = [reading for reading in readings if reading.fired]
        if stale:
            namespace = stale[0].name.split()[0]
            why = f"cached answers of `{namespace}` differ from fresh ones"
            return Signal("E", "fired", why, "stale", 0.65, tuple(readings))
        return Signal("E", "quiet", "cached answers equal fresh ones", readings=tuple(readings))
    if cut is None and not any(used.values()):
        return Signal("E", "quiet", "nothing is cached in the namespaces in use", readings=tuple(readings))
    why = "counts do not tell stale from fresh"
    return Signal("E", "not judged", why, readings=tuple(readings), missing=(_COMPARE,))
