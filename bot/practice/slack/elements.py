"""Slack's check of the interactive elements inside blocks: buttons, menus, inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.practice.slack.shape import Problems, check_text, only_keys

_SELECTS = frozenset({"static_select", "external_select", "users_select", "conversations_select", "channels_select"})
_MULTI = frozenset("multi_" + name for name in _SELECTS)
_PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker"})
_CHOICES = frozenset({"checkboxes", "radio_buttons"})
SECTION_ACCESSORIES = _SELECTS | _MULTI | _PICKERS | _CHOICES | {"button", "overflow", "image", "workflow_button"}
INPUT_ELEMENTS = (
    _SELECTS
    | _MULTI
    | _PICKERS
    | _CHOICES
    | {"plain_text_input", "number_input", "email_text_input", "url_text_input", "file_input", "rich_text_input"}
)
_COMMON = {"action_id", "confirm", "focus_on_load"}


def check_element(element: Any, allowed: frozenset[str], at: str, found: Problems) -> None:
    """One element: its type in this place, its id, then what its type asks for."""
    if not isinstance(element, dict):
        found.add(at, "missing required field" if element is None else "must be an object")
        return
    kind = element.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        found.add(f"{at}/type", f"unsupported type: {kind}")
        return
    if "action_id" in element:
        found.string(element["action_id"], at + "/action_id", most=255)
    if "placeholder" in element:
        check_text(element["placeholder"], at + "/placeholder", found, most=150, plain=True)
    if "confirm" in element:
        _confirm(element["confirm"], at + "/confirm", found)
    check = _CHECKS.get(kind)
    if check is not None:
        check(element, at, found)


def _confirm(value: Any, at: str, found: Problems) -> None:
    if not isinstance(value, dict):
        found.add(at, "must be an object")
        return
    only_keys(value, {"title", "text", "confirm", "deny", "style"}, at, found)
    check_text(value.get("title"), at + "/title", found, most=100, plain=True)
    check_text(value.get("text"), at + "/text", found, most=300)
    for key in ("confirm", "deny"):
        check_text(value.get(key), f"{at}/{key}", found, most=30, plain=True)
    if value.get("style", "primary") not in ("primary", "danger"):
        found.add(f"{at}/style", "must be one of primary, danger")


def _button(element: dict[str, Any], at: str, found: Problems) -> None:
    only_keys(element, {"text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}, at, found)
    check_text(element.get("text"), at + "/text", found, most=75, plain=True)
    for key, most in (("value", 2000), ("url", 3000), ("accessibility_label", 75)):
        if key in element:
            found.string(element[key], f"{at}/{key}", most=most)
    if element.get("style", "primary") not in ("primary", "danger"):
        found.add(f"{at}/style", "must be one of primary, danger")


def _image(element: dict[str, Any], at: str, found: Problems) -> None:
    only_keys(element, {"image_url", "slack_file", "alt_text"}, at, found)
    found.string(element.get("alt_text"), at + "/alt_text", most=2000)
    if ("image_url" in element) == ("slack_file" in element):
        found.add(at, "must define exactly one of `image_url` and `slack_file`")


def _option(option: Any, at: str, found: Problems, extra: set[str], plain: bool) -> None:
    if not isinstance(option, dict):
        found.add(at, "must be an object")
        return
    only_keys(option, {"text", "value", "description", *extra}, at, found)
    check_text(option.get("text"), at + "/text", found, most=75, plain=plain)
    found.string(option.get("value"), at + "/value", most=150)
    if "description" in option:
        check_text(option["description"], at + "/description", found, most=75, plain=plain)
    if "url" in option:
        found.string(option["url"], at + "/url", most=3000)


def _options(options: Any, at: str, found: Problems, most: int, *, url: bool = False, plain: bool = True) -> None:
    if found.items(options, at, most=most):
        for index, option in enumerate(options):
            _option(option, f"{at}/{index}", found, {"url"} if url else set(), plain)


def all_options(element: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of a menu, those of its groups included."""
    grouped = [option for group in element.get("option_groups", ()) for option in group.get("options", ())]
    return [*element.get("options", ()), *grouped]


