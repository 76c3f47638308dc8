"""Keeps the cards of incidents true: redraws them when state changes, and writes the system's own timeline entries.

One small task of the leader. It wakes by commits, waits a moment so that many changes become one edit, gathers a
picture in a reader, and writes only what is news (ux.md, rules 1 and 11). What was missed while the bot was away is
found at the start, since everything is read from state.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import structlog

from bot.card import Card
from bot.clock import Clock
from bot.errors import SendcatError
from bot.incidents import board, changes, disk, items, live, picture, remind
from bot.incidents.picture import Picture
from bot.redact import inert
from bot.store import checklist, incidents, offers, outbox
from bot.store.chronicle import Deed, Ruling
from bot.store.database import Store
from bot.store.incidents import Incident
from bot.store.tx import Tx

log = structlog.get_logger("incidents")

SETTLE_S = 1.0
"""Changes within this time become one edit of a card."""
WAKES = ("ops", "audit", incidents.TOPIC)


@dataclass(frozen=True)
class News:
    """A line of the timeline that the system knows and has not written yet."""

    key: str
    event_ms: int
    author: str
    text: str
    op: str | None


class Keeper:
    """``commands`` are the names of those whose runs belong into a timeline: not help, not status."""

    def __init__(
        self, store: Store, clock: Clock, *, commands: Collection[str], artifact_dir: Path, runbook_dir: Path
    ) -> None:
        self._store = store
        self._clock = clock
        self._folders = (artifact_dir, runbook_dir)
        self.commands = frozenset(commands)
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._forget: list[Callable[[], None]] = []
        self._drawn: dict[str, Card] = {}

    def start(self) -> None:
        """Begin, with one look at what there is."""
        self._forget = [self._store.on_commit(topic, self._wake.set) for topic in WAKES]
        self._wake.set()
        self._task = asyncio.create_task(self._keep(), name="incidents")

    def wake(self) -> None:
        """Look again: time has passed, so ages on the cards may have changed."""
        self._wake.set()

    async def stop(self) -> None:
        """Draw what is still to be drawn, and end."""
        for forget in self._forget:
            forget()
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        if self._wake.is_set():
            with contextlib.suppress(SendcatError):
                await self.redraw()

    async def _keep(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(SETTLE_S)
            self._wake.clear()
            try:
                await self.redraw()
            except SendcatError as error:
                log.warning("cards of incidents not redrawn", error=error.what)
            except Exception:
                log.exception("cards of incidents not redrawn")

    async def redraw(self) -> None:
        """Bring every card of an open incident, and of those just closed, up to its state."""
        for incident in await self._store.read(incidents.unsettled):
            await self.redraw_one(incident.id)

    async def redraw_one(self, incident_id: str, *, urgent: bool = False) -> Picture | None:
        """One incident: entries of the system, what the facts say to its checklist, its cards.

        One at a time, so that an older picture never overwrites the card of a newer one. ``urgent`` when somebody has
        just pressed or typed: a click changes the card at once (ux.md, rule 5).
        """
        async with self._turn:
            seen = await self.look(incident_id)
            return None if seen is None else await self._bring_up(seen, urgent)

    async def _bring_up(self, seen: Picture, urgent: bool) -> Picture:
        incident = seen.incident
        news = unwritten(seen)
        found = None
        if seen.checklist_begun and seen.incident.open:
            facts = await asyncio.to_thread(disk.read, seen, *self._folders)
            found = items.look(seen, facts)
        if news or (found is not None and any(i.found != found.get(i.key) for i in seen.items)):
            await self._store.write(lambda tx: self._note(tx, incident, news, found))
            seen = await self.look(incident.id) or seen
        cards = {live.key(incident.id): live.card(seen)}
        if seen.checklist_begun:
            cards[board.key(incident.id)] = board.card(seen)
        fresh = {key: card for key, card in cards.items() if self._drawn.get(key) != card}
        if fresh and incident.channel is not None:
            await self._store.write(
                lambda tx: [put(tx, incident, key, card, urgent=urgent) for key, card in fresh.items()]
            )
            self._drawn |= fresh
        return seen

    async def look(self, incident_id: str) -> Picture | None:
        """The picture of an incident as it is now."""
        now_ms = self._clock.now_ms()
        return await self._store.read(lambda conn: picture.gather(conn, incident_id, self.commands, now_ms))

    def _note(self, tx: Tx, incident: Incident, news: list[News], found: dict[str, checklist.Found] | None) -> None:
        for entry in news:
            incidents.add_entry(
                tx,
                incident.id,
                "system",
                entry.key,
                event_ms=entry.event_ms,
                author=entry.author,
                added_by="system",
                text=entry.text,
                op=entry.op,
            )
        if found is not None:
            checklist.look(tx, incident.id, found)
            remind.begin_items(tx, incident)


def put(tx: Tx, incident: Incident, key: str, card: Card, *, urgent: bool = False) -> Card:
    """Put a card of an incident into the outbox: one message for each key, edited in place."""
    minted = offers.mint(tx, card, None, incident.channel)
    if incident.channel is not None:
        owner = incident.opened_by
        user = owner.removeprefix("slack:") if owner.startswith("slack:") else None
        outbox.put(tx, key, channel=incident.channel, kind="card", card=minted, user=user, urgent=urgent)
    return minted


def unwritten(seen: Picture) -> list[News]:
    """Operations that have ended and decisions that were made, where the timeline does not tell of them yet."""
    known = {entry.key for entry in seen.entries}
    told = [_of_deed(deed) for deed in seen.deeds if deed.finished_ms is not None]
    told += [_of_ruling(ruling) for ruling in seen.rulings if ruling.phase == "decision" or _is_step(ruling)]
    return [news for news in told if news.key not in known]


def _is_step(ruling: Ruling) -> bool:
    return changes.change_of(ruling) is not None and ruling.outcome in changes.TOLD


def _of_deed(deed: Deed) -> News:
    assert deed.finished_ms is not None
    title = deed.title or (deed.verdict.value if deed.verdict else deed.state)
    text = f"{inert(deed.command, 40)} {deed.op}: {title}"
    return News(f"op:{deed.op}", deed.finished_ms, deed.by, text[:300], deed.op)


def _of_ruling(ruling: Ruling) -> News:
    why = f" ({inert(ruling.why, 120)})" if ruling.why else ""
    text = f"{inert(ruling.action, 40)}: {inert(ruling.outcome, 40)} {inert(ruling.object, 120)}{why}"
    return News(f"audit:{ruling.seq}", ruling.at_ms, ruling.actor, text, ruling.op)
