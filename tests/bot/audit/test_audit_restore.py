"""Backups are made by the clock, verified, and put back by an admin; the record tells of it, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from bot.audit import backing, verifier
from bot.clock import SystemClock
from bot.command import Offline
from bot.commands import catalog
from bot.config import Config
from bot.errors import Busy, Refused, SendcatError, Unknown
from bot.main import Bot
from bot.pages import read_book
from bot.store import audit, backups, offers, ops
from bot.terminal import offline
from bot.terminal.socket import actor_of
from bot.watch import Watch
from tests.conftest import carry_out


def at_terminal(config: Config, *, by: str = "lead", now_ms: int | None = None) -> Offline:
    """The terminal of somebody on the host, without a bot."""
    now = SystemClock().now_ms() if now_ms is None else now_ms
    return Offline(lambda: read_book(catalog().names), config.state_dir, now, config, f"os:{by}")


def put_back(config: Config, name: str = "newest", *, by: str = "lead") -> dict[str, object]:
    plan = catalog().plan(f"audit restore {name} --why='the disk failed'", config)
    assert plan.command.offline is not None
    return plan.command.offline(plan.args, at_terminal(config, by=by)).data


async def once(config: Config, *lines: str) -> None:
    """Lead, carry some lines out, and end."""
    bot = await Bot.lead(config, rests=False)
    for line in lines:
        _, outcome = await carry_out(bot, line, by="lead")
        assert outcome is not None
        assert outcome["exit_status"] in (0, 3)
    await bot.close()


async def test_R30_the_clock_makes_one_backup_in_a_slot_keeps_the_newest_and_anchors_them(
    bot: Bot, config: Config
) -> None:
    config = bot.world.config = config.model_copy(update={"backup": config.backup.model_copy(update={"keep": 2})})
    watch = Watch(bot.world.store, bot.world.clock, config, notary=bot.world.notary)
    made = await watch.backup()
    again = await watch.backup()
    names = [(await backing.make(bot.world.store, bot.world.notary, bot.world.clock, config))[0].name for _ in range(3)]

    assert made is not None
    assert again is None
    assert [path.name for path in backups.listing(config.state_dir)] == sorted(names, reverse=True)[:2]
    newest = backups.listing(config.state_dir)[0]
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600
    assert not newest.with_name(newest.name + "-wal").exists()
    checked = verifier.trail(config.state_dir, backup=newest)
    assert (checked.status, checked.fresh) == (0, 0)
    told = [json.loads(row.body) for row in await bot.world.store.read(lambda conn: audit.rows(conn))]
    assert [body["object"] for body in told if body["action"] == "backup"][1:] == names
    assert told[-1]["detail"]["sha256"] == backups.digest(newest)


async def test_R39_a_backup_is_put_back_told_of_verified_and_accepted(config: Config) -> None:
    """Work, backup, more work, restore: the verifier accepts the trail and reports it; the next start works on."""
    await once(config, "owners", "pause", "audit backup")
    held = backups.look(backups.listing(config.state_dir)[0])
    await once(config, "resume", "owners")
    former = (config.state_dir / "sendcat.db").read_bytes()

    data = put_back(config)

    assert data["records"] == held.records
    assert data["seq"] == held.records + 1
    aside = Path(str(data["setAside"]))
    assert (aside / "sendcat.db").read_bytes() == former
    checked = verifier.trail(config.state_dir)
    assert (checked.status, checked.first_bad) == (0, None)
    assert any("a backup was put back" in note for note in checked.notes)
    assert any("set aside" in note for note in checked.notes)
    bot = await Bot.lead(config, rests=False)
    try:
        assert bot.world.store.damage is None
        _, outcome = await carry_out(bot, "audit --action=restore", by="lead")
        assert outcome is not None
        record = outcome["data"]["records"][0]
        assert (record["seq"], record["person"], record["why"]) == (held.records + 1, "lead", "the disk failed")
        ids = {op.id for op in await bot.world.store.read(lambda conn: ops.recent(conn, 50))}
        with sqlite3.connect(f"file:{aside / 'sendcat.db'}?mode=ro&immutable=1", uri=True) as old:
            seen = {name for (name,) in old.execute("SELECT id FROM ops")}
        assert outcome["data"]["records"][0]["run"] is None
        assert max(bot.world.store.epoch, 0) >= 4
        assert len(ids - seen) == 1, "an id that people have seen is never given again"
    finally:
        await bot.close()
    second = put_back(config, held.name)
    assert second["records"] == held.records
    assert verifier.trail(config.state_dir).status == 0


async def test_R41_a_restore_that_a_crash_cut_off_is_refused_at_the_next_start_and_can_be_done_again(
    config: Config,
) -> None:
    """The anchor of the restore is filed before the files change places: the former database does not pass for it."""
    await once(config, "owners", "audit backup", "owners")
    data = put_back(config)
    aside = Path(str(data["setAside"]))
    (aside / "sendcat.db").replace(config.state_dir / "sendcat.db")
    bot = await Bot.lead(config, rests=False)
    await bot.close()
    assert bot.world.store.damage is not None

    put_back(config)
    await once(config, "owners")
    checked = verifier.trail(config.state_dir)
    assert checked.status == 0
    assert sum("a backup was put back" in note for note in checked.notes) == 2


def test_R7_the_terminal_itself_restores_for_an_admins_login_only(config: Config) -> None:
    """As ``sendcat audit restore`` runs: by the login of the operating system, without a bot, without a socket."""
    asyncio.run(once(config, "owners", "audit backup"))
    login = actor_of(os.getuid()).account.removeprefix("os:")
    with pytest.raises(Refused, match="admin"):
        offline.carry_out("audit restore newest", catalog(), _without(config, login), practice=None)
    mine = _without(config, login)
    lead = mine.people["lead"].model_copy(update={"os": (login,)})
    mine = mine.model_copy(update={"people": {**mine.people, "lead": lead}})
    listed = offline.carry_out("audit restore", catalog(), mine, practice=None)
    done = offline.carry_out("audit restore newest --why='by hand'", catalog(), mine, practice=None)

    assert listed is not None
    assert len(listed.data["backups"]) == 1
    assert done is not None
    assert done.card.title.startswith("RESTORED")
    assert offline.carry_out("audit verify", catalog(), mine, practice=None) is None


def _without(config: Config, login: str) -> Config:
    """Nobody in the configuration has this login."""
    people = {
        name: person.model_copy(update={"os": tuple(one for one in person.os if one != login)})
        for name, person in config.people.items()
    }
    return config.model_copy(update={"people": people})


async def test_R41_a_damaged_database_is_left_alone_until_an_admin_puts_a_backup_back(config: Config) -> None:
    await once(config, "owners", "audit backup", "owners")
    path = config.state_dir / "sendcat.db"
    path.write_bytes(b"rust" * 4_096)
    bot = await Bot.lead(config, rests=False)
    assert bot.world.store.damage is not None
    reply, _ = await carry_out(bot, "help", by="lead")
    assert reply.exit_status == 0
    with pytest.raises(Busy):
        put_back(config)
    await bot.close()
    assert path.read_bytes() == b"rust" * 4_096

    with pytest.raises(Refused, match="admin"):
        put_back(config, by="oncall")
    data = put_back(config)

    assert data["former"] is None
    await once(config, "owners")
    assert verifier.trail(config.state_dir).status == 0


async def test_R10_what_was_open_in_a_backup_takes_no_effect_a_second_time(config: Config) -> None:
    """A decision button and a waiting proposal of the backup may have been answered since: both are dead."""
    from bot.card import Button, Card

    bot = await Bot.lead(config, rests=False)
    card = Card(title="x", buttons=(Button(label="Approve", line="pause", name="x.approve", decision=True),))
    minted = await bot.world.store.write(lambda tx: offers.mint(tx, card, None, "C0INC"))
    await carry_out(bot, "audit backup", by="lead")
    await bot.close()
    put_back(config)
    bot = await Bot.lead(config, rests=False)
    offer = await bot.world.store.read(lambda conn: offers.look(conn, minted.buttons[0].offer or ""))
    await bot.close()

    assert offer is not None
    assert "a backup was put back" in (offer.dead(SystemClock().now_ms()) or "")


def alter(path: Path, sql: str) -> None:
    """Change a backup as somebody would who knows how, guards and all."""
    db = sqlite3.connect(path)
    guards = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'"))
    for name in guards:
        db.execute(f"DROP TRIGGER {name}")
    db.execute(sql)
    for text in guards.values():
        db.execute(text)
    db.commit()
    db.close()


async def test_R39_an_altered_backup_and_one_of_another_trail_are_refused(config: Config, tmp_path: Path) -> None:
    await once(config, "owners", "audit backup")
    path = backups.listing(config.state_dir)[0]
    whole, database = path.read_bytes(), (config.state_dir / "sendcat.db").read_bytes()
    for sql, word in (
        ("UPDATE audit SET body = replace(body, 'owners', 'ownerz') WHERE seq = 2", "hold together"),
        ("DELETE FROM audit WHERE seq = 2", "hold together"),
    ):
        alter(path, sql)
        with pytest.raises(Refused, match=word):
            put_back(config)
        path.write_bytes(whole)
    other = config.model_copy(update={"state_dir": tmp_path / "other"})
    await once(other, "owners", "owners", "audit backup")
    path.write_bytes(backups.listing(other.state_dir)[0].read_bytes())
    with pytest.raises(Refused, match="of another trail"):
        put_back(config)

    assert (config.state_dir / "sendcat.db").read_bytes() == database
    with pytest.raises(Unknown, match="sendcat-"):
        put_back(config, "yesterday")


async def test_a_running_bot_lists_backups_and_refuses_to_replace_them(bot: Bot, config: Config) -> None:
    await carry_out(bot, "audit backup", by="lead")
    _, listed = await carry_out(bot, "audit restore", by="lead")
    _, refused = await carry_out(bot, "audit restore newest", by="lead")

    assert listed is not None
    assert listed["data"]["backups"][0]["records"] > 0
    assert refused is not None
    assert refused["exit_status"] == 4
    with pytest.raises(SendcatError):
        offline.carry_out("audit restore newest", catalog(), config, practice=None)


async def test_R40_audit_verify_says_what_is_verified_and_what_only_holds_together(bot: Bot, config: Config) -> None:
    """Before any anchor: INCOMPLETE. Anchored: verified, the rest named. Altered: the record's number."""
    _, first = await carry_out(bot, "audit verify", by="lead")
    assert first is not None
    assert first["exit_status"] == 3
    assert (first["data"]["verified"], first["data"]["notYetAnchored"]) == (0, first["data"]["records"])
    await carry_out(bot, "pause", by="lead")
    assert bot.world.notary is not None
    await bot.world.notary.anchor("test")
    await carry_out(bot, "owners", by="lead")
    _, second = await carry_out(bot, "audit verify", by="lead")
    assert second is not None
    assert second["exit_status"] == 0
    assert second["data"]["notYetAnchored"] >= 2
    assert second["data"]["verified"] + second["data"]["notYetAnchored"] == second["data"]["records"]
    assert "not yet anchored" in second["card"]["title"] or "VERIFIED" in second["card"]["title"]

    await bot.world.store.write(
        lambda tx: [
            tx.db.execute("DROP TRIGGER audit_no_update"),
            tx.db.execute("UPDATE audit SET body = replace(body, 'owners', 'ownerz') WHERE body LIKE '%owners%'"),
        ]
    )
    _, third = await carry_out(bot, "audit verify", by="lead")
    _, denied = await carry_out(bot, "audit verify", by="oncall")
    assert third is not None
    assert third["exit_status"] == 1
    assert third["data"]["firstBad"] is not None
    assert third["card"]["title"].startswith("CHANGED")
    assert denied is None
    assert not list(config.state_dir.glob(".verify-*"))
