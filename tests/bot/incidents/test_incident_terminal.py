"""Incidents from a terminal, without Slack: the same commands, the same record, the report on disk."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from bot.config import Config, Sentry
from bot.main import Bot
from bot.practice.outside import Outside
from bot.practice.sendcat import PracticeSendcat
from bot.store import checklist, incidents
from tests.conftest import carry_out


async def done(bot: Bot, line: str, by: str = "oncall") -> tuple[int, str]:
    """Exit status and title of the outcome."""
    reply, outcome = await carry_out(bot, line, by=by)
    if outcome is None:
        return reply.exit_status, reply.card.title if reply.card else ""
    return int(outcome["exit_status"]), str(outcome["card"]["title"])


async def test_an_incident_lives_without_slack_and_exports_to_disk_and_as_drafts(bot: Bot) -> None:
    """Drafts only where the runbook's folder stands; the report can be written again and again."""
    config = bot.world.config
    assert (await done(bot, "incident open queue is stuck"))[0] == 0
    assert (await done(bot, "incident note it's still stuck")) == (0, "Noted in the timeline of i-1")
    assert (await done(bot, "checklist confirm timeline"))[0] == 0
    status, title = await done(bot, "incident close")
    assert status == 4
    assert "i-1 stays open" in title
    assert (await done(bot, "checklist export"))[0] == 0
    config.runbook_dir.mkdir(parents=True, exist_ok=True)
    assert (await done(bot, "checklist export i-1"))[0] == 0

    names = {path.name for path in config.artifact_dir.iterdir()}
    assert {"checklist-i-1.md", "checklist-i-1.json"} <= names
    assert [path.name for path in config.runbook_dir.iterdir()] == ["post-incident-i-1.draft.md"]
    assert "it's still stuck" in (config.artifact_dir / "checklist-i-1.md").read_text()


async def test_who_may_do_what(bot: Bot) -> None:
    """A visitor may neither open nor answer; a manager answers the checklist but does not close."""
    assert (await done(bot, "incident open x", by="visitor"))[0] == 4
    assert (await done(bot, "incident open x"))[0] == 0
    assert (await done(bot, "checklist skip sentry nothing reached it", by="visitor"))[0] == 4
    assert (await done(bot, "checklist skip sentry nothing reached it", by="lead"))[0] == 0


async def test_every_mistake_says_what_to_type(bot: Bot) -> None:
    await done(bot, "incident open x")
    for line, said in (
        ("incident note", "needs words"),
        ("incident handoff nobody", "Nobody here is called"),
        ("incident update --endpoints=chat", "endpoints are paths"),
        ("checklist confirm sentri", "has no item"),
        ("checklist add sentry ftp://x", "an https link"),
        ("checklist skip sentry", "because?"),
        ("checklist i-99", "There is no incident i-99"),
        ("timeline add here", "names no message"),
        ("incident opne", "goes on with one of"),
    ):
        status, title = await done(bot, line)
        assert status in (2, 4), line
        assert said in title, (line, title)


async def test_sentry_fills_its_item_with_links(config: Config, sendcat: PracticeSendcat) -> None:
    """What the application's monitors sent since the beginning, each once, with its address."""
    outside = Outside(sendcat)
    await outside.start()
    sentry = Sentry(organization="sendcat", project="backend", api_url=outside.url, token=SecretStr(outside.key))
    seen_ms = 1_763_899_320_000
    sendcat.deployment.warnings.queue("queued_depth", observed=300, threshold=200, now_ms=seen_ms)
    bot = await Bot.lead(config.model_copy(update={"sentry": sentry}), rests=False)
    try:
        await done(bot, "incident open queue")
        for _ in range(2):
            await done(bot, "checklist")
        items = await bot.world.store.read(lambda conn: checklist.items(conn, "i-1"))
        told = await bot.world.store.read(lambda conn: incidents.timeline(conn, "i-1"))
    finally:
        await bot.close()
        await outside.stop()

    item = next(item for item in items if item.key == "sentry")
    assert item.found.ready
    assert item.found.evidence == (f"{outside.url}/issues/1/",)
    [line] = [entry for entry in told if "Tool queue alert" in entry.text]
    assert (line.key, line.event_ms) == (f"sentry:{outside.url}/issues/1/", seen_ms)


async def test_a_damaged_report_no_longer_bears_a_confirmation(bot: Bot) -> None:
    """Confirmed, then the file is changed behind our back: the item is open again."""
    await done(bot, "incident open queue")
    await done(bot, "snapshot")
    assert (await done(bot, "checklist confirm snapshots"))[0] == 0
    folder: Path = bot.world.config.artifact_dir
    next(folder.glob("reliability-snapshot-*.json")).write_text("{}")
    await done(bot, "checklist")

    items = await bot.world.store.read(lambda conn: checklist.items(conn, "i-1"))
    assert next(item for item in items if item.key == "snapshots").open
