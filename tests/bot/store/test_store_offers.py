"""What buttons mean: decisions work once and die with a reason, navigation lives on (safety.md, R3, R11)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from bot.card import Button, Card, when, who
from bot.command import Actor, Ask, Door
from bot.store import offers, ops
from bot.store.database import Store
from bot.store.offers import Dead, Offer
from bot.store.tx import Tx

BY = Actor(door=Door.SLACK, account="slack:U0RELMGR")
RERUN = Button(label="Run again", line="triage", name="triage.rerun")
APPROVE = Button(label="Approve", line="gate approve g-7", name="gate.approve", decision=True)


def card(*buttons: Button) -> Card:
    return Card(title="t", buttons=buttons)


def offer_of(minted: Card, n: int = 0) -> str:
    found = minted.buttons[n].offer
    assert found is not None
    return found


def operation(tx: Tx, ask: Callable[..., Ask]) -> ops.Op:
    return ops.new(tx, ask(), "gate", "gate", None)


def test_R11_a_button_carries_only_a_random_id_and_the_meaning_is_here(tx: Tx, ask: Callable[..., Ask]) -> None:
    op = operation(tx, ask)
    minted = offers.mint(tx, card(RERUN, APPROVE), op, "C0REL")
    ids = [button.offer for button in minted.buttons]
    assert all(offer is not None and len(offer) == 32 and int(offer, 16) >= 0 for offer in ids)
    assert len(set(ids)) == 2
    found = offers.look(tx.db, offer_of(minted, 1))
    assert found is not None
    assert (found.line, found.name, found.op, found.channel) == ("gate approve g-7", "gate.approve", op.id, "C0REL")
    assert found.expires_ms == minted.buttons[1].expires_ms == tx.now_ms + 30 * 60 * 1000
    assert offers.look(tx.db, "0" * 32) is None
    assert offers.mint(tx, Card(title="bare"), op, None) == Card(title="bare")


def test_a_button_keeps_its_id_across_edits(tx: Tx, ask: Callable[..., Ask]) -> None:
    op = operation(tx, ask)
    first = offers.mint(tx, card(RERUN, APPROVE), op, "C0REL")
    later = replace(tx, now_ms=tx.now_ms + 60_000)
    assert offers.mint(later, card(RERUN, APPROVE), op, "C0REL") == first
    assert offers.mint(later, first, op, "C0REL") == first
    elsewhere = offers.mint(later, card(RERUN), op, "C0INC")
    assert offer_of(elsewhere) != offer_of(first)
    assert offer_of(offers.mint(later, card(RERUN), None, None)) == offer_of(
        offers.mint(later, card(RERUN), None, None)
    )


def test_R11_a_decision_works_once_and_says_who_was_first(tx: Tx, ask: Callable[..., Ask]) -> None:
    offer = offer_of(offers.mint(tx, card(APPROVE), operation(tx, ask), "C0REL"))
    taken = offers.consume(tx, offer, BY, tx.now_ms + 1)
    again = offers.consume(tx, offer, Actor(door=Door.SLACK, account="slack:U0LEAD"), tx.now_ms + 2)

    assert isinstance(taken, Offer)
    assert (taken.used_by, taken.used_ms) == ("slack:U0RELMGR", tx.now_ms + 1)
    assert isinstance(again, Dead)
    assert again.reason == f"Already pressed by {who('slack:U0RELMGR')} {when(tx.now_ms + 1)}."
    assert again.offer == taken


def test_R11_a_used_decision_is_offered_anew_under_another_id(tx: Tx, ask: Callable[..., Ask]) -> None:
    """The second of two approvals: the card shows the button again, the first id stays dead."""
    op = operation(tx, ask)
    first = offer_of(offers.mint(tx, card(APPROVE), op, "C0REL"))
    offers.consume(tx, first, BY, tx.now_ms)
    second = offer_of(offers.mint(tx, card(APPROVE), op, "C0REL"))
    assert second != first
    assert isinstance(offers.consume(tx, first, BY, tx.now_ms), Dead)
    assert isinstance(offers.consume(tx, second, BY, tx.now_ms), Offer)


def test_R11_a_decision_expires(tx: Tx, ask: Callable[..., Ask]) -> None:
    op = operation(tx, ask)
    until = tx.now_ms + 4 * 60 * 60 * 1000
    button = APPROVE.model_copy(update={"expires_ms": until})
    offer = offer_of(offers.mint(tx, card(button), op, "C0REL"))
    dead = offers.consume(tx, offer, BY, until)
    assert isinstance(dead, Dead)
    assert dead.reason == f"Expired {when(until)}."
    assert isinstance(offers.consume(tx, offer, BY, until - 1), Offer)


def test_R11_an_expired_decision_is_not_revived_by_an_edit(tx: Tx, ask: Callable[..., Ask]) -> None:
    op = operation(tx, ask)
    first = offers.mint(tx, card(APPROVE), op, "C0REL")
    late = replace(tx, now_ms=tx.now_ms + offers.DECISION_MS)
    assert offer_of(offers.mint(late, card(APPROVE), op, "C0REL")) != offer_of(first)


def test_R11_superseded_decisions_explain_themselves_and_navigation_lives(tx: Tx, ask: Callable[..., Ask]) -> None:
    op = operation(tx, ask)
    minted = offers.mint(tx, card(APPROVE, RERUN), op, "C0REL")
    other = offers.mint(tx, card(APPROVE), operation(tx, ask), "C0REL")

    assert offers.supersede(tx, op.id, "a newer gate run, g-8, has taken its place.") == 1
    assert offers.supersede(tx, op.id, "again") == 0

    dead = offers.consume(tx, offer_of(minted), BY, tx.now_ms)
    assert isinstance(dead, Dead)
    assert dead.reason == f"Out of date since {when(tx.now_ms)}: a newer gate run, g-8, has taken its place."
    for _ in range(3):
        assert isinstance(offers.consume(tx, offer_of(minted, 1), BY, tx.now_ms), Offer)
    assert isinstance(offers.consume(tx, offer_of(other), BY, tx.now_ms), Offer)


def test_R11_a_button_that_we_never_made_says_so(tx: Tx) -> None:
    assert offers.consume(tx, "f" * 32, BY, tx.now_ms) == Dead("This button is not known here.", None)


async def test_R3_of_many_clicks_at_once_exactly_one_decides(store: Store, ask: Callable[..., Ask]) -> None:
    offer = offer_of(await store.write(lambda tx: offers.mint(tx, card(APPROVE), operation(tx, ask), "C0REL")))
    presses = await asyncio.gather(
        *(store.write(lambda tx: offers.consume(tx, offer, BY, tx.now_ms)) for _ in range(300))
    )
    assert sum(isinstance(press, Offer) for press in presses) == 1


def test_R11_any_course_of_mints_presses_and_supersedings(tx: Tx, ask: Callable[..., Ask]) -> None:
    """2,000 steps against a small model: a decision is never taken twice, late, or when superseded."""
    dice = random.Random(11)
    owners = [operation(tx, ask) for _ in range(3)]
    known: dict[str, list[object]] = {}  # offer: [operation, expires_ms, alive]
    now = tx.now_ms
    for _ in range(2000):
        now += dice.choice((0, 1_000, 400_000))
        step, owner = replace(tx, now_ms=now), dice.choice(owners)
        match dice.choice(("mint", "press", "press", "supersede")):
            case "mint":
                minted = offers.mint(step, card(APPROVE), owner, "C0REL").buttons[0]
                assert minted.offer is not None
                fresh = known.setdefault(minted.offer, [owner.id, minted.expires_ms, True])
                assert fresh[2] is True, "a dead offer was put on a card again"
                assert isinstance(fresh[1], int)
                assert fresh[1] > now
            case "press" if known:
                offer = dice.choice(list(known))
                _, expires_ms, alive = known[offer]
                assert isinstance(expires_ms, int)
                result = offers.consume(step, offer, BY, now)
                assert isinstance(result, Offer) == (alive is True and now < expires_ms)
                if isinstance(result, Offer):
                    known[offer][2] = False
            case "supersede":
                offers.supersede(step, owner.id, "newer.")
                for entry in known.values():
                    if entry[0] == owner.id:
                        entry[2] = False
            case _:
                pass
