"""``checklist``: the runbook's post-incident checklist (ux.md, sketch 4), looked at, put off, and exported.

What people say of its items is `bot.commands.checklist_items`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from bot.card import Card, Tone, when
from bot.command import Args, Command, Outcome
from bot.errors import Refused

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.tx import Tx


class ShowArgs(Args):
    incident: str | None = None
    """Which one, for example i-12; without it the one of this channel."""


async def _show(run: Run, args: ShowArgs) -> Outcome:
    """Begin it or look at it again; its one card stands in the incident's channel."""
    from bot.incidents import board, hand

    incident = await hand.which(run, args.incident, closed=True)
    await hand.looked(run, incident)
    seen = await hand.drawn(run, incident.id)
    return hand.told(run, seen, board.card(seen).title)


class SnoozeArgs(Args):
    incident: str | None = None
    """Which one; without it the one of this channel."""
    minutes: int = Field(default=60, ge=5, le=7 * 24 * 60)
    """How long its reminders are quiet, 5 minutes to 7 days."""


async def _snooze(run: Run, args: SnoozeArgs) -> Outcome:
    from bot.incidents import hand
    from bot.run import done
    from bot.store import reminders

    incident = await hand.which(run, args.incident)

    def write(tx: Tx) -> tuple[int, int]:
        until_ms = tx.now_ms + args.minutes * 60_000
        return reminders.snooze(tx, incident.id, until_ms), until_ms

    count, until_ms = await run.world.store.write(write)
    if not count:
        raise Refused(f"{incident.id} has no reminder that could be quiet.", then=f"/sendcat checklist {incident.id}")
    card = Card(
        title=f"Reminders of {incident.id} are quiet for {args.minutes} min",
        tone=Tone.OK,
        lead=f"{count} reminder{'' if count == 1 else 's'}, until {when(until_ms)}.",
    )
    return done(card, incident=incident.id, until_ms=until_ms, reminders=count)


async def _export(run: Run, args: ShowArgs) -> Outcome:
    from bot.incidents import hand
    from bot.incidents.publish import publish
    from bot.run import done

    incident = await hand.which(run, args.incident, closed=True)
    await hand.looked(run, incident)
    seen = await hand.drawn(run, incident.id)
    published = await publish(run, seen, await hand.facts(run, seen))
    card = Card(
        title=f"Report of {incident.id}",
        tone=Tone.OK,
        lead=published.sentence,
        next="fill in what only people know, and put it where your post-mortems stand",
        footer=published.footer,
    )
    return done(card, incident=incident.id, artifacts=list(published.names), drafts=list(published.drafts))


COMMANDS = (
    Command(
        name="checklist",
        summary="The post-incident checklist, filled from facts; its card stands in the channel.",
        action="checklist",
        args=ShowArgs,
        run=_show,
        positional=("incident",),
        examples=("checklist", "checklist i-12"),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="checklist snooze",
        summary="Keep the reminders of an incident quiet for a while.",
        action="checklist",
        args=SnoozeArgs,
        run=_snooze,
        positional=("incident",),
        examples=("checklist snooze --minutes=60",),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="checklist export",
        summary="The report of an incident as Markdown and JSON, into the thread and as drafts.",
        action="checklist",
        args=ShowArgs,
        run=_export,
        positional=("incident",),
        examples=("checklist export", "checklist export i-12"),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
)
