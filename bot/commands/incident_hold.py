"""``incident note|update|handoff|close``: what is done with an open incident, until it is closed (ux.md, sketch 4).

The answers go to the asker only, as those of `bot.commands.incident`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import field_validator

from bot.card import Card, Form, Tone, when
from bot.card import Field as Question
from bot.card import who as mention
from bot.command import Args, Command, Outcome
from bot.errors import Refused, Unknown
from bot.incidents.words import Severity, paths

if TYPE_CHECKING:
    from bot.config import Config
    from bot.run import Run
    from bot.store.incidents import Incident
    from bot.store.tx import Tx


class NoteArgs(Args):
    text: str = ""
    """What happened; it needs no quotes."""
    incident: str | None = None
    """Which one; without it the one of this channel."""


async def _note(run: Run, args: NoteArgs) -> Outcome:
    from bot.incidents import hand, remind, words
    from bot.run import done
    from bot.store import incidents

    incident = await hand.which(run, args.incident)
    text = words.said(args.text, run.world.masker, run.world.scrubber)
    if not text:
        raise Unknown("A note needs words.", then="/sendcat incident note WHAT HAPPENED", fields={"text": "some words"})
    if not incident.open:
        raise incidents.closed(incident.id)
    account = run.who.actor.account

    def write(tx: Tx) -> None:
        incidents.add_entry(
            tx,
            incident.id,
            "note",
            f"note:{run.op.id}",
            event_ms=run.op.created_ms,
            author=account,
            added_by=account,
            channel=run.op.place.channel,
            text=text,
            op=run.op.id,
        )
        remind.begin_updates(tx, incident)

    await run.world.store.write(write)
    card = Card(title=f"Noted in the timeline of {incident.id}", tone=Tone.OK, lead=text)
    return done(card, incident=incident.id, text=text)


def _note_form(config: Config) -> Form:
    return Form(
        title="Note",
        fields=(Question(flag="text", label="What happened", kind="long"),),
        submit="Add",
        note="It stands in the timeline of this channel's incident and cannot be changed afterwards.",
    )


class UpdateArgs(Args):
    incident: str | None = None
    """Which one; without it the one of this channel."""
    severity: Severity | None = None
    """sev1 (users cannot work), sev2 (degraded), sev3 (small or unclear)."""
    cause: str | None = None
    """The cause, as far as it is known."""
    endpoints: str | None = None
    """Affected endpoint paths, separated by commas."""
    next: str | None = None
    """The next decision, as it is to stand on the card."""

    @field_validator("endpoints")
    @classmethod
    def _paths(cls, value: str | None) -> str | None:
        return None if value is None else ",".join(paths(value))


async def _update(run: Run, args: UpdateArgs) -> Outcome:
    from bot.incidents import hand, remind, words
    from bot.run import done
    from bot.store import incidents

    incident = await hand.which(run, args.incident)
    tame = run.world.masker, run.world.scrubber
    cause = None if args.cause is None else words.said(args.cause, *tame, 160)
    affected = None if args.endpoints is None else tuple(sorted(paths(args.endpoints)))
    then = None if args.next is None else words.said(args.next, *tame, 200)
    wanted = {"severity": args.severity, "cause": cause, "endpoints": affected, "next decision": then}
    standing = {
        "severity": incident.severity,
        "cause": incident.cause,
        "endpoints": incident.endpoints,
        "next decision": incident.next_step,
    }
    news = {name: value for name, value in wanted.items() if value is not None and value != standing[name]}
    if not news:
        raise Unknown("Nothing of it is new.", then="/sendcat incident update --cause=... --endpoints=/api/chat")
    said = "; ".join(f"{k}: {', '.join(v) if isinstance(v, tuple) else v}" for k, v in news.items())

    def write(tx: Tx) -> None:
        incidents.change(
            tx,
            incident.id,
            severity=args.severity,
            cause=cause,
            endpoints=affected,
            next_step=then,
        )
        hand.event(tx, run, incident.id, "updated", said)
        remind.begin_updates(tx, incident)

    await run.world.store.write(write)
    card = Card(title=f"{incident.id} is updated", tone=Tone.OK, lead=said)
    return done(card, incident=incident.id, changed=sorted(news))


class HandoffArgs(Args):
    to: str = ""
    """Who takes it: a mention, a Slack member id, or a name in [people]."""
    note: str = ""
    """What they must know."""
    incident: str | None = None
    """Which one; without it the one of this channel."""


async def _handoff(run: Run, args: HandoffArgs) -> Outcome:
    from bot.incidents import hand, live, remind, words
    from bot.run import done
    from bot.store import checklist, incidents, outbox

    incident = await hand.which(run, args.incident)
    if not args.to:
        raise Unknown("To whom?", then="/sendcat incident handoff @somebody", fields={"to": "a name is needed"})
    new = words.account(args.to, run.world.config)
    if new.startswith("slack:"):
        standing = await run.world.directory.standing(new)
        if standing.known and standing.kind != "member":
            raise Refused(f"{mention(new)} is a {standing.kind} here and cannot hold an incident.", rule="R8")
    if new == incident.owner:
        raise Refused(f"{mention(new)} holds {incident.id} already.", then=f"/sendcat incident status {incident.id}")
    note = words.said(args.note, run.world.masker, run.world.scrubber)
    old = incident.owner
    from_name, to_name = (words.name(account, run.world.config) for account in (old, new))

    def write(tx: Tx) -> None:
        held = incidents.change(tx, incident.id, owner=new)
        theirs = [item.key for item in checklist.items(tx.db, incident.id) if item.owner == old]
        checklist.assign(tx, incident.id, theirs, owner=new)
        told = f"handed over from {from_name} to {to_name}" + (f": {note}" if note else "")
        hand.event(tx, run, incident.id, "handed over", told)
        remind.begin_updates(tx, held)
        remind.begin_items(tx, held)
        key = live.key(incident.id)
        if incident.channel is not None and outbox.by_key(tx.db, key) is not None:
            text = f"{mention(new)} holds {incident.id} now\nHanded over by {mention(run.who.actor.account)}. {note}"
            outbox.put(tx, f"handoff:{run.op.id}", channel=incident.channel, kind="reply", text=text, thread_of=key)

    await run.world.store.write(write)
    seen = await hand.drawn(run, incident.id)
    card = Card(
        title=f"{incident.id} is handed over",
        tone=Tone.OK,
        lead=f"{mention(new)} holds it now. Everything that they must know stands on its card.",
        next=live.next_decision(seen),
    )
    return done(card, incident=incident.id, owner=new)


def _handoff_form(config: Config) -> Form:
    return Form(
        title="Hand over",
        fields=(
            Question(flag="to", label="To whom", hint="a Slack member id, @mention, or a name in [people]"),
            Question(flag="note", label="What they must know", kind="long", optional=True),
        ),
        submit="Hand over",
    )


class CloseArgs(Args):
    incident: str | None = None
    """Which one; without it the one of this channel."""


async def _close(run: Run, args: CloseArgs) -> Outcome:
    """Refused while a required item of the checklist is open, naming it (ux.md, sketch 4)."""
    from bot.incidents import board, hand, live
    from bot.incidents.items import LABELS
    from bot.incidents.publish import publish
    from bot.run import done
    from bot.store import checklist, incidents, pins, reminders

    incident = await hand.which(run, args.incident)
    if not incident.open:
        raise incidents.closed(incident.id)
    seen, stands = await hand.looked(run, incident)
    left = [item for item in board.ordered(seen) if item.open]
    if left:
        await hand.drawn(run, incident.id)
        names = ", ".join(LABELS.get(item.key, item.key) for item in left)
        first = left[0]
        count = "1 item of its checklist waits" if len(left) == 1 else f"{len(left)} items of its checklist wait"
        raise Refused(
            f"{incident.id} stays open: {count} for an answer ({names}).",
            rule="an incident closes when each required item is confirmed, added or not needed because",
            then=f"/sendcat checklist {'confirm' if first.found.ready else 'skip'} {first.key}"
            + ("" if first.found.ready else " BECAUSE"),
        )

    def write(tx: Tx) -> Incident:
        fresh = [item.key for item in checklist.items(tx.db, incident.id) if item.open]
        if fresh:
            raise Refused(f"{incident.id} stays open: {', '.join(fresh)} changed meanwhile.", then="/sendcat checklist")
        shut = incidents.close(tx, incident.id, run.who.actor.account)
        hand.event(tx, run, incident.id, "closed", "incident closed: every item of the checklist is answered")
        reminders.end(tx, incident.id)
        pins.pin(tx, live.key(incident.id), wanted=False)
        return shut

    shut = await run.world.store.write(write)
    seen = await hand.drawn(run, incident.id)
    published = await publish(run, seen, stands)
    card = Card(
        title=f"{incident.id} is closed",
        tone=Tone.OK,
        lead=f"It took from {when(shut.began_ms)} to {when(shut.closed_ms or 0)}. " + published.sentence,
        footer=published.footer,
    )
    return done(card, incident=incident.id, artifacts=list(published.names), drafts=list(published.drafts))


COMMANDS = (
    Command(
        name="incident note",
        summary="Write a line into the timeline of this channel's incident.",
        action="incident.note",
        args=NoteArgs,
        run=_note,
        prose="text",
        examples=("incident note primary provider confirms an outage",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_note_form,
    ),
    Command(
        name="incident update",
        summary="Set severity, cause, affected endpoints, or the next decision.",
        action="incident",
        args=UpdateArgs,
        run=_update,
        examples=("incident update --severity=sev2 --endpoints=/api/chat",),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="incident handoff",
        summary="Hand an incident over to somebody else.",
        action="incident",
        args=HandoffArgs,
        run=_handoff,
        positional=("to",),
        prose="note",
        examples=("incident handoff relmgr provider is back, watch the queue",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_handoff_form,
    ),
    Command(
        name="incident close",
        summary="Close an incident; refused while a required item of its checklist is open.",
        action="incident",
        args=CloseArgs,
        run=_close,
        positional=("incident",),
        examples=("incident close",),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
)
