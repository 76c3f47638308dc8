"""Nothing lost, nothing twice, in order (safety.md, R33)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from store_kit import HandClock

from bot.card import Card
from bot.store import outbox
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.store.outbox import Letter
from bot.store.tx import Tx


def put(tx: Tx, key: str, text: str = "x", *, kind: Any = "card", channel: str = "C1", **more: Any) -> None:
    outbox.put(tx, key, channel=channel, kind=kind, text=text, **more)


def keys(tx: Tx, at_ms: int | None = None) -> list[str]:
    return [letter.key for letter in outbox.due(tx.db, tx.now_ms if at_ms is None else at_ms)]


def letter_of(tx: Tx, key: str) -> Letter:
    found = outbox.by_key(tx.db, key)
    assert found is not None
    return found


def send(tx: Tx, key: str, ts: str | None = None) -> Letter:
    claimed = outbox.claim(tx, letter_of(tx, key).id)
    assert claimed is not None
    outbox.sent(tx, claimed.id, claimed.revision, claimed.ts or ts or f"ts-{key}")
    return claimed


def test_only_the_newest_rendering_is_sent(tx: Tx) -> None:
    for n in range(5):
        put(tx, "a", f"step {n}")
    assert keys(tx) == ["a"]
    assert send(tx, "a").text == "step 4"
    assert (letter_of(tx, "a").state, letter_of(tx, "a").ts) == ("sent", "ts-a")
    assert keys(tx) == []


def test_a_newer_body_becomes_an_edit_and_the_same_body_becomes_nothing(tx: Tx) -> None:
    card = Card(title="triage")
    put(tx, "a", card=card)
    send(tx, "a")
    tx.topics.clear()
    put(tx, "a", card=card)
    assert keys(tx) == []
    assert tx.topics == set()
    put(tx, "a", card=Card(title="triage: PASS", final=True))
    edit = send(tx, "a")
    assert (edit.ts, edit.revision, edit.final, edit.card) == (
        "ts-a",
        2,
        True,
        Card(title="triage: PASS", final=True),
    )
    assert tx.topics == {"outbox"}


def test_a_body_that_came_while_sending_goes_next(tx: Tx) -> None:
    put(tx, "a", "old")
    claimed = outbox.claim(tx, letter_of(tx, "a").id)
    assert claimed is not None
    put(tx, "a", "new")
    assert keys(tx) == []  # one call in flight per message
    outbox.sent(tx, claimed.id, claimed.revision, "1.0")
    assert keys(tx) == ["a"]
    assert send(tx, "a").text == "new"
    assert letter_of(tx, "a").sent_revision == 2


def test_R33_first_posts_of_a_channel_keep_their_order(tx: Tx) -> None:
    put(tx, "a")
    put(tx, "b", urgent=True)
    put(tx, "c", channel="C2")
    assert keys(tx) == ["a", "c"]
    outbox.later(tx, letter_of(tx, "a").id, tx.now_ms + 12_000, "ratelimited")
    assert keys(tx) == ["c"]  # b does not overtake a
    assert outbox.next_due_ms(tx.db, tx.now_ms) == tx.now_ms + 12_000
    assert keys(tx, tx.now_ms + 12_000) == ["c", "a"]
    send(tx, "a")
    assert keys(tx) == ["b", "c"]


def test_R33_replies_wait_for_their_parent_and_keep_their_order(tx: Tx) -> None:
    put(tx, "card")
    put(tx, "r1", kind="reply", thread_of="card")
    put(tx, "r2", kind="file", thread_of="card", file="a.json")
    put(tx, "elsewhere", kind="reply", thread_ts="9.9")
    assert keys(tx) == ["card", "elsewhere"]
    send(tx, "card", "1.5")
    put(tx, "card", "edited")
    assert set(keys(tx)) == {"r1", "elsewhere", "card"}
    assert send(tx, "r1").thread_ts == "1.5"
    assert send(tx, "r2").file == "a.json"
    assert send(tx, "elsewhere").thread_ts == "9.9"


def test_a_reply_to_nothing_is_a_mistake_of_the_caller(tx: Tx) -> None:
    import sqlite3

    with pytest.raises(sqlite3.IntegrityError):
        put(tx, "r", kind="reply", thread_of="never put")


def test_a_letter_that_cannot_be_sent_lets_the_next_one_pass_and_a_newer_body_tries_again(tx: Tx) -> None:
    put(tx, "a")
    put(tx, "b")
    claimed = outbox.claim(tx, letter_of(tx, "a").id)
    assert claimed is not None
    outbox.failed(tx, claimed.id, "invalid_blocks")
    assert keys(tx) == ["b"]
    put(tx, "a", "plainer")
    assert keys(tx) == ["a"]
    assert outbox.counts(tx.db) == {"due": 2}


def test_urgent_and_final_letters_come_first(tx: Tx) -> None:
    for n, more in enumerate(({}, {"final": True}, {"urgent": True}, {})):
        put(tx, f"l{n}", channel=f"C{n}", **more)  # type: ignore[arg-type]
    assert keys(tx) == ["l2", "l1", "l0", "l3"]
    assert len(outbox.due(tx.db, tx.now_ms, limit=2)) == 2


def test_ephemeral_messages_need_a_person_and_are_never_edited(tx: Tx) -> None:
    import sqlite3

    with pytest.raises(sqlite3.IntegrityError):
        put(tx, "e", kind="ephemeral")
    put(tx, "e", "no", kind="ephemeral", user="U1")
    put(tx, "e2", "no", kind="ephemeral", user="U1")
    put(tx, "e", "no, because", kind="ephemeral", user="U1")
    assert keys(tx) == ["e", "e2"]
    claimed = outbox.claim(tx, letter_of(tx, "e").id)
    assert claimed is not None
    assert (claimed.text, claimed.user) == ("no, because", "U1")
    put(tx, "e", "too late", kind="ephemeral", user="U1")
    outbox.sent(tx, claimed.id, claimed.revision, None)
    put(tx, "e", "far too late", kind="ephemeral", user="U1")
    assert letter_of(tx, "e").state == "sent"
    assert letter_of(tx, "e").text == "no, because"


def test_a_claim_is_made_once(tx: Tx) -> None:
    put(tx, "a")
    assert outbox.claim(tx, letter_of(tx, "a").id) is not None
    assert outbox.claim(tx, letter_of(tx, "a").id) is None
    assert outbox.claim(tx, 999) is None
    assert outbox.by_id(tx.db, 999) is None


def test_R33_an_unclear_post_is_looked_for_before_it_is_sent_again(tx: Tx) -> None:
    put(tx, "a")
    put(tx, "b")
    claimed = outbox.claim(tx, letter_of(tx, "a").id)
    assert claimed is not None
    outbox.unclear(tx, claimed.id, tx.now_ms + 1_000)
    put(tx, "a", "newer")  # a newer body does not make it less unclear
    assert keys(tx) == []
    (found,) = outbox.due(tx.db, tx.now_ms + 1_000)
    assert (found.state, found.mark) == ("unclear", "a")
    assert outbox.claim(tx, found.id) is None

    outbox.sent(tx, found.id, 0, "1.0")  # found, showing who knows what: it is edited
    assert send(tx, "a").ts == "1.0"
    assert keys(tx) == ["b"]


def test_R33_looked_for_and_not_there_is_due_again(tx: Tx) -> None:
    put(tx, "a")
    claimed = outbox.claim(tx, letter_of(tx, "a").id)
    assert claimed is not None
    outbox.unclear(tx, claimed.id)
    outbox.later(tx, claimed.id, tx.now_ms, "looked for, not there")
    assert send(tx, "a").attempts == 2


def test_an_unclear_edit_is_simply_repeated(tx: Tx) -> None:
    put(tx, "a")
    send(tx, "a")
    put(tx, "a", "edited")
    claimed = outbox.claim(tx, letter_of(tx, "a").id)
    assert claimed is not None
    outbox.unclear(tx, claimed.id)
    assert letter_of(tx, "a").state == "due"


def test_a_message_that_is_gone_is_posted_anew_under_another_mark(tx: Tx) -> None:
    put(tx, "a")
    outbox.replace(tx, letter_of(tx, "a").id)  # nothing stands yet: nothing to replace
    assert letter_of(tx, "a").generation == 0
    send(tx, "a", "1.0")
    put(tx, "a", "edited")
    claimed = outbox.claim(tx, letter_of(tx, "a").id)
    assert claimed is not None
    outbox.replace(tx, claimed.id)
    anew = letter_of(tx, "a")
    assert (anew.state, anew.ts, anew.replaced_ts, anew.mark) == ("due", None, "1.0", "a~1")


async def test_R33_after_a_restart_a_post_is_unclear_and_an_edit_is_due(
    leadership: Leadership, clock: HandClock
) -> None:
    def before(tx: Tx) -> None:
        for key in ("edit", "post"):
            put(tx, key, channel=key)
        send(tx, "edit")
        put(tx, "edit", "newer")
        for key in ("edit", "post"):
            outbox.claim(tx, letter_of(tx, key).id)

    store = Store.open(leadership, clock=clock)
    await store.write(before)
    await store.close()
    store = Store.open(leadership, clock=clock)
    states = await store.read(lambda db: {letter.key: letter.state for letter in outbox.due(db, clock.now_ms())})
    assert states == {"edit": "due", "post": "unclear"}
    await store.close()


@dataclass
class Wire:
    """A Slack that fails three times in ten: before, after, or with a wait; it keeps what a person would see."""

    dice: random.Random
    posted: list[tuple[str, str, str | None, str]] = field(default_factory=list)  # ts, mark, thread, text
    shown: dict[str, str] = field(default_factory=dict)

    def call(self, letter: Letter) -> str:
        """Returns the ts, or raises TimeoutError (unclear) or BlockingIOError (429)."""
        fate = self.dice.random()
        if fate < 0.1:
            raise BlockingIOError
        if fate < 0.2:
            raise TimeoutError
        ts = letter.ts
        if ts is None:
            ts = f"{len(self.posted) + 1:06d}"
            self.posted.append((ts, letter.mark, letter.thread_ts, letter.channel))
        self.shown[ts] = letter.text
        if fate < 0.3:
            raise TimeoutError
        return ts

    def find(self, mark: str) -> str | None:
        return next((ts for ts, known, *_ in self.posted if known == mark), None)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_R33_a_thousand_messages_through_a_bad_wire_and_restarts(tx: Tx, seed: int) -> None:
    """0 lost, 0 doubled, order kept per thread and per channel, and each shows its newest body."""
    tx.db.execute("BEGIN")
    dice, now = random.Random(seed), tx.now_ms
    wire, newest, written = Wire(dice), {}, []
    total, cards = 1000, []

    def at() -> Tx:
        return replace(tx, now_ms=now)

    while written[total:] or len(written) < total or outbox.due(tx.db, now + 10**9, 1):
        now += 100
        for _ in range(dice.randrange(6)):
            if len(written) < total and dice.random() < 0.6:
                key, parent = f"m{len(written)}", dice.choice(cards) if cards and dice.random() < 0.6 else None
                channel = letter_of(tx, parent).channel if parent else dice.choice(("C1", "C2", "C3"))
                put(at(), key, key, kind="reply" if parent else "card", channel=channel, thread_of=parent)
                written.append((key, channel, parent))
                newest[key] = key
                if not parent:
                    cards.append(key)
            elif newest:
                key = dice.choice(list(newest))
                newest[key] = f"{key} edited at {now}"
                _, channel, parent = written[int(key[1:])]
                put(at(), key, newest[key], kind="reply" if parent else "card", channel=channel, thread_of=parent)
        for letter in outbox.due(tx.db, now):
            if letter.state == "unclear":
                ts = wire.find(letter.mark)
                if ts is None:
                    outbox.later(at(), letter.id, now, "looked for, not there")
                else:
                    outbox.sent(at(), letter.id, 0, ts)
                continue
            claimed = outbox.claim(at(), letter.id)
            assert claimed is not None
            try:
                ts = wire.call(claimed)
            except BlockingIOError:
                outbox.later(at(), letter.id, now + 700, "ratelimited")
            except TimeoutError:
                if dice.random() < 0.2:
                    outbox.recover(at())  # the bot died while it waited, and was started again
                else:
                    outbox.unclear(at(), letter.id)
            else:
                outbox.sent(at(), letter.id, claimed.revision, ts)
    tx.db.execute("COMMIT")

    marks = [mark for _, mark, _, _ in wire.posted]
    assert len(marks) == len(set(marks)) == total
    assert {mark: wire.shown[ts] for ts, mark, _, _ in wire.posted} == newest
    assert outbox.counts(tx.db) == {"sent": total}
    lanes: dict[tuple[str, str | None], list[int]] = {}
    for key, channel, parent in written:
        lanes.setdefault((channel, parent), []).append(int(key[1:]))
    stands = {mark: position for position, mark in enumerate(marks)}
    for lane in lanes.values():
        positions = [stands[f"m{n}"] for n in lane]
        assert positions == sorted(positions)
    thread_of = {mark: thread for _, mark, thread, _ in wire.posted}
    for key, _, parent in written:
        assert thread_of[key] == (letter_of(tx, parent).ts if parent else None)
