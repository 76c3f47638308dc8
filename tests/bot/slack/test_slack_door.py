"""End to end: a practice Slack, the real door in both modes, the real store; only the desk is small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.card import Button, Card, Tone
from bot.clock import SystemClock
from bot.command import Ask, Reply
from bot.config import Config, Slack
from bot.errors import Broken, Unreachable
from bot.practice.slack import PracticeSlack
from bot.slack.door import SlackDoor
from bot.slack.socket import Socket
from bot.store import inbox, offers, outbox
from bot.store.database import Store
from bot.store.tx import Tx
from tests.conftest import SLOW, until


@dataclass
class StoreDesk:
    """A desk over the real store: a delivery once, a card with a button, the button's meaning in the database."""

    store: Store
    effects: list[str] = field(default_factory=list)

    async def accept(self, ask: Ask) -> Reply:
        found = None
        if ask.offer is not None:
            found = await self.store.read(lambda conn: offers.look(conn, ask.offer or ""))
            if found is None:
                return Reply(card=Card(title="This card is out of date", tone=Tone.REFUSED))
        line = found.line if found else ask.line

        def write(tx: Tx) -> bool:
            if inbox.accept(tx, ask, None).duplicate:
                return False
            button = Button(label="Run again", line="triage again", name="triage.rerun")
            card = offers.mint(tx, Card(title=f"PASS: {line}", buttons=(button,), final=True), None, ask.place.channel)
            outbox.put(tx, f"card:{ask.key}", channel=ask.place.channel or "", kind="card", card=card)
            return True

        if not await self.store.write(write):
            return Reply(duplicate=True, card=Card(title="Already taken"))
        self.effects.append(line)
        return Reply(op="r-1")


def config(slack: PracticeSlack, tmp_path: Path, **changed: object) -> Config:
    settings = Slack(
        api_url=slack.api_url,
        bot_token=SecretStr(slack.bot_token),
        app_token=SecretStr(slack.app_token),
        signing_secret=SecretStr(slack.signing_secret),
    )
    return Config(slack=settings.model_copy(update=changed), artifact_dir=tmp_path / "artifacts")


@pytest.fixture
def desk(store: Store) -> StoreDesk:
    return StoreDesk(store)


