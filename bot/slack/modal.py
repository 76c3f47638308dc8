"""A `Form` as a Slack modal: pure, plain dicts, within Slack's limits (platform.md, section 4).

Each question is an input block whose block id and action id are its flag, so that answers and mistakes find it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.card import Field
from bot.command import Opening
from bot.forms import as_line
from bot.slack.blocks import split
from bot.slack.text import mrkdwn, plain

Block = dict[str, Any]
TITLE = 24
LONG = 3_000
OPTIONS = 100
BOXES = 10
BOX = 75
"""Characters of a box's words, and as many again of the grey line below them."""


def modal(opening: Opening, where: str) -> Block:
    """The view to open; ``where`` comes back as its private metadata."""
    form = opening.form
    blocks: list[Block] = []
    if form.text.strip():
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn(form.text), "verbatim": True}})
    blocks += [_question(field) for field in form.fields]
    same = f"The same as a line: `/sendcat {as_line(opening.line, form)}`"
    for line in (form.note, same):
        if line.strip():
            text = {"type": "mrkdwn", "text": mrkdwn(line, 800), "verbatim": True}
            blocks.append({"type": "context", "elements": [text]})
    return {
        "type": "modal",
        "callback_id": "form",
        "private_metadata": where,
        "title": _words(form.title, TITLE),
        "submit": _words(form.submit, TITLE),
        "close": _words("Cancel", TITLE),
        "blocks": blocks,
    }


def marked(errors: dict[str, str], asked: Iterable[str], otherwise: str) -> dict[str, str]:
    """Mistakes by block id: each at its question; what belongs to none stands at the first."""
    blocks = list(asked)
    found = {flag: text[:150] for flag, text in errors.items() if flag in blocks}
    return found or dict.fromkeys(blocks[:1], otherwise[:150])


def _question(field: Field) -> Block:
    block: Block = {
        "type": "input",
        "block_id": field.flag,
        "label": _words(field.label, 200),
        "element": _element(field),
        "optional": field.optional,
    }
    if field.hint:
        block["hint"] = _words(field.hint, 300)
    return block


def _element(field: Field) -> Block:
    if field.kind == "choice":
        options = [{"text": _words(label, 75), "value": value} for value, label in field.options[:OPTIONS]]
        first = [option for option in options if option["value"] == field.value]
        select: Block = {"type": "static_select", "action_id": field.flag, "options": options}
        return select | ({"initial_option": first[0]} if first else {})
    if field.kind == "ticks":
        return {"type": "checkboxes", "action_id": field.flag, "options": [_box(*box) for box in field.options[:BOXES]]}
    element: Block = {"type": "plain_text_input", "action_id": field.flag, "max_length": LONG}
    if field.kind == "number":
        element = {"type": "number_input", "action_id": field.flag, "is_decimal_allowed": False}
        bounds = {"min_value": field.least, "max_value": field.most}
        element |= {name: str(bound) for name, bound in bounds.items() if bound is not None}
    if field.kind == "long":
        element["multiline"] = True
    if field.value:
        element["initial_value"] = field.value
    return element


def _box(value: str, label: str) -> Block:
    """A box to tick; what its words do not hold stands below them."""
    words = plain(label, 2 * BOX)
    head, rest = split(words, BOX)
    box: Block = {"text": _words(head, BOX), "value": value}
    return box | ({"description": _words(rest, BOX)} if rest else {})


def _words(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": plain(text, limit) or "–", "emoji": False}
