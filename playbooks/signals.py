"""The signals of playbooks A to H: facts in, ranked signals out. Pure; thresholds stand on the pages.

`judge_signals` asks every judge; what fired comes first, the worst first, so the first letter is the playbook to open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from playbooks.book import Book
from playbooks.facts import CachedAnswer, Event, Facts, Lease, MilestoneWish, ReplayKey
from playbooks.judges import (
    a_rate_limit,
    b_circuit,
    c_bulkhead,
    d_replay,
    e_tool_cache,
    f_tool_queue,
    g_region,
    h_milestone_gate,
)
from playbooks.reading import Reading, Signal, State

__all__ = [
    "CachedAnswer",
    "Event",
    "Facts",
    "Lease",
    "MilestoneWish",
    "Reading",
    "ReplayKey",
    "Signal",
    "State",
    "judge_signals",
    "one_provider",
    "suggestions",
]


OVER_TIME = frozenset("BCF")
"""Signals that one look does not tell: flapping, a spike, a queue that drains."""

ECHO = 0.4
"""Severity of a signal that another explains: under every fault, over triggers and milestones."""


def judge_signals(facts: Facts, book: Book) -> tuple[Signal, ...]:
    """All eight signals: what fired, worst first, then what could not be judged, then what is quiet."""
    limits = book.thresholds
    signals = (
        a_rate_limit.judge(facts, limits.a),
        b_circuit.judge(facts, limits.b),
        c_bulkhead.judge(facts, limits.c),
        d_replay.judge(facts, limits.d),
        e_tool_cache.judge(facts, limits.e),
        f_tool_queue.judge(facts, limits.f),
        g_region.judge(facts, limits.g),
        h_milestone_gate.judge(facts, limits.h),
    )
    order = {"fired": 0, "not judged": 1, "quiet": 2}
    ranked = (_echo(signal, one_provider(signals)) for signal in signals)
    return tuple(sorted(ranked, key=lambda signal: (order[signal.state], -signal.severity, signal.letter)))


def one_provider(signals: Iterable[Signal]) -> bool:
    """Whether B and F are one fault: the jobs fail because the search provider that they call does."""
    by_letter = {signal.letter: signal for signal in signals}
    down = {reading.name for reading in by_letter["B"].readings if reading.fired}
    return by_letter["F"].variant == "upstream" and bool(down) and down <= set(f_tool_queue.CIRCUIT_OF.values())


def _echo(signal: Signal, one_fault: bool) -> Signal:
    """The circuit of the provider at which the jobs fail is no second fault: it ranks after what is (action 1 of F)."""
    return replace(signal, severity=min(signal.severity, ECHO)) if one_fault and signal.letter == "B" else signal


def suggestions(signals: Iterable[Signal]) -> tuple[str, ...]:
    """The letters that fired, in the order given: the playbooks to open."""
    return tuple(signal.letter for signal in signals if signal.fired)
