"""A pinned card has a bookmark beside it where the bot may set one; where it may not, only the pin (ux.md, rule 11)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from sqlite3 import Connection

import pytest
from slack_kit import make_poster
from slack_sdk.web.async_client import AsyncWebClient

from bot.card import Card
from bot.practice.slack import PracticeSlack
from bot.practice.slack.faults import ApiFault
from bot.slack.manifest import manifest
from bot.slack.post import Poster
from bot.store import outbox, pins
from bot.store.database import Store
from tests.conftest import until

KEY, CHANNEL = "card:r-1", "C0INC"


def _settled(conn: Connection) -> bool:
    """Whether the pin was carried out, or given up for good."""
    return conn.execute("SELECT pinned FROM outbox WHERE key = ?", (KEY,)).fetchone() == (1,)


async def pinned(store: Store, slack: PracticeSlack, poster: Poster) -> str:
    """A card that hangs at the top of its channel; its ts."""
    card = Card(title="FAIL: saturation: tool queue", final=True)
    await store.write(lambda tx: outbox.put(tx, KEY, channel=CHANNEL, kind="card", card=card))
    await store.write(lambda tx: pins.pin(tx, KEY))
    await until(lambda: bool(slack.workspace.pins.get(CHANNEL)))
    await until(lambda: poster.state()["pins"] == 0)
    return str(slack.workspace.pins[CHANNEL][0])


async def test_the_bookmark_comes_and_goes_with_the_pin(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    ts = await pinned(store, slack, poster)
    [bookmark] = slack.workspace.bookmarks.values()
    assert (bookmark.channel, bookmark.title) == (CHANNEL, "Sendcat r-1")
    assert bookmark.link.endswith(f"/archives/{CHANNEL}/p{ts.replace('.', '')}")

    await store.write(lambda tx: pins.pin(tx, KEY))  # the same wish again
    await store.write(lambda tx: pins.pin(tx, KEY, wanted=False))
    await until(lambda: not slack.workspace.bookmarks)
    assert slack.count("bookmarks.add") == slack.count("bookmarks.remove") == slack.count("pins.add") == 1


async def test_a_bookmark_that_is_refused_is_not_tried_again(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    slack.faults.fail("bookmarks.add", ApiFault(apply=False, error="too_many_bookmarks"))
    await pinned(store, slack, poster)
    await store.write(lambda tx: pins.pin(tx, KEY, wanted=False))
    await until(lambda: slack.count("pins.remove") == 1)

    assert not slack.workspace.bookmarks
    assert slack.count("bookmarks.remove") == 0


@pytest.mark.parametrize("without", [("bookmarks:write",), ("bookmarks:write", "pins:write")])
async def test_without_the_scope_there_is_no_bookmark_and_nothing_else_is_missing(
    store: Store, tmp_path: Path, without: tuple[str, ...]
) -> None:
    """Both scopes are optional ones: whoever installs the app may leave them out (platform.md, section 6)."""
    asked = manifest(())
    optional = asked["oauth_config"]["scopes"]["bot_optional"]
    assert set(without) <= set(optional)
    asked["oauth_config"]["scopes"]["bot_optional"] = [scope for scope in optional if scope not in without]
    async with PracticeSlack(manifest=asked, tiers="off") as slack:
        web = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        web.proxy = None
        poster = make_poster(store, web, tmp_path)
        poster.start()
        card = Card(title="FAIL: saturation: tool queue", final=True)
        await store.write(lambda tx: outbox.put(tx, KEY, channel=CHANNEL, kind="card", card=card))
        await store.write(lambda tx: pins.pin(tx, KEY))
        for _ in range(500):
            if await store.read(_settled):
                break
            await asyncio.sleep(0.01)
        await store.write(
            lambda tx: outbox.put(tx, KEY, channel=CHANNEL, kind="card", card=card.model_copy(update={"lead": "x"}))
        )
        assert await store.read(_settled)
        assert await poster.flush(5)
        await poster.stop()

        assert bool(slack.workspace.pins.get(CHANNEL)) == ("pins:write" not in without)
        assert not slack.workspace.bookmarks
        assert "x" in slack.messages(CHANNEL)[0]["text"]
