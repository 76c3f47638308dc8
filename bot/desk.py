"""The desk: three doors lead here. Known? Allowed? Written down - then acknowledged, then done (DESIGN.md, section 2).

`Desk.accept` returns only when the wish is committed, or when it was not accepted and says so. It never raises: a
door has nothing to decide. Stopping does not wait for the database (safety.md, R13, R19 and decision 14).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from bot.authority import CHANGING, LOCAL, Decision, Standing, Who, decide, resolve
from bot.card import Card, Form, Link, Tone, clipped, stop_button, when
from bot.card import who as mention
from bot.catalog import AnyCommand, Catalog, Plan, read
from bot.command import Actor, Ask, Door, Opening, Place, Reply
from bot.errors import Broken, Busy, Refused, SendcatError, Unknown
from bot.forms import filled
from bot.home.tab import Home, Homes
from bot.redact import inert
from bot.refusing import refusal
from bot.run import Run, card_key, put_card, refused_card
from bot.sendcat.brake import Brake
from bot.store import audit, inbox, offers, ops, outbox, pauses
from bot.store.audit import AuditRecord, Phase
from bot.store.ops import Op
from bot.store.tx import Tx
from bot.world import World

log = structlog.get_logger("desk")

UNRECORDED = frozenset({"help", "status", "owners", "doctor"})
"""Looks that are answered even when they cannot be written down; stopping needs no record at all."""


class Desk:
    """Accepts wishes. ``stop`` carries out a stop at once, before anything is written."""

    def __init__(self, world: World, catalog: Catalog) -> None:
        self.world = world
        self.catalog = catalog
        self.open = True
        self._homes = Homes(world, catalog)
        self._background: set[asyncio.Task[None]] = set()

    async def accept(self, ask: Ask) -> Reply:
        """Take one wish. Everything that a person may see of a refusal is in the reply's card."""
        try:
            return await self._accept(ask)
        except SendcatError as error:
            return await self._no(error, ask)
        except Exception:
            log.exception("not accepted", key=ask.key)
            return Reply(
                card=refused_card(
                    "NOT accepted: the bot could not write it down",
                    "Nothing was done and nothing will be done. The database may be full or damaged (R4, R38).",
                    "`/sendcat stop` and `/sendcat help` keep working; on the host: sendcat doctor",
                ),
                exit_status=3,
            )

    async def _accept(self, ask: Ask) -> Reply:
        offer = None
        if ask.offer is not None:
            offer = await self.world.store.read(lambda conn: offers.look(conn, ask.offer or ""))
            if offer is None:
                raise Refused("This card is out of date.", rule="buttons expire (R11)", then="/sendcat status")
            if offer.form is not None and not ask.submitted:
                return await self._open(ask, offer, offer.form)
            line = offer.line if offer.form is None else filled(offer.line, offer.form, ask.fields)
            ask = ask.model_copy(update={"line": line})
        if read(ask.line).command == "stop":
            return await self._stop(ask)
        if not self.open:
            raise Busy("The bot is shutting down; this was NOT accepted.", then="try again in a minute")
        if ask.modal and ask.offer is None and (command := self._asking(ask)) is not None:
            return await self._ask_first(ask, command)
        plan = self.catalog.plan(ask.line, self.world.config, target=ask.target)
        if ask.by.door is not Door.TIMER and ask.by.door not in plan.command.doors:
            only = " or ".join(sorted(plan.command.doors))
            raise Refused(
                f"`{plan.command.name}` works in the {only} only.",
                rule="every command declares its doors (INTERFACES.md, section 6)",
                then=f"there: sendcat {plan.command.name}",
            )
        if plan.command.prose is not None:
            ask, plan = self._without_people(ask, plan)
        who = await self.who(ask.by)
        decision = self.decide(plan, who, ask.place)
        if not decision.allowed:
            await self._record_refusal(ask, plan, who, decision)
            raise self._refusal(decision, plan.action, plan.line, who, ask)
        await refuse_while_paused(self.world, plan)
        if plan.command.effects and (hold := self.world.stops.blocked):
            raise Refused(
                f"Everything is {hold}.",
                rule="after a stop new drills are blocked until released (R19)",
                then="a responder types /sendcat stop --release=true",
            )

        def write(tx: Tx) -> tuple[Op | None, inbox.Delivery | None, offers.Dead | None]:
            known = inbox.seen(tx.db, ask.key)
            if known is not None:
                return None, known, None
            if offer is not None:
                taken = offers.consume(tx, offer.id, ask.by, tx.now_ms)
                if isinstance(taken, offers.Dead):
                    return None, None, taken
            if plan.command.single and ask.place.channel is not None:
                for running in ops.running(tx.db, plan.command.name, ask.place.channel):
                    inbox.accept(tx, ask, running.id)
                    return running, None, None
            op = ops.new(tx, ask, plan.command.name, plan.line, plan.target.name if plan.target else None)
            inbox.accept(tx, ask, op.id)
            if not plan.quiet:
                put_card(tx, op, opening(op, who, effects=plan.command.effects))
            return op, None, None

        try:
            op, delivery, dead = await self.world.store.write(write)
        except Broken as broken:
            if plan.action in UNRECORDED and ask.offer is None:
                return await self._unrecorded(ask, plan, who, broken)
            raise
        if dead is not None:
            raise Refused(dead.reason, rule="a button is pressed once (R11)", then="/sendcat status")
        if delivery is not None:
            return Reply(op=delivery.op, duplicate=True, card=_again(delivery))
        assert op is not None
        if op.by != ask.by or op.line != plan.line or op.state != "accepted":
            return Reply(op=op.id, card=_running(op, await self._address(op)))
        return Reply(op=op.id)

    async def _no(self, error: SendcatError, ask: Ask) -> Reply:
        """The answer to a wish that was not accepted; what it offers to press is minted where it can be."""
        reply = _no(error)
        if not isinstance(error, Refused) or not error.buttons or reply.card is None:
            return reply
        card = reply.card.model_copy(update={"buttons": error.buttons})
        if ask.by.door is Door.SLACK:
            try:
                bare = card
                card = await self.world.store.write(lambda tx: offers.mint(tx, bare, None, ask.place.channel))
            except SendcatError:  # nothing can be written: the words stand without their buttons
                return reply
        return reply.model_copy(update={"card": card})

    async def _unrecorded(self, ask: Ask, plan: Plan, who: Who, broken: Broken) -> Reply:
        """Answer what only looks although it cannot be written down, and say so: help and status keep working (R38)."""
        now_ms = self.world.clock.now_ms()
        op = Op(
            id="r-unrecorded",
            command=plan.command.name,
            line=plan.line,
            fields={},
            by=ask.by,
            place=ask.place,
            target=None,
            digest="",
            state="running",
            waits_for=None,
            verdict=None,
            exit_status=None,
            created_ms=now_ms,
            started_ms=now_ms,
            finished_ms=None,
            epoch=self.world.store.epoch,
            card=None,
            data=None,
        )
        run = Run(self.world, op, who, Brake(self.world.clock), plan.target, quiet=True)
        banner = f"🔴 Nothing can be recorded, so nothing is begun: {broken.what}"
        try:
            outcome = await plan.command.run(run, plan.args)
        except SendcatError as error:
            running = ", ".join(self.world.stops.running) or "nothing"
            lead = f"{error.what} Running now: {running}."
            return Reply(
                card=Card(title="Nothing can be read", tone=Tone.BAD, banner=banner, lead=lead, next="sendcat doctor"),
                exit_status=3,
            )
        card = outcome.card.model_copy(update={"banner": banner, "buttons": (), "final": True})
        return Reply(card=card, exit_status=outcome.exit_status)

    def _asking(self, ask: Ask) -> AnyCommand | None:
        """The command whose form comes first: it stands alone, or a shortcut began it."""
        typed = read(ask.line)
        command = self.catalog.find(ask.line) if ask.form or not typed.flags else None
        if command is None or command.form is None:
            return None
        return command if ask.form or typed.text == command.name else None

    async def _open(self, ask: Ask, offer: offers.Offer, form: Form) -> Reply:
        """A button that asks first: refused before anybody types, and nothing is pressed yet."""
        if dead := offer.dead(self.world.clock.now_ms()):
            raise Refused(dead, rule="a button is pressed once (R11)", then="/sendcat status")
        await self._may_open(ask, self.catalog.find(offer.line), offer.line)
        return Reply(opening=Opening(form=form, line=offer.line, offer=offer.id))

    async def _ask_first(self, ask: Ask, command: AnyCommand) -> Reply:
        assert command.form is not None
        form = command.form(self.world.config)
        line = read(ask.line).text
        await self._may_open(ask, command, line)
        name = f"{command.name.replace(' ', '-')}.form"

        def write(tx: Tx) -> str | None:
            if inbox.seen(tx.db, ask.key) is not None:
                return None
            inbox.accept(tx, ask, None)
            return offers.mint_form(tx, line, name, form, ask.place.channel)

        offer = await self.world.store.write(write)
        if offer is None:
            return Reply(duplicate=True)
        return Reply(opening=Opening(form=form, line=line, offer=offer))

    async def _may_open(self, ask: Ask, command: AnyCommand, line: str) -> None:
        who = await self.who(ask.by)
        decision = self._allowed(command.action, who, ask.place)
        if not decision.allowed:
            raise self._refusal(decision, command.action, line, who, ask)

    def _without_people(self, ask: Ask, plan: Plan) -> tuple[Ask, Plan]:
        """A line with somebody's own words, without secrets, and with addresses masked before it is kept (R36, R37)."""
        line = self.world.masker.text(self.world.scrubber.scrub(plan.line))
        target = plan.target.name if plan.target else None
        ask = ask.model_copy(update={"line": line, "fields": {}, "target": target})
        return ask, self.catalog.plan(line, self.world.config, target=target)

    async def _address(self, op: Op) -> str:
        """Where the card of a run stands; empty when it was not posted yet."""
        letter = await self.world.store.read(lambda conn: outbox.by_key(conn, card_key(op.id)))
        return self.world.messages.address(letter.channel, letter.ts) if letter is not None and letter.ts else ""

    def decide(self, plan: Plan, who: Who, place: Place) -> Decision:
        """The table's word on a plan; asked when it is accepted and again when it takes effect (R9)."""
        return self._allowed(plan.action, who, place)

    def _allowed(self, action: str, who: Who, place: Place) -> Decision:
        slack, bound = self.world.config.slack, self.world.bound.channels
        incident = frozenset(slack.incident_channels) | bound
        return decide(action, who, place, listed=slack.channels | bound, incident=incident)

    def _refusal(self, decision: Decision, action: str, line: str, who: Who, ask: Ask) -> Refused:
        bound = self.world.bound.channels
        return refusal(decision, action, read(line), who, ask.place, self.world.config, bound=bound)

    async def who(self, actor: Actor) -> Who:
        """Resolve an account to a human, asking the workspace for Slack accounts.

        Which channels are bound to an incident is learned at the same time, since `decide` needs both.
        """
        await self.world.bound.fresh()
        if actor.door is not Door.SLACK:
            return resolve(self.world.config, actor, LOCAL)
        team = self.world.config.slack.team_id or self.world.directory.team
        if team is not None and actor.team != team:
            return resolve(self.world.config, actor, Standing(known=True, kind="stranger"))
        standing = await self.world.directory.standing(actor.account)
        return resolve(self.world.config, actor, standing)

    async def home(self, actor: Actor) -> Home:
        """What this person finds on their Home tab now; a look, which needs no record."""
        return await self._homes.look(await self.who(actor))

    async def _stop(self, ask: Ask) -> Reply:
        plan = self.catalog.plan(ask.line, self.world.config, target=ask.target)
        who = mention(ask.by.account)
        wanted = getattr(plan.args, "run", None)
        if getattr(plan.args, "release", False):
            asker = await self.who(ask.by)
            decision = self._allowed("release", asker, ask.place)
            if not decision.allowed:
                raise self._refusal(decision, "release", ask.line, asker, ask)
            self.world.stops.release()
            card = Card(title="Released: drills may start again", tone=Tone.OK, lead=f"By {who}.", final=True)
        elif wanted:
            stopped = self.world.stops.stop(wanted, who)
            title = f"Stopping {wanted}" if stopped else f"{wanted} is not running"
            card = Card(title=title, tone=Tone.OK if stopped else Tone.PLAIN, lead=f"By {who}.", final=True)
        else:
            count = len(self.world.stops.stop_all(who))
            card = Card(
                title=f"Stopped: {count} running operation{'' if count == 1 else 's'}",
                tone=Tone.OK,
                lead=f"By {who}. New drills are blocked until a responder types `/sendcat stop --release=true`.",
                final=True,
            )
        self._later(self._record_stop(ask, plan))
        return Reply(card=card)

    async def _record_stop(self, ask: Ask, plan: Plan) -> None:
        def write(tx: Tx) -> None:
            if inbox.seen(tx.db, ask.key) is None:
                inbox.accept(tx, ask, None)
                audit.append(tx, _record(ask, plan, "result", "stopped"))

        await self.world.store.write(write, urgent=True)

    async def _record_refusal(self, ask: Ask, plan: Plan, who: Who, decision: Decision) -> None:
        def write(tx: Tx) -> None:
            if inbox.seen(tx.db, ask.key) is None:
                inbox.accept(tx, ask, None)
                audit.append(tx, _record(ask, plan, "refusal", "refused", person=who.person, reason=decision.reason))

        await self.world.store.write(write)

    def _later(self, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                log.warning("stop not recorded", error=type(error).__name__)

        task = asyncio.ensure_future(guarded())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def refuse_while_paused(world: World, plan: Plan) -> None:
    """While the bot is paused nothing changes Sendcat, whoever asks; undoing and stopping stay possible."""
    if plan.action in CHANGING and (pause := await world.store.read(pauses.paused)):
        why = f": {inert(pause.why, 200)}" if pause.why else ""
        raise Refused(
            f"Paused by {mention(pause.account)} {when(pause.at_ms)}{why}.",
            rule="while paused, everything that changes is refused (ux.md, rule 12)",
            then="an admin types /sendcat resume",
        )


def _record(
    ask: Ask, plan: Plan, phase: Phase, outcome: str, *, person: str | None = None, reason: str | None = None
) -> AuditRecord:
    return AuditRecord(
        actor=ask.by.account,
        person=person,
        door=ask.by.door.value,
        phase=phase,
        action=plan.action,
        object=plan.line,
        target=plan.target.name if plan.target else None,
        outcome=outcome,
        authority=reason,
    )


def opening(op: Op, who: Who, *, effects: bool) -> Card:
    """The first card: it is there before the work begins, and can already be stopped."""
    return Card(
        title=f"{op.command.capitalize()} ACCEPTED",
        tone=Tone.RUNNING,
        context=f"started by {who.name} · {when(op.created_ms)} · run {op.id}",
        buttons=(stop_button(op.id),) if effects else (),
    )


def _no(error: SendcatError) -> Reply:
    title = f"{error.word}: {error.what}"
    whole = error.what if clipped(title) != title else ""
    lead = " ".join(part for part in (whole, f"Rule: {error.rule}." if error.rule else "") if part)
    return Reply(
        card=refused_card(clipped(title), lead, error.then),
        exit_status=error.exit_status,
        errors=error.fields if isinstance(error, Unknown) else {},
    )


def _again(delivery: inbox.Delivery) -> Card:
    by = mention(delivery.by.account)
    return Card(
        title="Already taken",
        lead=f"{by} asked for this at {when(delivery.at_ms)}" + (f"; it is run {delivery.op}." if delivery.op else "."),
        final=True,
    )


def _running(op: Op, address: str) -> Card:
    return Card(
        title=f"Already running: {op.command} {op.id}",
        tone=Tone.RUNNING,
        lead=f"Started by {mention(op.by.account)} at {when(op.created_ms)}; its card shows the course.",
        links=(Link(label="Open its card", url=address),) if address else (),
        final=True,
    )
