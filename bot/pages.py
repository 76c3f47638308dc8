"""The runbook's pages at start and in ``doctor``: every mistake with its file, line and mark (DESIGN.md, section 2)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bot.errors import Broken
from bot.redact import inert
from bot.world import Finding
from playbooks.book import Book
from playbooks.page import PageErrors

SHOWN = 5
"""Mistakes that ``doctor`` lists; more are counted."""


def read_book(commands: Collection[str], directory: Path | None = None) -> Book:
    """Every page of the runbook; raises `Broken` with all mistakes, each with file, line and mark."""
    try:
        return Book.load(commands, directory)
    except PageErrors as error:
        raise Broken(
            f"The runbook has mistakes:\n{error}", then="mend the pages; nothing runs until they are right"
        ) from error


def findings(commands: Collection[str], running: Book, directory: Path | None = None) -> list[Finding]:
    """What ``doctor`` says of the pages as they stand now: the running bot read them at its start, and keeps those."""
    try:
        present = Book.load(commands, directory)
    except PageErrors as error:
        shown = [
            Finding(
                f"page {mistake.file}:{mistake.line}:{mistake.column}",
                "bad",
                inert(mistake.in_one_line, 300),
                "mend the page; this bot keeps the pages of its start, and would not start again with these",
            )
            for mistake in error.errors[:SHOWN]
        ]
        left = len(error.errors) - len(shown)
        return [*shown, Finding("pages", "bad", f"{left} more mistakes", "mend those shown first")] if left else shown
    changed = sorted(
        name
        for name in {*present.pages, *running.pages}
        if name not in present.pages or name not in running.pages or present.pages[name] != running.pages[name]
    )
    if not changed:
        return []
    return [Finding("pages", "warn", f"changed since the start: {', '.join(changed)}", "restart, so that they count")]
