"""``checklist``: the runbook's post-incident checklist, filled from facts and answered by people (ux.md, sketch 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from bot.card import Card, Form, Tone, when
from bot.card import Field as Question
from bot.card import channel as mention_channel
from bot.card import who as mention
from bot.command import Args, Command, Outcome
from bot.errors import Refused, Unknown
from bot.redact import inert

if TYPE_CHECKING:
    from bot.config import Config
    from bot.incidents.picture import Picture
    from bot.run import Run
    from bot.store.checklist import Item, Verb
    from bot.store.incidents import Incident
    from bot.store.tx import Tx

RULE = "each item is confirmed on facts, added, or not needed because (runbook, post-incident checklist)"


class ShowArgs(Args):
    incident: str | None = None
    """Which one, for example i-12; without it the one of this channel."""


async def _show(run: Run, args: ShowArgs) -> Outcome:
    """Begin it or look at it again; its one card stands in the incident's channel."""
    from bot.incidents import board, hand
    from bot.run import done

    incident = await hand.which(run, args.incident, closed=True)
    await hand.looked(run, incident)
    seen = await hand.drawn(run, incident.id)
    return done(_answer(run, seen, board.card(seen).title), **_data(seen))


def _answer(run: Run, seen: Picture, title: str) -> Card:
    """The whole card for who is elsewhere; one line for who has it before their eyes."""
    from bot.incidents import board, hand

    card = board.card(seen)
    if not hand.here(run, seen.incident):
        return card
    assert seen.incident.channel is not None
    return Card(
        title=title,
        tone=card.tone,
        lead=f"The checklist stands in {mention_channel(seen.incident.channel)}, as of now.",
        next=card.next,
    )


def _data(seen: Picture) -> dict[str, Any]:
    from bot.incidents import board

    answered, asked = board.counts(seen)
    return {
        "incident": seen.incident.id,
        "done": answered,
        "asked": asked,
        "items": {
            item.key: {"state": item.state, "ready": item.found.ready, "found": item.found.detail}
            for item in board.ordered(seen)
        },
    }


class ItemArgs(Args):
    item: str = ""
    """Which item: timeline, endpoints, snapshots, drill, gates, sentry, phase-log, baseline."""
    incident: str | None = None
    """Which incident; without it the one of this channel."""


async def _begin(run: Run, wanted: str | None) -> tuple[Incident, dict[str, Item]]:
    """The open incident with every item looked at anew, so that an answer rests on the facts of now."""
    from bot.incidents import hand
    from bot.store import incidents

    incident = await hand.which(run, wanted)
    if not incident.open:
        raise incidents.closed(incident.id)
    seen, _ = await hand.looked(run, incident)
    return incident, {item.key: item for item in seen.items}


def _item(items: dict[str, Item], key: str) -> Item:
    from bot.catalog import nearest

    if key in items:
        return items[key]
    near = nearest(key, items)
    raise Unknown(
        f"The checklist has no item {inert(key, 40) or 'without a name'}. Items: {', '.join(items)}.",
        then=f"/sendcat checklist confirm {near or 'timeline'}",
        fields={"item": f"one of: {', '.join(items)}"},
    )


async def _mark(run: Run, incident: Incident, item: Item, verb: Verb, **said: str | None) -> Picture:
    from bot.incidents import hand, remind
    from bot.store import checklist

    def write(tx: Tx) -> None:
        checklist.mark(
            tx,
            incident.id,
            item.key,
            verb,
            by=run.who.actor.account,
            person=run.who.person,
            basis=item.found.basis,
            **said,
        )
        remind.begin_items(tx, incident)

    await run.world.store.write(write)
    return await hand.drawn(run, incident.id)


class ConfirmArgs(ItemArgs):
    item: str = "ready"
    """Which item, or ready for all that the bot has found the facts of."""


async def _confirm(run: Run, args: ConfirmArgs) -> Outcome:
    """A confirmation that no fact bears is refused, with what to type instead."""
    from bot.incidents import board, hand
    from bot.incidents.items import LABELS
    from bot.run import done

    incident, items = await _begin(run, args.incident)
    if args.item in ("ready", "all"):
        chosen = [item for item in items.values() if item.open and item.found.ready]
        if not chosen:
            raise Refused("Nothing waits for a confirmation.", rule=RULE, then="/sendcat checklist")
    else:
        item = _item(items, args.item)
        if item.state == "confirmed" and item.last is not None:
            raise Refused(f"{mention(item.last.by)} confirmed it {when(item.last.at_ms)}.", then="/sendcat checklist")
        if not item.found.ready:
            lacks = item.found.lacks or item.found.detail
            raise Refused(
                f"{LABELS[item.key]} cannot be confirmed: {lacks}.",
                rule=RULE,
                then=f"/sendcat checklist add {item.key} LINK, or /sendcat checklist skip {item.key} BECAUSE",
            )
        chosen = [item]
    for item in chosen:
        await _mark(run, incident, item, "confirm")
    seen = await hand.picture_of(run, incident.id)
    names = ", ".join(LABELS[item.key] for item in chosen)
    count = "{} of {} done".format(*board.counts(seen))
    return done(_answer(run, seen, f"Confirmed: {names} · {count}"[:140]), **_data(seen))


class AddArgs(ItemArgs):
    value: str = ""
    """A link, the name of a report, or an affected endpoint."""


