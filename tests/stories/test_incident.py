"""An incident from the first red triage to the report, as the people in the channel see it."""

from __future__ import annotations

import json

from bot.store import checklist, incidents, outbox, reminders
from bot.watch import Watch
from tests.conftest import INCIDENTS, LEAD, ONCALL, RANDOM, RELMGR, VISITOR, Stage, text_of, until


def _card(stage: Stage, channel: str, start: str) -> str:
    """The text of the card whose title holds these words; empty when there is none."""
    found = [text_of(m) for m in stage.cards(channel)]
    return next((text for text in found if start in text.splitlines()[0]), "")


async def _open(stage: Stage, words: str = "chat is slow", channel: str = INCIDENTS) -> str:
    await stage.type(f"incident open {words}", channel=channel)
    await until(lambda: bool(_card(stage, channel, "INCIDENT i-")))
    return _card(stage, channel, "INCIDENT i-")


async def test_opening_binds_the_channel_and_puts_one_live_card_there(stage: Stage) -> None:
    card = await _open(stage, "chat is slow --severity=sev2 --endpoints=/api/chat")

    assert card.splitlines()[0] == "🔴 INCIDENT i-1 sev2: chat is slow"
    assert "/api/chat" in card
    assert "nothing on record" in card
    assert len(stage.cards()) == 1


async def test_R8_a_bound_channel_counts_as_listed_until_the_incident_is_closed(stage: Stage) -> None:
    """Before: refused. After a responder opened an incident there: a snapshot works, also for a member."""
    before = await stage.type("snapshot", channel=RANDOM)
    visitor = await stage.type("incident open nonsense", user=VISITOR, channel=RANDOM)
    await _open(stage, channel=RANDOM)
    await stage.type("snapshot", user=VISITOR, channel=RANDOM)

    await until(lambda: bool(_card(stage, RANDOM, "snapshot of practice")))
    assert "not listed" in json.dumps(before.body)
    assert "needs" in json.dumps(visitor.body)


async def test_a_second_incident_in_a_channel_is_refused_with_the_first(stage: Stage) -> None:
    await _open(stage)
    await stage.type("incident open again")

    await until(lambda: any("i-1 is open in this channel" in text for text in stage.whispers()))
    assert len(stage.cards()) == 1


async def test_triage_offers_to_open_an_incident_which_begins_with_that_triage(stage: Stage) -> None:
    """One press: title, cause and beginning come from the triage; its run stands in the timeline."""
    stage.sendcat.inject("F", variant="caps")
    await stage.type("triage")
    await stage.final()

    await stage.slack.hands.click(ONCALL, stage.cards()[-1], "Open an incident", channel=INCIDENTS)
    await until(lambda: "triage r-" in _live(stage) or "triage: *FAIL*" in _live(stage))
    await stage.type("timeline")
    await until(lambda: any("Timeline of i-1" in text for text in stage.whispers()))

    assert "tool queue" in _live(stage)
    assert stage.bot is not None
    found = await stage.bot.world.store.read(lambda conn: incidents.get(conn, "i-1"))
    entries = await stage.bot.world.store.read(lambda conn: incidents.timeline(conn, "i-1"))
    assert found is not None
    assert found.began_ms < found.opened_ms
    assert [e.key.partition(":")[0] for e in entries] == ["op", "opened"]


def _live(stage: Stage) -> str:
    return _card(stage, INCIDENTS, "INCIDENT i-1") or _card(stage, INCIDENTS, "CLOSED i-1")


async def test_a_second_triage_gets_the_link_of_the_first(stage: Stage) -> None:
    await stage.type("triage")
    await stage.begun()  # an edit: the bot knows where its card is
    again = await stage.type("triage", user=RELMGR)
    ts = stage.cards()[0]["ts"]

    assert f"/archives/{INCIDENTS}/p{ts.replace('.', '')}" in json.dumps(again.body)


async def test_a_note_needs_no_quotes_and_stands_in_the_timeline_once(stage: Stage) -> None:
    """Delivered three times: one line. What is not harmless in it is made so; secrets and addresses are not kept."""
    await _open(stage)
    stage.slack.faults.duplicates = 2
    await stage.type("incident note it's ann@example.com from 10.1.2.3 <!channel> xoxb-1234567890-PLANTED don't")
    await until(lambda: any("Noted in the timeline" in text for text in stage.whispers()))

    assert stage.bot is not None
    entries = await stage.bot.world.store.read(lambda conn: incidents.timeline(conn, "i-1"))
    notes = [entry for entry in entries if entry.kind == "note"]
    assert len(notes) == 1
    assert notes[0].text.startswith("it's email#")
    assert "<!" not in notes[0].text
    for planted in (b"ann@example.com", b"10.1.2.3", b"PLANTED"):
        for file in stage.config.state_dir.iterdir():
            assert not file.is_file() or planted not in file.read_bytes(), file.name


async def test_adding_a_message_twice_is_harmless_and_keeps_its_time_author_and_link(stage: Stage) -> None:
    """By its address; the words are read from Slack, not taken from who adds them."""
    await _open(stage)
    message, _ = await stage.slack.hands.say(RELMGR, INCIDENTS, "the provider answers again")
    ts = message.ts
    for _turn in range(2):
        await stage.type(f"timeline add {INCIDENTS}/{ts}")
    await until(lambda: any("already" in text for text in stage.whispers()))

    assert stage.bot is not None
    entries = await stage.bot.world.store.read(lambda conn: incidents.timeline(conn, "i-1"))
    kept = [entry for entry in entries if entry.kind == "message"]
    assert [(e.author, e.text, e.added_by) for e in kept] == [
        (f"slack:{RELMGR}", "the provider answers again", f"slack:{ONCALL}")
    ]
    assert kept[0].event_ms == int(float(ts) * 1000)
    assert kept[0].link
    assert ts.replace(".", "") in kept[0].link


