"""The one table: which areas there are, and everything that they show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bot.card import Card
from bot.slack.blocks import Message, render, render_attachment
from tests.golden import (
    answers,
    canaries,
    decisions,
    forms,
    gamedays,
    homes,
    incidents,
    milestones,
    operators,
    pools,
    readings,
    records,
    regions,
    runs,
    tuning,
    walks,
)
from tests.golden.stage import Scene, Shown, minted, scene

Area = Callable[[Scene], Awaitable[dict[str, Shown]]]

AREAS: dict[str, Area] = {
    "answers": answers.cards,
    "canaries": canaries.cards,
    "decisions": decisions.cards,
    "forms": forms.cards,
    "gamedays": gamedays.cards,
    "homes": homes.cards,
    "incidents": incidents.cards,
    "milestones": milestones.cards,
    "operators": operators.cards,
    "pools": pools.cards,
    "readings": readings.cards,
    "records": records.cards,
    "regions": regions.cards,
    "runs": runs.cards,
    "tuning": tuning.cards,
    "walks": walks.cards,
}
"""New cards get their line in one of these, or a module of their own here."""


async def everything(folder: Path, enter: Callable[[Path], object]) -> dict[str, Shown]:
    """Every message and view by name (``area.state``); the same on every day and machine.

    Each area is made in a folder of its own below ``folder``; ``enter`` makes it the working directory.
    """
    found: dict[str, Shown] = {}
    for area, cards in AREAS.items():
        (folder / area).mkdir()
        enter(folder / area)
        async with scene() as here:
            made = await cards(here)
        assert not set(found) & set(made), f"{area} repeats a name"
        found |= made
    shown = [shown for shown in found.values() if isinstance(shown, Card)]
    return found | forms.behind(shown)


def drawn(card: Card, *, plain_tables: bool = False) -> Message:
    return render(minted(card), table_fallback=plain_tables)


def payload(shown: Shown) -> Any:
    """What goes to Slack: a message with what follows it into the thread, or the view as it is."""
    if not isinstance(shown, Card):
        return shown
    message = drawn(shown)
    notes = (*message.overflow, *shown.attachments)
    thread = [f"file {note.file}" if note.file else render_attachment(note).text for note in notes]
    return {"text": message.text, "blocks": message.blocks, **({"thread": thread} if thread else {})}
