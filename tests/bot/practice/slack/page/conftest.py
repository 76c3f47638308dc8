"""A browser, a fixture workspace, and a page that fails the test when anything goes wrong in its console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_workspace import Workspace, serving
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.conftest import SLOW


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A module's tests share one browser, so one worker takes them all."""
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """System Chromium, headless. One per module: while the driver lives, no coroutine test can run in this thread."""
    if not CHROMIUM.exists():
        pytest.skip(f"THE PAGE IS NOT TESTED: {CHROMIUM} is missing (apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def workspace() -> Workspace:
    """What the page is shown, and what it posted."""
    return Workspace()


@pytest.fixture
def address(workspace: Workspace) -> Iterator[str]:
    """Where the fixture workspace is served."""
    with serving(workspace) as url:
        yield url


@pytest.fixture
def viewport() -> tuple[int, int]:
    """Width and height in CSS pixels; a test of another size overrides this by parametrisation."""
    return 1280, 860


@pytest.fixture
def troubles() -> list[str]:
    """What went wrong in the page's console so far; must be empty in the end."""
    return []


class Screens:
    """One page for each size, since a renderer takes most of a second to start; a test begins with it empty.

    Nothing is left of the test before: every workspace has a port of its own, and with it its own storage.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._pages: dict[tuple[int, int], Page] = {}

    def page(self, viewport: tuple[int, int]) -> Page:
        """The page of this size."""
        if viewport not in self._pages:
            self._pages[viewport] = self._opened(*viewport)
        return self._pages[viewport]

    def _opened(self, width: int, height: int) -> Page:
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            timezone_id="UTC",
            locale="en-GB",
            has_touch=width < 500,
            is_mobile=width < 500,
            reduced_motion="reduce",
        )
        context.set_default_timeout(8000 * SLOW)
        return context.new_page()


@pytest.fixture(scope="module")
def screens(browser: Browser) -> Screens:
    """The pages of this browser."""
    return Screens(browser)


@pytest.fixture
def page(screens: Screens, address: str, viewport: tuple[int, int], troubles: list[str]) -> Iterator[Page]:
    """The page, opened and drawn. Any console error or thrown exception fails the test."""
    expect.set_options(timeout=5000 * SLOW)
    opened = screens.page(viewport)

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            troubles.append(message.text)

    def thrown(error: Error) -> None:
        troubles.append(str(error))

    opened.on("console", said)
    opened.on("pageerror", thrown)
    opened.goto(address)
    opened.get_by_test_id("message").first.wait_for()
    yield opened
    opened.goto("about:blank")
    opened.remove_listener("console", said)
    opened.remove_listener("pageerror", thrown)
    assert troubles == []
