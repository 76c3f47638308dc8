"""D. Webhook replay surge: messages delivered again and again (Runbook, playbook D, signal).

The snapshot counts only keys first seen inside its window, so a loud older key shows in the rows alone.
"""

from __future__ import annotations

from playbooks.facts import Facts, ReplayKey
from playbooks.functions import SCOPES
from playbooks.reading import Reading, Signal
from playbooks.thresholds import ReplaySettings
from slo.snapshot import ReplayScope, Snapshot

_ROWS = tuple(f'idempotency:listRecentByScope {{"scope":"{scope}","limit":200}}' for scope in SCOPES)


def judge(facts: Facts, settings: ReplaySettings) -> Signal:
    """Fired by duplicate hits of a scope, in number and for each key, or by an older key that is still repeated."""
    now = facts.now
    if now is None:
        return Signal("D", "not judged", "no snapshot", missing=("snapshot",))
    cut = facts.truncated("replayProtection")
    readings: list[Reading] = []
    surging: list[tuple[int, str]] = []
    for scope, seen in now.replay_protection.by_scope.items():
        loud = _loud(seen, settings)
        note = f"{seen.duplicate_keys} of {seen.total_keys} keys repeated"
        readings.append(
            Reading(
                f"{scope} duplicate hits",
                seen.duplicate_hits,
                settings.duplicate_hits,
                "hits",
                loud,
                sampled=cut is not None,
                note=note,
            )
        )
        if loud:
            surging.append((seen.duplicate_hits, scope))
    hidden = _loud_old_keys(facts.replay_keys or (), now, settings)
    readings += [
        Reading(
            f"{key.scope} loudest older key",
            key.hit_count,
            settings.loud_hits,
            "hits",
            True,
            now.age_ms(key.last_seen_at),
            note=f"first seen {now.age_ms(key.first_seen_at) // 60_000} min ago, before the snapshot's window",
        )
        for key in hidden[:1]
    ]
    missing = () if facts.replay_keys is not None else _ROWS
    if surging:
        hits, scope = max(surging)
        why = f"{hits} duplicate hits in `{scope}` within the window"
        return Signal("D", "fired", why, "surge", 0.6 + 0.1 * min(1.0, hits / 500), tuple(readings), missing)
    if hidden:
        key = hidden[0]
        why = f"one key of `{key.scope}` was hit {key.hit_count} times; it is older than the snapshot's window"
        return Signal("D", "fired", why, "hidden", 0.6, tuple(readings))
    if cut is not None:
        why = f"only some keys were counted: {cut}"
        return Signal("D", "not judged", why, None, 0, tuple(readings), missing)
    return Signal("D", "quiet", "no more repeats than usual", None, 0, tuple(readings), missing)


def _loud(seen: ReplayScope, settings: ReplaySettings) -> bool:
    """Many duplicates: for the keys there are, or of the same few keys among many that are sound."""
    hits = seen.duplicate_hits
    of_all = hits >= settings.duplicate_hits and hits >= settings.duplicate_hits_per_key * seen.total_keys
    of_few = hits >= settings.loud_hits and hits >= settings.hits_per_repeated_key * seen.duplicate_keys
    return of_all or of_few


def _loud_old_keys(keys: tuple[ReplayKey, ...], now: Snapshot, settings: ReplaySettings) -> list[ReplayKey]:
    """Keys first seen before the window and still repeated in it, loudest first."""
    loud = [
        key
        for key in keys
        if key.hit_count >= settings.loud_hits
        and now.in_window(key.last_seen_at)
        and not now.in_window(key.first_seen_at)
    ]
    return sorted(loud, key=lambda key: -key.hit_count)
