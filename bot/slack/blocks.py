"""A `Card` as Block Kit: pure, plain dicts, always within Slack's limits (ux.md; platform.md, section 4).

The SDK's models are not used on the way out: they lack blocks and turn what they do not know into ``null``. What does
not fit is moved out of the card and comes back as `Message.overflow`, which belongs into the thread; nothing is
silently lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bot.card import SYMBOL, Attachment, Button, Card, Cell, Fact, Step, Table, Tone
from bot.slack.text import literal, mrkdwn, plain, width

Block = dict[str, Any]

MESSAGE_CHARS = 11_500
"""Slack answers ``msg_blocks_too_long`` at about 13,200 characters of blocks, which it does not document."""
TABLE_ROWS = 10
"""Longer tables belong into the thread (ux.md, rule 1)."""
SECTIONS = 20
SECTION_CHARS = 2_900
LEAD_CHARS = 1_500
CODE_CHARS = 6_000
ATTACHMENT_CHARS = 8_000
BUTTONS = 4
"""Drawn side by side; up to five more stand in the overflow menu (ux.md, rule 4)."""
MENU = 5
MORE = "card.more"
"""Action id of the overflow menu; each option's value is an offer, as a button's."""
OFFER = re.compile(r"[0-9a-f]{32}")
"""A button carries only a random 128-bit id (safety.md, R11)."""

_WAITING = "▫️"
_CONTINUED = " (continued)"
_URL = re.compile(r"https?://[^\s<>|\"'`]{1,300}")
_ACTION = re.compile(r"[^a-z0-9._-]+|\.{2,}")


@dataclass(frozen=True)
class Message:
    """What goes to ``chat.postMessage``: the verdict as a sentence, the blocks, and what did not fit."""

    text: str
    blocks: list[Block]
    overflow: tuple[Attachment, ...] = ()


def render(card: Card, *, table_fallback: bool = False, whispered: bool = False) -> Message:
    """Draw a card. ``table_fallback`` draws the table as aligned preformatted text, for workspaces that answer
    ``invalid_blocks`` to the young table block. ``whispered``: only one person sees it, and it has no thread."""
    overflow: list[Attachment] = []
    card = _bounded(card, overflow)
    blocks = list(_blocks(card, table_fallback))
    for shrink in _SHRINKERS:
        while size(blocks) > MESSAGE_CHARS:
            smaller = shrink(card, overflow)
            if smaller is card:
                break
            card = smaller
            blocks = list(_blocks(card, table_fallback))
    if overflow:
        note = _context("The rest follows." if whispered else "The rest is in the thread.")
        blocks.append(note)
    return Message(sentence(card), blocks, tuple(overflow))


def render_attachment(attachment: Attachment) -> Message:
    """A detail as a message of the thread. Aligned text and JSON are preformatted, prose is not.

    What one message cannot hold comes back as `Message.overflow`, to be drawn the same way.
    """
    title = plain(attachment.title, 130) or "Detail"
    heading = _section(f"*{title.replace('*', '∗')}*")
    body = attachment.text.strip("\n")
    if not body.strip():
        return Message(escaped(_in_words(title)), [heading])
    fenced = len(body) > 6 and body.startswith("```") and body.endswith("```")
    if fenced:  # columns: a rich_text block shows the marks of a code block as they are
        body = body[3:-3].strip("\n") or "–"
    preformatted = fenced or "  " in body or "\t" in body or body.lstrip()[:1] in "{["
    length = ATTACHMENT_CHARS
    while True:
        head, rest = split(body, length)
        blocks = [heading, *([_preformatted(head, 2 * length)] if preformatted else map(_section, _paragraphs(head)))]
        if size(blocks) <= MESSAGE_CHARS or length < 100:
            break
        length = length * 2 // 3
    more = (Attachment(title=f"{title.removesuffix(_CONTINUED)}{_CONTINUED}", text=rest),) if rest.strip() else ()
    return Message(escaped(_in_words(title)), blocks, more)


def sentence(card: Card) -> str:
    """The verdict and its reason in words: what a lock screen and a screen reader show. Escaped for ``text``."""
    title = plain(card.title, 150) or "Sendcat"
    lead = plain(card.lead, 400)
    end = "" if title[-1] in ".!?…" or not lead else "."
    return escaped(_in_words(f"{SYMBOL[card.tone]} {title}{end} {lead}".strip()))


def _in_words(said: str) -> str:
    """A lock screen that shows only a picture tells nothing: then our name stands beside it."""
    return said if re.search(r"[^\W_]", said) else f"Sendcat {said}"


def escaped(text: str) -> str:
    """Escaped for a top-level ``text`` field."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def split(text: str, length: int) -> tuple[str, str]:
    """The first ``length`` characters, cut at the end of a line or word where there is one, and the rest."""
    if len(text) <= length:
        return text, ""
    for mark in ("\n", " "):
        at = text.rfind(mark, length // 2, length)
        if at > 0:
            return text[:at], text[at + 1 :]
    return text[:length], text[length:]


def size(blocks: list[Block]) -> int:
    """Characters of the blocks as they are sent: never less than what Slack counts."""
    return len(json.dumps(blocks, ensure_ascii=False))


# -- drawing ------------------------------------------------------------------------------------------------------


def _blocks(card: Card, table_fallback: bool) -> Iterator[Block]:
    """The blocks in reading order."""
    if card.banner.strip():
        yield _section(card.banner, 500)
    symbol = SYMBOL[card.tone]
    yield {"type": "header", "text": _plain_text(f"{symbol} {plain(card.title, 145) or 'Sendcat'}".strip(), 150)}
    if card.context.strip():
        yield _context(card.context)
    if card.lead.strip():
        yield _section(card.lead, LEAD_CHARS)
    if card.steps:
        yield _section("\n".join(_step(step) for step in card.steps))
    if card.facts:
        yield {"type": "section", "fields": [_mrkdwn(_fact(fact), 300) for fact in card.facts]}
    if card.table is not None and card.table.columns:
        if card.table.caption.strip():
            yield _context(card.table.caption)
        yield _preformatted(aligned(card.table), CODE_CHARS) if table_fallback else _table(card.table)
    for section in (card.warned, *card.sections):
        if section.strip():
            yield _section(section)
    if card.code.strip():
        yield _preformatted(card.code, CODE_CHARS)
    if card.next.strip():
        yield _section(f"*Next:* {card.next}", 1000)
    elements = list(buttons(card.buttons))
    if elements:
        yield {"type": "actions", "elements": elements}
    links = " · ".join(linked(link.label, link.url) for link in card.links)
    if links:
        yield {"type": "context", "elements": [{"type": "mrkdwn", "text": links, "verbatim": True}]}
    if card.footer.strip():
        yield _context(card.footer)


def _mrkdwn(text: str, limit: int) -> Block:
    # verbatim: Slack makes no links or mentions out of what merely looks like one (R34)
    return {"type": "mrkdwn", "text": mrkdwn(text, limit) or "–", "verbatim": True}


def _plain_text(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": plain(text, limit) or "–", "emoji": False}


def _section(text: str, limit: int = SECTION_CHARS) -> Block:
    return {"type": "section", "text": _mrkdwn(text, limit)}


def _context(text: str, limit: int = 800) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text, limit)]}


