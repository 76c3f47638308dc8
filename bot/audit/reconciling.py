"""Our record against the deployment: which knobs were changed by somebody else than the bot (issue "Audit", R25). Pure.

What a knob should be is what was last known of it: what our newest change left there, or what an earlier look saw,
whichever is younger. A difference is somebody else's doing. It is recorded once, when it is first seen, and shown until
the knob is back, a change of ours has moved it, or somebody has accepted it on the record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from bot.sendcat.convex import AuditEvent
    from bot.store.change import Change

BEFORE_MS, AFTER_MS = 120_000, 180_000
"""How far an event of Convex may lie from our own intent to write and still be that write: clocks differ (R31)."""
_APPLIED = frozenset({"written", "confirmed", "settling", "retested", "kept"})


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Outside(_Row):
    """A knob that somebody else changed: what our record says, what is there (None: unset), since when we know."""

    was: str | None
    now: str | None
    seen_ms: int
    seq: int = 0
    """Number of the record that tells of it."""


class Seen(_Row):
    """What the last look at a target saw: stored texts, what is outside of our record, how far its log was read."""

    at_ms: int
    stored: dict[str, str] = {}
    outside: dict[str, Outside] = {}
    events_ms: int = 0


class Own(_Row):
    """What our newest change of a knob left there, and when; ``sure`` is False while it is at work or unclear."""

    change: str
    text: str | None
    at_ms: int
    sure: bool


def own(changes: Iterable[Change]) -> dict[str, Own]:
    """Our newest word on each knob; a knob that an undo left to a stranger has none. ``changes``: oldest first."""
    found: dict[str, Own] = {}
    for change in changes:
        if change.sent_ms is None:
            continue
        for step in change.steps:
            if step.knob in (change.undo_knobs or ()):
                found.pop(step.knob, None)
                continue
            back = change.state in ("undone", "failed")
            found[step.knob] = Own(
                change=change.id,
                text=step.stored if back else step.text,
                at_ms=change.updated_ms,
                sure=back or change.state in _APPLIED,
            )
    return found


def differences(
    stored: Mapping[str, str], seen: Seen | None, ours: Mapping[str, Own], knobs: Collection[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Knobs that are not as they were last known: what they were, and what they are. None is unset.

    Without an earlier look only what our own changes left can be compared: everything else is seen for the first time.
    """
    found: dict[str, tuple[str | None, str | None]] = {}
    for knob in knobs:
        mine = ours.get(knob)
        if mine is not None and not mine.sure:
            continue
        if mine is not None and (seen is None or mine.at_ms > seen.at_ms):
            was = mine.text
        elif seen is not None:
            was = seen.stored.get(knob)
        else:
            continue
        if stored.get(knob) != was:
            found[knob] = (was, stored.get(knob))
    return found


def standing(
    before: Mapping[str, Outside],
    fresh: Mapping[str, tuple[str | None, str | None]],
    stored: Mapping[str, str],
    ours: Mapping[str, Own],
    now_ms: int,
) -> dict[str, Outside]:
    """What is outside of our record now: what was and is not mended, and what is new. ``was`` stays the first one."""
    found: dict[str, Outside] = {}
    for knob, one in before.items():
        mine = ours.get(knob)
        moved = mine is not None and mine.at_ms > one.seen_ms
        if not moved and stored.get(knob) != one.was and knob not in fresh:
            found[knob] = one
    for knob, (was, now) in fresh.items():
        first = before[knob].was if knob in before else was
        if first != now:
            found[knob] = Outside(was=first, now=now, seen_ms=now_ms)
    return found


def foreign(events: Iterable[AuditEvent], intents: Mapping[str, Collection[int]]) -> tuple[AuditEvent, ...]:
    """Events about knobs that none of our own writes explains; ``intents`` are the moments we set out to write each."""
    return tuple(
        event
        for event in events
        if event.knob is not None
        and not any(at - BEFORE_MS <= event.at_ms <= at + AFTER_MS for at in intents.get(event.knob, ()))
    )


def data(outside: Mapping[str, Outside]) -> list[dict[str, Any]]:
    """What ``--json`` prints."""
    return [{"knob": knob, "was": one.was, "now": one.now, "seenMs": one.seen_ms} for knob, one in outside.items()]
