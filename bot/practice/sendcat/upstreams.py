"""The providers behind Sendcat, simulated: models, searches, Gmail, Redis; each with a health of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from bot.practice.sendcat.circuits import EBAY, GLOBAL, GMAIL, PRIMARY, SECONDARY, SERPER

HealthKind = Literal["ok", "status", "timeout", "flapping"]
FLAPPING_PATTERN = "FFFFFFFSSS"
"""Seven of ten calls fail, in the order that opens a threshold of five and then spoils two trials."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider answers: ``status`` for the error it gives, ``rest_ms`` for the quiet that heals flapping."""

    kind: HealthKind = "ok"
    status: int = 503
    rest_ms: int | None = None


OK = Health()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call would get: response headers with ``status`` after ``latency_ms``, or never (status None)."""

    status: int | None
    latency_ms: int


@dataclass(slots=True)
class Upstream:
    """One provider. Latencies in milliseconds, drawn evenly from ``connect_ms`` (to the headers)."""

    name: str
    connect_ms: tuple[int, int]
    token_ms: float = 8.0
    tokens: int = 6
    health: Health = OK
    cut_after_tokens: int | None = None
    mark: str = "v1"
    calls: int = 0
    last_call_ms: int | None = None
    random: random.Random = field(default_factory=random.Random, repr=False)
    on_recovery: Callable[[], None] | None = field(default=None, repr=False)

    def call(self, now_ms: int) -> Reply:
        """One call that begins now; counts as traffic on the provider."""
        quiet_ms = now_ms - self.last_call_ms if self.last_call_ms is not None else 0
        self.last_call_ms = now_ms
        self.calls += 1
        latency_ms = self.random.randint(*self.connect_ms)
        health = self.health
        if health.kind == "flapping":
            if health.rest_ms is not None and quiet_ms >= health.rest_ms:
                self.heal()
                return Reply(200, latency_ms)
            failing = FLAPPING_PATTERN[(self.calls - 1) % len(FLAPPING_PATTERN)] == "F"
            return Reply(health.status if failing else 200, latency_ms)
        if health.kind == "timeout":
            return Reply(None, latency_ms)
        return Reply(health.status if health.kind == "status" else 200, latency_ms)

    def fail(self, health: Health) -> None:
        """From now on answer as ``health`` says; the call pattern starts anew."""
        self.health = health
        self.calls = 0

    def heal(self) -> None:
        self.health = OK
        if self.on_recovery is not None:
            self.on_recovery()


class Upstreams:
    """All providers by name."""

    def __init__(self, seed: int) -> None:
        self._rows = {
            name: Upstream(name, connect, random=random.Random(f"{name}-{seed}"))
            for name, connect in (
                (PRIMARY, (18, 38)),
                (SECONDARY, (20, 45)),
                (SERPER, (90, 220)),
                (EBAY, (120, 260)),
                (GLOBAL, (150, 300)),
                (GMAIL, (30, 60)),
                ("redis", (1, 3)),
            )
        }

    def __getitem__(self, name: str) -> Upstream:
        return self._rows[name]

    def names(self) -> list[str]:
        return list(self._rows)