def _preformatted(text: str, limit: int) -> Block:
    shown = _lines(text, limit)
    inner = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": shown or "–"}]}
    return {"type": "rich_text", "elements": [inner]}


def _lines(text: str, limit: int) -> str:
    """Literal text that keeps the indentation of its first line."""
    pad = len(text) - len(text.lstrip(" "))
    return " " * min(pad, 40) + literal(text, max(8, limit - 40)) if text.strip() else ""


def _step(step: Step) -> str:
    symbol = SYMBOL[step.tone] or _WAITING
    label = _line(step.label, 120)
    return f"{symbol} {label}" + (f"  {_line(step.detail, 300)}" if step.detail.strip() else "")


def _fact(fact: Fact) -> str:
    return f"*{_line(fact.label, 60).replace('*', '∗')}*  {_line(fact.value, 200)}"


def _line(text: str, limit: int) -> str:
    """One line of card text; marks stay whole, a longer text is cut between two words."""
    text = " ".join(text.split())
    if len(text) <= limit or "\ue000" in text:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip() + "…"


def _cell(cell: Cell, limit: int = 120) -> str:
    return " ".join(f"{literal(cell.text, limit) or '–'} {SYMBOL[cell.tone]}".split())


def _rows(table: Table, most: int = 99) -> list[list[str]]:
    """Header and rows as texts, every row as long as the header, no cell empty."""
    count = min(len(table.columns), 20)
    header = [" ".join(literal(column, 60).split()) or "–" for column in table.columns[:count]]
    blank = Cell(text="–")
    return [header] + [[_cell(cell) for cell in (row + (blank,) * count)[:count]] for row in table.rows[:most]]


