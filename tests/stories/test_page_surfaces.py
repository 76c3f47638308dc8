"""The practice Slack page with the whole bot behind it: Home, message menu, emoji, pins, files, forms, switches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from bot.store import incidents
from tests.conftest import INCIDENTS, RELMGR, Stage, text_of, until
from tests.stories.test_page import browser_page

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


async def become(page: Page, name: str) -> None:
    await page.get_by_test_id("person-switch").click()
    await page.get_by_test_id(f"person-{name}").click()
    await expect(page.get_by_test_id("person-switch")).to_contain_text(name)


async def say(page: Page, text: str, composer: str = "composer") -> None:
    await page.get_by_test_id(composer).fill(text)
    await page.get_by_test_id(composer).press("Enter")


async def test_home_lives_and_outsiders_are_told_politely(stage: Stage) -> None:
    """It changes under the eyes of who looks, its buttons answer directly, and a guest and a stranger learn why not."""
    async with browser_page(stage.slack.url) as page:
        home = page.get_by_test_id("home")
        await page.get_by_test_id("app-home").click()
        await expect(home).to_contain_text("Nothing waits for you")
        await stage.type("incident open chat is slow")
        await expect(home).to_contain_text("1 thing waits for you")
        await expect(home).to_contain_text("Open incidents: 1")
        await home.get_by_role("button", name="Status").click()
        direct = stage.slack.workspace.dm("oncall").id
        await until(lambda: any("Nothing is running" in text_of(m) for m in stage.slack.messages(direct)))

        for name, words in (("guest", "You are a guest here"), ("stranger", "You belong to another organisation")):
            await become(page, name)
            await page.get_by_test_id("app-home").click()
            await expect(home).to_contain_text(words)
            await expect(home).not_to_contain_text("chat is slow")
            await page.get_by_test_id("channel-incidents").click()
            await say(page, "/sendcat triage")
            await expect(page.locator(".only-you").last).to_be_visible()
            await expect(page.get_by_text("may use help and stop only (R8)").last).to_be_visible()


async def test_menu_emoji_pin_file_and_a_form_with_its_mistakes(stage: Stage) -> None:
    await stage.type("incident open chat is slow")
    await until(lambda: any("INCIDENT i-1" in text_of(card) for card in stage.cards()))
    await stage.slack.hands.say(RELMGR, INCIDENTS, "the provider answers again")
    async with browser_page(stage.slack.url, dark=True) as page:
        said = page.get_by_test_id("message").filter(has_text="the provider answers again").first
        await said.hover()
        await said.get_by_test_id("react").click()
        await page.get_by_test_id("pick-pushpin").click()
        await expect(page.get_by_text("Added to the timeline of i-1").first).to_be_visible()
        await said.hover()
        await said.get_by_test_id("message-menu").click()
        await page.get_by_test_id("shortcut-timeline.add").click()
        await page.get_by_label("Why it matters").fill("first sign of recovery")
        await page.get_by_test_id("modal-submit").click()
        await expect(page.get_by_test_id("modal")).to_have_count(0)
        await said.hover()
        await said.get_by_test_id("message-menu").click()
        await page.get_by_test_id("menu-pin").click()
        await expect(page.get_by_test_id("pins")).to_contain_text("2")
        assert stage.bot is not None
        kinds = await stage.bot.world.store.read(lambda conn: incidents.entry_count(conn, "i-1"))
        assert (kinds["message"], kinds["note"]) == (1, 1)

        await say(page, "/sendcat gate")
        await page.get_by_test_id("modal-submit").click()
        await expect(page.get_by_test_id("error-release")).to_have_text("Fill in this field.")
        await page.get_by_label("Release, NAME").fill("@@@")
        await page.get_by_test_id("modal-submit").click()
        await expect(page.get_by_test_id("error-release")).to_contain_text("NAME")
        await page.keyboard.press("Escape")
        await expect(page.get_by_test_id("modal")).to_have_count(0)

        await say(page, "/sendcat incident status")
        await stage.type("checklist export")
        card = page.get_by_test_id("message").filter(has_text="Post-incident checklist").first
        await card.locator(".thread-link").click()
        await expect(page.locator("[data-testid^='file-']").first).to_be_visible()


async def test_slack_down_and_a_storm_of_429_are_survived(stage: Stage) -> None:
    """While the switches are on nothing arrives and the page says why; afterwards everything does, once.

    Who somebody is was learned just before: in a storm nobody new is (R7).
    """
    await stage.type("status")
    async with browser_page(stage.slack.url) as page:
        await page.get_by_test_id("faults").click()
        await page.get_by_test_id("fault-storm").check()
        await expect(page.get_by_test_id("banner-storm")).to_be_visible()
        await page.keyboard.press("Escape")
        await stage.type("snapshot")
        await page.get_by_test_id("faults").click()
        await page.get_by_test_id("fault-down").check()
        await page.keyboard.press("Escape")
        await say(page, "/sendcat status")
        await expect(page.get_by_test_id("toast")).to_contain_text("Slack is down")
        assert stage.cards() == []
        await page.get_by_test_id("faults").click()
        await page.get_by_test_id("fault-down").uncheck()
        await page.get_by_test_id("fault-storm").uncheck()

        await expect(page.get_by_text("snapshot of practice").first).to_be_visible()
        assert len(stage.cards()) == 1
