"""The page before the real practice Slack with a real Bolt app behind it: what one side sends, the other understands."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from playwright.sync_api import Page, expect
from practice_bolt import MANIFEST, Bolt, connected

from bot.practice.slack import PracticeSlack
from tests.conftest import SLOW

pytestmark = pytest.mark.browser


class House:
    """A practice Slack and its app on a loop of their own, since the browser's driver waits in this thread."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.stop: Callable[[], object] = lambda: None
        self.url = ""
        self.bolt: Bolt | None = None
        self.trouble: BaseException | None = None

    def live(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as trouble:
            self.trouble = trouble
        finally:
            self.ready.set()

    async def _live(self) -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        self.stop = functools.partial(loop.call_soon_threadsafe, over.set)
        async with PracticeSlack(manifest=MANIFEST) as slack, aiohttp.ClientSession() as session:
            self.bolt, self.url = Bolt(slack, session), slack.url
            await self.bolt.client.chat_postMessage(channel="C0INC", text="Ready", blocks=[])
            async with connected(slack, self.bolt):
                self.ready.set()
                await over.wait()

    def heard(self, kind: str) -> dict[str, Any]:
        """The newest of this kind that the app was sent; the page shows what somebody did before the app hears of it."""
        assert self.bolt is not None
        end = time.monotonic() + 5 * SLOW
        while not self.bolt.bodies(kind) and time.monotonic() < end:
            time.sleep(0.02)
        found: dict[str, Any] = self.bolt.bodies(kind)[-1]
        return found


@pytest.fixture
def house() -> Iterator[House]:
    running = House()
    thread = threading.Thread(target=running.live, daemon=True)
    thread.start()
    assert running.ready.wait(15 * SLOW)
    assert running.trouble is None
    yield running
    running.stop()
    thread.join(15)


@pytest.fixture
def address(house: House) -> str:
    """The page as the practice Slack serves it, instead of the fixture workspace."""
    return house.url


def test_a_command_becomes_a_card_and_its_button_changes_it_in_place(page: Page, house: House) -> None:
    page.get_by_test_id("composer").fill("/sendcat triage")
    page.keyboard.press("Enter")
    card = page.get_by_test_id("message").filter(has_text="RUNNING")
    expect(card).to_have_count(1)
    card.get_by_test_id("button-triage.stop").click()

    expect(page.get_by_test_id("message").filter(has_text="STOPPED by @Olga Call")).to_have_count(1)
    expect(card).to_have_count(0)
    assert house.heard("action")["actions"][0]["value"] == "r-1"


def test_help_is_only_for_the_one_who_asked(page: Page) -> None:
    page.get_by_test_id("composer").fill("/sendcat help")
    page.keyboard.press("Enter")
    expect(page.locator(".only-you")).to_be_visible()
    expect(page.get_by_test_id("toast")).to_have_count(0)
    page.get_by_test_id("person-switch").click()
    page.get_by_test_id("person-relmgr").click()

    expect(page.get_by_test_id("person-switch")).to_contain_text("relmgr · release manager")
    expect(page.locator(".only-you")).to_have_count(0)


def test_a_form_goes_round_with_its_errors(page: Page, house: House) -> None:
    page.get_by_test_id("composer").fill("/sendcat form")
    page.keyboard.press("Enter")
    page.get_by_label("Reason").fill("ok")
    page.get_by_test_id("modal-submit").click()
    expect(page.get_by_test_id("error-reason")).to_have_text("Say why.")
    page.get_by_label("Reason").fill("because of the backfill")
    page.get_by_test_id("modal-submit").click()

    expect(page.get_by_test_id("modal")).to_have_count(0)
    values = house.heard("view")["view"]["state"]["values"]
    assert values["reason"]["text"] == {"type": "plain_text_input", "value": "because of the backfill"}


def test_threads_reactions_shortcuts_and_home_are_heard(page: Page, house: House) -> None:
    ready = page.get_by_test_id("message").filter(has_text="Ready").first
    ready.hover()
    ready.get_by_role("button", name="React with eyes").click()
    expect(page.get_by_test_id("reaction-eyes")).to_be_visible()
    assert house.heard("reaction")["event"]["reaction"] == "eyes"
    ready.get_by_test_id("message-menu").click()
    page.get_by_test_id("shortcut-timeline.add").click()
    ready.hover()
    ready.get_by_test_id("reply").click()
    page.get_by_test_id("thread-composer").fill("@sendcat triage")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("thread")).to_contain_text("1 reply")
    assert house.heard("mention")["event"]["thread_ts"]
    assert house.heard("shortcut")["callback_id"] == "timeline.add"
    page.get_by_test_id("app-home").click()

    expect(page.get_by_test_id("home")).to_contain_text("Nothing waits for you.")


def test_slash_commands_in_threads_are_refused_with_a_way_on(page: Page) -> None:
    ready = page.get_by_test_id("message").filter(has_text="Ready").first
    ready.hover()
    ready.get_by_test_id("reply").click()
    page.get_by_test_id("thread-composer").fill("/sendcat triage")
    page.keyboard.press("Enter")

    expect(page.get_by_test_id("toast")).to_contain_text("Mention the app instead")


def test_slack_down_is_switched_shown_and_survived(page: Page) -> None:
    page.get_by_test_id("faults").click()
    page.get_by_test_id("fault-down").check()
    expect(page.get_by_test_id("banner-down")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("composer").fill("/sendcat triage")
    page.get_by_test_id("composer").press("Enter")
    expect(page.get_by_test_id("toast")).to_contain_text("Slack is down")
    page.get_by_test_id("faults").click()
    page.get_by_test_id("fault-down").uncheck()

    expect(page.get_by_test_id("banner-down")).to_have_count(0)


def test_a_guest_and_a_stranger_see_only_their_channels(page: Page) -> None:
    for name in ("guest", "stranger"):
        page.get_by_test_id("person-switch").click()
        page.get_by_test_id(f"person-{name}").click()
        expect(page.get_by_test_id("person-switch")).to_contain_text(name)
        expect(page.get_by_test_id("channel-incidents")).to_be_visible()
        expect(page.get_by_test_id("channel-releases")).to_have_count(0)
