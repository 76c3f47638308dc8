"""Suggestions on generated states: the right playbook, nothing for decoys - from triage's reads and from snapshots alone.

Figures of the specification: right first in 95%, in the first two in 99%, nothing suggested on 99% of healthy states. With
two faults at once every fault's playbook has to be among the first two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.practice.sendcat.faults.shelf import ALL
from playbooks.book import Book
from playbooks.ranking import rank
from playbooks.signals import judge_signals, suggestions
from tests.playbooks.decoys import DECOYS
from tests.playbooks.fault_states import BLIND, NO_FAULTS, State, observe, states

SEED, HELD_OUT = 1, (101, 202, 303)
"""What the thresholds were looked at with, and what they never were."""


@dataclass
class Tally:
    """How often it was right; ``wrong`` names what was not."""

    asked: int = 0
    first: int = 0
    among_two: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, state: State, letters: tuple[str, ...]) -> None:
        self.asked += 1
        if not state.right:
            first = among_two = not letters
        else:
            first = bool(letters) and any(letters[0] in right for right in state.right)
            among_two = all(set(right) & set(letters[:2]) for right in state.right)
        self.first += first
        self.among_two += among_two
        if not (first and among_two):
            self.wrong.append(f"{state.label}: {letters}")

    def holds(self, first: float, among_two: float) -> None:
        assert self.asked
        assert self.first >= first * self.asked, self.wrong
        assert self.among_two >= among_two * self.asked, self.wrong


async def _tally(book: Book, drawn: list[State]) -> tuple[Tally, Tally, Tally]:
    """By triage's reads, by two saved snapshots, by one."""
    triage, two, one = Tally(), Tally(), Tally()
    for state in drawn:
        seen = await observe(state)
        triage.add(state, suggestions(judge_signals(seen.facts, book)))
        if not _only_beside(state):
            two.add(state, tuple(rank(seen.snapshots, book)["suggestions"]))
            if not any(name == "C:spike" for name, _ in state.faults):
                one.add(state, tuple(rank(seen.snapshots[-1:], book)["suggestions"]))
    return triage, two, one


def _only_beside(state: State) -> bool:
    """Whether snapshots cannot tell: the fault shows elsewhere, or pressure that is over looks like pressure."""
    return any(name in BLIND for name, _ in state.faults) or "old_pressure" in state.decoys


def test_the_states_cover_the_catalogue_the_decoys_and_two_faults_at_once() -> None:
    drawn, calm = states(300, seed=SEED), states(100, seed=SEED, healthy=True)
    faults = {name for state in drawn for name, _ in state.faults}

    assert faults == {f"{fault.letter}:{fault.variant}" for fault in ALL} - set(NO_FAULTS)
    assert {name for state in calm for name, _ in state.faults} == set(NO_FAULTS)
    assert {decoy for state in drawn + calm for decoy in state.decoys} == set(DECOYS)
    assert sum(len(state.faults) == 2 for state in drawn) >= 60
    assert drawn == states(300, seed=SEED)


async def test_suggestions_are_right_on_a_sample(book: Book) -> None:
    for tally in await _tally(book, states(34, seed=SEED) + states(12, seed=SEED, healthy=True)):
        tally.holds(0.95, 0.95)


@pytest.mark.prove
@pytest.mark.parametrize("seed", [SEED, *HELD_OUT])
async def test_the_right_playbook_is_first_in_95_percent_and_among_two_in_99(book: Book, seed: int) -> None:
    for tally in await _tally(book, states(310, seed=seed)):
        tally.holds(0.95, 0.99)


@pytest.mark.prove
@pytest.mark.parametrize("seed", [SEED, *HELD_OUT])
async def test_nothing_is_suggested_on_99_percent_of_healthy_states(book: Book, seed: int) -> None:
    for tally in await _tally(book, states(310, seed=seed, healthy=True)):
        tally.holds(0.99, 0.99)