@pytest.fixture(params=["socket", "http"])
async def door(
    request: pytest.FixtureRequest, slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> AsyncIterator[SlackDoor]:
    opened = SlackDoor(config(slack, tmp_path), desk, store, SystemClock())
    if request.param == "socket":
        await opened.start_socket()
    else:
        await opened.start_http("127.0.0.1", 0)
        slack.deliver_http(f"http://127.0.0.1:{opened.port}/slack/events")
        assert (await slack.verify_url()).ok
    yield opened
    await opened.stop()


async def test_a_command_becomes_a_card_and_its_button_works(
    slack: PracticeSlack, door: SlackDoor, desk: StoreDesk
) -> None:
    ack = await slack.command("oncall", "incidents", "/sendcat triage")
    [card] = await slack.wait_for(lambda: slack.messages("incidents"))
    pressed = await slack.click("oncall", card, "triage.rerun")
    await slack.wait_for(lambda: len(slack.messages("incidents")) == 2)

    assert ack.ok
    assert pressed.ok
    assert ack.body == ""
    assert desk.effects == ["triage", "triage again"]
    assert door.state()["ok"] is True
    assert (door.identity.team, door.identity.user, door.identity.app) == (
        slack.team_id,
        slack.bot_user_id,
        slack.app_id,
    )


async def test_a_mention_works_too(slack: PracticeSlack, door: SlackDoor, desk: StoreDesk) -> None:
    assert (await slack.mention("oncall", "incidents", "triage")).ok
    await slack.wait_for(lambda: desk.effects)

    assert desk.effects == ["triage"]


async def test_R3_delivered_three_times_at_once_it_happens_once(
    slack: PracticeSlack, door: SlackDoor, desk: StoreDesk
) -> None:
    slack.faults.duplicate(3, concurrent=True)
    await slack.command("oncall", "incidents", "/sendcat triage")
    await slack.wait_for(lambda: slack.messages("incidents"))
    await asyncio.sleep(0.1)

    assert desk.effects == ["triage"]
    assert len(slack.messages("incidents")) == 1


async def test_R11_a_click_on_an_unknown_card_is_explained(
    slack: PracticeSlack, door: SlackDoor, desk: StoreDesk, store: Store
) -> None:
    await slack.command("oncall", "incidents", "/sendcat triage")
    [card] = await slack.wait_for(lambda: slack.messages("incidents"))
    await store.write(lambda tx: tx.db.execute("DELETE FROM offers").rowcount)
    assert (await slack.click("visitor", card, "triage.rerun")).ok
    notes = await slack.wait_for(lambda: slack.ephemerals("visitor"))

    assert "This card is out of date" in notes[0]["text"]
    assert desk.effects == ["triage"]


async def test_R33_slack_goes_down_and_comes_back(slack: PracticeSlack, door: SlackDoor, store: Store) -> None:
    await slack.set_down(True)
    card = Card(title="PASS: healthy", final=True)
    await store.write(lambda tx: outbox.put(tx, "card:r-9", channel="C0INC", kind="card", card=card))
    await asyncio.sleep(0.2)
    assert slack.messages("incidents") == []
    await slack.set_down(False)
    await slack.wait_for(lambda: slack.messages("incidents"), 8)

    assert slack.count("chat.postMessage") == 1


async def test_a_restart_finds_its_way_back(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> None:
    """R2: the same signed request before and after a restart has one effect."""
    for _ in range(2):
        opened = SlackDoor(config(slack, tmp_path), desk, store, SystemClock())
        slack.deliver_http(app=opened.asgi_app)
        await opened.open()
        slack.faults.duplicate(2)
        await slack.command("oncall", "incidents", "/sendcat triage")
        await opened.stop()

    assert desk.effects == ["triage", "triage"]
    assert len(slack.messages("incidents")) == 2


async def test_a_bad_bot_token_ends_the_start(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> None:
    opened = SlackDoor(config(slack, tmp_path, bot_token=SecretStr("xoxb-wrong-token")), desk, store, SystemClock())
    with pytest.raises(Broken, match="invalid_auth"):
        await opened.start_http("127.0.0.1", 0)
    await opened.stop()


async def test_a_bad_app_token_ends_the_start(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> None:
    """The SDK alone would try it for ever."""
    opened = SlackDoor(config(slack, tmp_path, app_token=SecretStr("xapp-wrong-token")), desk, store, SystemClock())
    with pytest.raises(Broken, match="app-level token"):
        await asyncio.wait_for(opened.start_socket(), 5 * SLOW)


async def test_slack_away_at_start_socket_mode_says_so(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> None:
    await slack.set_down(True)
    opened = SlackDoor(config(slack, tmp_path), desk, store, SystemClock())
    with pytest.raises(Unreachable):
        await opened.start_socket()


@pytest.mark.parametrize("missing", ["bot_token", "app_token", "signing_secret"])
async def test_what_is_missing_is_named(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path, missing: str
) -> None:
    async def start() -> None:
        opened = SlackDoor(config(slack, tmp_path, **{missing: None}), desk, store, SystemClock())
        try:
            await (opened.start_socket() if missing == "app_token" else opened.start_http("127.0.0.1", 0))
        finally:
            await opened.stop(flush_s=0)

    with pytest.raises(Broken, match="There is no") as caught:
        await start()
    assert caught.value.then


async def test_R8_a_token_of_another_workspace_ends_the_start(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> None:
    opened = SlackDoor(config(slack, tmp_path, team_id="T0OTHER"), desk, store, SystemClock())
    with pytest.raises(Broken, match="belongs to workspace"):
        await opened.open()


async def test_a_dead_socket_is_built_anew(slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path) -> None:
    opened = SlackDoor(config(slack, tmp_path), desk, store, SystemClock())
    await opened.open()
    socket = Socket(opened._app(), slack.app_token, opened.client, SystemClock(), look_every_s=0.1)
    await socket.start()
    handler = socket._handler
    assert handler is not None
    handler.client.auto_reconnect_enabled = handler.client.default_auto_reconnect_enabled = False
    assert handler.client.current_session is not None
    await handler.client.current_session.close()
    await until(lambda: socket.rebuilt == 1 and socket.state()["connected"])
    ack = await slack.command("oncall", "incidents", "/sendcat triage")
    await socket.stop()
    await opened.stop()

    assert ack.ok
    assert desk.effects == ["triage"]


async def test_an_address_in_use_is_explained(
    slack: PracticeSlack, desk: StoreDesk, store: Store, tmp_path: Path
) -> None:
    first = SlackDoor(config(slack, tmp_path), desk, store, SystemClock())
    await first.start_http("127.0.0.1", 0)
    second = SlackDoor(config(slack, tmp_path), desk, store, SystemClock())
    with pytest.raises(Broken, match="Cannot listen"):
        await second.start_http("127.0.0.1", first.port or 0)
    await first.stop()
    await first.stop()
