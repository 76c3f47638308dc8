"""The practice Slack page in a real browser: what a newcomer does first."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SLOW, Stage

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def browser_page(url: str, *, width: int = 1280, dark: bool = False) -> AsyncIterator[Page]:
    """A page in the system's Chromium; a console error fails the test."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing in CI: .ci/run installs it")
        pytest.skip("Chromium is not installed (apt-get install chromium): the page was NOT tried")
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=10_000 * SLOW)

    errors: list[str] = []
    async with async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=chromium, args=list(QUIET))
        page = await browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        page.set_default_timeout(30_000 * SLOW)
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(url)
        yield page
        await browser.close()
    assert errors == []


async def test_a_newcomer_types_triage_and_reads_the_card(stage: Stage) -> None:
    """The composer takes the command, the card is drawn and edited, its table and buttons are there."""
    stage.sendcat.inject("F", variant="caps")
    async with browser_page(stage.slack.url) as page:
        composer = page.get_by_test_id("composer")
        await composer.fill("/sendcat triage")
        await composer.press("Enter")

        await page.get_by_text("FAIL: saturation: tool queue").first.wait_for()
        await page.get_by_role("button", name="Open playbook F").wait_for()
        assert await page.get_by_role("cell", name="/api/chat").count() == 1

        await page.get_by_role("button", name="Open playbook F").click()
        await page.get_by_text("Playbook F FIRED: Tool queue backlog").first.wait_for()
        await page.get_by_role("button", name="Propose TOOL_JOB_RUNMAX_WEB 3").first.wait_for()


async def test_a_visitor_is_told_who_may(stage: Stage) -> None:
    """Switched to another person, the same command: an answer only for them, and no card in the channel."""
    async with browser_page(stage.slack.url, dark=True) as page:
        await page.get_by_test_id("person-switch").click()
        await page.get_by_text("Vito Sitor").first.click()
        composer = page.get_by_test_id("composer")
        await composer.fill("/sendcat triage")
        await composer.press("Enter")

        await page.get_by_text("needs admin or release manager or responder").first.wait_for()
        assert stage.cards() == []


async def test_the_card_fits_a_phone(stage: Stage) -> None:
    """At 390 pixels nothing of the page is wider than the screen; the table scrolls in itself."""
    await stage.type("triage")
    await stage.final()
    async with browser_page(stage.slack.url, width=390) as page:
        await page.get_by_role("cell", name="/api/chat").first.wait_for()

        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 390


async def test_foreign_text_is_only_text(stage: Stage) -> None:
    """What somebody says is never markup of the page."""
    async with browser_page(stage.slack.url) as page:
        await stage.slack.hands.say("U0VISITOR", "C0INC", "<img src=x onerror=\"document.title='owned'\"> &lt;b&gt;hi")
        await page.get_by_text("onerror").first.wait_for()

        assert await page.title() != "owned"
        assert await page.locator("img[src='x']").count() == 0
