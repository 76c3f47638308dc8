"""A page of the runbook: Markdown that a person reads and the bot walks through.

Notation
--------
::

    # F. Tool queue backlog / worker starvation       "<letter>. <title>", without a letter for a procedure

    ## Signal                                          bullets: one signal each
    - `toolJobs.byStatus.queued` rises and does not drain.
      > What Sendcat's code really does, beside the words of the runbook.

    ## Actions                                         or "## Steps" on a procedure: numbered from 1
    1. **read:** Tell worker saturation from upstream failure:
       - check `bulkheads.inFlightByProvider.tool_job_worker`
       > A note.

    ## Rules                                           bullets that are neither (tuning rules)

    ```toml                                            at most one block, the last thing on the page
    [backlog]
    min_queued = 10
    ```

The word in bold says what kind of step it is (`StepKind`). Everything in backquotes is read by `spans.read_span`;
each line of a fenced ``bash`` block is one command line. Other text is free. A mistake is reported the way a compiler
does it (`PageError`), all mistakes of a page at once (`PageErrors`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from playbooks.spans import CommandSpan, Span, SpanError, read_span

_TITLE = re.compile(r"# (?:(?P<letter>[A-Z])\. )?(?P<title>\S.*)")
_NUMBERED = re.compile(r"(?P<number>[0-9]+)\. (?P<rest>.*)")
_KIND = re.compile(r"\*\*(?P<kind>[^*:]*):\*\* (?P<text>\S.*)")
_CODE = re.compile(r"`([^`]*)`")
_STEP_SECTIONS = ("Actions", "Steps")
_BULLET_SECTIONS = ("Signal", "Rules")
_S = TypeVar("_S", bound=Span)


class StepKind(StrEnum):
    """What the bot does with a step."""

    READ = "read"
    """Runs at once and shows what it found; changes nothing."""
    CONFIRM = "confirm"
    """A person answers; the answer is recorded."""
    CHANGE = "change"
    """Shows the legal range of knobs and the line that would propose the change."""
    MUTATE = "mutate"
    """Calls a function that changes something: confirmed, audited, never repeated after an unclear answer."""
    RETEST = "retest"
    """Quick drill and snapshot, compared with before."""
    LINK = "link"
    """Points to an artifact, a file or another page."""
    RUN = "run"
    """Starts the command on its line, which has its own card, limits and approvals."""


class PageError(ValueError):
    """One mistake on a page, shown like a compiler does: file, line, the text, a mark under it.

    ``line`` and ``column`` count from 1; ``length`` is the length of the mark.
    """

    def __init__(self, what: str, file: str, line: int, column: int, text: str, length: int = 1) -> None:
        self.what, self.file, self.line, self.column, self.text, self.length = what, file, line, column, text, length
        super().__init__(what, file, line, column, text, length)

    def __str__(self) -> str:
        number = str(self.line)
        gutter = " " * len(number)
        mark = " " * (self.column - 1) + "^" * max(1, self.length)
        return f"{self.file}:{self.line}:{self.column}: {self.what}\n {number} | {self.text}\n {gutter} | {mark}"

    @property
    def in_one_line(self) -> str:
        """What is wrong, and the line with the place marked inside it: for a cell, where nothing stands under it."""
        start, end = self.column - 1, self.column - 1 + max(1, self.length)
        return f"{self.what}: {self.text[:start]}»{self.text[start:end]}«{self.text[end:]}"


class PageErrors(ValueError):
    """Every mistake of one or more pages, in order."""

    def __init__(self, errors: Iterable[PageError]) -> None:
        self.errors = tuple(errors)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


@dataclass(frozen=True)
class Entry:
    """A signal or a rule: its ``text`` with line breaks, what is live in it, and the notes beside it."""

    text: str
    spans: tuple[Span, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A numbered action. ``text`` keeps the lines of its list; ``notes`` say what Sendcat's code really does."""

    number: int
    kind: StepKind
    text: str
    spans: tuple[Span, ...]
    notes: tuple[str, ...]

    def all(self, kind: type[_S]) -> tuple[_S, ...]:
        """The live pieces of one kind, in order."""
        return tuple(span for span in self.spans if isinstance(span, kind))


