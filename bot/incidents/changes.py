"""What was changed during an incident, and by whom: one small value, wherever it is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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


BEFORE_WRITE = frozenset({"proposed", "approved", "taken"})
NOTHING_LEFT = frozenset({"undone", "rejected", "expired", "void", "failed"})
TOLD = frozenset({"written", "kept", "undone", "unknown", "failed"})
"""Steps of a tuning change that a timeline tells of, beside what people decided on it."""


def recorded(rulings: Iterable[Ruling]) -> tuple[Change, ...]:
    """Changes as the audit trail tells them: tuning changes by their newest step, others by what was carried out."""
    found: dict[str, Change] = {}
    for ruling in rulings:
        if change_of(ruling) is not None:
            change = _tuned(ruling)
        elif ruling.phase != "result" or ruling.action not in CHANGING or ruling.outcome in _NOT_DONE:
            continue
        else:
            change = Change(
                id=ruling.op or f"#{ruling.seq}",
                what=inert(ruling.object or ruling.action, 120),
                by=ruling.actor,
                at_ms=ruling.at_ms,
                state=inert(ruling.outcome, 40),
                names=_names(ruling),
            )
        first = found.get(change.id)
        found[change.id] = change if first is None else replace(change, by=first.by)
    return tuple(found.values())


_NOT_DONE = frozenset({"refused", "failed", "interrupted"})


def change_of(ruling: Ruling) -> str | None:
    """The tuning change that a record is about."""
    named = ruling.detail.get("change")
    return named if isinstance(named, str) else None


def _tuned(ruling: Ruling) -> Change:
    """A tuning change after this step; its undo is pending from the write until it is kept or undone."""
    name = inert(change_of(ruling), 20)
    state = ruling.outcome
    knobs = ruling.detail.get("knobs")
    counts = state not in BEFORE_WRITE | NOTHING_LEFT
    return Change(
        id=name,
        what=inert(ruling.object, 120),
        by=ruling.actor,
        at_ms=ruling.at_ms,
        state=inert(state, 40),
        names=tuple(str(knob) for knob in knobs) if isinstance(knobs, dict) else (),
        undo=f"undo {name}" if counts and state not in ("kept", "undoing", "reverting") else None,
        counts=counts,
    )


def _names(ruling: Ruling) -> tuple[str, ...]:
    """The function in a recorded line: its words after the command that look like names."""
    if ruling.action != "mutate":
        return ()
    try:
        words = parse(ruling.object).words
    except LineError:
        return ()
    return tuple(word for word in words if ":" in word)
