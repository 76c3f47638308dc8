"""Walking through blocks: the ids Slack fills in, the elements a person can touch, the values a form holds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from bot.practice.slack.elements import all_options
from bot.practice.slack.refusal import Json

VALUELESS = frozenset({"button", "overflow", "image", "workflow_button", "icon_button", "feedback_buttons"})
"""Elements without a value of their own: they never stand in ``state.values``."""


def with_ids(blocks: list[Json], new_id: Callable[[], str]) -> list[Json]:
    """A copy in which every block has a ``block_id`` and every element an ``action_id``, as Slack returns them."""
    filled = copy.deepcopy(blocks)
    for block in filled:
        block.setdefault("block_id", new_id())
        for element in _elements(block):
            if element.get("type") not in ("image", "plain_text", "mrkdwn"):
                element.setdefault("action_id", new_id())
    return filled


def _elements(block: Json) -> Iterator[Json]:
    if block.get("type") in ("actions", "context_actions"):
        yield from block.get("elements", ())
    for key in ("accessory", "element"):
        if isinstance(block.get(key), dict):
            yield block[key]
    if block.get("type") == "card":
        yield from block.get("actions", ())


def interactive(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every (block, element) a person can touch, nested blocks and attachments included."""
    for block in blocks:
        for element in _elements(block):
            if "action_id" in element:
                yield block, element
        yield from interactive(block.get("child_blocks", []))
        if block.get("type") == "carousel":
            yield from interactive(block.get("elements", []))


def caption(element: Json) -> str:
    """The words on a button, or nothing."""
    text = element.get("text")
    return str(text.get("text", "")) if isinstance(text, dict) else ""


def find(
    blocks: list[Json], wanted: str, *, block_id: str | None = None, value: str | None = None
) -> tuple[Json, Json]:
    """The (block, element) with that action_id or caption; ``LookupError`` names what there is."""
    there = list(interactive(blocks))
    for match in (lambda e: e["action_id"] == wanted, lambda e: caption(e) == wanted):
        for block, element in there:
            if block_id is not None and block.get("block_id") != block_id:
                continue
            if value is not None and element.get("value") not in (None, value):
                continue
            if match(element):
                return block, element
    names = ", ".join(f"{element['action_id']} ({caption(element) or element['type']})" for _, element in there)
    raise LookupError(f"nothing to press called {wanted!r}; there is: {names or 'nothing'}")


def option(element: Json, wanted: str) -> Json:
    """The option of a menu with that value or text; ``LookupError`` names what there is."""
    choices = all_options(element)
    for choice in choices:
        if wanted in (choice.get("value"), choice.get("text", {}).get("text")):
            return choice
    raise LookupError(f"no option {wanted!r}; there is: {[choice.get('value') for choice in choices]}")


def initial_value(element: Json) -> Json:
    """What an untouched element holds in ``state.values``."""
    return typed_value(element, None)


def typed_value(element: Json, given: Any) -> Json:
    """The ``state.values`` entry for what a person entered.

    ``given`` may be Slack's own dict, a string (text, option value, id, date), a list of strings (several options),
    or ``None`` for the element's initial value.
    """
    kind = str(element["type"])
    if isinstance(given, dict):
        return {"type": kind, **given}
    key, initial = _VALUE_KEYS.get(kind, ("value", "initial_value"))
    if given is None:
        held = element.get(initial, [] if key.endswith("s") else None)
    elif key in ("selected_option", "selected_options") and kind not in ("external_select", "multi_external_select"):
        names = [given] if isinstance(given, str) else list(given)
        chosen = [option(element, str(name)) for name in names]
        held = chosen if key == "selected_options" else chosen[0]
    elif kind == "external_select" and isinstance(given, str):
        held = {"text": {"type": "plain_text", "text": given}, "value": given}
    elif key.endswith("s") and isinstance(given, str):
        held = [given]
    else:
        held = given
    return {"type": kind, key: held}


def is_empty(value: Json) -> bool:
    """Whether a person left the element empty."""
    return all(held in (None, "", [], {}) for key, held in value.items() if key != "type")


_VALUE_KEYS: dict[str, tuple[str, str]] = {
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "file_input": ("files", "initial_files"),
    "rich_text_input": ("rich_text_value", "initial_value"),
}


def state_values(shown: list[Json], touched: tuple[Json, Json, Json] | None = None) -> dict[str, dict[str, Json]]:
    """``state.values`` of a message: what every element with a value holds, the one just touched included."""
    values: dict[str, dict[str, Json]] = {}
    for block, element in interactive(shown):
        if element["type"] not in VALUELESS:
            values.setdefault(block["block_id"], {})[element["action_id"]] = initial_value(element)
    if touched is not None and touched[1]["type"] not in VALUELESS:
        block, element, held = touched
        values[block["block_id"]][element["action_id"]] = held
    return values
