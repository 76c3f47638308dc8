"""Playbook G as a channel goes through it: the check, the decision by another person, the ticket with its evidence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.practice.outside import Outside
from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import PracticeSlack
from bot.store import artifacts, audit, cases
from bot.store.artifacts import write_file
from bot.store.case import State
from slo.artifacts import RegionReport
from tests.conftest import INCIDENTS, LEAD, ONCALL, RELMGR, VISITOR, Stage, config_for, ticked, told, until

DRILL = next((Path(__file__).parents[1] / "data/samples/artifacts/drill-quick-pass").glob("load-drill-*.json"))


@pytest.fixture
async def with_github(
    tmp_path: Path, sendcat: PracticeSendcat, slack: PracticeSlack, outside: Outside
) -> AsyncIterator[Stage]:
    """The whole product with its outside."""
    whole = Stage(sendcat, slack, config_for(tmp_path, sendcat, slack, outside))
    await whole.lead()
    yield whole
    await whole.leave()


async def card_with(stage: Stage, *words: str, at: int = -1, within_s: float = 20.0) -> str:
    """A card, once it holds all these words."""
    await until(lambda: bool(stage.cards()) and all(w in told(stage, at) for w in words), within_s)
    return told(stage, at)


async def press(stage: Stage, label: str, user: str, *, at: int = -1) -> Any:
    return await stage.slack.hands.click(user, stage.cards()[at], label, channel=INCIDENTS)


async def kept(stage: Stage, kind: str) -> list[dict[str, Any]]:
    """Reports of a kind on disk, the last started first."""
    assert stage.bot is not None
    rows = await stage.bot.world.store.read(lambda conn: artifacts.listing(conn, kind))
    return [json.loads((stage.config.artifact_dir / row.name).read_text()) for row in rows]


async def put_drill(stage: Stage) -> str:
    """A chat drill of this target as the bot keeps it."""
    assert stage.bot is not None
    world = stage.bot.world
    made = write_file(
        world.config.artifact_dir,
        DRILL.name,
        json.loads(DRILL.read_text()),
        kind="drill",
        started_ms=world.clock.now_ms(),
        target="practice",
    )
    await world.store.write(lambda tx: artifacts.register(tx, made))
    return made.sha256


async def state(stage: Stage, case: str) -> State:
    assert stage.bot is not None
    found = await stage.bot.world.store.read(lambda conn: cases.look(conn, case))
    assert found is not None
    return found.standing(stage.bot.world.clock.now_ms())


async def answer(stage: Stage, user: str, reason: str) -> None:
    """Fill the form of the last button and send it."""
    await until(lambda: bool(stage.slack.views(user)))
    view = stage.slack.views(user)[-1]
    await stage.slack.submit(user, view["id"], {"reason": {"reason": reason}, **ticked(view)})


async def test_playbook_G_from_the_forecast_to_the_ticket(with_github: Stage, outside: Outside) -> None:
    """The whole walk: run by a form, read, decided by another person across a restart, one ticket with digests."""
    stage = with_github
    sha256 = await put_drill(stage)
    await stage.type("playbook G")
    card = await card_with(stage, "Playbook G", "Run region-readiness")
    assert "there is none yet" in card

    await stage.type("walk ticket w-1 3")
    await until(lambda: any("no readable region-readiness report" in text for text in stage.whispers()))
    await press(stage, "Run region-readiness", ONCALL)
    await until(lambda: bool(stage.slack.views(ONCALL)))
    view = stage.slack.views(ONCALL)[-1]
    flag = "expected-peak-streams"
    wrong = await stage.slack.submit(ONCALL, view["id"], {flag: {flag: "25kk"}})
    assert "is not a number of streams" in json.dumps(wrong.body)
    await stage.slack.submit(ONCALL, view["id"], {flag: {flag: "25k"}})
    card = await card_with(stage, "TRIGGERED: a multi-region programme is due", "waiting for approval", "rg-1")
    assert "Forecast streams" in card
    assert "needs 1 release manager" in card

    # Four eyes, then a release manager after a restart.
    await stage.type("region-readiness approve rg-1 --reason=mine", user=ONCALL)
    await stage.restart()
    for user, word in ((VISITOR, "needs"), (ONCALL, "needs")):
        ack = await stage.type("region-readiness approve rg-1 --reason=mine", user=user)
        assert word in json.dumps(ack.body) + "".join(stage.whispers(user))
    assert await state(stage, "rg-1") is State.WAITING
    await press(stage, "Approve…", RELMGR)
    await answer(stage, RELMGR, "launch forecast confirmed")
    card = await card_with(stage, "APPROVED", "decision d-1", "launch forecast confirmed")
    assert "playbook G" in card

    await stage.type("playbook G")
    card = await card_with(stage, "Playbook G FIRED", "TRIGGERED at 25,000 streams")
    assert "expected peak streams: 25000" in card
    await stage.type("walk ticket w-1 3")
    card = await card_with(stage, "issues/1")
    [issue] = outside.issues
    region, (report,) = await kept(stage, "region"), await kept(stage, "region")
    assert RegionReport.parse(report).decision.activate_multi_region_program
    assert region[0] == report
    for word in (sha256, DRILL.name, "region-readiness-", "d-1", "launch forecast confirmed", "active_standby"):
        assert word in issue["body"], word
    assert "release-gate report: there is none" in issue["body"]
    assert "/archives/" in issue["body"]

    # One report, one ticket; another walk learns where it is.
    await stage.type("playbook G --target=practice", user=LEAD)
    await stage.type("walk ticket w-1 3", user=RELMGR)
    await until(lambda: any("was done by" in text for text in stage.whispers(RELMGR)))
    assert len(outside.issues) == 1
    assert stage.bot is not None
    rows = [json.loads(row.body) for row in await stage.bot.world.store.read(lambda conn: audit.rows(conn))]
    ticket = [row["detail"]["ticket"] for row in rows if "ticket" in (row.get("detail") or {})]
    assert ticket == ["https://github.com/sendcat/sendcat/issues/1"]


async def test_without_github_the_bundle_is_in_the_thread_and_a_no_ends_it(stage: Stage) -> None:
    """A Markdown bundle with the reports; a rejected report opens nothing; a newer quiet check voids what waits."""
    await put_drill(stage)
    await stage.type("playbook G")
    await card_with(stage, "Playbook G")
    walk = stage.cards()[0]["ts"]
    await stage.type("region-readiness --expected-peak-streams=25k")
    await card_with(stage, "rg-1", "waiting for approval")

    await stage.type("walk ticket w-1 3")
    card = await card_with(stage, "the ticket is multi-region-ticket-", at=0)
    assert "GitHub is not configured" in card
    await until(lambda: "multi-region-ticket-" in json.dumps(stage.slack.thread(INCIDENTS, walk)))
    await until(lambda: DRILL.name in json.dumps(stage.slack.thread(INCIDENTS, walk)))
    (bundle,) = stage.config.artifact_dir.glob("multi-region-ticket-*.md")
    assert "Decision: rg-1 is WAITING" in bundle.read_text()

    await stage.type("region-readiness --expected-peak-streams=30k")
    await card_with(stage, "rg-2", "waiting for approval")
    assert await state(stage, "rg-1") is State.VOID
    await stage.type("region-readiness reject rg-2 --reason='forecast withdrawn'", user=RELMGR)
    await card_with(stage, "REJECTED", "forecast withdrawn")
    await stage.type("walk leave w-1")
    await card_with(stage, "Playbook G LEFT", at=0)
    await stage.type("playbook G")
    await card_with(stage, "Playbook G FIRED")
    await stage.type("walk ticket w-2 3")
    await until(lambda: any("rg-2 is REJECTED" in text for text in stage.whispers()))

    await stage.type("region-readiness --expected-peak-streams=30k")
    await card_with(stage, "rg-3", "waiting for approval")
    await stage.type("region-readiness --expected-peak-streams=5k")
    await card_with(stage, "NOT_TRIGGERED: one region is enough")
    await stage.type("region-readiness approve rg-3 --reason=go", user=RELMGR)
    await until(lambda: any("a newer check says NOT_TRIGGERED" in text for text in stage.whispers(RELMGR)))
    assert await state(stage, "rg-3") is State.VOID
    await stage.type("walk ticket w-2 3")
    await until(lambda: any("says NOT_TRIGGERED" in text and "action 4" in text for text in stage.whispers()))


async def test_typed_alone_it_asks_for_the_forecast(stage: Stage) -> None:
    await stage.type("region-readiness")
    await until(lambda: bool(stage.slack.views(ONCALL)))

    shown = json.dumps(stage.slack.views(ONCALL)[-1], ensure_ascii=False)

    assert "concurrent streams at peak" in shown
    assert "/sendcat region-readiness --expected-peak-streams=" in shown
