"""A card is plain data: what is shown, never how (style.md, point 18).

Slack and the terminal are two small renderers of the same card. It can be read aloud: the title is the answer,
then the reasons, then what to press. Texts are ours and may use ``*bold*`` and `` `code` ``; every value that we
did not write ourselves goes through `bot.redact.inert` before it enters a text. People and times are put in with
`who` and `when`, whose marks (private-use characters) foreign text cannot contain, since `inert` drops them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Literal

import pydantic
from pydantic import BaseModel, ConfigDict

_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}([@t#&]):([^{_CLOSE}]*){_CLOSE}")


def who(account: str) -> str:
    """A person in a text, by account (``slack:U0ONCALL`` or ``os:oncall``); a renderer names or mentions them."""
    return f"{_OPEN}@:{account}{_CLOSE}"


def group(group_id: str) -> str:
    """A Slack user group in a text, by id (``S0RELMGR``): the one mark that reaches several people, never foreign."""
    return f"{_OPEN}&:{group_id}{_CLOSE}"


def when(at_ms: int) -> str:
    """A moment in a text, in ms UTC; Slack draws it in the reader's own zone."""
    return f"{_OPEN}t:{at_ms}{_CLOSE}"


def channel(channel_id: str) -> str:
    """A channel in a text, by id."""
    return f"{_OPEN}#:{channel_id}{_CLOSE}"


def resolve(text: str, draw: Callable[[str, str], str]) -> str:
    """Replace the marks of `who`, `group`, `when` and `channel`: ``draw(kind, value)``, ``kind`` one of ``@&t#``."""
    return _MARK.sub(lambda m: draw(m.group(1), m.group(2)), text)


def clipped(text: str, limit: int = 140) -> str:
    """A title that fits: whole words, an ellipsis when something was left out, no mark cut in two."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    if cut.rfind(_OPEN) > cut.rfind(_CLOSE):
        cut = cut[: cut.rfind(_OPEN)]
    whole = text[len(cut)] == " "
    words = cut[: cut.rfind(" ")] if not whole and " " in cut[limit // 2 :] else cut
    return words.rstrip(" ,;:·(") + "…"


class Tone(StrEnum):
    """What a card feels like; colour and symbol only repeat what a word says."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"
    RUNNING = "running"
    REFUSED = "refused"
    PLAIN = "plain"


SYMBOL: dict[Tone, str] = {
    Tone.OK: "✅",
    Tone.WARN: "⚠️",
    Tone.BAD: "🔴",
    Tone.UNKNOWN: "❔",
    Tone.RUNNING: "⏳",
    Tone.REFUSED: "🚫",
    Tone.PLAIN: "",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Step(_Frozen):
    """One step of a run: its tone says whether it waits (PLAIN), runs, or how it ended."""

    label: str
    tone: Tone = Tone.PLAIN
    detail: str = ""


class Fact(_Frozen):
    """One key number, drawn in a grid: at most eight on a card."""

    label: str
    value: str


class Cell(_Frozen):
    text: str
    tone: Tone = Tone.PLAIN


class Table(_Frozen):
    """Columns and rows of short texts; at most one on a card, the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""


class Confirm(_Frozen):
    """A second thought: names the object, the value before and after, and the environment."""

    title: str
    text: str
    yes: str = "Yes"
    no: str = "Cancel"


class Field(_Frozen):
    """One question of a form: its answer becomes ``--flag=answer``, or the next word of the line when ``word``."""

    flag: str
    label: str
    kind: Literal["text", "long", "number", "choice", "ticks"] = "text"
    """``ticks`` are boxes that must all be ticked; the answer is their values with commas between."""
    options: tuple[tuple[str, str], ...] = ()
    """Value and label of each choice."""
    value: str = ""
    """What stands there at first."""
    hint: str = ""
    optional: bool = False
    word: bool = False
    prefix: str = ""
    """Put before the answer, as ``KNOB=`` before a value."""
    least: int | None = None
    most: int | None = None
    """Bounds of a number, both inclusive; Slack marks an answer outside of them before the form closes."""


class Form(_Frozen):
    """Questions that complete a command line (ux.md, rule 8). Only Slack draws forms; a terminal has flags."""

    title: str
    """At most 24 characters."""
    fields: tuple[Field, ...]
    submit: str = "Run"
    text: str = ""
    """What is asked about, above the questions."""
    note: str = ""
    """Small grey line below them."""


class Button(_Frozen):
    """A command line to press. ``offer`` is minted by the store when the card is written (safety.md, R11)."""

    label: str
    line: str
    name: str
    """``area.verb``, for example ``triage.rerun``: the action id in Slack."""
    style: Literal["primary", "danger"] | None = None
    confirm: Confirm | None = None
    decision: bool = False
    """Decision buttons are single use and expire; navigation is judged anew at each click."""
    expires_ms: int | None = None
    form: Form | None = None
    """Asked first; the answers complete the line."""
    offer: str | None = None


def stop_button(op_id: str) -> Button:
    """Stop is there for anyone, without a second thought (safety.md, R13)."""
    return Button(label="Stop", line=f"stop {op_id}", name="run.stop")


class Link(_Frozen):
    label: str
    url: str


class Attachment(_Frozen):
    """A detail that belongs into the thread: long text, a table over ten rows, a file."""

    title: str
    text: str = ""
    file: str | None = None
    """Artifact name inside the artifact directory."""
    columns: bool = False
    """The text is a table in columns: a code block in Slack, and shown under the card in a terminal."""


class Card(_Frozen):
    """What a person sees of a run, in reading order."""

    title: str
    """Verdict first: ``FAIL: outbound provider``. Without symbol; the tone brings it."""
    tone: Tone = Tone.PLAIN
    context: str = ""
    """Small grey line under the title: who, where, run id, elapsed."""
    banner: str = ""
    """Drawn first, for example while everything that changes is paused."""
    lead: str = ""
    """One or two sentences of reason."""
    steps: tuple[Step, ...] = ()
    facts: tuple[Fact, ...] = pydantic.Field(default=(), max_length=10)
    to_read: tuple[str, ...] = pydantic.Field(default=(), max_length=10)
    """Warnings: whoever says yes ticks each of them as read (ux.md, sketch 2). Ten boxes are all that Slack shows."""
    sections: tuple[str, ...] = ()
    """Paragraphs of evidence, each at most a few lines."""
    code: str = ""
    """Preformatted lines, for example commands to run by hand."""
    table: Table | None = None
    next: str = ""
    """What to do next, in one sentence."""
    buttons: tuple[Button, ...] = ()
    links: tuple[Link, ...] = ()
    footer: str = ""
    """Small grey line at the end: evidence ids, times, runbook section."""
    attachments: tuple[Attachment, ...] = ()
    """Posted once into the thread, when the run has ended."""
    final: bool = False

    @property
    def warned(self) -> str:
        """What is to be read, as one paragraph; empty when there is nothing."""
        return f"⚠️ *To read:* {'; '.join(self.to_read)}" if self.to_read else ""

    @property
    def headline(self) -> str:
        """Symbol and title: the whole answer in one line (lock screens, fallback text, logs)."""
        return f"{SYMBOL[self.tone]} {self.title}".strip()
