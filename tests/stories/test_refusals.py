"""A no by right, pressed through: the group is mentioned once, in public, and the asker learns what they may do."""

from __future__ import annotations

import json

from tests.conftest import GUEST, INCIDENTS, VISITOR, Stage, carry_out, text_of, until


async def test_whoever_may_not_asks_those_who_may_once(stage: Stage) -> None:
    """Denied in private; one public mention of the nearest group however often it is pressed; rights; stop for all."""
    ack = await stage.type("triage", user=VISITOR)
    assert "needs admin or release manager or responder" in json.dumps(ack.body)
    refused = stage.slack.ephemerals(VISITOR)[-1]
    assert {"[ Ask them ]", "[ My rights ]"} <= set(text_of(refused).splitlines()[-1].split("  "))
    assert stage.cards() == []

    await stage.slack.click(VISITOR, refused, "Ask them", channel=INCIDENTS)
    await until(lambda: len(stage.cards()) == 1)
    await stage.slack.click(VISITOR, refused, "Ask them", channel=INCIDENTS)
    await until(lambda: any("Asked already" in text for text in stage.whispers(VISITOR)))
    [mention] = stage.cards()
    assert json.dumps(mention).count("<!subteam^S0ONCALL>") == 1
    assert "Asked for: triage" in text_of(mention)

    await stage.slack.click(VISITOR, refused, "My rights", channel=INCIDENTS)
    await until(lambda: any("Not you, but admin or release manager or responder" in t for t in stage.whispers(VISITOR)))
    guest = await stage.type("triage", user=GUEST)
    assert "My rights" in json.dumps(guest.body)
    assert "Ask them" not in json.dumps(guest.body)
    stopped = await stage.type("stop", user=GUEST)
    assert "Stopped: 0 running operations" in json.dumps(stopped.body)
    await stage.type("stop --release=true")

    # Nobody's own words reach the group, nor a line that does not need the right.
    await stage.type("ask triage buy our shoes", user=VISITOR)
    await until(lambda: any("is not what that line needs" in text for text in stage.whispers(VISITOR)))
    for number in range(8):
        await stage.type(f"ask gate.decide gate approve g-{number} now <!channel>", user=VISITOR)
    await until(lambda: any("times within an hour" in text for text in stage.whispers(VISITOR)))
    assert "<!channel>" not in json.dumps(stage.cards())
    assert len(stage.cards()) <= 6

    # The same in a terminal: the rights of the login, and a mention where decisions are made.
    assert stage.bot is not None
    _, mine = await carry_out(stage.bot, "rights", by="relmgr")
    assert mine is not None
    assert mine["data"]["roles"] == ["member", "release manager"]
    _, asked = await carry_out(stage.bot, "ask tune.approve tune approve c-41", by="oncall")
    assert asked is not None
    assert asked["data"]["asked"]
    channel = stage.config.slack.release_channel or INCIDENTS
    keys = await stage.bot.world.store.read(
        lambda conn: [row[0] for row in conn.execute("SELECT key FROM outbox WHERE key LIKE 'ask:%c-41%'")]
    )
    assert [key.split(":")[1] for key in keys] == [channel]