def _initial(element: dict[str, Any], at: str, found: Problems) -> None:
    initial = element.get("initial_option")
    chosen = element.get("initial_options", [] if initial is None else [initial])
    values = [option.get("value") for option in all_options(element)]
    for option in chosen:
        if not isinstance(option, dict) or option.get("value") not in values:
            found.add(at, "initial option must exactly match one of the options")


def _static_select(element: dict[str, Any], at: str, found: Problems) -> None:
    keys = {"options", "option_groups", "initial_option", "initial_options", "placeholder", "max_selected_items"}
    only_keys(element, keys | _COMMON, at, found)
    if ("options" in element) == ("option_groups" in element):
        found.add(at, "must define exactly one of `options` and `option_groups`")
    if "options" in element:
        _options(element["options"], at + "/options", found, 100)
    if "option_groups" in element and found.items(element["option_groups"], at + "/option_groups", most=100):
        for index, group in enumerate(element["option_groups"]):
            where = f"{at}/option_groups/{index}"
            if not isinstance(group, dict):
                found.add(where, "must be an object")
                continue
            check_text(group.get("label"), where + "/label", found, most=75, plain=True)
            _options(group.get("options"), where + "/options", found, 100)
    if not found.lines:
        _initial(element, at, found)


def _overflow(element: dict[str, Any], at: str, found: Problems) -> None:
    only_keys(element, {"options"} | _COMMON, at, found)
    _options(element.get("options"), at + "/options", found, 5, url=True)


def _choices(element: dict[str, Any], at: str, found: Problems) -> None:
    only_keys(element, {"options", "initial_option", "initial_options"} | _COMMON, at, found)
    _options(element.get("options"), at + "/options", found, 10, plain=False)
    if not found.lines:
        _initial(element, at, found)


def _plain_text_input(element: dict[str, Any], at: str, found: Problems) -> None:
    keys = {"initial_value", "multiline", "min_length", "max_length", "placeholder", "dispatch_action_config"}
    only_keys(element, keys | _COMMON, at, found)
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if not isinstance(least, int) or not 0 <= least <= 3000:
        found.add(f"{at}/min_length", "must be between 0 and 3000")
    elif not isinstance(most, int) or not max(1, least) <= most <= 3000:
        found.add(f"{at}/max_length", "must be between 1 and 3000 and not below min_length")
    elif "initial_value" in element:
        found.string(element["initial_value"], at + "/initial_value", most=most, least=0)


def _number_input(element: dict[str, Any], at: str, found: Problems) -> None:
    if not isinstance(element.get("is_decimal_allowed"), bool):
        found.add(f"{at}/is_decimal_allowed", "missing required field")


def _dated(key: str, pattern: str, words: str) -> Callable[[dict[str, Any], str, Problems], None]:
    def check(element: dict[str, Any], at: str, found: Problems) -> None:
        if key in element and not re.fullmatch(pattern, str(element[key])):
            found.add(f"{at}/{key}", f"must be {words}")

    return check


_CHECKS: Mapping[str, Callable[[dict[str, Any], str, Problems], None]] = {
    "button": _button,
    "image": _image,
    "static_select": _static_select,
    "multi_static_select": _static_select,
    "overflow": _overflow,
    "checkboxes": _choices,
    "radio_buttons": _choices,
    "plain_text_input": _plain_text_input,
    "number_input": _number_input,
    "datepicker": _dated("initial_date", r"\d{4}-\d\d-\d\d", "a date as YYYY-MM-DD"),
    "timepicker": _dated("initial_time", r"([01]\d|2[0-3]):[0-5]\d", "a time as HH:mm"),
    "datetimepicker": _dated("initial_date_time", r"\d{10}", "a 10 digit Unix time"),
}
