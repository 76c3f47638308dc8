"""Deliveries, operations and their ids, slots of the timer (safety.md, R2, R3, R28, R30, R36)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import HandClock

from bot.card import Card
from bot.command import Ask
from bot.store import epochs, ids, inbox, ops, schedule
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.store.tx import Tx
from slo.verdict import Verdict

DAY_MS = 24 * 60 * 60 * 1000
Make = Callable[..., Ask]


def accepted(tx: Tx, ask: Ask, command: str = "triage", target: str | None = None) -> ops.Op:
    return ops.new(tx, ask, command, command, target)


def test_R3_the_later_delivery_is_told_who_did_it_and_when(tx: Tx, ask: Make) -> None:
    op = accepted(tx, ask())
    first = inbox.accept(tx, ask(), op.id)
    later = replace(tx, now_ms=tx.now_ms + 5_000)
    second = inbox.accept(later, ask(account="slack:U0LEAD"), None)

    assert not first.duplicate
    assert second == replace(first, duplicate=True)
    assert (second.op, second.by.account, second.at_ms) == (op.id, "slack:U0ONCALL", tx.now_ms)
    assert inbox.seen(tx.db, "another key") is None


async def test_R2_a_delivery_is_known_after_a_restart(leadership: Leadership, clock: HandClock, ask: Make) -> None:
    for duplicate in (False, True, True):
        store = Store.open(leadership, clock=clock)
        delivery = await store.write(lambda tx: inbox.accept(tx, ask(), None))
        assert delivery.duplicate is duplicate
        await store.close()
        clock.at_ms += DAY_MS // 3


def test_R2_deliveries_are_kept_a_day_whatever_is_asked(tx: Tx, ask: Make) -> None:
    inbox.accept(tx, ask("old"), None)
    young = replace(tx, now_ms=tx.now_ms + 2 * DAY_MS)
    inbox.accept(young, ask("young"), None)

    assert inbox.forget(replace(tx, now_ms=tx.now_ms + DAY_MS), before_ms=2**60) == 0
    assert inbox.forget(young, before_ms=2**60) == 1
    assert inbox.seen(tx.db, "old") is None
    assert inbox.seen(tx.db, "young") is not None


async def test_R36_neither_key_nor_line_of_a_delivery_reaches_the_disk(
    store: Store, state_dir: Path, ask: Make
) -> None:
    wish = ask("sig=PLANTED-SECRET-KEY", line="pool --auth-token=PLANTED-SECRET-LINE")
    await store.write(lambda tx: inbox.accept(tx, wish, ops.new(tx, wish, "pool", "pool --auth-token=***", None).id))
    await store.close()
    for path in state_dir.iterdir():
        assert b"PLANTED-SECRET" not in path.read_bytes()


def test_ids_are_short_typed_and_never_the_same(tx: Tx) -> None:
    size = 27**4
    sample = [*range(3000), *range(size - 3000, size + 3000)]
    codes = [ids.scatter(n) for n in sample]
    assert len(set(codes)) == len(sample)
    assert {len(code) for code in codes} == {4, 5}
    assert ids.code(tx, "r") == f"r-{ids.scatter(0)}"
    assert [ids.number(tx, "c"), ids.number(tx, "c"), ids.number(tx, "g")] == ["c-1", "c-2", "g-1"]


def test_every_four_sign_code_comes_once() -> None:
    assert len({ids.scatter(n) for n in range(27**4)}) == 27**4


def test_an_operation_keeps_what_was_asked(tx: Tx, ask: Make) -> None:
    wish = ask(fields={"why": "Über 5%"})
    op = ops.new(tx, wish, "triage", "triage --target=staging", "staging")
    assert ops.get(tx.db, op.id) == op
    assert (op.by, op.place, op.fields) == (wish.by, wish.place, wish.fields)
    assert (op.state, op.open, op.epoch, op.created_ms) == ("accepted", True, 1, tx.now_ms)
    assert op.digest != ops.new(tx, wish, "triage", "triage --target=staging", "production").digest
    assert op.digest == ops.new(tx, wish, "triage", "triage --target=staging", "staging").digest
    assert ops.get(tx.db, "r-none") is None
    assert tx.topics == {"ops"}


def test_the_course_of_an_operation(tx: Tx, ask: Make) -> None:
    op = accepted(tx, ask())
    running = ops.start(replace(tx, now_ms=tx.now_ms + 10), op.id)
    assert (running.state, running.started_ms) == ("running", tx.now_ms + 10)

    card = Card(title="step 2", lead="goes on")
    assert ops.progress(tx, op.id, card, waits_for="a decision").waits_for == "a decision"
    ended = ops.finish(
        tx, op.id, "done", verdict=Verdict.FAIL, exit_status=1, card=Card(title="FAIL"), data={"playbook": "F"}
    )
    assert (ended.state, ended.verdict, ended.exit_status, ended.data) == ("done", Verdict.FAIL, 1, {"playbook": "F"})
    assert (ended.card, ended.waits_for, ended.open) == (Card(title="FAIL"), None, False)
    assert ops.redraw(tx, op.id, Card(title="FAIL, waived")).card == Card(title="FAIL, waived")
    assert ops.get(tx.db, op.id) == ended.model_copy(update={"card": Card(title="FAIL, waived")})


def test_an_end_without_a_card_keeps_the_newest(tx: Tx, ask: Make) -> None:
    op = accepted(tx, ask())
    ops.start(tx, op.id)
    ops.progress(tx, op.id, Card(title="half way"))
    assert ops.finish(tx, op.id, "interrupted").card == Card(title="half way")


ENDS: tuple[ops.End, ...] = ("done", "failed", "stopped", "interrupted", "refused")


@pytest.mark.parametrize("state", ["accepted", "running", *ENDS])
def test_R28_only_the_drawn_transitions_exist(state: str, tx: Tx, ask: Make) -> None:
    def fresh() -> str:
        op = accepted(tx, ask())
        if state == "running" or state == "done":
            ops.start(tx, op.id)
        if state in ENDS:
            ops.finish(tx, op.id, state)  # type: ignore[arg-type]
        return op.id

    legal: dict[str, set[str]] = {
        "accepted": {"start", "failed", "stopped", "interrupted", "refused"},
        "running": {"progress", *ENDS},
    }
    moves: dict[str, Callable[[str], ops.Op]] = {
        "start": lambda op: ops.start(tx, op),
        "progress": lambda op: ops.progress(tx, op, Card(title="x")),
        "redraw": lambda op: ops.redraw(tx, op, Card(title="x")),
        **{end: (lambda op, end=end: ops.finish(tx, op, end)) for end in ENDS},  # type: ignore[misc]
    }
    for name, move in moves.items():
        op_id = fresh()
        if name in legal.get(state, {"redraw"}):
            move(op_id)
        else:
            before = ops.get(tx.db, op_id)
            with pytest.raises(ops.StateConflict) as conflict:
                move(op_id)
            assert conflict.value.op == before == ops.get(tx.db, op_id)


def test_an_operation_that_never_was_is_a_mistake_of_the_caller(tx: Tx) -> None:
    with pytest.raises(KeyError):
        ops.start(tx, "r-none")


def test_finding_operations(tx: Tx, ask: Make) -> None:
    one = accepted(tx, ask(), target="production")
    two = accepted(tx, ask(channel="C0OTHER"))
    three = accepted(tx, ask(), "drill", "production")
    ops.start(tx, three.id)
    ops.finish(tx, one.id, "stopped")

    def names(found: tuple[ops.Op, ...]) -> list[str]:
        return [op.id for op in found]

    assert names(ops.open_ops(tx.db)) == [two.id, three.id]
    assert names(ops.waiting(tx.db, 5)) == [two.id]
    assert names(ops.waiting(tx.db, 0)) == []
    assert names(ops.recent(tx.db)) == [three.id, two.id, one.id]
    assert names(ops.recent(tx.db, 1, before=three.id)) == [two.id]
    assert names(ops.recent(tx.db, command="triage")) == [two.id, one.id]
    assert names(ops.recent(tx.db, target="production", command="triage")) == [one.id]
    assert names(ops.running(tx.db, "triage")) == [two.id]
    assert names(ops.running(tx.db, "triage", "C0INC")) == []
    assert names(ops.running(tx.db, "drill", "C0INC")) == [three.id]


def test_R28_what_an_older_start_left_open_is_found(tx: Tx, ask: Make) -> None:
    waiting, ran, ended = (accepted(tx, ask()) for _ in range(3))
    ops.start(tx, ran.id)
    ops.finish(tx, ended.id, "stopped")
    now = replace(tx, epoch=2)
    epochs.begin(now)
    accepted(now, ask())

    assert [op.id for op in ops.left_open(tx.db, 2)] == [waiting.id, ran.id]
    assert ops.left_open(tx.db, 1) == ()
    for op in ops.left_open(tx.db, 2):
        ops.finish(now, op.id, "interrupted", exit_status=3)
    assert ops.left_open(tx.db, 2) == ()


async def test_R30_a_slot_is_taken_once_whatever_the_clock_does(leadership: Leadership, clock: HandClock) -> None:
    """Restarts and a clock that jumps a year ahead and back: the slot stays taken."""
    taken = []
    for jump_ms in (0, 365 * DAY_MS, -365 * DAY_MS, -2 * DAY_MS):
        clock.at_ms += jump_ms
        store = Store.open(leadership, clock=clock)
        taken.append(await store.write(lambda tx: schedule.claim(tx, "watch", 1_790_000_000_000)))
        await store.write(schedule.forget)
        await store.close()
    assert taken == [True, False, False, False]


def test_R30_the_newest_slot_of_a_schedule(tx: Tx) -> None:
    assert schedule.last(tx.db, "watch") is None
    assert schedule.claim(tx, "watch", 200)
    assert schedule.claim(tx, "watch", 100)
    assert schedule.claim(tx, "report", 200)
    found = schedule.last(tx.db, "watch")
    assert found == schedule.Slot("watch", 200, tx.now_ms, None)
    assert schedule.forget(tx) == 3
