"""The dashboard in a channel: a card with the table, the picture and the page in its thread."""

from __future__ import annotations

import json

from tests.bot.dashboard.dashboard_kit import fill
from tests.conftest import INCIDENTS, ONCALL, VISITOR, Stage, text_of, until


async def test_the_table_stands_on_the_card_and_the_picture_in_its_thread(stage: Stage) -> None:
    fill(stage.config.artifact_dir, stage.config.target["practice"].site_url)
    await stage.type("dashboard")
    await until(
        lambda: any("Dashboard of practice: the newest drill is" in text_of(card) for card in stage.cards()), 20
    )
    text = text_of(stage.cards()[-1])
    for word in ("/api/gmail/push", "/api/whatsapp/webhook", "/api/chat", "of 1500 ms", "1 of 2 passed ✓✕"):
        assert word in text
    ts = stage.cards()[-1]["ts"]
    await until(lambda: len(stage.slack.thread(INCIDENTS, ts)) == 3, 10)
    notes = json.dumps(stage.slack.thread(INCIDENTS, ts)[1:])
    assert "slo-dashboard.html" in notes
    assert ".png" in notes
    [picture] = stage.config.artifact_dir.glob("slo-dashboard-*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_R8_without_a_role_the_dashboard_is_read_in_incident_channels(stage: Stage) -> None:
    await stage.type("dashboard", user=VISITOR)
    await until(lambda: any("There is no report" in text_of(card) for card in stage.cards()))
    await stage.type("dashboard", user=VISITOR, channel="C0RAND")
    await until(lambda: bool(stage.whispers(VISITOR)))
    await stage.type("dashboard --max-reports=5k", user=ONCALL)
    await until(lambda: any("a number from 0 to 200" in text for text in stage.whispers(ONCALL)))
