"""What the commands about incidents share: which incident is meant, and a fresh look at its facts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bot.card import Card, clipped
from bot.card import channel as mention_channel
from bot.command import Outcome
from bot.errors import Broken, SendcatError, Unknown
from bot.incidents import board, disk, items, keeper, remind, words
from bot.incidents.items import Disk
from bot.incidents.picture import Picture
from bot.redact import inert
from bot.run import done
from bot.store import checklist, incidents
from bot.store.incidents import Incident
from bot.store.tx import Tx

if TYPE_CHECKING:
    from bot.run import Run


SENTRY_LOGGERS = ("convex.rateLimit.monitor", "convex.bulkhead", "convex.toolJobs.monitor")
"""Loggers of the application's own warnings that reach Sentry."""


def keeper_of(run: Run) -> keeper.Keeper:
    """The keeper of this leader."""
    if run.world.keeper is None:
        raise Broken("Nobody keeps incidents in this process.", then="sendcat serve")
    return run.world.keeper


async def which(run: Run, wanted: str | None, *, closed: bool = False) -> Incident:
    """The incident that is meant: the named one, else the open one of this channel, else the only one that is open.

    With ``closed`` the newest closed one of the channel will do. Raises `Unknown` with what is open.
    """
    channel = run.op.place.channel

    if wanted is not None:
        named = await run.world.store.read(lambda conn: incidents.get(conn, wanted.lower()))
        if named is None:
            raise Unknown(f"There is no incident {inert(wanted, 20)}.", then="/sendcat incident status")
        return named
    here, live_ones, old = await run.world.store.read(
        lambda conn: (
            incidents.open_in(conn, channel) if channel else None,
            incidents.open_ones(conn),
            incidents.latest_in(conn, channel) if channel and closed else None,
        )
    )
    if here is not None:
        return here
    if old is not None:
        return old
    if channel is None and len(live_ones) == 1:
        return live_ones[0]
    if not live_ones:
        raise Unknown("No incident is open.", then="/sendcat incident open WHAT IS WRONG")
    known = ", ".join(f"{each.id} ({each.title})" for each in live_ones[:5])
    where = "in this channel" if channel else "named"
    raise Unknown(f"No incident is {where}. Open are: {known}.", then=f"name it, for example {live_ones[0].id}")


async def picture_of(run: Run, incident: str) -> Picture:
    """The incident with all that belongs to it, as it is now."""
    seen = await keeper_of(run).look(incident)
    if seen is None:
        raise Unknown(f"There is no incident {inert(incident, 20)}.")
    return seen


async def facts(run: Run, seen: Picture) -> Disk:
    """What stands in files for it."""
    config = run.world.config
    return await asyncio.to_thread(disk.read, seen, config.artifact_dir, config.runbook_dir)


async def looked(run: Run, incident: Incident) -> tuple[Picture, Disk]:
    """Begin the checklist or look at it again: every item checked against the facts, reminders where they are due."""
    if incident.open:
        await _ask_sentry(run, incident)
    seen = await drawn(run, incident.id)
    stands = await facts(run, seen)
    if not incident.open:
        return seen, stands
    found = items.look(seen, stands)

    def write(tx: Tx) -> None:
        checklist.look(tx, incident.id, found, owner=incident.owner, due_ms=tx.now_ms + remind.DUE_MS)
        remind.begin_items(tx, incident)

    await run.world.store.write(write)
    return await picture_of(run, incident.id), stands


async def _ask_sentry(run: Run, incident: Incident) -> None:
    """Put Sentry's warnings of the application's monitors into the timeline, each once, with its link.

    Where Sentry is not set up or does not answer, the checklist asks a person for the links.
    """
    settings = run.world.config.sentry
    if not settings.ready:
        return
    from bot.outside import sentry

    hours = min(24 * 14, (run.world.clock.now_ms() - incident.began_ms) // 3_600_000 + 1)
    issues: list[sentry.Issue] = []
    with contextlib.suppress(SendcatError):
        for logger in SENTRY_LOGGERS:
            issues += await sentry.warnings(settings, logger, hours)
    linked = [issue for issue in issues if words.is_link(issue.link)]

    def write(tx: Tx) -> None:
        for issue in linked:
            incidents.add_entry(
                tx,
                incident.id,
                "system",
                f"sentry:{issue.link}",
                event_ms=tx.now_ms if issue.last_ms is None else min(issue.last_ms, tx.now_ms),
                author="system",
                added_by="system",
                text=clipped(f"Sentry saw {issue.title}, {issue.count} time{'' if issue.count == 1 else 's'}", 300),
                link=issue.link,
            )

    if linked:
        await run.world.store.write(write)


async def drawn(run: Run, incident: str) -> Picture:
    """Bring the cards of an incident up to its state now, without waiting for the keeper's turn."""
    seen = await keeper_of(run).redraw_one(incident, urgent=True)
    if seen is None:
        raise Unknown(f"There is no incident {inert(incident, 20)}.")
    return seen


def here(run: Run, incident: Incident) -> bool:
    """Whether the asker sits in the incident's channel, where its cards stand already."""
    return run.op.place.channel is not None and run.op.place.channel == incident.channel


def told(run: Run, seen: Picture, title: str) -> Outcome:
    """The checklist after something was done: whole for who is elsewhere, one line for who has its card before them."""
    whole = board.card(seen)
    if not here(run, seen.incident):
        return done(whole, **board.data(seen))
    assert seen.incident.channel is not None
    line = f"The checklist stands in {mention_channel(seen.incident.channel)}, as of now."
    return done(Card(title=title, tone=whole.tone, lead=line, next=whole.next), **board.data(seen))


def event(tx: Tx, run: Run, incident: str, key: str, text: str) -> None:
    """One line of the system about the incident itself, once for each run."""
    account = run.who.actor.account
    incidents.add_entry(
        tx,
        incident,
        "system",
        f"{key}:{run.op.id}",
        event_ms=tx.now_ms,
        author=account,
        added_by="system",
        text=text[:300],
        op=run.op.id,
    )
