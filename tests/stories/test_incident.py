"""An incident from the first red triage to the report, as the people in the channel see it."""

from __future__ import annotations

import json

from bot.practice.sendcat import Script
from bot.store import checklist, incidents, outbox, reminders
from tests.conftest import INCIDENTS, LEAD, ONCALL, RANDOM, RELMGR, VISITOR, Stage, text_of, until

_ = Script


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
