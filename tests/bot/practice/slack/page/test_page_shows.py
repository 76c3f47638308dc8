"""The page shows a state faithfully, follows its changes without disturbing anyone, and stays inert towards foreign text."""

from __future__ import annotations

import re
from pathlib import Path

import page_samples as samples
import pytest
from page_workspace import PAGE, Workspace
from playwright.sync_api import Page, expect


@pytest.mark.browser
def test_an_edit_changes_only_what_differs(page: Page, workspace: Workspace) -> None:
    """The untouched button keeps its node and the focus, and the open menu of another card stays open."""
    running = page.get_by_test_id(f"message-{samples.RUNNING_TS}")
    stop = running.get_by_test_id("button-triage.stop")
    stop.evaluate("node => { node.dataset.kept = 'yes' }")
    page.get_by_test_id("overflow-gate.more").click()
    with workspace.change():
        workspace.messages[3] = samples.running(step=3, elapsed="1:52")

    expect(running).to_contain_text("step 3 of 4")
    expect(stop).to_have_attribute("data-kept", "yes")
    expect(page.get_by_role("menuitem", name="Copy commands")).to_be_visible()
    page.keyboard.press("Escape")
    stop.focus()
    with workspace.change():
        workspace.messages[3] = samples.running(step=4, elapsed="2:10")
    expect(running).to_contain_text("step 4 of 4")
    expect(stop).to_be_focused()


@pytest.mark.browser
def test_new_messages_do_not_move_a_reader(page: Page, workspace: Workspace) -> None:
    """Reading above: a pill counts. At the end: the page follows."""
    scroller = page.locator("#scroller")
    scroller.evaluate("node => { node.scrollTop = 200 }")
    expect(page.get_by_test_id("new-messages")).to_be_hidden()
    page.wait_for_timeout(100)
    for number in range(2):
        with workspace.change():
            workspace.messages.append(samples.message(40 + number, samples.LEAD, f"news {number}"))
    expect(page.get_by_test_id("new-messages")).to_have_text("2 new messages")
    assert scroller.evaluate("node => node.scrollTop") == 200
    expect(page.get_by_test_id("live")).to_contain_text("news 1")

    page.get_by_test_id("new-messages").click()
    expect(page.locator("#stream").get_by_text("news 1")).to_be_in_viewport()
    with workspace.change():
        workspace.messages.append(samples.message(45, samples.LEAD, "last words"))
    expect(page.locator("#stream").get_by_text("last words")).to_be_in_viewport()
    expect(page.get_by_test_id("new-messages")).to_be_hidden()


@pytest.mark.browser
def test_foreign_text_stays_text(page: Page, workspace: Workspace) -> None:
    """R35's sibling on the screen: no string of a message becomes markup, script, or a link that runs."""
    with workspace.change():
        workspace.messages.append(samples.hostile())
        workspace.channels[1]["name"] = "<img src=x onerror=window.broken=20>"
        workspace.channels[0]["topic"] = "<script>window.broken = 21</script>"
        workspace.ephemerals.append({**samples.refusal(), "text": samples.HOSTILE, "blocks": []})
        hostile_form = {**samples.modal(), "title": samples.plain("<img src=x onerror=window.broken=22>")}
        workspace.views[samples.ONCALL] = [hostile_form]
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    card = page.get_by_test_id(f"message-{samples.HOSTILE_TS}")
    expect(card).to_contain_text("<img src=x onerror=window.broken=2>")

    assert page.evaluate("window.broken") is None
    assert card.locator("script, iframe, svg:not(.icon), b, [onclick], [onerror], [onload], [onmouseover]").count() == 0
    hrefs = page.eval_on_selector_all("a[href]", "links => links.map((link) => link.href)")
    assert [href for href in hrefs if not re.match(r"(https?|mailto):", href)] == []
    sources = page.eval_on_selector_all("img", "images => images.map((image) => new URL(image.src).origin)")
    assert set(sources) == {page.evaluate("location.origin")}


