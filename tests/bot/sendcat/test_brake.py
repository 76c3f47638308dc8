"""The gate before each request, and the stops that reach it (safety.md, R13, R16, R18, R19)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bot.sendcat.brake import Brake, Budget, ErrorBudget, Halt, Limits, Stops, Why, ended


class Hand:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now_ms(self) -> int:
        return round(self.at * 1000)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_an_open_gate_lets_requests_go(hand: Hand) -> None:
    brake = Brake(hand)
    assert brake.check() is None
    assert brake.halted is None


def test_R16_the_number_of_requests_holds_at_the_gate(hand: Hand) -> None:
    brake = Brake(hand, limits=Limits(requests=3))
    sent = 0
    while brake.check() is None:
        brake.count()
        sent += 1
    assert sent == 3
    assert brake.halted == Halt(Why.CEILING, "3 requests in one operation")


def test_R16_exactly_as_many_requests_as_allowed_is_no_halt(hand: Hand) -> None:
    brake = Brake(hand, limits=Limits(requests=1))
    assert brake.check() is None
    brake.count()
    assert brake.look() is None


def test_R16_open_requests_and_minutes_hold_at_the_gate(hand: Hand) -> None:
    brake = Brake(hand, limits=Limits(in_flight=2))
    assert brake.check(in_flight=1) is None
    halt = brake.check(in_flight=2)
    assert halt is not None
    assert halt.reason is Why.CEILING
    brake = Brake(hand, limits=Limits(seconds=60))
    brake.start()
    hand.at += 59.9
    assert brake.check() is None
    hand.at += 0.2
    halt = brake.look()
    assert halt is not None
    assert halt.reason is Why.DEADLINE


def test_R18_lost_control_closes_the_gate(hand: Hand) -> None:
    lost: list[str] = []
    brake = Brake(hand, control=lambda: lost[0] if lost else None)
    assert brake.check() is None
    lost.append("epoch 8 rules, ours is 7")
    hand.at += 0.06
    assert brake.check() == Halt(Why.CONTROL_LOST, "epoch 8 rules, ours is 7")


def test_the_first_reason_stays(hand: Hand) -> None:
    brake = Brake(hand)
    brake.stop("stopped by ann")
    brake.halt(Halt(Why.ABORTED, "late"))
    assert brake.check() == Halt(Why.STOPPED, "stopped by ann")


@pytest.mark.parametrize(
    ("why", "how"),
    [
        (Why.STOPPED, "stopped"),
        (Why.ABORTED, "aborted"),
        (Why.CONTROL_LOST, "control_lost"),
        (Why.CEILING, "stopped"),
        (Why.DEADLINE, "stopped"),
    ],
)
def test_no_halt_ends_as_finished(why: Why, how: str) -> None:
    assert ended(Halt(why, "x"), 5).how == how
    assert ended(None, 5).how == "finished"


# Stops


def test_R19_stop_all_reaches_every_brake_and_blocks_new_drills(hand: Hand, tmp_path: Path) -> None:
    stops = Stops(tmp_path, hand)
    one, two = stops.brake("r-1"), stops.brake("r-2")
    assert stops.blocked is None
    assert stops.stop_all("oncall") == ("r-1", "r-2")
    for brake in (one, two):
        assert brake.halted == Halt(Why.STOPPED, "stopped by oncall")
    assert stops.blocked == "stopped by oncall"
    late = stops.brake("r-3")
    assert late.check() is not None, "a drill that starts meanwhile is stopped by the file"


def test_R19_the_block_survives_a_restart_until_it_is_released(hand: Hand, tmp_path: Path) -> None:
    Stops(tmp_path, hand).stop_all("oncall")
    again = Stops(tmp_path, hand)
    assert again.blocked == "stopped by oncall"
    assert again.release()
    assert again.blocked is None
    assert not again.release()
    assert again.brake("r-9").check() is None


def test_R19_a_file_from_outside_is_seen_within_50_ms(hand: Hand, tmp_path: Path) -> None:
    brake = Stops(tmp_path, hand).brake("r-1")
    assert brake.check() is None
    (tmp_path / "stop").touch()
    hand.at += 0.051
    assert brake.check() == Halt(Why.STOPPED, "stopped")


def test_R19_a_full_disk_does_not_keep_a_drill_running(hand: Hand, tmp_path: Path) -> None:
    """The directory cannot be written at all: the memory flag is enough."""
    blocked = tmp_path / "file"
    blocked.touch()
    stops = Stops(blocked / "state", hand)
    brake = stops.brake("r-1")
    assert stops.stop_all("oncall") == ("r-1",)
    assert brake.check() is not None
    assert stops.stop("r-1", "oncall")


def test_R13_one_operation_is_stopped_and_no_other(hand: Hand, tmp_path: Path) -> None:
    stops = Stops(tmp_path, hand)
    one, two = stops.brake("r-1"), stops.brake("r-2")
    assert stops.stop("r-1", "visitor")
    assert one.check() == Halt(Why.STOPPED, "stopped by visitor")
    assert two.check() is None
    assert stops.blocked is None
    assert stops.running == ("r-2",)
    assert not stops.stop("r-7", "visitor")
    stops.done("r-1")
    assert list((tmp_path / "stops").iterdir()) == []


@pytest.mark.parametrize("op", ["../stop", "a/b", "", ".", "x" * 65, "r 1"])
def test_an_operation_id_cannot_name_another_file(hand: Hand, tmp_path: Path, op: str) -> None:
    with pytest.raises(ValueError, match="plain word"):
        Stops(tmp_path, hand).stop(op, "x")


# Error budget

BUDGET = Budget(five_xx_rate=0.01, network_error_rate=0.02, p95_ms=1500)


def test_R18_a_quick_scenario_never_aborts_by_rate() -> None:
    budget = ErrorBudget(BUDGET)
    for i in range(49):
        budget.note(i * 0.05, 9000, None)
        assert budget.verdict(i * 0.05) is None


@pytest.mark.parametrize(("status", "word"), [(503, "5xx"), (None, "network errors")])
def test_R18_errors_above_twice_the_limit_abort(status: int | None, word: str) -> None:
    budget = ErrorBudget(BUDGET, "gmail_push_webhook")
    for i in range(100):
        budget.note(i * 0.01, 20, 200)
    bad = 0
    while (halt := budget.verdict(1.0)) is None:
        budget.note(1.0, 20, status)
        bad += 1
    assert halt.reason is Why.ABORTED
    assert word in halt.detail
    assert bad == (3 if status == 503 else 5)


def test_R18_exactly_twice_the_limit_is_not_above_it() -> None:
    budget = ErrorBudget(BUDGET)
    for i in range(98):
        budget.note(i * 0.01, 20, 200)
    for _ in range(2):
        budget.note(1.0, 20, 500)
    assert budget.verdict(1.0) is None


def test_R18_p95_above_twice_the_limit_aborts() -> None:
    budget = ErrorBudget(BUDGET)
    for i in range(95):
        budget.note(i * 0.01, 20, 200)
    for _ in range(5):
        budget.note(1.0, 3001, 200)
    assert budget.verdict(1.0) is None, "the 95th of 100 is fast"
    budget.note(1.0, 3001, 200)
    halt = budget.verdict(1.0)
    assert halt is not None
    assert "p95 above 3000 ms" in halt.detail


def test_R18_only_the_last_ten_seconds_count() -> None:
    budget = ErrorBudget(BUDGET)
    for i in range(100):
        budget.note(i * 0.01, 9000, 500)
    for i in range(100):
        budget.note(12 + i * 0.01, 20, 200)
    assert budget.verdict(13.0) is None


def test_R18_a_target_that_stopped_answering_is_seen_before_the_time_outs() -> None:
    budget = ErrorBudget(BUDGET)
    for i in range(60):
        budget.note(i * 0.01, 20, 200)
    assert budget.verdict(4.0, overdue=3) is None
    assert budget.verdict(4.0, overdue=4) is not None


def test_R18_a_healthy_target_is_never_aborted() -> None:
    """0 of 50 false aborts: errors and slowness at half of the limits."""
    for seed in range(50):
        dice = random.Random(seed)
        budget = ErrorBudget(BUDGET)
        for i in range(2000):
            failed = dice.random() < 0.002
            budget.note(i * 0.02, dice.lognormvariate(5, 0.6), None if failed else 200)
            assert budget.verdict(i * 0.02) is None, seed