def _table(table: Table) -> Block:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": text} for text in row] for row in _rows(table)]}


def aligned(table: Table, rows: int = 99) -> str:
    """The first rows of a table in a fixed-width font: columns side by side, two blanks between them."""
    drawn = _rows(table, rows)
    widths = [max(width(row[i]) for row in drawn) for i in range(len(drawn[0]))]
    return "\n".join(
        "  ".join(text + " " * (space - width(text)) for text, space in zip(row, widths, strict=True)).rstrip()
        for row in drawn
    )


def linked(words: str, url: str) -> str:
    """A labelled link; the words alone when the address is none."""
    label = mrkdwn(plain(words, 60), 80).replace("|", "¦") or "Link"
    if not _URL.fullmatch(url):
        return label
    return f"<{url.replace('&', '&amp;')}|{label}>"


def buttons(wanted: tuple[Button, ...]) -> Iterator[Block]:
    """Buttons side by side, then the menu. One that was not minted means nothing and is not drawn."""
    minted = [button for button in wanted if button.offer and OFFER.fullmatch(button.offer)]
    shown = [b for i, b in enumerate(minted) if i < BUTTONS or b.confirm][: BUTTONS + MENU]
    menu = [button for button in minted if button not in shown][:MENU]
    used = {MORE: 1}
    primary = False
    for button in shown:
        name = _ACTION.sub("-", button.name.lower())[:100].strip(".-") or "card.button"
        used[name] = used.get(name, 0) + 1
        element: Block = {
            "type": "button",
            "text": _plain_text(button.label, 75),
            "action_id": name if used[name] == 1 else f"{name}:{used[name]}",
            "value": button.offer,
        }
        if button.style == "primary" and not primary:
            primary = True
            element["style"] = "primary"
        if button.confirm is not None:
            if button.style == "danger":
                element["style"] = "danger"  # danger without a second thought is drawn as a plain button (ux.md, 7)
            element["confirm"] = {
                "title": _plain_text(button.confirm.title, 100),
                "text": {"type": "plain_text", "text": plain(button.confirm.text, 300) or "–", "emoji": False},
                "confirm": _plain_text(button.confirm.yes, 30),
                "deny": _plain_text(button.confirm.no, 30),
            }
            if button.style == "danger":
                element["confirm"]["style"] = "danger"
        yield element
    if menu:
        options = [{"text": _plain_text(button.label, 75), "value": button.offer} for button in menu]
        yield {"type": "overflow", "action_id": MORE, "options": options}