async def _add(run: Run, args: AddArgs) -> Outcome:
    from bot.incidents import words
    from bot.incidents.items import LABELS
    from bot.run import done
    from bot.store import artifacts, incidents

    incident, items = await _begin(run, args.incident)
    item = _item(items, args.item)
    value = args.value.strip()
    if item.key == "endpoints":
        if not value.startswith("/") or inert(value, 80) != value:
            raise _no_value("an endpoint path such as /api/chat")
        paths = (*incident.endpoints, value)
        await run.world.store.write(lambda tx: incidents.change(tx, incident.id, endpoints=paths))
    elif not words.is_link(value):
        kept = await run.world.store.read(lambda conn: artifacts.named(conn, value))
        if item.key == "sentry" or kept is None:
            raise _no_value("an https link" if item.key == "sentry" else "an https link, or the name of a saved report")
    seen = await _mark(run, incident, item, "add", value=value)
    return done(_answer(run, seen, f"Added to {LABELS[item.key]}"), **_data(seen))


def _no_value(wanted: str) -> Unknown:
    return Unknown(
        f"Here belongs {wanted}.", then="/sendcat checklist add ITEM VALUE", fields={"value": f"must be {wanted}"}
    )


class SkipArgs(ItemArgs):
    reason: str = ""
    """Why it is not needed."""


async def _skip(run: Run, args: SkipArgs) -> Outcome:
    from bot.incidents import words
    from bot.incidents.items import LABELS
    from bot.run import done

    incident, items = await _begin(run, args.incident)
    item = _item(items, args.item)
    reason = words.said(args.reason, run.world.masker, run.world.scrubber, 200)
    if len(reason) < 3:
        raise Unknown(
            f"{LABELS[item.key]} is not needed - because?",
            then=f"/sendcat checklist skip {item.key} BECAUSE",
            fields={"reason": "a reason is needed"},
        )
    seen = await _mark(run, incident, item, "skip", reason=reason)
    return done(_answer(run, seen, f"Not needed: {LABELS[item.key]}"), **_data(seen))


async def _reopen(run: Run, args: ItemArgs) -> Outcome:
    from bot.incidents.items import LABELS
    from bot.run import done

    incident, items = await _begin(run, args.incident)
    item = _item(items, args.item)
    if item.last is None or item.last.verb == "reopen":
        raise Refused(f"{LABELS[item.key]} has no answer that could be taken back.", then="/sendcat checklist")
    seen = await _mark(run, incident, item, "reopen")
    return done(_answer(run, seen, f"Open again: {LABELS[item.key]}"), **_data(seen))


class AssignArgs(ItemArgs):
    item: str = "all"
    """Which item, or all that are open."""
    to: str = ""
    """Who does it: a mention, a Slack member id, or a name in [people]."""
    hours: int | None = Field(default=None, ge=1, le=24 * 60)
    """Due in so many hours."""


async def _assign(run: Run, args: AssignArgs) -> Outcome:
    from bot.incidents import hand, remind, words
    from bot.run import done
    from bot.store import checklist

    incident, items = await _begin(run, args.incident)
    if not args.to and args.hours is None:
        raise Unknown("To whom, or until when?", then="/sendcat checklist assign sentry --to=@somebody --hours=24")
    chosen = [item for item in items.values() if item.open] if args.item == "all" else [_item(items, args.item)]
    if not chosen:
        raise Refused("No item is open.", then="/sendcat incident close")
    owner = words.account(args.to, run.world.config) if args.to else None
    keys = [item.key for item in chosen]

    def write(tx: Tx) -> None:
        due_ms = None if args.hours is None else tx.now_ms + args.hours * 3_600_000
        checklist.assign(tx, incident.id, keys, owner=owner, due_ms=due_ms)
        remind.begin_items(tx, incident)

    await run.world.store.write(write)
    seen = await hand.drawn(run, incident.id)
    whose = f"{mention(owner)} does it" if owner else "The due time is set"
    card = Card(title=f"Handed over: {len(chosen)} of {incident.id}", tone=Tone.OK, lead=f"{whose}: {', '.join(keys)}.")
    return done(card, **_data(seen))


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


def _choices() -> tuple[tuple[str, str], ...]:
    from bot.incidents.items import ITEMS

    return tuple((kind.key, kind.label) for kind in ITEMS)


def _add_form(config: Config) -> Form:
    return Form(
        title="Add to the checklist",
        fields=(
            Question(flag="item", label="Item", kind="choice", options=_choices(), value="sentry"),
            Question(flag="value", label="Link, report name or endpoint"),
        ),
        submit="Add",
    )


def _skip_form(config: Config) -> Form:
    return Form(
        title="Not needed",
        fields=(
            Question(flag="item", label="Item", kind="choice", options=_choices(), value="sentry"),
            Question(flag="reason", label="Because", kind="long"),
        ),
        submit="Not needed",
        note="The reason stands on the card, in the record and in the report.",
    )


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
        name="checklist confirm",
        summary="Confirm an item whose facts are there, or all of them.",
        action="checklist",
        args=ConfirmArgs,
        run=_confirm,
        positional=("item",),
        examples=("checklist confirm timeline", "checklist confirm ready"),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="checklist add",
        summary="Add a link, a report or an endpoint to an item.",
        action="checklist",
        args=AddArgs,
        run=_add,
        positional=("item", "value"),
        examples=("checklist add sentry https://example.sentry.io/issues/4711",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_add_form,
    ),
    Command(
        name="checklist skip",
        summary="Say why an item is not needed.",
        action="checklist",
        args=SkipArgs,
        run=_skip,
        positional=("item",),
        prose="reason",
        examples=("checklist skip sentry the provider was down, nothing reached Sentry",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_skip_form,
    ),
    Command(
        name="checklist reopen",
        summary="Take an answer back; that is recorded too.",
        action="checklist",
        args=ItemArgs,
        run=_reopen,
        positional=("item",),
        examples=("checklist reopen sentry",),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="checklist assign",
        summary="Give items to somebody, or set when they are due.",
        action="checklist",
        args=AssignArgs,
        run=_assign,
        positional=("item",),
        examples=("checklist assign sentry --to=relmgr --hours=24",),
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
