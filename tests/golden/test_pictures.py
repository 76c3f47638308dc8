"""Every golden message and view as a picture: drawn by the practice Slack's page in Chromium, to be looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.card import Card
from bot.practice.slack import PracticeSlack
from bot.slack.manifest import manifest
from tests.golden.stage import Shown
from tests.golden.table import drawn, everything
from tests.stories.test_page import browser_page

pytestmark = [pytest.mark.prove, pytest.mark.browser, pytest.mark.timeout(600)]

PERSON, CHANNEL = "U0ONCALL", "C0RAND"
WIDTHS = {"desktop": 1000, "phone": 390}
TALL = 2_600
"""No card is taller, so that nothing lies over one."""


def folder(tmp_path: Path) -> Path:
    """Where the pictures go: ``GOLDEN_PICTURES`` when it is set, else a folder of the test."""
    chosen = Path(os.environ.get("GOLDEN_PICTURES") or tmp_path / "pictures")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


@pytest.mark.parametrize("screen", WIDTHS)
async def test_every_message_and_view_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screen: str) -> None:
    """Slack's rules take it, no error on the page's console, nothing wider than the screen, and a picture of each."""
    into = folder(tmp_path) / screen
    into.mkdir(exist_ok=True)
    shown = await everything(tmp_path, monkeypatch.chdir)
    async with PracticeSlack(manifest=manifest(()), tiers="off") as slack:
        slack.deliver_http(app=_content)
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        client.proxy = None
        async with browser_page(f"{slack.url}/?channel={CHANNEL}", width=WIDTHS[screen]) as page:
            await page.set_viewport_size({"width": WIDTHS[screen], "height": TALL})
            for name, each in sorted(shown.items()):
                where = await _placed(slack, client, page, name, each)
                await where.screenshot(path=into / f"{name}.png", animations="disabled")
                wide = await page.evaluate("() => document.documentElement.scrollWidth")
                assert wide <= WIDTHS[screen], name
                await _away(slack, page, each)
    pictures = sorted(path.stem for path in into.glob("*.png"))
    assert pictures == sorted(shown)
    _sheet(into, pictures)


async def _placed(slack: PracticeSlack, client: AsyncWebClient, page: Any, name: str, each: Shown) -> Any:
    """Put it where it belongs and return what to take the picture of."""
    if isinstance(each, Card):
        message = drawn(each)
        said = await client.chat_postMessage(channel=CHANNEL, text=message.text, blocks=message.blocks)
        place = page.get_by_test_id(f"message-{said['ts']}")
        await place.wait_for(timeout=15_000)
        return place
    if each["type"] == "home":
        slack.open_views.publish(PERSON, each)
        await page.goto(f"{slack.url}/?home=")
        home = page.get_by_test_id("home").locator("> *").first
        await home.wait_for(timeout=15_000)
        return home
    slack.open_views.open(PERSON, each)
    modal = page.get_by_test_id("modal")
    await modal.wait_for(timeout=15_000)
    return modal


async def _content(scope: Any, receive: Any, send: Any) -> None:
    """An app that takes every event."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _away(slack: PracticeSlack, page: Any, each: Shown) -> None:
    if not isinstance(each, Card) and each["type"] == "home":
        await page.goto(f"{slack.url}/?channel={CHANNEL}")
    elif not isinstance(each, Card):
        for view in slack.views("oncall"):
            slack.open_views.close(slack.open_views.find(view["id"]), everything=True)
        await page.get_by_test_id("modal").wait_for(state="detached", timeout=15_000)


def _sheet(into: Path, names: list[str]) -> None:
    """One page with all of them, for whoever looks."""
    figures = "".join(
        f'<figure><img src="{name}.png" loading="lazy" alt=""><figcaption>{name}</figcaption></figure>'
        for name in names
    )
    style = "body{font:14px sans-serif;columns:2}figure{break-inside:avoid;margin:0 0 24px}img{max-width:100%}"
    (into / "index.html").write_text(f'<!doctype html><meta charset="utf-8"><style>{style}</style>{figures}')
