"""Every fault of the practice Sendcat as it comes is named by its playbook and its variant, from triage's own reads."""

from __future__ import annotations

import pytest

from bot.practice.sendcat.faults.shelf import ALL
from playbooks.book import Book
from playbooks.signals import judge_signals, suggestions
from tests.playbooks.fault_states import BLIND, NO_FAULTS, State, observe

VARIANTS = {
    "A:abusive": "abusive",
    "A:legitimate": "legitimate",
    "A:chat": "chat",
    "A:contention": "contention",
    "B:primary": "open",
    "B:quota": "failing",
    "B:stale_open": "stale-open",
    "C:sustained": "sustained",
    "C:spike": "spike",
    "C:leaked": "leaked",
    "D:surge": "surge",
    "D:hidden": "hidden",
    "E:stale": "stale",
    "E:products": "stale",
    "F:caps": "caps",
    "F:backlog": "caps",
    "F:no_drain": "no_drain",
    "F:leaked_slots": "leaked_slots",
    "F:upstream": "upstream",
    "G:demand": "demand",
    "G:load": "load",
    "G:snapshot": "snapshot",
    "G:circuits": "snapshot",
    "G:queued": "snapshot",
    "G:alerts": "snapshot",
    "H:circuit": "snapshot",
    "H:queue": "snapshot",
    "H:pool": "pool",
}
FAULTS = sorted(f"{fault.letter}:{fault.variant}" for fault in ALL)


def _state(*faults: str, gap_ms: int = 8_000) -> State:
    return State(0, tuple((name, {}) for name in faults), (), gap_ms)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_named_first_by_its_own_playbook(book: Book, fault: str) -> None:
    state = _state(fault)
    signals = {signal.letter: signal for signal in judge_signals((await observe(state)).facts, book)}

    letters = suggestions(signals.values())
    if fault in NO_FAULTS:
        assert letters == ()
    else:
        assert letters[0] in state.right[0]
        assert fault[0] in letters  # a trigger is named too, after the fault that causes it
    if fault in VARIANTS:
        assert signals[fault[0]].variant == VARIANTS[fault]


@pytest.mark.parametrize("fault", BLIND)
async def test_what_snapshots_cannot_show_is_undecided_or_quiet_and_never_somebody_elses(
    book: Book, fault: str
) -> None:
    """Without a drill, rows, a fresh answer, a forecast or a pool nothing is suggested - and nothing is guessed."""
    from playbooks.ranking import rank

    seen = await observe(_state(fault))

    assert rank(seen.snapshots, book)["suggestions"] == []


async def test_a_healthy_deployment_names_nothing(book: Book) -> None:
    signals = judge_signals((await observe(_state())).facts, book)

    assert suggestions(signals) == ()
    assert not [signal for signal in signals if signal.state == "not judged" and signal.letter in "ABCDF"]


async def test_B_a_circuit_that_closes_between_two_looks_is_still_told(book: Book) -> None:
    """A trial passed seconds ago: flapping does that too, so it is no all-clear."""
    seen = await observe(_state("B:flapping", gap_ms=43_000))
    (row,) = [r for r in seen.facts.looks[-1].circuit_breakers.recent if r.provider == "openrouter_chat_primary"]
    signals = judge_signals(seen.facts, book)

    assert row.state == "closed"
    assert (signals[0].letter, signals[0].variant) == ("B", "closing")


async def test_F_a_fault_at_one_search_provider_is_one_fault_and_leaves_room_for_another(book: Book) -> None:
    seen = await observe(_state("F:upstream", "D:surge"))

    assert suggestions(judge_signals(seen.facts, book)) == ("F", "D", "B")
