"""Slack's limits on blocks, one case each side of the line."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from practice_bolt import BUTTON, FORM, section

from bot.practice.slack.blockkit import Surface, characters, problems

CONFIRM = {
    "title": {"type": "plain_text", "text": "Sure?"},
    "text": {"type": "mrkdwn", "text": "40 -> 48 on production"},
    "confirm": {"type": "plain_text", "text": "Apply"},
    "deny": {"type": "plain_text", "text": "Back"},
}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def options(count: int) -> list[dict[str, Any]]:
    return [{"text": plain(f"o{n}"), "value": f"v{n}"} for n in range(count)]


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def button(**more: Any) -> dict[str, Any]:
    return {**BUTTON, **more}


def table(rows: int, columns: int, cell: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "table", "rows": [[cell or {"type": "raw_text", "text": "x"}] * columns] * rows}


def rich(*words: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(words)}]}


def select(**more: Any) -> dict[str, Any]:
    return {"type": "static_select", "action_id": "s", "options": options(2), **more}


FINE: list[tuple[str, Surface, list[dict[str, Any]]]] = [
    ("50 blocks", "message", [section("x")] * 50),
    ("100 blocks in a modal", "modal", [section("x")] * 100),
    ("header of 150", "message", [{"type": "header", "text": plain("x" * 150)}]),
    ("section of 3000", "message", [section("x" * 3000)]),
    ("10 fields of 2000", "message", [{"type": "section", "fields": [plain("x" * 2000)] * 10}]),
    ("25 elements", "message", [actions(*(button(action_id=f"a{n}") for n in range(25)))]),
    ("a danger button with confirm", "message", [actions(button(style="danger", confirm=CONFIRM))]),
    ("same action in two blocks", "message", [actions(BUTTON), actions(BUTTON)]),
    ("100 rows of 20", "message", [table(100, 20)]),
    ("a number cell", "message", [table(1, 1, {"type": "raw_number", "value": 14.3})]),
    ("rich text", "message", [rich({"type": "text", "text": "a"}, {"type": "user", "user_id": "U0LEAD"})]),
    ("overflow of 5", "message", [actions({"type": "overflow", "action_id": "o", "options": options(5)})]),
    ("select of 100", "message", [actions(select(options=options(100), initial_option=options(1)[0]))]),
    ("alert in a modal", "modal", [{"type": "alert", "text": plain("careful"), "level": "warning"}]),
    ("a form", "modal", FORM["blocks"]),
    ("context of 10", "home", [{"type": "context", "elements": [plain("x")] * 10}]),
    (
        "plan",
        "message",
        [{"type": "plan", "title": "B", "tasks": [{"type": "task_card", "task_id": "1", "title": "x"}]}],
    ),
]

REFUSED: list[tuple[str, Surface, list[Any], str]] = [
    ("51 blocks", "message", [section("x")] * 51, "no more than 50"),
    ("101 blocks in Home", "home", [section("x")] * 101, "no more than 100"),
    ("unknown type", "message", [{"type": "sparkline"}], "unsupported type: sparkline"),
    ("null block", "message", [None], "must be an object"),
    ("unknown key", "message", [{**section("x"), "colour": "red"}], "invalid additional property: colour"),
    ("header of 151", "message", [{"type": "header", "text": plain("x" * 151)}], "less than 151"),
    ("header in mrkdwn", "message", [{"type": "header", "text": section("x")["text"]}], "must be plain_text"),
    ("empty section", "message", [{"type": "section"}], "either `text` or `fields`"),
    ("section of 3001", "message", [section("x" * 3001)], "less than 3001"),
    ("field of 2001", "message", [{"type": "section", "fields": [plain("x" * 2001)]}], "less than 2001"),
    ("11 fields", "message", [{"type": "section", "fields": [plain("x")] * 11}], "no more than 10"),
    ("11 in a context", "message", [{"type": "context", "elements": [plain("x")] * 11}], "no more than 10"),
    ("26 elements", "message", [actions(*(button(action_id=f"a{n}") for n in range(26)))], "no more than 25"),
    ("no elements", "message", [actions()], "no fewer than 1"),
    ("same action twice in a block", "message", [actions(BUTTON, BUTTON)], "already exists"),
    ("same block id twice", "message", [{**section("x"), "block_id": "b"}] * 2, "`block_id` b already exists"),
    ("block id of 256", "message", [{**section("x"), "block_id": "b" * 256}], "less than 256"),
    ("button text of 76", "message", [actions(button(text=plain("x" * 76)))], "less than 76"),
    ("button value of 2001", "message", [actions(button(value="x" * 2001))], "less than 2001"),
    ("action id of 256", "message", [actions(button(action_id="x" * 256))], "less than 256"),
    ("a third style", "message", [actions(button(style="warning"))], "primary, danger"),
    ("confirm text of 301", "message", [actions(button(confirm={**CONFIRM, "text": plain("x" * 301)}))], "than 301"),
    ("option of 76", "message", [actions(select(options=[{"text": plain("x" * 76), "value": "v"}]))], "than 76"),
    ("option value of 151", "message", [actions(select(options=[{"text": plain("x"), "value": "v" * 151}]))], "151"),
    ("101 options", "message", [actions(select(options=options(101)))], "no more than 100"),
    ("6 in an overflow", "message", [actions({"type": "overflow", "options": options(6)})], "no more than 5"),
    ("11 radio buttons", "message", [actions({"type": "radio_buttons", "options": options(11)})], "no more than 10"),
    ("initial option not there", "message", [actions(select(initial_option=options(9)[8]))], "initial option"),
    ("two tables", "message", [table(1, 1), table(1, 1)], "only 1 table"),
    ("101 rows", "message", [table(101, 1)], "no more than 100"),
    ("21 columns", "message", [table(1, 21)], "no more than 20"),
    ("an empty cell", "message", [table(1, 1, {"type": "raw_text", "text": ""})], "more than 0"),
    ("a table in a modal", "modal", [table(1, 1)], "unsupported type: table in a modal"),
    ("an alert in a message", "message", [{"type": "alert", "text": plain("x")}], "unsupported type: alert"),
    ("list indent 9", "message", [{"type": "rich_text", "elements": [
        {"type": "rich_text_list", "style": "bullet", "indent": 9, "elements": []}]}], "between 0 and 8"),
    ("empty rich text word", "message", [rich({"type": "text", "text": ""})], "more than 0"),
    ("unknown rich text word", "message", [rich({"type": "shout"})], "unsupported type: shout"),
    ("an input without label", "modal", [{"type": "input", "element": {"type": "plain_text_input"}}], "/label"),
    ("a button as input", "modal", [{"type": "input", "label": plain("x"), "element": BUTTON}], "type: button"),
    ("max_length 3001", "modal", [{"type": "input", "label": plain("x"), "element": {
        "type": "plain_text_input", "max_length": 3001}}], "max_length"),
]  # fmt: skip


@pytest.mark.parametrize(("surface", "blocks"), [case[1:] for case in FINE], ids=[case[0] for case in FINE])
def test_blocks_within_the_limits_are_drawn(surface: Surface, blocks: list[dict[str, Any]]) -> None:
    """What stands at a limit is still fine, and the check leaves the blocks as they were."""
    before = copy.deepcopy(blocks)

    assert problems(blocks, surface) == []
    assert blocks == before


@pytest.mark.parametrize(
    ("surface", "blocks", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_blocks_over_a_limit_are_refused(surface: Surface, blocks: list[Any], words: str) -> None:
    """What is one over a limit is refused, with words that say which."""
    found = problems(blocks, surface)

    assert any(words in line for line in found), found
    assert all("[json-pointer:/blocks" in line for line in found)


@pytest.mark.parametrize("junk", [None, "x", 3, {}, [[]], ["x"], [{"type": 3}], [{"type": "section", "text": 3}],
                                  [{"type": "actions", "elements": [None]}], [{"type": "table", "rows": [3]}],
                                  [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [3]}]}],
                                  [{"type": "actions", "elements": [{"type": "static_select", "option_groups": [3]}]}],
                                  [{"type": "input", "label": 3, "element": 3}]])  # fmt: skip
def test_anything_that_is_no_block_is_refused_without_a_crash(junk: Any) -> None:
    """The check judges any JSON."""
    assert problems(junk, "message")


def test_the_characters_of_a_message_are_all_its_text() -> None:
    """The sum behind ``msg_blocks_too_long`` counts texts in every depth."""
    assert characters([section("abc"), actions(BUTTON), table(2, 2)]) == 3 + len("Stop") + 4
