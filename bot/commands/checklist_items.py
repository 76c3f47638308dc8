"""``checklist confirm|add|skip|reopen|assign``: what people say of its items, held against the facts of now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from bot.card import Card, Form, Tone, when
from bot.card import Field as Question
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


async def _mark(run: Run, incident: Incident, items: Iterable[Item], verb: Verb, **said: str | None) -> Picture:
    """Write down what was said of these items, all of it or nothing; how the checklist stands after it."""
    from bot.incidents import hand, remind
    from bot.store import checklist

    account, person = run.who.actor.account, run.who.person

    def write(tx: Tx) -> None:
        for item in items:
            basis = item.found.basis
            checklist.mark(tx, incident.id, item.key, verb, by=account, person=person, basis=basis, **said)
        remind.begin_items(tx, incident)

    await run.world.store.write(write)
    return await hand.drawn(run, incident.id)


async def _told(run: Run, incident: Incident, item: Item, verb: Verb, title: str, **said: str | None) -> Outcome:
    from bot.incidents import hand

    return hand.told(run, await _mark(run, incident, (item,), verb, **said), title)


class ConfirmArgs(ItemArgs):
    item: str = "ready"
    """Which item, or ready for all that the bot has found the facts of."""


async def _confirm(run: Run, args: ConfirmArgs) -> Outcome:
    """A confirmation that no fact bears is refused, with what to type instead."""
    from bot.incidents import board, hand
    from bot.incidents.items import LABELS

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
    seen = await _mark(run, incident, chosen, "confirm")
    names = ", ".join(LABELS[item.key] for item in chosen)
    count = "{} of {} done".format(*board.counts(seen))
    return hand.told(run, seen, f"Confirmed: {names} · {count}"[:140])


class AddArgs(ItemArgs):
    value: str = ""
    """A link, the name of a report, or an affected endpoint."""


async def _add(run: Run, args: AddArgs) -> Outcome:
    from bot.incidents import words
    from bot.incidents.items import LABELS
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
    return await _told(run, incident, item, "add", f"Added to {LABELS[item.key]}", value=value)


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

    incident, items = await _begin(run, args.incident)
    item = _item(items, args.item)
    reason = words.said(args.reason, run.world.masker, run.world.scrubber, 200)
    if len(reason) < 3:
        raise Unknown(
            f"{LABELS[item.key]} is not needed - because?",
            then=f"/sendcat checklist skip {item.key} BECAUSE",
            fields={"reason": "a reason is needed"},
        )
    return await _told(run, incident, item, "skip", f"Not needed: {LABELS[item.key]}", reason=reason)


async def _reopen(run: Run, args: ItemArgs) -> Outcome:
    from bot.incidents.items import LABELS

    incident, items = await _begin(run, args.incident)
    item = _item(items, args.item)
    if item.last is None or item.last.verb == "reopen":
        raise Refused(f"{LABELS[item.key]} has no answer that could be taken back.", then="/sendcat checklist")
    return await _told(run, incident, item, "reopen", f"Open again: {LABELS[item.key]}")


class AssignArgs(ItemArgs):
    item: str = "all"
    """Which item, or all that are open."""
    to: str = ""
    """Who does it: a mention, a Slack member id, or a name in [people]."""
    hours: int | None = Field(default=None, ge=1, le=24 * 60)
    """Due in so many hours."""


async def _assign(run: Run, args: AssignArgs) -> Outcome:
    from bot.incidents import board, hand, remind, words
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
    return done(card, **board.data(seen))


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
)
