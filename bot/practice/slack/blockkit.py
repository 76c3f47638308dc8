"""Slack's own check of blocks: what the practice Slack refuses with ``invalid_blocks`` (``platform.md`` section 4).

Written apart from the bot's linter on purpose: this is the other side's opinion. ``problems`` gives Slack's lines,
``[ERROR] what is wrong [json-pointer:/blocks/0/text]``; an empty list means that Slack draws the blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

from bot.practice.slack.elements import INPUT_ELEMENTS, SECTION_ACCESSORIES, check_element
from bot.practice.slack.shape import Problems, check_text, only_keys, text_length

Surface = Literal["message", "modal", "home"]

MAX_BLOCKS: Mapping[Surface, int] = {"message": 50, "modal": 100, "home": 100}
MAX_MESSAGE_CHARS = 13_200
ACTION_ELEMENTS = SECTION_ACCESSORIES - {"image"} | {"rich_text_input", "workflow_button", "icon_button"}
_EVERYWHERE: frozenset[Surface] = frozenset({"message", "modal", "home"})
_SURFACES: Mapping[str, frozenset[Surface]] = {
    "header": _EVERYWHERE,
    "section": _EVERYWHERE,
    "context": _EVERYWHERE,
    "actions": _EVERYWHERE,
    "divider": _EVERYWHERE,
    "input": _EVERYWHERE,
    "rich_text": _EVERYWHERE,
    "image": _EVERYWHERE,
    "video": _EVERYWHERE,
    "table": frozenset({"message"}),
    "data_table": frozenset({"message"}),
    "data_visualization": frozenset({"message"}),
    "markdown": frozenset({"message"}),
    "plan": frozenset({"message"}),
    "task_card": frozenset({"message"}),
    "container": frozenset({"message"}),
    "context_actions": frozenset({"message"}),
    "card": frozenset({"message", "home"}),
    "carousel": frozenset({"message", "home"}),
    "alert": frozenset({"modal"}),
}
_AT_MOST = {"table": (1, "table"), "data_table": (1, "table"), "plan": (1, "plan"), "data_visualization": (2, "chart")}


def problems(blocks: Any, surface: Surface, pointer: str = "/blocks") -> list[str]:
    """Everything that Slack would refuse about these blocks on this surface."""
    found = Problems()
    if not isinstance(blocks, list):
        found.add(pointer, "must be an array")
        return found.lines
    if len(blocks) > MAX_BLOCKS[surface]:
        found.add(pointer, f"no more than {MAX_BLOCKS[surface]} items allowed [input:{len(blocks)}]")
    for index, block in enumerate(blocks):
        check_block(block, surface, f"{pointer}/{index}", found)
    dicts = [block for block in blocks if isinstance(block, dict)]
    for block_id, times in Counter(b["block_id"] for b in dicts if isinstance(b.get("block_id"), str)).items():
        if times > 1:
            found.add(pointer, f"`block_id` {block_id} already exists")
    counted = Counter(_AT_MOST[block["type"]][1] for block in dicts if block.get("type") in _AT_MOST)
    for most, name in set(_AT_MOST.values()):
        if counted[name] > most:
            found.add(pointer, f"only {most} {name} allowed in a message")
    markdown = sum(len(str(block.get("text", ""))) for block in dicts if block.get("type") == "markdown")
    if markdown > 12_000:
        found.add(pointer, "markdown blocks must be less than 12001 characters in total")
    return found.lines


def characters(blocks: list[Any]) -> int:
    """How many characters of text the blocks add up to (the sum behind ``msg_blocks_too_long``)."""
    return text_length(blocks)


def check_block(block: Any, surface: Surface, at: str, found: Problems) -> None:
    """One block: its type on this surface, its id, its keys, then what its type asks for."""
    if not isinstance(block, dict):
        found.add(at, "must be an object")
        return
    kind = block.get("type")
    if not isinstance(kind, str) or kind not in _SURFACES:
        found.add(f"{at}/type", f"unsupported type: {kind}")
        return
    if surface not in _SURFACES[kind]:
        found.add(f"{at}/type", f"unsupported type: {kind} in a {surface}")
        return
    block_id = block.get("block_id")
    if block_id is not None and not (isinstance(block_id, str) and len(block_id) <= 255):
        found.add(f"{at}/block_id", "must be less than 256 characters")
    _CHECKS[kind](block, surface, at, found)


def _header(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"text", "level"}, at, found)
    check_text(block.get("text"), at + "/text", found, most=150, plain=True)
    if "level" in block and block["level"] not in (1, 2, 3, 4):
        found.add(f"{at}/level", "must be between 1 and 4")


def _section(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"text", "fields", "accessory", "expand"}, at, found)
    if "text" not in block and "fields" not in block:
        found.add(at, "must define either `text` or `fields`")
    if "text" in block:
        check_text(block["text"], at + "/text", found, most=3000)
    if "fields" in block:
        fields = block["fields"]
        if found.items(fields, at + "/fields", most=10):
            for index, text in enumerate(fields):
                check_text(text, f"{at}/fields/{index}", found, most=2000)
    if "accessory" in block:
        check_element(block["accessory"], SECTION_ACCESSORIES, at + "/accessory", found)


def _context(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"elements"}, at, found)
    if found.items(block.get("elements"), at + "/elements", most=10):
        for index, element in enumerate(block["elements"]):
            where = f"{at}/elements/{index}"
            if isinstance(element, dict) and element.get("type") == "image":
                check_element(element, frozenset({"image"}), where, found)
            else:
                check_text(element, where, found, most=3000)


def _elements(allowed: frozenset[str], most: int) -> Callable[[dict[str, Any], Surface, str, Problems], None]:
    def check(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
        only_keys(block, {"elements"}, at, found)
        if not found.items(block.get("elements"), at + "/elements", most=most):
            return
        for index, element in enumerate(block["elements"]):
            check_element(element, allowed, f"{at}/elements/{index}", found)
        ids = Counter(e["action_id"] for e in block["elements"] if isinstance(e, dict) and "action_id" in e)
        for action_id, times in ids.items():
            if times > 1:
                found.add(f"{at}/elements", f"`action_id` {action_id} already exists in this block")

    return check


def _divider(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, set(), at, found)


def _input(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"label", "element", "hint", "optional", "dispatch_action"}, at, found)
    check_text(block.get("label"), at + "/label", found, most=2000, plain=True)
    if "hint" in block:
        check_text(block["hint"], at + "/hint", found, most=2000, plain=True)
    check_element(block.get("element"), INPUT_ELEMENTS, at + "/element", found)


def _image(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"image_url", "slack_file", "alt_text", "title"}, at, found)
    found.string(block.get("alt_text"), at + "/alt_text", most=2000)
    if ("image_url" in block) == ("slack_file" in block):
        found.add(at, "must define exactly one of `image_url` and `slack_file`")
    if "image_url" in block:
        found.string(block["image_url"], at + "/image_url", most=3000)
    if "title" in block:
        check_text(block["title"], at + "/title", found, most=2000, plain=True)


def _video(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    for key in ("video_url", "thumbnail_url", "alt_text"):
        found.string(block.get(key), f"{at}/{key}", most=3000)
    check_text(block.get("title"), at + "/title", found, most=200, plain=True)


def _markdown(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"text"}, at, found)
    found.string(block.get("text"), at + "/text", most=12_000)


_RICH_PARTS = {"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"}
_RICH_WORDS: Mapping[str, str | None] = {
    "text": "text",
    "link": "url",
    "user": "user_id",
    "usergroup": "usergroup_id",
    "channel": "channel_id",
    "emoji": "name",
    "date": "timestamp",
    "broadcast": "range",
    "color": "value",
    "team": "team_id",
}


def _rich_text(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"elements"}, at, found)
    if found.items(block.get("elements"), at + "/elements", most=None):
        for index, part in enumerate(block["elements"]):
            _rich_part(part, f"{at}/elements/{index}", found, _RICH_PARTS)


def _rich_part(part: Any, at: str, found: Problems, allowed: set[str]) -> None:
    if not isinstance(part, dict) or part.get("type") not in allowed:
        found.add(f"{at}/type", f"unsupported type: {part.get('type') if isinstance(part, dict) else part}")
        return
    if not isinstance(part.get("elements"), list):
        found.add(f"{at}/elements", "must be an array")
        return
    if part["type"] == "rich_text_list":
        only_keys(part, {"elements", "style", "indent", "offset", "border"}, at, found)
        if part.get("style") not in ("bullet", "ordered"):
            found.add(f"{at}/style", "must be one of bullet, ordered")
        if part.get("indent", 0) not in range(9):
            found.add(f"{at}/indent", "must be between 0 and 8")
        for index, section in enumerate(part["elements"]):
            _rich_part(section, f"{at}/elements/{index}", found, {"rich_text_section"})
        return
    only_keys(part, {"elements", "border", "language"}, at, found)
    for index, word in enumerate(part["elements"]):
        where = f"{at}/elements/{index}"
        kind = word.get("type") if isinstance(word, dict) else None
        needed = _RICH_WORDS.get(str(kind))
        if needed is None:
            found.add(f"{where}/type", f"unsupported type: {kind}")
        elif needed == "timestamp":
            if not isinstance(word.get(needed), int):
                found.add(f"{where}/{needed}", "must be an integer")
        else:
            found.string(word.get(needed), f"{where}/{needed}", most=None)


def _cell(cell: Any, at: str, found: Problems) -> None:
    kind = cell.get("type") if isinstance(cell, dict) else None
    if kind == "raw_text":
        found.string(cell.get("text"), at + "/text", most=None)
    elif kind == "raw_number":
        if not isinstance(cell.get("value"), (int, float)) or isinstance(cell.get("value"), bool):
            found.add(f"{at}/value", "must be a number")
    elif kind == "rich_text":
        if found.items(cell.get("elements"), at + "/elements", most=None):
            for index, part in enumerate(cell["elements"]):
                _rich_part(part, f"{at}/elements/{index}", found, _RICH_PARTS)
    else:
        found.add(f"{at}/type", f"unsupported type: {kind}")


def _rows(rows: Any, at: str, found: Problems, most: int) -> None:
    if not found.items(rows, at, most=most):
        return
    for row_index, row in enumerate(rows):
        if found.items(row, f"{at}/{row_index}", most=20):
            for index, cell in enumerate(row):
                _cell(cell, f"{at}/{row_index}/{index}", found)


def _table(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"rows", "column_settings"}, at, found)
    _rows(block.get("rows"), at + "/rows", found, 100)
    settings = block.get("column_settings", [])
    if not isinstance(settings, list) or len(settings) > 20:
        found.add(f"{at}/column_settings", "no more than 20 items allowed")
        return
    for index, setting in enumerate(settings):
        if setting is not None and (
            not isinstance(setting, dict) or setting.get("align", "left") not in ("left", "center", "right")
        ):
            found.add(f"{at}/column_settings/{index}/align", "must be one of left, center, right")


def _data_table(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    found.string(block.get("caption"), at + "/caption", most=None)
    _rows(block.get("rows"), at + "/rows", found, 101)
    rows = block.get("rows")
    if isinstance(rows, list) and len({len(row) for row in rows if isinstance(row, list)}) > 1:
        found.add(f"{at}/rows", "must have rows of equal length")
    if block.get("page_size", 5) not in range(1, 101):
        found.add(f"{at}/page_size", "must be between 1 and 100")


def _chart(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    title = block.get("title")
    if not isinstance(title, str) or not 1 <= len(title) <= 50:
        found.add(f"{at}/title", "must be less than 51 characters")


def _task(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    found.string(block.get("task_id"), at + "/task_id", most=255)
    found.string(block.get("title"), at + "/title", most=None)
    if block.get("status", "pending") not in ("pending", "in_progress", "complete", "error"):
        found.add(f"{at}/status", "must be one of pending, in_progress, complete, error")


def _plan(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"title", "tasks", "plan_id"}, at, found)
    found.string(block.get("title"), at + "/title", most=None)
    if found.items(block.get("tasks", [None]), at + "/tasks", most=50):
        for index, task in enumerate(block.get("tasks", [])):
            check_block(task, surface, f"{at}/tasks/{index}", found)


def _card(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    for key, most in (("title", 150), ("subtitle", 150), ("body", 200)):
        if key in block:
            check_text(block[key], f"{at}/{key}", found, most=most)
    if "actions" in block and found.items(block["actions"], at + "/actions", most=3):
        for index, element in enumerate(block["actions"]):
            check_element(element, frozenset({"button"}), f"{at}/actions/{index}", found)


def _carousel(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    if found.items(block.get("elements"), at + "/elements", most=10):
        for index, card in enumerate(block["elements"]):
            check_block(card, surface, f"{at}/elements/{index}", found)


def _container(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    check_text(block.get("title"), at + "/title", found, most=150)
    if found.items(block.get("child_blocks"), at + "/child_blocks", most=10):
        for index, child in enumerate(block["child_blocks"]):
            check_block(child, surface, f"{at}/child_blocks/{index}", found)


def _alert(block: dict[str, Any], surface: Surface, at: str, found: Problems) -> None:
    only_keys(block, {"text", "level"}, at, found)
    check_text(block.get("text"), at + "/text", found, most=200)
    if block.get("level", "default") not in ("default", "info", "warning", "error", "success"):
        found.add(f"{at}/level", "must be one of default, info, warning, error, success")


_CHECKS: Mapping[str, Callable[[dict[str, Any], Surface, str, Problems], None]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _elements(ACTION_ELEMENTS, 25),
    "context_actions": _elements(frozenset({"feedback_buttons", "icon_button"}), 5),
    "divider": _divider,
    "input": _input,
    "image": _image,
    "video": _video,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "table": _table,
    "data_table": _data_table,
    "data_visualization": _chart,
    "plan": _plan,
    "task_card": _task,
    "card": _card,
    "carousel": _carousel,
    "container": _container,
    "alert": _alert,
}