def _paragraphs(text: str) -> list[str]:
    """Pieces that each fit a section once they are escaped."""
    if len(mrkdwn(text, 10_000_000)) <= SECTION_CHARS:
        return [text] if text.strip() else []
    head, rest = split(text, len(text) // 2)
    return _paragraphs(head) + _paragraphs(rest)


# -- fitting ------------------------------------------------------------------------------------------------------


def _bounded(card: Card, overflow: list[Attachment]) -> Card:
    """The limits that hold whatever the size: rows of the table, number of sections, links and steps."""
    changed: dict[str, Any] = {}
    if card.table is not None:
        drawn = aligned(card.table, rows=len(card.table.rows)) if card.table.columns else ""
        if len(card.table.rows) > TABLE_ROWS or len(drawn) > CODE_CHARS:
            overflow.append(Attachment(title=card.table.caption or "All rows", text=drawn))
            short = card.table.model_copy(update={"rows": card.table.rows[:TABLE_ROWS]})
            changed["table"] = short if len(aligned(short)) <= CODE_CHARS else None
    if len(mrkdwn(card.lead, 10_000_000)) > LEAD_CHARS:
        overflow.append(Attachment(title="In full", text=card.lead))
    if any(len(mrkdwn(section, 10_000_000)) > SECTION_CHARS for section in card.sections[:SECTIONS]):
        overflow.append(Attachment(title="Evidence in full", text="\n\n".join(card.sections[:SECTIONS])))
    if len(card.code) > CODE_CHARS - 100:
        card = _shorter_code(card, overflow)
    if len(card.sections) > SECTIONS:
        overflow.append(Attachment(title="More evidence", text="\n\n".join(card.sections[SECTIONS:])))
        changed["sections"] = card.sections[:SECTIONS]
    if len(card.steps) > 24:
        overflow.append(Attachment(title="All steps", text="\n".join(_step(step) for step in card.steps)))
        changed["steps"] = (*card.steps[:23], Step(label=f"and {len(card.steps) - 23} more", tone=Tone.PLAIN))
    if len(card.links) > 6:
        changed["links"] = card.links[:6]
    return card.model_copy(update=changed) if changed else card


def _shorter_code(card: Card, overflow: list[Attachment]) -> Card:
    if len(card.code) <= 1_500:
        return card
    overflow.append(Attachment(title="Commands", text=card.code if "  " in card.code else f"{card.code}\n  "))
    return card.model_copy(update={"code": "\n".join(card.code[:1_400].splitlines()[:-1]) or card.code[:1_400]})


def _fewer_sections(card: Card, overflow: list[Attachment]) -> Card:
    if not card.sections:
        return card
    _put_first(overflow, "More evidence", card.sections[-1])
    return card.model_copy(update={"sections": card.sections[:-1]})


def _no_table(card: Card, overflow: list[Attachment]) -> Card:
    if card.table is None:
        return card
    title = card.table.caption or "All rows"
    if not any(item.title == title for item in overflow):
        overflow.append(Attachment(title=title, text=aligned(card.table, rows=len(card.table.rows))))
    return card.model_copy(update={"table": None})


def _no_code(card: Card, overflow: list[Attachment]) -> Card:
    if not card.code:
        return card
    if not any(item.title == "Commands" for item in overflow):
        overflow.append(Attachment(title="Commands", text=f"{card.code}\n  "))
    return card.model_copy(update={"code": ""})


def _no_facts(card: Card, overflow: list[Attachment]) -> Card:
    if not card.facts and not card.steps:
        return card
    lines = [*(_step(step) for step in card.steps), *(f"{fact.label}: {fact.value}" for fact in card.facts)]
    overflow.append(Attachment(title="Steps and figures", text="\n".join(lines)))
    return card.model_copy(update={"facts": (), "steps": ()})


def _bare(card: Card, overflow: list[Attachment]) -> Card:
    """Verdict, a short reason, and the buttons; the last resort."""
    small = card.model_copy(
        update={"lead": plain(card.lead, 300), "next": plain(card.next, 200), "banner": plain(card.banner, 200)}
        | {"context": plain(card.context, 200), "footer": "", "links": ()}
    )
    return card if small == card else small  # the second time nothing changes, which ends the shrinking


def _put_first(overflow: list[Attachment], title: str, text: str) -> None:
    """Sections leave from the end, so each is put before those that left already."""
    for index, item in enumerate(overflow):
        if item.title == title:
            overflow[index] = item.model_copy(update={"text": f"{text}\n\n{item.text}"})
            return
    overflow.append(Attachment(title=title, text=text))


_SHRINKERS: tuple[Callable[[Card, list[Attachment]], Card], ...] = (
    _shorter_code,
    _fewer_sections,
    _no_table,
    _no_code,
    _no_facts,
    _bare,
)
"""Least needed first; each moves what it takes into the thread."""
