"""C. Bulkhead saturation: sustained, spike, leaked."""

from __future__ import annotations

from bot.practice.sendcat.circuits import PRIMARY
from bot.practice.sendcat.faults.stage import Fault, Option, Stage

SLOW_MS = (2_950, 3_050)
LEAKED = 24
LEAK_PERIOD_MS = 25_000
"""With leases of ten minutes, one leaked slot in 25 s keeps 24 of them taken."""


def _sustained(stage: Stage, options: dict[str, Option]) -> None:
    """Three seconds to the headers at ten chats a second need 30 slots; 24 and 28 are too few, 33 are enough."""
    upstream = stage.on.upstreams[PRIMARY]
    usual = upstream.connect_ms
    stage.on.agenda.at(stage.now_ms - 2 * 60_000, lambda _: setattr(upstream, "connect_ms", SLOW_MS))
    stage.undo.append(lambda: setattr(upstream, "connect_ms", usual))
    stage.repeat(100, stage.traffic.chat, for_ms=2 * 60_000)


def _spike(stage: Stage, options: dict[str, Option]) -> None:
    """24 slots for five seconds, then three."""
    _held(stage, LEAKED, acquired_ms=stage.now_ms - 300, held_ms=5_300, kept=3)


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
    """Callers crash and leave their slots: leases end only with their time to live."""
    bulkheads = stage.on.bulkheads
    numbers = iter(range(1, 1_000_000))

    def leak(at_ms: int) -> None:
        bulkheads.acquire(PRIMARY, f"leaked-{next(numbers)}", at_ms)

    stage.repeat(LEAK_PERIOD_MS, leak, for_ms=LEAK_PERIOD_MS * (LEAKED - 1))


FAULTS = (
    Fault("C", "sustained", "slow connection set-up holds every slot of the primary chat provider", _sustained),
    Fault("C", "spike", "24 slots for five seconds, then three", _spike),
    Fault("C", "leaked", "crashed callers leave slots that only end with their lease", _leaked),
)
