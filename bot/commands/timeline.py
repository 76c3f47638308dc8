"""``timeline``: what happened when, and adding a message of the channel to it (message menu, emoji; ux.md, rule 11)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.card import Attachment, Card, Cell, Form, Table, Tone, when
from bot.card import Field as Question
from bot.card import who as mention
from bot.command import Args, Command, Outcome
from bot.errors import Unknown
from bot.redact import inert

if TYPE_CHECKING:
    from bot.config import Config
    from bot.run import Run
    from bot.store.incidents import Entry
    from bot.store.tx import Tx

SHOWN = 10
_MESSAGE = re.compile(r"(?P<channel>[CGD][A-Z0-9]{2,30})/(?P<ts>[0-9]{1,12}\.[0-9]{1,6})")
_PERMALINK = re.compile(r"https://[^/]+/archives/(?P<channel>[CGD][A-Z0-9]{2,30})/p(?P<s>[0-9]{10})(?P<us>[0-9]{6})")


class TimelineArgs(Args):
    incident: str | None = None
    """Which one, for example i-12; without it the one of this channel."""


async def _show(run: Run, args: TimelineArgs) -> Outcome:
    from bot.incidents import hand
    from bot.run import done
    from bot.store import incidents

    incident = await hand.which(run, args.incident, closed=True)
    seen = await hand.drawn(run, incident.id)
    newest = seen.entries[-SHOWN:]
    lines = [f"{when(e.event_ms)} {mention(e.author)}: {e.text}" for e in newest]
    earlier = "\n".join(_line(entry) for entry in seen.entries[:-SHOWN])
    kinds = await run.world.store.read(lambda conn: incidents.entry_count(conn, incident.id))
    counted = ", ".join(
        f"{count} of {name}s" if name != "system" else f"{count} of the bot" for name, count in kinds.items()
    )
    card = Card(
        title=f"Timeline of {incident.id}: {len(seen.entries)} entries",
        lead=incident.title,
        sections=("\n".join(f"• {line}" for line in lines),) if lines else (),
        table=_sources(newest),
        footer=counted,
        attachments=(Attachment(title="Earlier", text=earlier),) if earlier else (),
    )
    return done(
        card,
        incident=incident.id,
        timeline=[
            {"at_ms": e.event_ms, "kind": e.kind, "author": e.author, "text": e.text, "link": e.link, "run": e.op}
            for e in seen.entries
        ],
    )


def _sources(entries: tuple[Entry, ...]) -> Table | None:
    """Where messages stand, as their addresses: foreign words beside them stay inert."""
    rows = tuple((Cell(text=e.text[:40]), Cell(text=e.link)) for e in entries if e.link)
    return Table(columns=("Message", "Stands at"), rows=rows) if rows else None


def _line(entry: Entry) -> str:
    return f"{when(entry.event_ms)} {mention(entry.author)}: {entry.text}"


class AddArgs(Args):
    message: str
    """The message, as channel/timestamp (C0INC/1763899320.000100) or its permalink."""
    note: str = ""
    """Why it matters, in your own words."""
    incident: str | None = None
    """Which one; without it the one of the message's channel."""


async def _add(run: Run, args: AddArgs) -> Outcome:
    """The words, author and time come from Slack, not from who asks; adding twice is harmless."""
    from bot.incidents import hand, remind, words
    from bot.run import done
    from bot.store import incidents

    channel, ts = _where(args.message)
    there = await run.world.store.read(lambda conn: incidents.open_in(conn, channel))
    if args.incident is None and there is not None:
        incident = there
    else:
        incident = await hand.which(run, args.incident)
    if not incident.open:
        raise incidents.closed(incident.id)
    said = await run.world.messages.read(channel, ts)
    text = words.said(said.text, run.world.masker, run.world.scrubber) or "a message without words"
    account = run.who.actor.account
    note = words.said(args.note, run.world.masker, run.world.scrubber)
    link = said.link if words.is_permalink(said.link) else None

    def write(tx: Tx) -> bool:
        new = incidents.add_entry(
            tx,
            incident.id,
            "message",
            incidents.message_key(channel, ts),
            event_ms=said.at_ms,
            author=said.author or account,
            added_by=account,
            channel=channel,
            ts=ts,
            link=link,
            text=text,
        )
        if note:
            incidents.add_entry(
                tx,
                incident.id,
                "note",
                f"note:{run.op.id}",
                event_ms=run.op.created_ms,
                author=account,
                added_by=account,
                channel=channel,
                link=link,
                text=note,
                op=run.op.id,
            )
        if new or note:
            remind.begin_updates(tx, incident)
        return new

    new = await run.world.store.write(write)
    title = f"Added to the timeline of {incident.id}" if new else f"It stands in the timeline of {incident.id} already"
    card = Card(title=title, tone=Tone.OK, lead=f"{when(said.at_ms)} {mention(said.author or account)}: {text}")
    return done(card, incident=incident.id, added=new)


def _where(message: str) -> tuple[str, str]:
    if found := _MESSAGE.fullmatch(message):
        return found["channel"], found["ts"]
    if found := _PERMALINK.match(message):
        return found["channel"], f"{found['s']}.{found['us']}"
    raise Unknown(
        f"{inert(message, 60)} names no message.", then="use the message's menu, or timeline add with its permalink"
    )


def _add_form(config: Config) -> Form:
    return Form(
        title="Add to the timeline",
        fields=(Question(flag="note", label="Why it matters", kind="long", optional=True),),
        submit="Add",
        note="The message keeps its time, author and link. Adding it twice is harmless.",
    )


COMMANDS = (
    Command(
        name="timeline",
        summary="The timeline of an incident, in order of what happened when.",
        action="read",
        args=TimelineArgs,
        run=_show,
        positional=("incident",),
        examples=("timeline", "timeline i-12"),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="timeline add",
        summary="Add a message of the channel to the timeline of its incident.",
        action="incident.note",
        args=AddArgs,
        run=_add,
        positional=("message",),
        prose="note",
        examples=("timeline add C0INC/1763899320.000100",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_add_form,
    ),
)
