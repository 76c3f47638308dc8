"""D. Webhook replay surge: surge, hidden."""

from __future__ import annotations

import itertools

from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.idempotency import GMAIL_LIFE_MS, GMAIL_SCOPE, WHATSAPP_LIFE_MS, WHATSAPP_SCOPE

REPEATS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 6, 19)
"""Hits of the twelve keys that repeat: 78 duplicate hits."""
SURGE_PERIOD_MS = 20_000
_SENDERS = {
    GMAIL_SCOPE: ("gmail_push", "66.249.93.10", GMAIL_LIFE_MS),
    WHATSAPP_SCOPE: ("whatsapp_webhook", "173.252.88.20", WHATSAPP_LIFE_MS),
}
"""Bucket, address and life of the keys, by scope."""


def _surge(stage: Stage, options: dict[str, Option]) -> None:
    """60 keys of the last 15 minutes, twelve of them repeated; the sender goes on until it is cleared.

    Options: the ``scope``, how many ``keys``, and how many times as many hits (``times``).
    """
    scope, times = str(options.get("scope", GMAIL_SCOPE)), int(options.get("times", 1))
    bucket, address, life_ms = _SENDERS[scope]
    for number in range(int(options.get("keys", 60))):
        hits = 1 + (REPEATS[number] - 1) * times if number < len(REPEATS) else 1
        first_ms = stage.now_ms - 2 * 60_000 - number * 12_000
        key = f"person{number}@example.com:{9000 + number}"
        stage.on.idempotency.add(
            scope,
            key,
            first_seen_at=first_ms,
            last_seen_at=stage.now_ms - 5_000 if hits > 1 else first_ms,
            hits=hits,
            life_ms=life_ms,
        )
        stage.on.process(scope, key)
    numbers = itertools.count()

    def impatient(at_ms: int) -> None:
        """A new message, and the last two once more, since their acknowledgement came too late."""
        newest = next(numbers)
        for number in range(max(0, newest - 2), newest + 1):
            stage.traffic.webhook(bucket, address, at_ms, message=f"slow{number}@example.com:{number}")

    stage.repeat(SURGE_PERIOD_MS, impatient, for_ms=-SURGE_PERIOD_MS)


def _hidden(stage: Stage, options: dict[str, Option]) -> None:
    """One key first seen ``minutes`` (40) ago with ``hits`` (511): the 15-minute snapshot shows none of them.

    Its sender goes on until it is cleared.
    """
    scope = str(options.get("scope", GMAIL_SCOPE))
    bucket, address, life_ms = _SENDERS[scope]
    stage.on.idempotency.add(
        scope,
        "loud@example.com:4711",
        first_seen_at=stage.now_ms - int(options.get("minutes", 40)) * 60_000,
        last_seen_at=stage.now_ms - 2_000,
        hits=int(options.get("hits", 511)),
        life_ms=life_ms,
    )
    stage.on.process(scope, "loud@example.com:4711")

    def again(at_ms: int) -> None:
        stage.traffic.webhook(bucket, address, at_ms, message="loud@example.com:4711")

    stage.repeat(SURGE_PERIOD_MS, again, for_ms=-SURGE_PERIOD_MS)


FAULTS = (
    Fault("D", "surge", "one sender repeats its Gmail pushes: 78 duplicate hits", _surge),
    Fault("D", "hidden", "an old key repeated 511 times, invisible to the 15-minute snapshot", _hidden),
)
