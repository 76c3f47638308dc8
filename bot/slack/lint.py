"""Our linter for Block Kit: what Slack would refuse, and what we forbid ourselves (platform.md, section 4).

Plain functions that return problems as sentences; an empty list is a clean payload. Tests run it on everything that
is drawn, the poster on what Slack refused. The SDK's models are no help here: they miss blocks and limits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from bot.slack.blocks import MESSAGE_CHARS, MORE, OFFER, Message, size

Block = dict[str, Any]
Surface = Literal["message", "modal", "home"]

MAX_BLOCKS = {"message": 50, "modal": 100, "home": 100}
MAX_CHARS = 12_000
KNOWN: dict[str, frozenset[str]] = {
    "message": frozenset({"header", "section", "context", "actions", "divider", "rich_text", "table"}),
    "modal": frozenset({"header", "section", "context", "actions", "divider", "rich_text", "input"}),
    "home": frozenset({"header", "section", "context", "actions", "divider", "rich_text", "input"}),
}
"""The core set that every client draws; nothing else is used (platform.md, section 4)."""

ACTION = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::\d+)?")
_LIVE = re.compile(
    r"<(?:@[UW][A-Z0-9]{2,}|#[CGD][A-Z0-9]{2,}|!date\^\d+\^[^|<>]+\|[^<>|]+|!subteam\^S[A-Z0-9]{2,}|https?://[^\s<>|]+\|[^<>|]+)>"
)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")
_CROWD = re.compile(r"<!(?!date\^|subteam\^S[A-Z0-9]{2,}>)")
"""A channel, or everybody; a user group is mentioned where somebody pressed for it (`bot.refusing`)."""
assert MESSAGE_CHARS < MAX_CHARS


def lint(message: Message) -> list[str]:
    """Problems of a whole message: its blocks, and the sentence beside them."""
    found = lint_blocks(message.blocks, "message")
    words = re.sub(r"[\W_]+", "", message.text)
    if not words:
        found.append("text: must say something in words")
    if len(message.text) > 4_000:
        found.append("text: longer than 4,000 characters fails when edited")
    found += [f"text: {problem}" for problem in _markup(message.text)]
    return found


def lint_blocks(blocks: list[Block], surface: Surface) -> list[str]:
    """Problems of blocks on a surface."""
    found: list[str] = []
    if len(blocks) > MAX_BLOCKS[surface]:
        found.append(f"{len(blocks)} blocks, at most {MAX_BLOCKS[surface]}")
    if surface == "message" and size(blocks) >= MAX_CHARS:
        found.append(f"{size(blocks)} characters, fewer than {MAX_CHARS}")
    if sum(block.get("type") == "table" for block in blocks) > 1:
        found.append("more than one table")
    for name in ("block_id", "action_id"):
        counted = Counter(value for block in blocks for value in _values(block, name))
        found += [f"{name} {value!r} stands {times} times" for value, times in counted.items() if times > 1]
    styles = [element.get("style") for block in blocks for element in block.get("elements", ()) if _is(element)]
    if styles.count("primary") > 1:
        found.append("more than one primary button")
    for place, block in enumerate(blocks):
        at = f"block {place} ({block.get('type')})"
        if block.get("type") not in KNOWN[surface]:
            found.append(f"{at}: unknown on a {surface}")
            continue
        found += [f"{at}: {problem}" for problem in _block(block)]
    return found


def lint_view(view: Block) -> list[str]:
    """Problems of a modal or the Home tab."""
    surface: Surface = "home" if view.get("type") == "home" else "modal"
    found = lint_blocks(view.get("blocks", []), surface)
    for name in ("title", "submit", "close"):
        if name in view:
            found += [f"{name}: {problem}" for problem in _text(view[name], 24, plain=True)]
    if surface == "modal" and "title" not in view:
        found.append("a modal needs a title")
    if any(block.get("type") == "input" for block in view.get("blocks", [])) and "submit" not in view:
        found.append("a form needs a submit button")
    if len(str(view.get("private_metadata", ""))) > 3_000:
        found.append("private_metadata: longer than 3,000")
    if len(str(view.get("callback_id", ""))) > 255:
        found.append("callback_id: longer than 255")
    return found


def _block(block: Block) -> list[str]:
    match block["type"]:
        case "header":
            return _text(block.get("text"), 150, plain=True)
        case "section":
            return _section(block)
        case "context":
            elements = block.get("elements", [])
            found = [] if 1 <= len(elements) <= 10 else [f"{len(elements)} elements, 1 to 10"]
            return found + [problem for element in elements for problem in _text(element, 3_000)]
        case "actions":
            elements = block.get("elements", [])
            found = [] if 1 <= len(elements) <= 25 else [f"{len(elements)} elements, 1 to 25"]
            return found + [problem for element in elements for problem in _element(element)]
        case "rich_text":
            return [problem for element in block.get("elements", []) for problem in _rich(element)]
        case "table":
            return _table(block)
        case "input":
            return _text(block.get("label"), 2_000, plain=True)
        case _:
            return []


def _section(block: Block) -> list[str]:
    found: list[str] = []
    fields = block.get("fields")
    if "text" not in block and not fields:
        found.append("neither text nor fields")
    if "text" in block:
        found += _text(block["text"], 3_000)
    if fields is not None:
        if not 1 <= len(fields) <= 10:
            found.append(f"{len(fields)} fields, 1 to 10")
        found += [problem for field in fields for problem in _text(field, 2_000)]
    if "accessory" in block:
        found += _element(block["accessory"])
    return found


def _element(element: Block) -> list[str]:
    kind = element.get("type")
    found: list[str] = []
    action = str(element.get("action_id", ""))
    if not ACTION.fullmatch(action) or len(action) > 255:
        found.append(f"action_id {action!r} is not area.verb")
    if kind == "button":
        found += _text(element.get("text"), 75, plain=True)
        if not OFFER.fullmatch(str(element.get("value", ""))):
            found.append("the value of a button is the id of an offer and nothing else")
        if element.get("style") not in (None, "primary", "danger"):
            found.append(f"style {element.get('style')!r}")
        if element.get("style") == "danger" and "confirm" not in element:
            found.append("danger without a second thought")
    elif kind == "overflow":
        options = element.get("options", [])
        if action != MORE or not 1 <= len(options) <= 5:
            found.append(f"{len(options)} options in {action!r}, 1 to 5 in {MORE!r}")
        for option in options:
            found += _text(option.get("text"), 75, plain=True)
            if not OFFER.fullmatch(str(option.get("value", ""))):
                found.append("the value of an option is the id of an offer and nothing else")
    else:
        found.append(f"element {kind!r} is not used here")
    if "confirm" in element:
        confirm = element["confirm"]
        for name, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            found += [f"confirm {name}: {p}" for p in _text(confirm.get(name), limit, plain=name != "text")]
    return found


def _rich(element: Block) -> list[str]:
    """Preformatted text only: it is never interpreted, so nothing in it can be live."""
    if element.get("type") != "rich_text_preformatted":
        return [f"{element.get('type')!r} is not used here"]
    texts = element.get("elements", [])
    if not texts:
        return ["empty"]
    return [
        "holds something other than text"
        for each in texts
        if each.get("type") != "text" or not each.get("text") or set(each) - {"type", "text", "style"}
    ]


def _table(block: Block) -> list[str]:
    rows = block.get("rows", [])
    if not 1 <= len(rows) <= 100:
        return [f"{len(rows)} rows, 1 to 100"]
    columns = len(rows[0])
    found = [] if 1 <= columns <= 20 else [f"{columns} columns, 1 to 20"]
    for number, row in enumerate(rows):
        if len(row) != columns:
            found.append(f"row {number} has {len(row)} cells, the header {columns}")
        if any(cell.get("type") != "raw_text" or not str(cell.get("text", "")).strip() for cell in row):
            found.append(f"row {number}: a cell is empty or no plain text")
    return found


def _text(text: Any, limit: int, *, plain: bool = False) -> list[str]:
    if not isinstance(text, dict):
        return ["text is missing"]
    words = text.get("text")
    if not isinstance(words, str) or not words.strip():
        return ["text is empty"]
    found = [] if len(words) <= limit else [f"{len(words)} characters, at most {limit}"]
    if plain and text.get("type") != "plain_text":
        found.append("must be plain text")
    if text.get("type") == "mrkdwn":
        if text.get("verbatim") is not True:
            found.append("mrkdwn without verbatim: Slack would make links of what looks like one")
        found += _markup(words)
    return found


def _markup(text: str) -> list[str]:
    """Live markup other than a person, a channel, a time or a labelled link; and broken entities."""
    found = []
    rest = _LIVE.sub("", text)
    if "<" in rest or ">" in rest:
        found.append("live or broken markup")
    if _ENTITY.search(rest):
        found.append("a broken entity")
    if _CROWD.search(text):
        found.append("pings a crowd")
    return found


def _values(block: Block, name: str) -> Iterator[str]:
    if name in block:
        yield str(block[name])
    for element in block.get("elements", ()):
        if _is(element) and name in element:
            yield str(element[name])
    if name in block.get("accessory", {}):
        yield str(block["accessory"][name])


def _is(element: Any) -> bool:
    return isinstance(element, dict)
