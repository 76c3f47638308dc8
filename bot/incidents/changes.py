"""What was changed during an incident, and by whom: one small value, wherever it is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.redact import inert
from bot.store.chronicle import CHANGING, Ruling
from playbooks.lines import LineError, parse


@dataclass(frozen=True)
class Change:
    """One change outside the bot. ``what`` is inert text; ``names`` the knobs or functions that it touched."""

    id: str
    what: str
    by: str
    at_ms: int
    state: str
    names: tuple[str, ...]
    undo: str | None = None
    """The line that undoes it, while that is still to be decided."""
    counts: bool = True
    """False for what changed nothing in the end: refused, withdrawn, undone."""


def recorded(rulings: Iterable[Ruling]) -> tuple[Change, ...]:
    """Changes as the audit trail tells them: what was carried out, by which line."""
    found = []
    for ruling in rulings:
        if (
            ruling.phase != "result"
            or ruling.action not in CHANGING
            or ruling.outcome in ("refused", "failed", "interrupted")
        ):
            continue
        found.append(
            Change(
                id=ruling.op or f"#{ruling.seq}",
                what=inert(ruling.object or ruling.action, 120),
                by=ruling.actor,
                at_ms=ruling.at_ms,
                state=inert(ruling.outcome, 40),
                names=_names(ruling),
            )
        )
    return tuple(found)


def _names(ruling: Ruling) -> tuple[str, ...]:
    """The knobs or the function in a recorded line: its words after the command that look like names."""
    if ruling.action not in ("mutate", "tune", "undo"):
        return ()
    try:
        words = parse(ruling.object).words
    except LineError:
        return ()
    return tuple(word.partition("=")[0] for word in words if ":" in word or word.partition("=")[0].isupper())
