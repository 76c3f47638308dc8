"""The runbook as a whole: every page, read once, or every mistake of every page at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from playbooks.page import Page, PageError, PageErrors, parse_page
from playbooks.terms import RUNBOOK_COMMANDS
from playbooks.thresholds import MODELS, BadSettings, Thresholds, read_settings

PROCEDURES = ("triage", "core-commands", "release-gate", "canary", "game-day", "tuning-rules", "post-incident")
"""Pages without a letter, in the runbook's order around the playbooks."""


class UnknownPage(KeyError):
    """No page of that name or letter; ``near`` is the most similar one."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
        self.near = close[0] if close else None
        hint = f"; did you mean {self.near}?" if self.near else ""
        self.what = f"no page {name[:40]!r}{hint} (known: {', '.join(known)})"
        super().__init__(self.what)

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Book:
    """All pages by name, playbooks first; ``thresholds`` are their settings by letter."""

    pages: Mapping[str, Page] = field(hash=False)
    thresholds: Thresholds

    @classmethod
    def load(cls, commands: Collection[str], directory: Path | None = None) -> Book:
        """Read every page of this package, or of a directory.

        ``commands`` are the names that pages may call, besides the runbook's own.
        Raises `PageErrors` with all mistakes of all pages.
        """
        known = frozenset(commands) | frozenset(RUNBOOK_COMMANDS)
        folder: Traversable = directory if directory is not None else files("playbooks")
        sources = sorted((f for f in folder.iterdir() if f.name.endswith(".md")), key=lambda f: f.name)
        pages: list[Page] = []
        errors: list[PageError] = []
        for source in sources:
            try:
                pages.append(parse_page(source.read_bytes().decode("utf-8"), source.name, known))
            except UnicodeDecodeError:
                errors.append(PageError("the page is not UTF-8 text", source.name, 1, 1, ""))
            except PageErrors as found:
                errors += found.errors
        by_name = {page.name: page for page in sorted(pages, key=_order)}
        twice = _letters(pages)
        errors += twice
        settings = {} if twice else {page.letter: page.settings for page in pages if page.letter}
        thresholds, wrong = read_settings(settings)
        errors += [_settings_error(by_name, fault) for fault in wrong]
        if thresholds is None and not errors:
            missing = sorted(set(MODELS) - {page.letter for page in pages})
            errors = [PageError(f"no page for playbook {letter}", str(folder), 1, 1, "") for letter in missing]
        if errors or thresholds is None:
            raise PageErrors(errors)
        return cls(by_name, thresholds)

    def playbook(self, letter: str) -> Page:
        """The playbook of a letter, any case; raises `UnknownPage`."""
        for page in self.pages.values():
            if page.letter == letter.upper():
                return page
        raise UnknownPage(letter, [page.letter for page in self.playbooks if page.letter])

    def procedure(self, name: str) -> Page:
        """The page of a procedure, such as ``triage`` or ``release-gate``; raises `UnknownPage`."""
        page = self.pages.get(name.lower())
        if page is None or page.letter:
            raise UnknownPage(name, [page.name for page in self.procedures])
        return page

    def page(self, name: str) -> Page:
        """A page by letter or by name; raises `UnknownPage`."""
        try:
            return self.playbook(name) if len(name) == 1 else self.pages[name.lower()]
        except KeyError:
            raise UnknownPage(name, list(self.pages)) from None

    def text(self, name: str) -> str:
        """A page as a person reads it, by letter or by name; raises `UnknownPage`."""
        return self.page(name).text

    @property
    def playbooks(self) -> tuple[Page, ...]:
        return tuple(page for page in self.pages.values() if page.letter)

    @property
    def procedures(self) -> tuple[Page, ...]:
        return tuple(page for page in self.pages.values() if not page.letter)


def _order(page: Page) -> tuple[int, int, str]:
    if page.letter:
        return 0, ord(page.letter), page.name
    return 1, PROCEDURES.index(page.name) if page.name in PROCEDURES else len(PROCEDURES), page.name


def _letters(pages: list[Page]) -> list[PageError]:
    """One page for each letter."""
    owner: dict[str, str] = {}
    errors: list[PageError] = []
    for page in pages:
        if page.letter and owner.setdefault(page.letter, page.name) != page.name:
            what = f"playbook {page.letter} is already {owner[page.letter]}.md"
            errors.append(PageError(what, f"{page.name}.md", 1, 3, page.source.splitlines()[0]))
    return errors


def _settings_error(pages: Mapping[str, Page], fault: BadSettings) -> PageError:
    """Point at the line of the page that holds the wrong setting, or at the block when it is missing."""
    page = next(p for p in pages.values() if p.letter == fault.letter)
    rows = page.source.splitlines()
    named = (
        at
        for key in reversed(fault.path)
        for at in range(page.settings_line, len(rows))
        if rows[at].split("=")[0].strip(" []") == key
    )
    at = next(named, max(page.settings_line - 1, 0))
    return PageError(fault.what, f"{page.name}.md", at + 1, 1, rows[at], len(rows[at]))