async def test_handing_over_is_reading_one_card(stage: Stage) -> None:
    """The card names the new owner; the thread mentions them; the old one's items go along."""
    await _open(stage)
    await stage.type("checklist")
    await until(lambda: bool(_card(stage, INCIDENTS, "Post-incident checklist")))
    await stage.type("incident handoff @relmgr watch the queue")
    await until(lambda: "owner @relmgr" in _live(stage))

    assert stage.bot is not None
    items = await stage.bot.world.store.read(lambda conn: checklist.items(conn, "i-1"))
    assert {item.owner for item in items} == {f"slack:{RELMGR}"}
    live = next(m for m in stage.cards() if "INCIDENT i-1" in text_of(m))
    await until(lambda: any("holds i-1 now" in text_of(m) for m in stage.slack.thread(INCIDENTS, live["ts"])))


async def test_closing_is_refused_while_an_item_is_open_and_names_it(stage: Stage) -> None:
    """Then each item is answered, and the report goes into the thread."""
    await _open(stage, "queue is stuck --endpoints=/api/chat")
    await stage.type("drill --quick=true")
    await until(lambda: bool(_card(stage, INCIDENTS, "PASS")), 30)
    await stage.type("snapshot")
    await until(lambda: bool(_card(stage, INCIDENTS, "snapshot of practice")))

    await stage.type("incident close")
    await until(lambda: any("stays open" in text for text in stage.whispers()))
    refusal = next(text for text in stage.whispers() if "stays open" in text)
    await until(lambda: bool(_card(stage, INCIDENTS, "Post-incident checklist i-1")))
    board = next(m for m in stage.cards() if "Post-incident checklist" in text_of(m))
    await stage.slack.hands.click(ONCALL, board, "Confirm what is found", channel=INCIDENTS)
    await until(lambda: "4 of 5 done" in _card(stage, INCIDENTS, "Post-incident checklist"))
    await stage.type("checklist skip sentry the provider was down, nothing reached Sentry")
    await until(lambda: "5 of 5 done" in _card(stage, INCIDENTS, "Post-incident checklist"))
    await stage.type("incident close")
    await until(lambda: "CLOSED i-1" in _live(stage))

    assert "Sentry links" in refusal
    assert "not needed: the provider was down" in _card(stage, INCIDENTS, "Post-incident checklist")
    folder = stage.config.artifact_dir
    await until(lambda: (folder / "checklist-i-1.json").is_file())
    data = json.loads((folder / "checklist-i-1.json").read_text())
    assert data["state"] == "closed"
    assert {row["item"]: row["state"] for row in data["checklist"]}["sentry"] == "skipped"
    assert "| 20" in (folder / "checklist-i-1.md").read_text()
    await until(lambda: len([f for m in stage.slack.thread(INCIDENTS, board["ts"]) for f in m.get("files", [])]) >= 2)
    assert stage.bot is not None
    assert await stage.bot.world.store.read(incidents.bound) == frozenset()
    assert all(r.ended_ms for r in await stage.bot.world.store.read(lambda conn: reminders.of(conn, "i-1")))


async def test_a_confirmation_that_no_fact_bears_is_refused(stage: Stage) -> None:
    await _open(stage)
    await stage.type("checklist confirm snapshots", user=LEAD)

    await until(lambda: any("cannot be confirmed" in text for text in stage.whispers(LEAD)))


async def test_cards_of_an_incident_are_one_message_each_across_a_restart(stage: Stage) -> None:
    await _open(stage)
    await stage.type("checklist")
    await until(lambda: len(stage.cards()) == 2)
    await stage.restart()
    await stage.type("incident update --severity=sev1 --next='fail over to the second provider'")
    await until(lambda: "sev1" in _live(stage))

    assert "fail over to the second provider" in _live(stage)
    assert len(stage.cards()) == 2
    assert stage.bot is not None
    assert await stage.bot.world.store.read(lambda conn: outbox.by_key(conn, "incident:i-1")) is not None


async def test_R30_a_reminder_goes_to_the_thread_once_also_when_the_bot_was_restarted(stage: Stage) -> None:
    """A snooze puts its slot into the past half hour; two ticks and a restart later it was said once."""
    await _open(stage)

    async def tick() -> int:
        assert stage.bot is not None
        return await Watch(stage.bot.world.store, stage.bot.world.clock).reminders()

    assert stage.bot is not None
    now_ms = stage.bot.world.clock.now_ms()
    await stage.bot.world.store.write(lambda tx: reminders.snooze(tx, "i-1", now_ms - 1_000))
    assert [await tick(), await tick()] == [1, 0]
    await stage.restart()
    assert await tick() == 0

    live = stage.cards()[0]
    await until(lambda: any("no update since" in text_of(m) for m in stage.slack.thread(INCIDENTS, live["ts"])))
    said = [text_of(m) for m in stage.slack.thread(INCIDENTS, live["ts"]) if "no update since" in text_of(m)]
    assert len(said) == 1
    assert "Snooze 1 h" in said[0]