@dataclass(frozen=True)
class Page:
    """A page as read: ``settings`` is its toml block, ``spans`` everything live on it, in order, notes too."""

    name: str
    letter: str | None
    title: str
    signals: tuple[Entry, ...]
    steps: tuple[Step, ...]
    rules: tuple[Entry, ...]
    spans: tuple[Span, ...]
    settings: dict[str, Any] = field(hash=False)
    source: str = field(repr=False)
    settings_line: int = 0

    def step(self, number: int) -> Step:
        """The action of that number; raises `KeyError`."""
        for step in self.steps:
            if step.number == number:
                return step
        raise KeyError(f"{self.name} has {len(self.steps)} steps")

    @property
    def lines(self) -> tuple[CommandSpan, ...]:
        """The command lines of the page, in order."""
        return tuple(span for span in self.spans if isinstance(span, CommandSpan))

    @property
    def text(self) -> str:
        """The page as a person reads it: without its settings."""
        return self.source.split("\n```toml", 1)[0].rstrip() + "\n"


def parse_page(source: str, file: str, commands: Collection[str]) -> Page:
    """Read a page; ``commands`` are the names it may call. Raises `PageErrors` with every mistake."""
    reader = _Reader(source, file, commands)
    page = reader.read()
    if reader.errors:
        raise PageErrors(reader.errors)
    return page


@dataclass
class _Draft:
    """A bullet or step that is being read."""

    line: int
    kind: str = ""
    number: int = 0
    text: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_note: bool = False

    def entry(self) -> Entry:
        return Entry("\n".join(self.text), tuple(self.spans), tuple(self.notes))


