"""Adding to the timeline from the message's menu and by an emoji, and mentions in threads: ux.md, rules 8 and 11."""

from __future__ import annotations

from typing import Any

import pytest

from bot.store import incidents
from bot.store.incidents import Entry
from tests.conftest import GUEST, INCIDENTS, ONCALL, RELMGR, STRANGER, VISITOR, Stage, text_of, until

EMOJI = "pushpin"


async def _opened(stage: Stage) -> None:
    await stage.type("incident open chat is slow")
    await until(lambda: any("INCIDENT i-1" in text_of(card) for card in stage.cards()))


async def _kept(stage: Stage) -> list[Entry]:
    assert stage.bot is not None
    entries = await stage.bot.world.store.read(lambda conn: incidents.timeline(conn, "i-1"))
    return [entry for entry in entries if entry.kind != "system"]


async def _said(stage: Stage, text: str = "the provider answers again", thread_ts: str | None = None) -> str:
    message, _ = await stage.slack.hands.say(RELMGR, INCIDENTS, text, thread_ts=thread_ts)
    return message.ts


def _whispered(stage: Stage, words: str, user: str = ONCALL) -> bool:
    return any(words in text for text in stage.whispers(user))


async def _form(stage: Stage, ts: str, user: str = ONCALL) -> dict[str, Any]:
    """The form of the message's menu, once it is open."""
    await stage.slack.shortcut(user, "timeline.add", ts, channel=INCIDENTS)
    await until(lambda: bool(stage.slack.views(user)))
    return stage.slack.views(user)[-1]


async def test_the_menu_asks_why_and_keeps_time_author_and_link(stage: Stage) -> None:
    await _opened(stage)
    ts = await _said(stage)
    view = await _form(stage, ts)
    await stage.slack.submit(ONCALL, view["id"], {"note": {"note": "first sign of <!channel> recovery"}})
    await until(lambda: _whispered(stage, "Added to the timeline of i-1"))

    message, note = sorted(await _kept(stage), key=lambda entry: entry.kind)
    assert (message.author, message.added_by, message.text) == (
        f"slack:{RELMGR}",
        f"slack:{ONCALL}",
        "the provider answers again",
    )
    assert message.event_ms == int(float(ts) * 1000)
    assert ts.replace(".", "") in (message.link or "")
    assert "<!" not in note.text


async def test_the_emoji_needs_no_form_and_three_ways_make_one_line(stage: Stage) -> None:
    """Emoji of two people, in a skin, menu, and the same event three times; after a restart too."""
    await _opened(stage)
    ts = await _said(stage)
    await stage.slack.react(ONCALL, ts, "eyes", channel=INCIDENTS)
    stage.slack.faults.duplicate(3)
    await stage.slack.react(ONCALL, ts, EMOJI, channel=INCIDENTS)
    await until(lambda: _whispered(stage, "Added to the timeline of i-1"))
    await stage.restart()
    await stage.slack.react(RELMGR, ts, f"{EMOJI}::skin-tone-3", channel=INCIDENTS)
    await until(lambda: _whispered(stage, "It stands in the timeline of i-1 already", RELMGR))
    view = await _form(stage, ts)
    await stage.slack.submit(ONCALL, view["id"], {})
    await until(lambda: _whispered(stage, "It stands in the timeline of i-1 already"))

    [entry] = await _kept(stage)
    assert (entry.author, entry.added_by) == (f"slack:{RELMGR}", f"slack:{ONCALL}")
    assert sum("Added to the timeline" in text for text in stage.whispers()) == 1


async def test_a_reply_in_a_thread_can_be_added(stage: Stage) -> None:
    await _opened(stage)
    parent = await _said(stage)
    reply = await _said(stage, "and the queue drains", parent)
    await stage.slack.react(ONCALL, reply, EMOJI, channel=INCIDENTS)
    await until(lambda: _whispered(stage, "Added to the timeline of i-1"))

    [entry] = await _kept(stage)
    assert (entry.text, entry.ts) == ("and the queue drains", reply)


