"""Incidents in the store: one to a channel, an append-only timeline, marks of a checklist, reminders by slots."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import MORNING_MS

from bot.errors import Refused
from bot.incidents import live, remind
from bot.store import checklist, incidents, outbox, reminders, waiting
from bot.store.checklist import Found
from bot.store.incidents import Incident
from bot.store.tx import Tx

MINUTE = 60_000
ONCALL, RELMGR = "slack:U0ONCALL", "slack:U0RELMGR"


def opened(tx: Tx, channel: str | None = "C0INC") -> Incident:
    incident = incidents.open_one(tx, title="chat is slow", channel=channel, target="practice", by=ONCALL, owner=ONCALL)
    if channel is not None:
        outbox.put(tx, live.key(incident.id), channel=channel, kind="card", text="live")
    return incident


def said(tx: Tx, key: str, at_ms: int = MORNING_MS, text: str = "x") -> bool:
    return incidents.add_entry(tx, "i-1", "note", key, event_ms=at_ms, author=ONCALL, added_by=ONCALL, text=text)


def test_a_channel_has_one_open_incident_and_is_free_after_it(tx: Tx) -> None:
    first = opened(tx)
    with pytest.raises(Refused, match="i-1 is open in this channel"):
        opened(tx)
    assert incidents.bound(tx.db) == {"C0INC"}

    incidents.close(tx, first.id, ONCALL)

    assert incidents.bound(tx.db) == frozenset()
    assert opened(tx).id == "i-2"
    with pytest.raises(Refused, match="i-1 is closed"):
        incidents.change(tx, "i-1", cause="late")


def test_adding_twice_is_harmless_and_order_is_by_what_happened_when(tx: Tx) -> None:
    opened(tx)
    assert said(tx, "b", MORNING_MS + 2)
    assert said(tx, "a", MORNING_MS + 1)
    assert not said(tx, "a", MORNING_MS + 9, "another text")

    assert [(e.key, e.text) for e in incidents.timeline(tx.db, "i-1")] == [("a", "x"), ("b", "x")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE timeline SET text = 'other'",
        "DELETE FROM timeline",
        "UPDATE checklist_marks SET reason = 'other'",
        "DELETE FROM checklist_marks",
    ],
)
def test_facts_of_the_timeline_and_marks_are_immutable(tx: Tx, statement: str) -> None:
    opened(tx)
    said(tx, "a")
    checklist.look(tx, "i-1", {"sentry": Found()})
    checklist.mark(tx, "i-1", "sentry", "skip", by=ONCALL, basis="", reason="none")

    with pytest.raises(sqlite3.DatabaseError, match="append only"):
        tx.db.execute(statement)


def test_not_even_replace_reaches_a_line_that_stands(tx: Tx) -> None:
    opened(tx)
    said(tx, "a", text="first")
    tx.db.execute(
        "INSERT OR REPLACE INTO timeline (n, incident, kind, key, event_ms, added_ms, author, added_by, text) "
        "VALUES (1, 'i-1', 'note', 'a', 1, 1, 'x', 'x', 'second')"
    )

    assert [e.text for e in incidents.timeline(tx.db, "i-1")] == ["first"]


def test_an_answer_is_void_when_what_it_rested_on_has_changed(tx: Tx) -> None:
    """A confirmed report that is gone, and a change after "not needed": open again. Unticking is kept too."""
    opened(tx)
    checklist.look(tx, "i-1", {"drill": Found(ready=True), "baseline": Found(basis="c-1")})
    checklist.mark(tx, "i-1", "drill", "confirm", by=ONCALL, basis="")
    checklist.mark(tx, "i-1", "baseline", "skip", by=ONCALL, basis="c-1", reason="undone")
    assert not any(item.open for item in checklist.items(tx.db, "i-1"))

    checklist.look(tx, "i-1", {"drill": Found(ready=False), "baseline": Found(basis="c-1 c-2")})
    assert [item.open for item in checklist.items(tx.db, "i-1")] == [True, True]
    checklist.look(tx, "i-1", {"drill": Found(ready=True)})
    checklist.mark(tx, "i-1", "drill", "reopen", by=RELMGR, basis="")

    drill = next(item for item in checklist.items(tx.db, "i-1") if item.key == "drill")
    assert drill.open
    assert [mark.verb for mark in drill.marks] == ["confirm", "reopen"]


def test_items_wait_for_their_owner_or_for_who_holds_the_incident(tx: Tx) -> None:
    opened(tx)
    checklist.look(tx, "i-1", {"drill": Found(), "sentry": Found(), "gates": Found(asked=False)})
    checklist.assign(tx, "i-1", ["sentry"], owner=RELMGR)

    assert [item.key for item in waiting.for_person(tx.db, {ONCALL}).items] == ["drill"]
    theirs = waiting.for_person(tx.db, {RELMGR, "os:relmgr"})
    assert [item.key for item in theirs.items] == ["sentry"]
    assert theirs.mine == ()
    assert [i.id for i in theirs.incidents] == ["i-1"]


def ticks(tx: Tx, *minutes: int) -> list[int]:
    return [remind.tick(replace(tx, now_ms=MORNING_MS + minute * MINUTE), "C0OPS") for minute in minutes]


def letters(tx: Tx) -> list[tuple[str, str]]:
    return tx.db.execute("SELECT channel, key FROM outbox WHERE key GLOB 'reminder:*' ORDER BY id").fetchall()


def test_R30_a_reminder_speaks_once_a_slot_three_times_then_once_to_the_escalation_channel(tx: Tx) -> None:
    remind.begin_updates(tx, opened(tx))

    said_at = ticks(tx, 29, 30, 30, 31, 59, 60, 90, 120, 121, 150, 300)

    assert said_at == [0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert [channel for channel, _ in letters(tx)] == ["C0INC", "C0INC", "C0INC", "C0OPS"]


def test_R30_a_clock_that_jumps_repeats_no_slot_and_missed_slots_are_one_message(tx: Tx) -> None:
    remind.begin_updates(tx, opened(tx))

    assert ticks(tx, 95, 30, 95, 30, 95) == [1, 1, 0, 0, 0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minutes=st.lists(st.integers(0, 600), max_size=30))
def test_R30_whatever_the_clock_does_no_slot_has_two_effects(tx: Tx, minutes: list[int]) -> None:
    tx.db.execute("SAVEPOINT one")
    try:
        remind.begin_updates(tx, opened(tx))
        said_at = ticks(tx, *minutes)
        keys = [key for _, key in letters(tx)]
        assert len(keys) == len(set(keys)) == sum(said_at) <= reminders.AT_MOST + 1
    finally:
        tx.db.execute("ROLLBACK TO one")


def test_a_reminder_ends_by_itself_when_there_is_nothing_to_remind_of(tx: Tx) -> None:
    """An item that was answered, an incident that was closed."""
    incident = opened(tx)
    checklist.look(tx, incident.id, {"sentry": Found(), "drill": Found()}, owner=ONCALL, due_ms=MORNING_MS)
    remind.begin_items(tx, incident)
    checklist.mark(tx, incident.id, "sentry", "skip", by=ONCALL, basis="", reason="none")

    assert ticks(tx, 1) == [1]
    assert {r.about: r.ended_ms is not None for r in reminders.of(tx.db, "i-1")} == {"drill": False, "sentry": True}
    incidents.close(tx, incident.id, ONCALL)
    assert ticks(tx, 24 * 60 + 1) == [0]
    assert all(r.ended_ms for r in reminders.of(tx.db, "i-1"))


def test_several_items_of_one_person_are_one_message_to_its_owner(tx: Tx) -> None:
    incident = opened(tx)
    checklist.look(tx, incident.id, {k: Found() for k in ("sentry", "drill")}, owner=ONCALL, due_ms=MORNING_MS)
    checklist.look(tx, incident.id, {"endpoints": Found()}, owner=RELMGR, due_ms=MORNING_MS)
    remind.begin_items(tx, incident)

    assert ticks(tx, 0) == [2]
    cards = tx.db.execute("SELECT card FROM outbox WHERE key GLOB 'reminder:*'").fetchall()
    assert sum("Sentry links" in card and "Load drill report" in card for (card,) in cards) == 1
    assert sum(RELMGR in card for (card,) in cards) == 1


def test_a_note_and_a_snooze_keep_a_reminder_quiet(tx: Tx) -> None:
    incident = opened(tx)
    remind.begin_updates(tx, incident)
    assert ticks(tx, 30) == [1]
    remind.begin_updates(replace(tx, now_ms=MORNING_MS + 40 * MINUTE), incident)
    assert ticks(tx, 60, 69, 70) == [0, 0, 1]

    assert reminders.snooze(tx, "i-1", MORNING_MS + 200 * MINUTE) == 1
    assert ticks(tx, 150, 199, 200) == [0, 0, 1]
