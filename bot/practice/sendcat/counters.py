"""What a practice deployment received, and what took effect: tests count here, not in the caller."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bot.practice.sendcat.values import Document


@dataclass(slots=True)
class Counters:
    requests: Counter[str] = field(default_factory=Counter)
    """Requests on either face, by ``METHOD path``, refused ones included."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers of the site face, by ``METHOD path status``."""
    calls: Counter[str] = field(default_factory=Counter)
    """Function calls that reached the function, by name."""
    mutations: Counter[str] = field(default_factory=Counter)
    """Mutations and actions that took effect, by function name."""
    variable_changes: Counter[str] = field(default_factory=Counter)
    """Variables that were set or removed, by name."""
    processed: Counter[str] = field(default_factory=Counter)
    """Webhook messages that were handed on for work, by scope."""
    processed_twice: int = 0
    """Messages whose work was done again: must stay 0 while idempotency holds."""
    chats: Counter[str] = field(default_factory=Counter)
    """Chat streams by end: ``done``, an error code, ``cut`` or ``aborted``."""
    peers: set[tuple[str, int]] = field(default_factory=set)
    """Distinct network addresses seen: one for each connection."""

    @property
    def connections(self) -> int:
        return len(self.peers)

    def report(self) -> Document:
        """All of it, for the control surface."""
        return {
            "requests": dict(self.requests),
            "statuses": dict(self.statuses),
            "calls": dict(self.calls),
            "mutations": dict(self.mutations),
            "variableChanges": dict(self.variable_changes),
            "processed": dict(self.processed),
            "processedTwice": self.processed_twice,
            "chats": dict(self.chats),
            "connections": self.connections,
        }