class _Reader:
    """Reads line by line; a mistake is noted and reading goes on."""

    def __init__(self, source: str, file: str, commands: Collection[str]) -> None:
        self.source, self.file, self.commands = source, file, commands
        self.rows = source.splitlines()
        self.errors: list[PageError] = []
        self.spans: list[Span] = []
        self.drafts: dict[str, list[_Draft]] = {}
        self.section = ""
        self.draft: _Draft | None = None
        self.settings: dict[str, Any] = {}
        self.settings_line = 0
        self.title: re.Match[str] | None = None

    def read(self) -> Page:
        at = 0
        while at < len(self.rows):
            at = self._fence(at) if self.rows[at].lstrip().startswith("```") else self._row(at)
        if self.title is None:
            self._error("a page starts with `# <title>` or `# <letter>. <title>`", 0, 0)
        return Page(
            name=self.file.removesuffix(".md"),
            letter=self.title["letter"] if self.title else None,
            title=self.title["title"] if self.title else "",
            signals=tuple(d.entry() for d in self.drafts.get("Signal", ())),
            steps=tuple(self._steps()),
            rules=tuple(d.entry() for d in self.drafts.get("Rules", ())),
            spans=tuple(self.spans),
            settings=self.settings,
            source=self.source,
            settings_line=self.settings_line,
        )

    def _row(self, at: int) -> int:
        row = self.rows[at]
        if row.startswith("# ") and self.title is None:
            self.title = _TITLE.fullmatch(row)
        elif row.startswith("## "):
            self.section, self.draft = row[3:].strip(), None
        elif self.settings_line and row.strip():
            self._error("the settings are the last thing on a page", at, 0, len(row))
        else:
            if row[:1].strip():
                self._top_level(row, at)
            self._body(row, at)
        return at + 1

    def _top_level(self, row: str, at: int) -> None:
        """A row without indent: a step, a bullet, or free text, which ends what was being read."""
        self.draft = None
        numbered = _NUMBERED.match(row)
        if self.section in _STEP_SECTIONS and numbered:
            self.draft = _Draft(at, number=int(numbered["number"]))
        elif self.section in _BULLET_SECTIONS and row.startswith("- "):
            self.draft = _Draft(at)
        elif self.section in (*_STEP_SECTIONS, *_BULLET_SECTIONS) and (numbered or row.startswith("- ")):
            shape = "numbered steps" if self.section in _STEP_SECTIONS else "bullets"
            self._error(f"`## {self.section}` holds {shape}", at, 0, len(row))
        if self.draft is not None:
            self.drafts.setdefault(self.section, []).append(self.draft)

    def _body(self, row: str, at: int) -> None:
        """Read what is live in a row and add the row to the step or bullet it belongs to."""
        spans = list(self._live(row, at))
        self.spans += spans
        draft, text = self.draft, row.strip()
        if draft is None or not text:
            return
        draft.spans += spans
        if text.startswith(">"):
            text = text[1:].strip()
            draft.notes[-1:] = [f"{draft.notes[-1]} {text}"] if draft.in_note else [*draft.notes[-1:], text]
            draft.in_note = True
            return
        draft.in_note = False
        if at == draft.line:
            text = text.removeprefix("- ") if not draft.number else _NUMBERED.sub(r"\g<rest>", text, count=1)
            if draft.number:
                kind = _KIND.fullmatch(text)
                draft.kind, text = (kind["kind"], kind["text"]) if kind else ("", text)
        elif not text.startswith("- ") and draft.text:
            draft.text[-1] += f" {text}"
            return
        draft.text.append(text)

    def _live(self, row: str, at: int) -> Iterable[Span]:
        if row.count("`") % 2:
            self._error("a backquote is never closed", at, row.rindex("`"))
            return
        for code in _CODE.finditer(row):
            try:
                yield read_span(code[1], self.commands)
            except SpanError as error:
                self._error(str(error), at, code.start(1), len(code[1]))

    def _fence(self, at: int) -> int:
        """A fenced block: command lines, settings, or (in free text) anything else; the row after it."""
        row = self.rows[at]
        language = row.strip().removeprefix("```")
        end = next((i for i in range(at + 1, len(self.rows)) if self.rows[i].strip() == "```"), None)
        if end is None:
            self._error("a fenced block is never closed", at, 0, len(row))
            return len(self.rows)
        if language == "toml":
            self._toml(at, end)
        elif language == "bash":
            for number in range(at + 1, end):
                self._command(number)
        else:
            self._error("a fenced block is `bash` or `toml`", at, 0, len(row))
        return end + 1

    def _command(self, at: int) -> None:
        text = self.rows[at].strip()
        if not text:
            return
        try:
            span = read_span(text, self.commands)
            if not isinstance(span, CommandSpan):
                raise SpanError("a line of a `bash` block is a command line")
        except SpanError as error:
            self._error(str(error), at, self.rows[at].index(text), len(text))
            return
        self.spans.append(span)
        if self.draft is not None:
            self.draft.spans.append(span)
            self.draft.text.append(f"- `{text}`")

    def _toml(self, at: int, end: int) -> None:
        if self.settings_line:
            self._error("a page has one block of settings", at, 0, len(self.rows[at]))
            return
        self.settings_line = at + 1
        self.draft = None
        try:
            self.settings = tomllib.loads("\n".join(self.rows[at + 1 : end]))
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            row, column = (at + int(place[1]), int(place[2]) - 1) if place else (at, 0)
            self._error(f"settings: {str(error).split(' (at ')[0]}", min(row, end), column)

    def _steps(self) -> Iterable[Step]:
        drafts = [draft for section in _STEP_SECTIONS for draft in self.drafts.get(section, ())]
        for expected, draft in enumerate(drafts, 1):
            if draft.number != expected:
                self._error(f"step {expected} is numbered {draft.number}", draft.line, 0, len(str(draft.number)))
            if draft.kind in list(StepKind):
                yield Step(
                    expected, StepKind(draft.kind), "\n".join(draft.text), tuple(draft.spans), tuple(draft.notes)
                )
            else:
                start = len(str(draft.number)) + 2
                kinds = ", ".join(StepKind)
                self._error(f"a step starts with its kind in bold, `**read:**`; one of {kinds}", draft.line, start, 4)

    def _error(self, what: str, at: int, column: int, length: int = 1) -> None:
        text = self.rows[at] if at < len(self.rows) else ""
        self.errors.append(PageError(what, self.file, at + 1, column + 1, text, length))
