"""C. Bulkhead saturation: sustained, spike, leaked."""

from __future__ import annotations

import itertools

from bot.practice.sendcat.circuits import PRIMARY
from bot.practice.sendcat.faults.stage import Fault, Option, Stage

SLOW_MS = 3_000
"""To the headers. At ten chats a second a slot that ends is taken again in the same instant."""
SPIKE_MS, KEPT = 5_000, 3
LEAK_PERIOD_MS, SHORT_LEAK_PERIOD_MS = 15_000, 300
"""How often a caller crashes; where leases are short, often enough that a slot that ends is taken at once."""
LEAKED_FOR_MS = 8 * 60_000
STILL_LEAKING_MS = 5 * 60_000
"""Callers have crashed for eight minutes and go on for five: more capacity fills up again within that time."""


def _sustained(stage: Stage, options: dict[str, Option]) -> None:
    """Three seconds to the headers at ten chats a second need 30 slots; 24 and 28 are too few, 33 are enough.

    Options: ``connect_ms`` to the headers, and the chats' ``period_ms``.
    """
    slow_ms, period_ms = int(options.get("connect_ms", SLOW_MS)), int(options.get("period_ms", 100))
    upstream = stage.on.upstreams[PRIMARY]
    usual = upstream.connect_ms
    stage.on.agenda.at(stage.now_ms - 2 * 60_000, lambda _: setattr(upstream, "connect_ms", (slow_ms, slow_ms)))
    stage.undo.append(lambda: setattr(upstream, "connect_ms", usual))
    stage.repeat(period_ms, stage.traffic.chat, for_ms=2 * 60_000)


def _spike(stage: Stage, options: dict[str, Option]) -> None:
    """Every slot of a ``provider`` (24 of the primary's) for five seconds, then three."""
    bulkheads, provider = stage.on.bulkheads, str(options.get("provider", PRIMARY))
    count, acquired_ms = bulkheads.limit(provider), stage.now_ms - 300
    for number in range(count):
        expires_ms = acquired_ms + bulkheads.lease_ttl_ms(provider)
        bulkheads.add(provider, f"spike-{number}", acquired_at=acquired_ms, expires_at=expires_ms)

    def release(kept: int) -> None:
        for number in range(kept, count):
            bulkheads.release(provider, f"spike-{number}")

    stage.on.agenda.at(stage.now_ms + SPIKE_MS, lambda _: release(KEPT))
    stage.undo.append(lambda: release(0))


def _leaked(stage: Stage, options: dict[str, Option]) -> None:
    """Callers of a ``provider`` crashed and left their slots; a few more crash in the next minutes.

    The slots end only with their lease: waiting clears it, and so does a shorter lease; more capacity helps for a
    minute.
    """
    bulkheads, provider = stage.on.bulkheads, str(options.get("provider", PRIMARY))
    numbers = itertools.count(1)
    ttl_ms, count = bulkheads.lease_ttl_ms(provider), bulkheads.limit(provider)
    leaked_for_ms = min(LEAKED_FOR_MS, ttl_ms * 4 // 5)
    for number in range(count):
        acquired_ms = stage.now_ms - leaked_for_ms + number * leaked_for_ms // count
        bulkheads.add(provider, f"leaked-{next(numbers)}", acquired_at=acquired_ms, expires_at=acquired_ms + ttl_ms)

    def leak(at_ms: int) -> None:
        bulkheads.acquire(provider, f"leaked-{next(numbers)}", at_ms)

    crashes = stage.repeat(LEAK_PERIOD_MS if ttl_ms > LEAKED_FOR_MS else SHORT_LEAK_PERIOD_MS, leak, for_ms=0)
    stage.on.agenda.at(stage.now_ms + STILL_LEAKING_MS, lambda _: crashes.cancel())


FAULTS = (
    Fault("C", "sustained", "slow connection set-up holds every slot of the primary chat provider", _sustained),
    Fault("C", "spike", "24 slots for five seconds, then three", _spike),
    Fault("C", "leaked", "crashed callers leave slots that only end with their lease", _leaked),
)