@pytest.mark.parametrize(
    ("user", "words"), [(GUEST, "Guests may use"), (STRANGER, "People of other organisations may use")]
)
async def test_R8_outsiders_are_refused_and_only_they_hear_it(stage: Stage, user: str, words: str) -> None:
    await _opened(stage)
    ts = await _said(stage)
    await stage.slack.react(user, ts, EMOJI, channel=INCIDENTS)
    await until(lambda: _whispered(stage, words, user))
    before = len(stage.whispers(user))
    await stage.slack.shortcut(user, "timeline.add", ts, channel=INCIDENTS)
    await until(lambda: len(stage.whispers(user)) > before)

    assert stage.slack.views(user) == []
    assert await _kept(stage) == []
    assert not _whispered(stage, words)


async def test_without_an_incident_the_emoji_says_how_to_open_one(stage: Stage) -> None:
    ts = await _said(stage)
    await stage.slack.react(ONCALL, ts, EMOJI, channel=INCIDENTS)
    await until(lambda: _whispered(stage, "incident open"))


async def test_R33_slack_down_while_a_message_is_read_nothing_is_kept_and_the_asker_hears_it(stage: Stage) -> None:
    """The words come from Slack; without them nothing is written, and the emoji can be given again."""
    await _opened(stage)
    ts = await _said(stage)
    stage.slack.faults.error_500("conversations.history", times=20)
    await stage.slack.react(ONCALL, ts, EMOJI, channel=INCIDENTS)
    await until(lambda: any("Slack" in text for text in stage.whispers()))
    assert await _kept(stage) == []

    stage.slack.faults.clear()
    await stage.slack.react(VISITOR, ts, EMOJI, channel=INCIDENTS)
    await until(lambda: _whispered(stage, "Added to the timeline", VISITOR))
    assert len(await _kept(stage)) == 1


async def test_a_mention_in_a_thread_is_a_command_that_is_answered_there(stage: Stage) -> None:
    parent = await _said(stage, "is anything wrong?")
    await stage.slack.mention(ONCALL, INCIDENTS, "snapshot", parent)
    await until(lambda: len(stage.slack.thread(INCIDENTS, parent)) > 2)
    await until(lambda: "snapshot of practice" in text_of(stage.slack.thread(INCIDENTS, parent)[2]))

    assert stage.cards() == []


async def test_a_mention_that_is_refused_is_told_in_the_thread_to_who_asked(stage: Stage) -> None:
    parent = await _said(stage, "is anything wrong?")
    await stage.slack.mention(VISITOR, INCIDENTS, "triage", parent)
    await stage.slack.mention(VISITOR, INCIDENTS, "traige", parent)
    await until(lambda: len(stage.slack.ephemerals(VISITOR)) >= 2)

    notes = stage.slack.ephemerals(VISITOR)
    assert {note.get("thread_ts") for note in notes} == {parent}
    assert any("needs" in text and "responder" in text for text in stage.whispers(VISITOR))
    assert any("/sendcat triage" in text for text in stage.whispers(VISITOR))


async def test_the_menu_of_a_message_starts_a_triage_in_its_thread(stage: Stage) -> None:
    ts = await _said(stage)
    await stage.slack.shortcut(ONCALL, "triage", ts, channel=INCIDENTS)
    await until(lambda: len(stage.slack.thread(INCIDENTS, ts)) > 1)

    assert "riage" in text_of(stage.slack.thread(INCIDENTS, ts)[1])
    await stage.type("stop")


async def test_the_global_shortcut_answers_directly(stage: Stage) -> None:
    await stage.slack.shortcut(ONCALL, "status")
    direct = stage.slack.workspace.dm(ONCALL).id
    await until(lambda: any("Nothing is running" in text_of(m) for m in stage.slack.messages(direct)))
