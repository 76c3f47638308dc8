"""Every fault of the practice Sendcat is named by its playbook, from the same reads as triage makes."""

from __future__ import annotations

import pytest

from bot.practice.sendcat.faults.shelf import ALL
from playbooks.book import Book
from playbooks.facts import Event, Facts, Lease, ReplayKey
from playbooks.functions import SCOPES
from playbooks.signals import judge_signals, suggestions
from tests.bot.practice.sendcat.psendcat_kit import Deployment, deployed

DECOYS = {"B:stale_open", "C:spike"}
"""States that only look like a fault."""
UNSEEN = {"E:stale", "G:demand"}
"""Faults that no snapshot shows: a fresh answer, or a forecast, would."""
SEEN_BY_OTHERS = {"G:snapshot": "B", "H:circuit": "B", "H:queue": "F"}
"""Triggers and gates that fail because of a fault which has its own playbook."""
VARIANTS = {
    "A:abusive": "abusive",
    "A:legitimate": "legitimate",
    "A:chat": "chat",
    "A:contention": "contention",
    "B:primary": "open",
    "C:sustained": "sustained",
    "C:leaked": "leaked",
    "D:surge": "surge",
    "D:hidden": "hidden",
    "F:caps": "caps",
    "F:no_drain": "no_drain",
    "F:leaked_slots": "leaked_slots",
    "F:upstream": "upstream",
}
FAULTS = sorted(f"{fault.letter}:{fault.variant}" for fault in ALL)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_named_first_by_its_own_playbook(book: Book, fault: str) -> None:
    letter, variant = fault.split(":")
    async with deployed() as on:
        on.practice.inject(letter, variant=variant)
        signals = judge_signals(await _facts(on), book)

    found = suggestions(signals)
    if fault in DECOYS | UNSEEN:
        assert found == ()
    else:
        assert found[0] == SEEN_BY_OTHERS.get(fault, letter)
    if fault in VARIANTS:
        assert signals[0].variant == VARIANTS[fault]


async def test_a_healthy_deployment_names_nothing(book: Book) -> None:
    async with deployed() as on:
        signals = judge_signals(await _facts(on), book)

    assert suggestions(signals) == ()
    assert not [signal for signal in signals if signal.state == "not judged" and signal.letter in "ABCDF"]


async def _facts(on: Deployment) -> Facts:
    """Two looks 8 s apart, and the reads beside the second."""
    first = await on.snapshot()
    on.pass_ms(8_000)
    second = await on.snapshot()
    events = await on.call("rateLimit:listRecentEvents", limit=200)
    leases = [
        row
        for provider in second.config.bulkheads
        for row in await on.call("bulkhead:listInFlightByProvider", provider=provider, limit=500)
    ]
    keys = [row for scope in SCOPES for row in await on.call("idempotency:listRecentByScope", scope=scope, limit=200)]
    return Facts(
        (first, second),
        events=tuple(map(Event.model_validate, events)),
        leases=tuple(map(Lease.model_validate, leases)),
        replay_keys=tuple(map(ReplayKey.model_validate, keys)),
    )
