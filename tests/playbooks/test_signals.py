"""Each labelled case names its playbook, its variant and its verdict; healthy states name none."""

from __future__ import annotations

from typing import Any

import pytest

from playbooks.book import Book
from playbooks.diagnosis import diagnose
from playbooks.facts import Facts
from playbooks.signals import judge_signals
from slo.snapshot import Snapshot
from tests.playbooks.signal_cases import NAMES, diagnosis_of, expected, judged, look, posture_of, read


def test_there_are_cases_for_every_signal() -> None:
    assert len(NAMES) >= 20
    assert {name[0] for name in NAMES if name[1] == "-"} == set("abcdefgh")


@pytest.mark.parametrize("name", NAMES)
def test_a_labelled_case_is_diagnosed_as_labelled(book: Book, name: str) -> None:
    want: dict[str, Any] = expected(name)

    found = diagnosis_of(read(name), book)

    assert (found.verdict.value, found.cause.value) == (want["verdict"], want["cause"]), found.reason
    assert list(found.suggestions) == want["letters"]
    assert found.headline == want.get("headline", found.headline)
    assert want.get("next", "") in found.next_step
    for letter, state in want.get("states", {}).items():
        assert found.signal(letter).state == state, found.signal(letter)
    for letter, variant in want.get("variants", {}).items():
        assert found.signal(letter).variant == variant, found.signal(letter)
    for letter, words in want.get("why", {}).items():
        assert words in found.signal(letter).why
    for letter, words in want.get("missing", {}).items():
        assert words in " ".join(found.signal(letter).missing)
    for letter in want.get("sampled", ()):
        assert any(reading.sampled for reading in found.signal(letter).readings)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_undecided_says_what_is_missing_and_what_fired_shows_its_readings(book: Book, name: str) -> None:
    for signal in diagnosis_of(read(name), book).signals:
        assert signal.why
        assert 0 <= signal.severity <= 1
        if signal.state == "not judged":
            assert signal.why or signal.missing
            assert signal.severity == 0
        if signal.fired:
            assert signal.severity > 0
            assert signal.letter == "H" or any(reading.fired for reading in signal.readings)


@pytest.mark.parametrize("name", NAMES)
def test_signals_are_ranked_once_each_and_do_not_depend_on_how_often_they_are_asked(book: Book, name: str) -> None:
    one, other = diagnosis_of(read(name), book), diagnosis_of(read(name), book)

    assert one == other
    assert sorted(signal.letter for signal in one.signals) == list("ABCDEFGH")
    severities = [signal.severity for signal in one.signals if signal.fired]
    assert severities == sorted(severities, reverse=True)


def test_G_a_forecast_and_repeated_breaches_are_told_apart(book: Book) -> None:
    """Nothing is judged of the region without forecast and reports; 60000 streams recommend two active regions."""
    alone = _judged(book, Facts((look(),)))["G"]
    demand = _judged(book, Facts((look(),), expected_peak_streams=60_000, drills=()))["G"]

    assert alone.state == "not judged"
    assert alone.missing
    assert demand.variant == "demand"
    assert "active_active" in demand.readings[0].note


def test_readings_carry_value_limit_and_age(book: Book) -> None:
    """Worker slots, ages and caps are shown with the limits that the deployment itself is configured with."""
    signal = _judged(book, Facts((look("queue-backlog"),)))["F"]
    readings = {reading.name: reading for reading in signal.readings}

    assert (readings["worker slots"].value, readings["worker slots"].limit) == (6, 6)
    assert (readings["oldest queued job"].value, readings["oldest queued job"].limit) == (95010, 60000)
    assert readings["oldest queued job"].fired


def test_an_open_circuit_says_how_long_it_still_refuses(book: Book) -> None:
    readings = {reading.name: reading for reading in _judged(book, Facts((look("circuit-open"),)))["B"].readings}

    assert readings["serper_search"].age_ms == 25_003
    assert "another 95 s" in readings["serper_search"].note
    assert not readings["ebay_search"].fired
    assert "not an outage" in readings["ebay_search"].note


def test_a_negative_age_is_shown_as_zero(book: Book) -> None:
    snapshot: Snapshot = look(toolJobs={"oldestQueuedAgeMs": -19995, "byStatus": {"queued": 12}})
    readings = {reading.name: reading for reading in _judged(book, Facts((snapshot,)))["F"].readings}

    assert readings["oldest queued job"].value == 0
    assert "back-off" in readings["oldest queued job"].note


def _judged(book: Book, facts: Facts) -> dict[str, Any]:
    return {signal.letter: signal for signal in judge_signals(facts, book)}


@pytest.mark.parametrize(
    ("verdicts", "why_not", "headline"),
    [
        ((None, "PASS"), {"quick drill": "stopped"}, "INCOMPLETE: quick drill did not run (stopped)"),
        ((None, None), {}, "INCOMPLETE: probe and quick drill did not run"),
        ((None, None), {"probe": "x", "quick drill": "x"}, "INCOMPLETE: probe and quick drill did not run (x)"),
        ((None, None), {"probe": "x", "quick drill": "y"}, "INCOMPLETE: not run: probe (x), quick drill (y)"),
        (("INCOMPLETE", "PASS"), {}, "INCOMPLETE: quick drill: the case says INCOMPLETE"),
        (("PASS", "FAIL"), {}, "FAIL: probe: the case says FAIL, no playbook's signal fired"),
        ((None, "FAIL"), {}, "FAIL: probe: the case says FAIL, no playbook's signal fired"),
    ],
)
def test_the_first_line_says_what_could_not_be_known_and_why(
    book: Book, verdicts: tuple[str | None, str | None], why_not: dict[str, str], headline: str
) -> None:
    """A verdict without a cause names its gap, never only that no cause was found."""
    facts = Facts((look(),))
    drill, probe = map(judged, verdicts)

    found = diagnose(facts, drill, probe, posture_of(facts), book, why_not)

    assert found.headline == headline


def test_one_gap_that_blinds_every_signal_is_told_once(book: Book) -> None:
    facts = Facts(())

    found = diagnose(facts, judged("PASS"), judged("PASS"), None, book, {"snapshot": "Convex does not answer"})

    assert found.headline == "INCOMPLETE: snapshot did not run (Convex does not answer)"
    assert found.missing == (
        "snapshot did not run: Convex does not answer",
        "signals A, B, C, D and F: no snapshot",
    )
