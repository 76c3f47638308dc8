"""The reading room: really started, on loopback, read only, with every prepared query and nothing else (R36)."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.audit.serving import available, reading_room
from bot.command import Actor, Ask, Door, Place
from bot.config import Config
from bot.errors import Refused
from bot.main import Bot
from bot.store import changes, grants, offers, ops, shelf
from bot.store.change import BOT, By
from bot.store.tx import Tx
from bot.terminal.socket import ask_leader
from playbooks.change_set import ChangeSet, Step
from tests.conftest import SLOW, carry_out, until

KNOB = "BULKHEAD_SERPER_MAX_CONCURRENT"
ANN, BEN = By(account="slack:U0ONCALL", door="slack", person="oncall"), By(account="slack:U0RELMGR", door="slack")


def tune(tx: Tx, before: int, after: int, *ends: str) -> str:
    """A change as the product writes it, moved along until it has ended."""
    place = Place(kind="terminal")
    op = ops.new(
        tx,
        Ask(line="tune", by=Actor(door=Door.TERMINAL, account="os:oncall"), place=place, key=f"{before}{after}{ends}"),
        "tune",
        "tune",
        "practice",
    )
    step = Step(KNOB, stored=str(before), before=before, text=str(after), after=after, day_ago=before, rule="20 %")
    made = changes.propose(
        tx,
        ChangeSet((step,), why="saturated"),
        op=op.id,
        by=ANN,
        target="practice",
        deployment="practice",
        policy="a" * 64,
        expires_ms=tx.now_ms + 1,
    )
    changes.move(tx, made.id, "approved", by=BEN, approver=BEN, approved_ms=tx.now_ms)
    changes.move(tx, made.id, "taken", by=BOT)
    changes.move(tx, made.id, "intent", by=BOT, sent_ms=tx.now_ms)
    for state in ends:
        more: dict[str, Any] = {"due_ms": tx.now_ms} if state == "settling" else {}
        more |= {"undo_by": BOT, "undo_why": "WORSE"} if state == "undoing" else {}
        changes.move(tx, made.id, state, by=BOT, **more)  # type: ignore[arg-type]
    return made.id


KEPT = ("written", "confirmed", "settling", "retested", "kept")
UNDONE = ("written", "undoing", "reverting", "undone")


@pytest.fixture
async def history(bot: Bot) -> Bot:
    """Two changes of one knob, one undone, one on break-glass that nobody has reviewed."""

    def write(tx: Tx) -> None:
        first = tune(tx, 10, 12, *KEPT)
        tune(tx, 12, 14, *UNDONE)
        grants.grant(tx, first, by=ANN, why="alone at night", until_ms=tx.now_ms + 1, target="practice", op=None)

    await bot.world.store.write(write)
    return bot


@pytest.fixture
async def room(history: Bot, config: Config) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    async with (
        reading_room(config.state_dir, 0) as (url, _),
        httpx.AsyncClient(trust_env=False, timeout=20) as client,
    ):
        yield url, client


async def test_every_prepared_query_answers_and_nothing_of_it_leads_outside(
    room: tuple[str, httpx.AsyncClient], config: Config, history: Bot
) -> None:
    """Each as JSON and as a page; pages link to this machine only, and hold no secret; what is not meant is 404."""
    url, client = room
    rows: dict[str, list[dict[str, Any]]] = {}
    pages = [url, f"{url}audit"]
    for name in shelf.QUERIES:
        answer = await client.get(f"{url}audit/{name}.json", params={"_shape": "array"})
        assert answer.status_code == 200, name
        rows[name] = answer.json()
        pages.append(f"{url}audit/{name}")

    assert [row["id"] for row in rows["changes_this_week"]] == ["c-2", "c-1"]
    assert {(row["who"], row["id"]) for row in rows["who_approved_what"]} == {
        ("slack:U0RELMGR", "c-1"),
        ("slack:U0RELMGR", "c-2"),
    }
    assert [(row["id"], row["undo_why"]) for row in rows["undone"]] == [("c-2", "WORSE")]
    assert [(row["id"], row["change"]) for row in rows["break_glass_open"]] == [("b-1", "c-1")]
    assert rows["drift_per_knob"] == [
        {"knob": KNOB, "target": "practice", "changes": 2, "first_value": 10, "value_now": 12, "factor": 1.2}
    ]
    assert rows["not_yet_anchored"]
    for page in pages:
        answer = await client.get(page)
        assert answer.status_code == 200
        links = re.findall(r"(?:href|src|action)=[\"']?([^\"' >]+)", answer.text)
        assert links
        assert [link for link in links if re.match(r"(?:[a-z]+:)?//", link) and not link.startswith(url)] == []
        for secret in config.secrets():
            assert secret not in answer.text
    for path in (
        "-/patterns",
        "-/versions",
        "-/metadata.json",
        "audit.db",
        "audit/ops",
        "audit/offers",
        "audit/outbox",
    ):
        assert (await client.get(url + path)).status_code in (403, 404), path
    other = url.split("/")[2]
    assert (await client.get(f"http://{other}/audit/undone.json")).status_code == 404
    assert (await client.get(f"{url}audit", headers={"Host": "evil.example"})).status_code == 404
    assert (await client.post(f"{url}audit/undone", data={"sql": "x"})).status_code == 404
    writes = await client.get(f"{url}audit.json", params={"sql": "DELETE FROM records"})
    assert writes.status_code != 200


async def test_R36_the_shelf_holds_chosen_columns_only(history: Bot, config: Config, tmp_path: Path) -> None:
    """No button, letter, delivery or card; a secret that stands elsewhere in the database is not on it."""
    from bot.card import Button, Card
    from bot.store import backups

    card = Card(title="x", buttons=(Button(label="x", line="pause", name="x.y", decision=True),))
    minted = await history.world.store.write(lambda tx: offers.mint(tx, card, None, None))
    backups.copy(config.state_dir, tmp_path / "copy.db")
    shelf.build(tmp_path / "copy.db", tmp_path / "shelf.db")

    content = (tmp_path / "shelf.db").read_bytes()
    assert (minted.buttons[0].offer or "x").encode() in (tmp_path / "copy.db").read_bytes()
    assert (minted.buttons[0].offer or "").encode() not in content
    with sqlite3.connect(tmp_path / "shelf.db") as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    db.close()
    assert tables == {"records", "changes", "change_knobs", "break_glass", "decisions", "checkpoints"}


async def test_it_lives_as_long_as_its_terminal(history: Bot, config: Config) -> None:
    """Through the leader: the address is shown, the terminal leaves, the room closes and its copy is gone."""
    messages = await ask_leader(config.state_dir, "audit serve", target=None, as_name="lead")
    assert messages is not None
    url = ""
    async for message in messages:
        for step in message.get("card", {}).get("steps", ()):
            url = step["detail"]
        if url:
            break
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}audit/undone.json")).status_code == 200
    assert list(config.state_dir.glob(".room-*"))
    await messages.aclose()  # type: ignore[attr-defined]
    await until(lambda: not list(config.state_dir.glob(".room-*")), 20)

    assert history.world.stops.running == ()
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_it_ends_when_it_is_stopped_or_its_time_is_over(history: Bot, config: Config) -> None:
    _, outcome = await carry_out(history, "audit serve --minutes=0.01", by="lead")
    assert outcome is not None
    assert outcome["card"]["title"] == "Reading room closed"
    running = asyncio.create_task(carry_out(history, "audit serve", by="lead"))
    await until(lambda: bool(list(config.state_dir.glob(".room-*/audit.db"))), 20)
    await carry_out(history, "stop")
    _, stopped = await asyncio.wait_for(running, 20 * SLOW)

    assert stopped is not None
    assert stopped["exit_status"] == 0
    assert not list(config.state_dir.glob(".room-*"))


async def test_only_auditors_open_it_and_only_at_a_terminal(bot: Bot) -> None:
    reply, outcome = await carry_out(bot, "audit serve", by="oncall")
    assert outcome is None
    assert reply.exit_status == 4
    by = Actor(door=Door.SLACK, account="slack:U0LEAD")
    place = Place(kind="channel", channel="C0INC")
    reply = await bot.desk.accept(Ask(line="audit serve", by=by, place=place, key="k"))
    assert reply.card is not None
    assert "works in the terminal only" in json.dumps(reply.card.model_dump())


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasette", None)
    with pytest.raises(Refused, match=r"sendcat-chatops\[audit\]"):
        available()
