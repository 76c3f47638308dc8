"""The signals of playbooks A to H: facts in, ranked signals out. Pure; thresholds stand on the pages.

`judge_signals` asks every judge; what fired comes first, the worst first, so the first letter is the playbook to open.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    "suggestions",
]


OVER_TIME = frozenset("BCF")
"""Signals that one look does not tell: flapping, a spike, a queue that drains."""


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
    return tuple(sorted(signals, key=lambda signal: (order[signal.state], -signal.severity, signal.letter)))


def suggestions(signals: Iterable[Signal]) -> tuple[str, ...]:
    """The letters that fired, in the order given: the playbooks to open."""
    return tuple(signal.letter for signal in signals if signal.fired)