@pytest.mark.browser
def test_unknown_blocks_and_elements_are_named(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        workspace.messages.append(samples.zoo())
    boxes = page.get_by_test_id(f"message-{samples.ZOO_TS}").get_by_test_id("unknown")

    expect(boxes).to_have_count(2)
    expect(boxes.nth(0)).to_contain_text("data_visualization")
    expect(boxes.nth(1)).to_contain_text("hologram")


@pytest.mark.browser
def test_text_marks_are_read_as_slack_reads_them(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        workspace.messages.append(samples.zoo())
    card = page.get_by_test_id(f"message-{samples.ZOO_TS}")
    line = card.locator(".block-context").first

    expect(line.locator("strong")).to_have_text(["bold"])
    expect(line.locator("em")).to_have_text(["italic"])
    expect(line.locator("s")).to_have_text(["struck"])
    expect(line).to_contain_text("⏳")
    expect(line).to_contain_text("BULKHEAD_OR_PRI_MAX a*b*c 2 * 3 * 4")
    expect(card.locator("blockquote").first).to_have_text("quoted & calmsecond line")
    expect(card.locator(".block-section ul li")).to_have_text(["first", "second"])
    expect(card.locator(".block-section pre")).to_have_text("npx convex run reliability:snapshot '{}' --prod")
    expect(card.get_by_role("link", name="https://example.test/a?b=c")).to_have_attribute(
        "href", "https://example.test/a?b=c"
    )
    table = card.locator(".block-table")
    expect(table.locator("th.align-right")).to_have_text("value")
    expect(table.locator("td")).to_have_text(["CIRCUIT_OR_COOLDOWN_MS", "30000", "✅"])
    dates = page.get_by_test_id(f"message-{samples.RESULT_TS}").locator(".block-context time")
    expect(dates).to_have_text(["14:02", "14:05"])


@pytest.mark.browser
def test_a_permalink_in_a_card_leads_to_its_message(page: Page, workspace: Workspace, address: str) -> None:
    with workspace.change():
        link = f"<{address}/archives/{samples.INCIDENT}/p{samples.RUNNING_TS.replace('.', '')}|already running>"
        workspace.ephemerals.append({**samples.refusal(), "ts": samples.ts(50), "text": link, "blocks": []})
    page.get_by_role("link", name="already running").click()

    expect(page.get_by_test_id(f"message-{samples.RUNNING_TS}")).to_be_in_viewport()


@pytest.mark.browser
def test_the_line_to_the_workspace_heals_by_itself(page: Page, workspace: Workspace, troubles: list[str]) -> None:
    with workspace.change():
        workspace.app["connected"] = False
    expect(page.get_by_test_id("connection")).to_have_text("Sendcat not connected" + "Socket Mode")
    workspace.refusing_events = True
    workspace.cut_events()
    expect(page.get_by_test_id("connection")).to_contain_text("Workspace not reachable")
    workspace.refusing_events = False
    with workspace.change():
        workspace.app["connected"] = True

    expect(page.get_by_test_id("connection")).to_contain_text("Sendcat connected", timeout=15_000)
    troubles.clear()  # the browser itself reports that the stream was refused


@pytest.mark.browser
@pytest.mark.parametrize("viewport", [(390, 844)], ids=["phone"])
def test_everything_fits_a_phone(page: Page, workspace: Workspace) -> None:
    """390 pixels: nothing is cut off sideways but tables, which scroll; drawer, thread and form fill the screen."""
    with workspace.change():
        workspace.messages.append(samples.zoo())
        workspace.messages.append(samples.hostile())
        workspace.ephemerals.append(samples.refusal())
    page.get_by_test_id("ephemeral-E1").wait_for()

    def wide() -> list[str]:
        found = page.evaluate(
            """() => [...document.querySelectorAll('.room *')]
              .filter((n) => !n.closest('.table-scroll, .topic, .clipped, .menu') && n.getBoundingClientRect().right > 391)
              .map((n) => n.className || n.tagName)"""
        )
        return list(found)

    assert wide() == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_test_id("open-rail").tap()
    page.get_by_test_id("app-home").tap()
    expect(page.get_by_test_id("home")).to_contain_text("What waits for you")
    assert wide() == []
    page.get_by_test_id("open-rail").tap()
    page.get_by_test_id("channel-inc-42-chat-slow").tap()
    page.get_by_test_id(f"thread-{samples.RESULT_TS}").tap()
    box = page.get_by_test_id("thread").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    page.get_by_test_id("close-thread").tap()
    with workspace.change():
        workspace.views[samples.ONCALL] = [samples.modal()]
    expect(page.get_by_test_id("modal-submit")).to_be_in_viewport()
    page.get_by_test_id("modal-x").tap()
    page.get_by_test_id("person-switch-compact").tap()
    page.get_by_test_id("person-relmgr").tap()
    expect(page).to_have_url(re.compile(samples.RELMGR))


@pytest.mark.browser
def test_colours_can_be_chosen_and_are_remembered(page: Page) -> None:
    toggle = page.get_by_test_id("theme-toggle")
    toggle.click()
    toggle.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_colours(page: Page, workspace: Workspace, theme: str) -> None:
    """WCAG AA: at least 4.5 to 1 for every text on a plain ground."""
    with workspace.change():
        workspace.messages.append(samples.zoo())
        workspace.ephemerals.append(samples.refusal())
    page.get_by_test_id("ephemeral-E1").wait_for()
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)

    assert page.evaluate(Path(__file__).with_name("contrast.js").read_text()) == []


def test_no_text_is_ever_parsed_as_markup() -> None:
    """The page makes nodes only; the ways in which a string could become markup or code do not occur in it."""
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc")
    sources = {path.name: path.read_text() for path in PAGE.glob("*.js")}

    assert len(sources) > 10
    assert {name for name, text in sources.items() if ways.search(text)} == set()


def test_the_page_asks_nobody_else() -> None:
    """Every address in the page's own files is relative, or a name of the SVG standard."""
    for path in PAGE.iterdir():
        elsewhere = set(re.findall(r"https?://[^\s\"'`)<>]+", path.read_text())) - {"http://www.w3.org/2000/svg"}
        assert {a for a in elsewhere if not a.startswith(("https?:", "http://127."))} == set(), path.name
