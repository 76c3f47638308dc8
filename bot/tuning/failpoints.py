"""Named places between every two steps of a change, where a test may end the process (safety.md, chapter 6)."""

from __future__ import annotations

from typing import Protocol

NAMES = (
    "before.begin",
    "before.measured",
    "before.recorded",
    "intent.begin",
    "intent.recorded",
    "write.sent",
    "write.recorded",
    "ambiguous.read",
    "confirm.read",
    "confirm.recorded",
    "settle.recorded",
    "retest.begin",
    "retest.measured",
    "retest.kept",
    "retest.recorded",
    "undo.begin",
    "undo.read",
    "undo.recorded",
    "undo.sent",
    "undo.done",
)
"""In the order in which a change meets them."""


class Failpoints(Protocol):
    async def at(self, name: str, change: str) -> None:
        """Reached ``name`` with this change. Returns, unless a test decides otherwise."""


class Quiet:
    """What runs outside of tests: nothing happens."""

    async def at(self, name: str, change: str) -> None:
        return


QUIET = Quiet()
