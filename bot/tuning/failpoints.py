"""Named places between every two steps of a change, where a test may end the process (safety.md, chapter 6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bot.measure import Drilled
    from bot.run import Run

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


@dataclass(frozen=True)
class Seams:
    """Where a test may take hold of the applier: its failpoints, and the drill that it measures with."""

    failpoints: Failpoints = QUIET
    drill: Callable[[Run], Awaitable[Drilled]] | None = None
    """None: the quick drill."""


PLAIN = Seams()
