"""The book as the tests read it, and ready-made facts."""

from __future__ import annotations

import pytest

from playbooks.book import Book

COMMANDS = frozenset(
    {"help", "triage", "snapshot", "probe", "drill", "diagnose", "inspect", "owners", "pool", "stop", "doctor"}
)


@pytest.fixture(scope="session")
def book() -> Book:
    return Book.load(COMMANDS)
