"""What a person does on the page reaches the workspace as the page's interface says, and nothing else does."""

from __future__ import annotations

import page_samples as samples
import pytest
from page_workspace import Workspace
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser


def message(page: Page, ts: str) -> Locator:
    return page.get_by_test_id(f"message-{ts}").first


def test_a_typed_command_is_posted_as_the_person_in_the_channel(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("composer").fill("/sendcat triage")
    page.keyboard.press("Enter")

    assert workspace.wait_for_post("command") == {
        "as": samples.ONCALL,
        "channel": samples.INCIDENT,
        "text": "/sendcat triage",
    }
    expect(page.get_by_test_id("composer")).to_have_value("")


def test_suggestions_complete_a_command_by_keyboard(page: Page, workspace: Workspace) -> None:
    """Tab takes the first, arrows move, Enter takes the chosen one; a second Enter sends."""
    composer = page.get_by_test_id("composer")
    composer.press_sequentially("/sen")
    expect(page.get_by_test_id("suggestion-0")).to_contain_text("/sendcat")
    composer.press("Tab")
    expect(composer).to_have_value("/sendcat ")
    composer.press_sequentially("s")
    composer.press("ArrowDown")
    composer.press("Enter")
    expect(composer).to_have_value("/sendcat snapshot ")
    assert not workspace.posts
    composer.press("Enter")

    assert workspace.wait_for_post("command")["text"] == "/sendcat snapshot"


def test_a_finished_command_line_is_sent_by_the_first_enter(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("composer").press_sequentially("/sendcat drill --quick=true")
    page.get_by_test_id("composer").press("Enter")

    assert workspace.wait_for_post("command")["text"] == "/sendcat drill --quick=true"


def test_arrow_up_brings_back_what_was_sent(page: Page, workspace: Workspace) -> None:
    composer = page.get_by_test_id("composer")
    for line in ("/sendcat probe", "hello"):
        composer.fill(line)
        page.get_by_test_id("send").click()
        expect(composer).to_have_value("")
    composer.press("ArrowUp")
    expect(composer).to_have_value("hello")
    composer.press("ArrowUp")

    expect(composer).to_have_value("/sendcat probe")
    composer.press("ArrowDown")
    expect(composer).to_have_value("hello")


def test_a_refused_command_is_told_and_stays_in_the_field(page: Page, workspace: Workspace) -> None:
    workspace.answers["command"] = {"ok": False, "error": "operation_timeout"}
    page.get_by_test_id("composer").fill("/sendcat triage")
    page.keyboard.press("Enter")

    expect(page.get_by_test_id("toast")).to_contain_text("did not answer within 3 seconds")
    expect(page.get_by_test_id("composer")).to_have_value("/sendcat triage")


def test_an_acks_words_are_shown_once(page: Page, workspace: Workspace) -> None:
    """As a note when they stand nowhere else; not again when the channel shows them."""
    workspace.answers["command"] = {"ok": True, "ack_text": "Already *running*"}
    page.get_by_test_id("composer").fill("/sendcat triage")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("toast")).to_have_text("Already running")

    workspace.ephemerals.append({**samples.refusal(), "text": "Seen", "blocks": []})
    workspace.answers["command"] = {"ok": True, "ack_text": "Seen"}
    page.get_by_test_id("composer").fill("/sendcat help")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("ephemeral-E1")).to_contain_text("Seen")
    expect(page.get_by_test_id("toast")).to_have_count(1)


def test_a_click_carries_the_message_the_block_and_the_buttons_value(page: Page, workspace: Workspace) -> None:
    message(page, samples.RESULT_TS).get_by_test_id("button-triage.rerun").click()

    assert workspace.wait_for_post("click") == {
        "as": samples.ONCALL,
        "channel": samples.INCIDENT,
        "message_ts": samples.RESULT_TS,
        "ephemeral": False,
        "block_id": "next",
        "action_id": "triage.rerun",
        "value": "o-triage.rerun",
    }


def test_a_click_on_an_ephemeral_says_so(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        workspace.ephemerals.append(samples.refusal())
    note = page.get_by_test_id("ephemeral-E1")
    expect(note).to_contain_text("Only visible to you")
    note.get_by_test_id("button-rights.ask").click()

    assert workspace.wait_for_post("click")["ephemeral"] is True
    note.get_by_test_id("dismiss-E1").click()
    expect(note).to_have_count(0)


def test_a_dangerous_button_asks_first(page: Page, workspace: Workspace) -> None:
    """Cancel and Esc send nothing; only the confirmation does."""
    reject = page.get_by_test_id("button-gate.reject")
    reject.click()
    expect(page.get_by_test_id("confirm")).to_contain_text("Reject gate g-77?")
    expect(page.get_by_test_id("confirm")).to_contain_text("stays blocked on production")
    page.get_by_test_id("confirm-deny").click()
    expect(page.get_by_test_id("confirm")).to_have_count(0)
    reject.click()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("confirm")).to_have_count(0)
    assert not workspace.posts
    reject.click()
    page.get_by_test_id("confirm-accept").click()

    assert workspace.wait_for_post("click")["action_id"] == "gate.reject"


