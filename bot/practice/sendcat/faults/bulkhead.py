"""C. Bulkhead saturation: sustained, spike, leaked."""

from __future__ import annotations

import itertools

from bot.practice.sendcat.circuits import PRIMARY
from bot.practice.sendcat.faults.stage import Fault, Option, Stage

SLOW_MS = 3_000
"""To the headers. At ten chats a second a slot that ends is taken again in the same instant."""
TAKEN = 24
LEAK_PERIOD_MS = 15_000
LEAKED_FOR_MS = 8 * 60_000
STILL_LEAKING_MS = 5 * 60_000
"""Callers have crashed for eight minutes and go on for five: more capacity fills up again within that time."""


def _sustained(stage: Stage, options: dict[str, Option]) -> None:
    """Three seconds to the headers at ten chats a second need 30 slots; 24 and 28 are too few, 33 are enough."""
    upstream = stage.on.upstreams[PRIMARY]
    usual = upstream.connect_ms
    stage.on.agenda.at(stage.now_ms - 2 * 60_000, lambda _: setattr(upstream, "connect_ms", (SLOW_MS, SLOW_MS)))
    stage.undo.append(lambda: setattr(upstream, "connect_ms", usual))
    stage.repeat(100, stage.traffic.chat, for_ms=2 * 60_000)


def _spike(stage: Stage, options: dict[str, Option]) -> None:
    """24 slots for five seconds, then three."""
    _held(stage, TAKEN, acquired_ms=stage.now_ms - 300, held_ms=5_300, kept=3)


def _held(stage: Stage, count: int, *, acquired_ms: int, held_ms: int, kept: int) -> None:
    bulkheads = stage.on.bulkheads
    expires_ms = acquired_ms + bulkheads.lease_ttl_ms(PRIMARY)
    for number in range(count):
        bulkheads.add(PRIMARY, f"spike-{number}", acquired_at=acquired_ms, expires_at=expires_ms)

    def give_back(_: int) -> None:
        for number in range(kept, count):
            bulkheads.release(PRIMARY, f"spike-{number}")

    stage.on.agenda.at(acquired_ms + held_ms, give_back)

    def end() -> None:
        for number in range(count):
            bulkheads.release(PRIMARY, f"spike-{number}")

    stage.undo.append(end)


def _leaked(stage: Stage, options: dict[str, Option]) -> None:
    """Callers crashed and left their slots, which end only with their lease; a few more crash in the next minutes.

    Waiting clears it, and so does a shorter lease; more capacity helps for a minute.
    """
    bulkheads = stage.on.bulkheads
    numbers = itertools.count(1)
    ttl_ms = bulkheads.lease_ttl_ms(PRIMARY)
    for number in range(bulkheads.limit(PRIMARY)):
        acquired_ms = stage.now_ms - LEAKED_FOR_MS + number * LEAKED_FOR_MS // TAKEN
        if acquired_ms + ttl_ms > stage.now_ms:
            lease_id = f"leaked-{next(numbers)}"
            bulkheads.add(PRIMARY, lease_id, acquired_at=acquired_ms, expires_at=acquired_ms + ttl_ms)

    def leak(at_ms: int) -> None:
        bulkheads.acquire(PRIMARY, f"leaked-{next(numbers)}", at_ms)

    crashes = stage.repeat(LEAK_PERIOD_MS, leak, for_ms=0)
    stage.on.agenda.at(stage.now_ms + STILL_LEAKING_MS, lambda _: crashes.cancel())


FAULTS = (
    Fault("C", "sustained", "slow connection set-up holds every slot of the primary chat provider", _sustained),
    Fault("C", "spike", "24 slots for five seconds, then three", _spike),
    Fault("C", "leaked", "crashed callers leave slots that only end with their lease", _leaked),
)