def test_an_overflow_menu_is_walked_by_keyboard_and_sends_its_option(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("overflow-gate.more").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Waive a scenario…")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    sent = workspace.wait_for_post("click")
    assert (sent["action_id"], sent["selected_option"]["value"]) == ("gate.more", "v1")


def test_menus_boxes_and_dates_send_what_was_chosen(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        workspace.messages.append(samples.zoo())
    card = message(page, samples.ZOO_TS)

    card.get_by_test_id("select-drill.profile").select_option("spike")
    assert workspace.wait_for_post("click")["selected_option"]["value"] == "spike"
    card.get_by_test_id("radio-zoo.radio").get_by_label("Spike").check()
    card.get_by_test_id("checkboxes-zoo.boxes").get_by_label("Low").check()
    card.get_by_test_id("checkboxes-zoo.boxes").get_by_label("Spike").check()
    card.get_by_test_id("date-zoo.date").fill("2026-12-01")
    card.get_by_test_id("date-zoo.date").blur()

    assert workspace.wait_for_post("click", action_id="zoo.date")["selected_option"] == "2026-12-01"
    boxes = workspace.wait_for_post("click", action_id="zoo.boxes")["selected_option"]
    assert [option["value"] for option in boxes] == ["low", "spike"]
    assert workspace.wait_for_post("click", action_id="zoo.radio")["selected_option"]["value"] == "spike"


def test_a_form_keeps_wrong_input_open_and_shows_each_error(page: Page, workspace: Workspace) -> None:
    """Missing fields are marked before anything is sent; the app's own errors stand beside their fields."""
    workspace.answers["submit"] = {"ok": False, "errors": {"reason": "Say why the ⚠️ is fine."}}
    with workspace.change():
        workspace.views[samples.ONCALL] = [samples.modal()]
    modal = page.get_by_test_id("modal")
    page.get_by_test_id("modal-submit").click()
    expect(modal.get_by_test_id("error-reason")).to_have_text("Fill in this field.")
    assert not [v for v, _ in workspace.posts if v == "submit"]

    modal.get_by_label("I read: gmail p95").check()
    modal.get_by_label("Reason").fill("slow")
    modal.get_by_label("Watch for").fill("200")
    page.get_by_test_id("modal-submit").click()
    expect(modal.get_by_test_id("error-minutes")).to_have_text("At most 60.")
    modal.get_by_label("Watch for").fill("30")
    page.get_by_test_id("modal-submit").click()
    expect(modal.get_by_test_id("error-reason")).to_have_text("Say why the ⚠️ is fine.")
    expect(modal.get_by_label("Reason")).to_have_value("slow")
    expect(modal.get_by_label("Reason")).to_be_focused()

    workspace.answers["submit"] = {"ok": True}
    modal.get_by_label("Reason").fill("slow because of backfill")
    page.get_by_test_id("modal-submit").click()
    expect(modal).to_have_count(0)
    sent = workspace.wait_for_post("submit")
    assert sent["view_id"] == "V1"
    assert sent["values"]["reason"]["reason"] == {"type": "plain_text_input", "value": "slow because of backfill"}
    assert sent["values"]["minutes"]["minutes"] == {"type": "number_input", "value": "30"}
    assert sent["values"]["risk"]["risk"]["selected_option"]["value"] == "high"
    assert [o["value"] for o in sent["values"]["read"]["read"]["selected_options"]] == ["gmail"]


def test_esc_closes_a_form_and_tells_the_workspace(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        workspace.views[samples.ONCALL] = [samples.modal()]
    expect(page.get_by_role("dialog", name="Approve gate g-77")).to_be_visible()
    page.keyboard.press("Escape")

    assert workspace.wait_for_post("close") == {"as": samples.ONCALL, "view_id": "V1"}
    expect(page.get_by_test_id("modal")).to_have_count(0)


def test_a_form_that_is_updated_keeps_what_was_typed(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        workspace.views[samples.ONCALL] = [samples.modal()]
    page.get_by_label("Reason").fill("half a sentence")
    with workspace.change():
        changed = samples.modal()
        changed["blocks"][1]["text"]["text"] = "Release *2026.11.23-3*"
        workspace.views[samples.ONCALL] = [changed]

    expect(page.get_by_test_id("modal")).to_contain_text("2026.11.23-3")
    expect(page.get_by_label("Reason")).to_have_value("half a sentence")


def test_a_pushed_form_lies_on_top_and_closing_it_shows_the_first(page: Page, workspace: Workspace) -> None:
    with workspace.change():
        second = {**samples.modal(), "id": "V2", "title": samples.plain("Second")}
        workspace.views[samples.ONCALL] = [samples.modal(), second]
    expect(page.get_by_role("dialog", name="Second")).to_be_visible()
    page.get_by_role("dialog", name="Second").get_by_test_id("modal-close").click()

    assert workspace.wait_for_post("close")["view_id"] == "V2"
    expect(page.get_by_role("dialog", name="Approve gate g-77")).to_be_visible()


def test_a_reply_goes_into_its_thread(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id(f"thread-{samples.RESULT_TS}").click()
    thread = page.get_by_test_id("thread")
    expect(thread).to_contain_text("3 replies")
    page.get_by_test_id("thread-composer").fill("@sendcat triage")
    page.keyboard.press("Enter")

    assert workspace.wait_for_post("message")["thread_ts"] == samples.RESULT_TS
    expect(thread).to_contain_text("4 replies")
    page.keyboard.press("Escape")
    expect(thread).to_be_hidden()
    expect(page.get_by_test_id(f"thread-{samples.RESULT_TS}")).to_be_focused()


def test_someone_else_is_a_click_away(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("person-switch").click()
    page.get_by_test_id("person-relmgr").click()
    expect(page.get_by_test_id("person-switch")).to_contain_text("relmgr · release manager")
    page.get_by_test_id("button-gate.approve").click()

    assert workspace.wait_for_post("click")["as"] == samples.RELMGR
    page.reload()
    expect(page.get_by_test_id("person-switch")).to_contain_text("relmgr")


def test_a_person_who_may_not_see_the_channel_lands_where_they_may(
    page: Page, workspace: Workspace, troubles: list[str]
) -> None:
    workspace.hidden_from[samples.GUEST] = {samples.RELEASES}
    page.get_by_test_id("channel-releases").click()
    expect(page.locator("h1")).to_have_text("releases")
    page.get_by_test_id("person-switch").click()
    page.get_by_test_id("person-guest").click()

    expect(page.get_by_test_id("person-switch")).to_contain_text("guest")
    expect(page.locator("h1")).to_have_text("inc-42-chat-slow")
    troubles.clear()  # the browser itself reports the 404


def test_the_message_menu_reacts_and_runs_shortcuts(page: Page, workspace: Workspace) -> None:
    card = message(page, samples.GATE_TS)
    card.hover()
    card.get_by_test_id("message-menu").click()
    page.get_by_test_id("shortcut-timeline.add").click()
    assert workspace.wait_for_post("shortcut") == {
        "as": samples.ONCALL,
        "callback_id": "timeline.add",
        "channel": samples.INCIDENT,
        "message_ts": samples.GATE_TS,
    }
    card.hover()
    card.get_by_test_id("react").click()
    page.get_by_test_id("pick-fire").click()

    assert workspace.wait_for_post("react")["name"] == "fire"


def test_home_is_opened_and_its_buttons_name_the_view(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("app-home").click()
    assert workspace.wait_for_post("home") == {"as": samples.ONCALL}
    page.get_by_test_id("home").get_by_test_id("button-home.open").click()

    assert workspace.wait_for_post("click")["view_id"] == "VH"


def test_practice_switches_are_posted_and_shown(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("faults").click()
    page.get_by_test_id("fault-down").check()
    assert workspace.wait_for_post("fault") == {"down": True}
    expect(page.get_by_test_id("banner-down")).to_be_visible()
    page.get_by_test_id("fault-storm").check()

    expect(page.get_by_test_id("banner-storm")).to_be_visible()
    expect(page.get_by_test_id("fault-down")).to_be_checked()


def test_a_practice_sendcats_conduct_is_chosen_and_follows_the_workspace(page: Page, workspace: Workspace) -> None:
    page.get_by_test_id("faults").click()
    choice = page.get_by_test_id("conduct-candidate")
    expect(choice).to_have_value("healthy")
    choice.select_option("slower")
    assert workspace.wait_for_post("conduct") == {"deployment": "candidate", "conduct": "slower"}
    expect(choice).to_have_value("slower")
    with workspace.change():  # somebody else, in another terminal
        workspace.deployments[0]["conduct"] = "healthy"

    expect(choice).to_have_value("healthy")
