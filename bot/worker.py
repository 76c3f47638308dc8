"""The worker: still allowed? -> intent row -> run -> result row and outbox row (DESIGN.md, section 2).

Each accepted operation becomes one task of its own, so that quick answers never wait behind long jobs. Effects happen
only between two committed records (safety.md, R28); after a crash every open operation is found and resolved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from bot.card import Attachment, Button, Card, Tone, clipped, who
from bot.catalog import Plan, read
from bot.clock import let_end, token
from bot.command import Outcome
from bot.desk import Desk, refuse_while_paused
from bot.errors import Refused, SendcatError, Unreachable
from bot.notary import SOOTHING, weighty
from bot.refusing import refusal
from bot.run import Run, card_key, put_card, with_banner
from bot.sendcat.brake import Halt, Why
from bot.store import audit, offers, ops, outbox
from bot.store.audit import AuditRecord, Phase
from bot.store.ops import End, Op
from bot.store.tx import Tx
from bot.world import World
from slo.verdict import Verdict

log = structlog.get_logger("worker")

STALE_MS = 5 * 60_000
"""An operation that was accepted but not begun is begun after a restart only when it is younger than this."""

QUICK_AT_ONCE = 8
"""Quick answers at the same time: enough for people, few enough that a flood of them does not delay acks."""

LOOK_AHEAD = 64
"""How many waiting operations are looked at in one turn."""

LONG_RUN_S = 60.0
"""A run longer than this ends with a message that mentions its starter, since edits notify nobody."""


class Worker:
    """Runs what the desk accepted. One per leader."""

    def __init__(self, world: World, desk: Desk) -> None:
        self.world = world
        self.desk = desk
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._quick: set[str] = set()
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Resolve what an earlier process left open, then take new work."""
        await self._recover()
        self.world.store.on_commit("ops", self._wake.set)
        self._wake.set()
        self._pump = asyncio.create_task(self._take(), name="worker")

    async def stop(self, grace_s: float = 5.0) -> None:
        """Stop drills, let the rest end within the grace time, record what did not (safety.md, R32)."""
        if self._pump is not None:
            self._pump.cancel()
        for op in self.world.stops.running:
            self.world.stops.stop(op, "the bot, which is shutting down")
        await let_end(list(self._tasks.values()), grace_s, cancelled_s=2.0)

    async def idle(self) -> None:
        """Wait until nothing runs (terminal door, tests)."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _take(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for op in await self.world.store.read(lambda conn: ops.waiting(conn, LOOK_AHEAD)):
                if op.id in self._tasks:
                    continue
                command = self.desk.catalog.get(op.command)
                if command is not None and command.quiet and not command.effects:
                    if len(self._quick) >= QUICK_AT_ONCE:
                        continue
                    self._quick.add(op.id)
                task = asyncio.create_task(self._do(op), name=op.id)
                self._tasks[op.id] = task
                task.add_done_callback(self._done(op.id))

    def _done(self, op_id: str) -> Callable[[asyncio.Task[None]], None]:
        def forget(task: asyncio.Task[None]) -> None:
            self._tasks.pop(op_id, None)
            if op_id in self._quick:
                self._quick.discard(op_id)
                self._wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("run lost", op=op_id, error=repr(error))

        return forget

    async def _do(self, op: Op) -> None:
        world = self.world
        try:
            plan = self.desk.catalog.plan(op.line, world.config, target=op.target)
            person = await self.desk.who(op.by)
            decision = self.desk.decide(plan, person, op.place)
            if not decision.allowed:
                again = "authority is checked again at the moment of the effect (R9)"
                line, bound = read(plan.line), world.bound.channels
                raise refusal(decision, plan.action, line, person, op.place, world.config, bound=bound, rule=again)
            await refuse_while_paused(world, plan)
        except SendcatError as error:
            await self._finish(op, None, error_outcome(error, op, None), "refused")
            return
        try:
            started = await world.store.write(lambda tx: self._intent(tx, op, plan, person.person))
        except ops.StateConflict:
            return
        brake = world.stops.brake(op.id)
        run = Run(
            world=world,
            op=started,
            who=person,
            brake=brake,
            on=plan.target,
            quiet=plan.quiet,
            effects=plan.command.effects,
        )
        state: End = "done"
        try:
            if world.notary is not None and weighty(plan.action):
                await world.notary.before(f"{plan.action} {op.id}", must=plan.action not in SOOTHING)
            outcome = await plan.command.run(run, plan.args)
            if _was_stopped(brake.halted, outcome):
                state = "stopped"
        except SendcatError as error:
            state = "refused" if isinstance(error, Refused) else "failed"
            outcome = error_outcome(error, op, await self._latest(op))
        except asyncio.CancelledError:
            broken_off = interrupted_outcome(op, await self._latest(op), "the bot stopped")
            await self._finish(op, plan, broken_off, "interrupted", took_s=run.elapsed_s)
            raise
        except Exception:
            reference = token()[:8]
            log.exception("run failed", op=op.id, reference=reference)
            state = "failed"
            outcome = unknown_outcome(op, await self._latest(op), reference)
        finally:
            world.stops.done(op.id)
        await self._finish(op, plan, outcome, state, took_s=run.elapsed_s, quiet=plan.quiet)

    async def _latest(self, op: Op) -> Card | None:
        found = await self.world.store.read(lambda conn: ops.get(conn, op.id))
        return found.card if found else None

    def _intent(self, tx: Tx, op: Op, plan: Plan, person: str | None) -> Op:
        """The committed record of who, what, and with which authority, before the first effect (R28)."""
        started = ops.start(tx, op.id)
        audit.append(tx, _record(op, plan.action, "intent", "started", person=person))
        return started

    async def _finish(
        self,
        op: Op,
        plan: Plan | None,
        outcome: Outcome,
        state: End,
        *,
        took_s: float = 0.0,
        quiet: bool = False,
    ) -> None:
        card = outcome.card if outcome.card.final else outcome.card.model_copy(update={"final": True})

        def write(tx: Tx) -> Card:
            shown = card if outcome.silent else put_ephemeral(tx, op, card) if quiet else put_card(tx, op, card)
            ops.finish(
                tx,
                op.id,
                state,
                verdict=outcome.verdict,
                exit_status=outcome.exit_status,
                card=shown,
                data=outcome.data,
            )
            phase: Phase = "result" if state != "refused" else "refusal"
            audit.append(
                tx,
                _record(
                    op,
                    plan.action if plan else op.command,
                    phase,
                    outcome.verdict.value if outcome.verdict else state,
                    detail={"state": state, "title": card.title},
                ),
            )
            if not quiet:
                put_thread(tx, op, card, took_s)
            return shown

        try:
            shown = await self.world.store.write(write)
        finally:
            self.world.feed.publish(op.id, card, replace(outcome, card=card))
        self.world.feed.publish(op.id, shown, replace(outcome, card=shown))

    async def _recover(self) -> None:
        """Resolve operations of earlier epochs: young ones that never began are begun, all others are interrupted."""
        epoch, now = self.world.store.epoch, self.world.clock.now_ms()
        for op in await self.world.store.read(lambda conn: ops.left_open(conn, epoch)):
            if op.state == "accepted" and now - op.created_ms < STALE_MS:
                continue
            why = "the bot was restarted" if op.state == "running" else "it was accepted too long ago to begin now"
            took_s = max(0, now - op.started_ms) / 1000 if op.started_ms is not None else 0.0
            await self._finish(op, None, interrupted_outcome(op, op.card, why), "interrupted", took_s=took_s)


def _was_stopped(halt: Halt | None, outcome: Outcome) -> bool:
    """Whether a run decides nothing because it was stopped; an abort for a bad target is a FAIL (VERDICTS)."""
    if halt is None or outcome.exit_status == 0:
        return False
    return not (halt.reason is Why.ABORTED and outcome.verdict is Verdict.FAIL)


def put_ephemeral(tx: Tx, op: Op, card: Card) -> Card:
    """Answer only the asker."""
    card = with_banner(tx, card)
    if op.place.channel is None:
        return card

    minted = offers.mint(tx, card, op, op.place.channel)
    user = op.by.account.partition(":")[2]
    outbox.put(
        tx,
        f"eph:{op.id}",
        channel=op.place.channel,
        kind="ephemeral",
        card=minted,
        user=user,
        thread_ts=op.place.thread_ts,
        op=op.id,
    )
    return minted


def put_thread(tx: Tx, op: Op, card: Card, took_s: float) -> None:
    """Details into the card's thread, and a mention of the starter after a long run (ux.md, rules 1 and 9)."""
    if op.place.channel is None:
        return
    notes = list(card.attachments)
    if took_s > LONG_RUN_S and outbox.by_key(tx.db, card_key(op.id)) is not None:
        notes.append(Attachment(title=card.headline, text=f"{who(op.by.account)}: run {op.id} has ended."))
    for number, note in enumerate(notes, 1):
        outbox.put(
            tx,
            f"note:{op.id}:{number}",
            channel=op.place.channel,
            kind="file" if note.file else "reply",
            text=note.title if note.file else f"{note.title}\n{f'```{note.text}```' if note.columns else note.text}",
            file=note.file,
            thread_of=card_key(op.id),
            op=op.id,
        )


def _record(
    op: Op,
    action: str,
    phase: Phase,
    outcome: str,
    *,
    person: str | None = None,
    detail: dict[str, str] | None = None,
) -> AuditRecord:
    return AuditRecord(
        actor=op.by.account,
        person=person,
        door=op.by.door.value,
        phase=phase,
        action=action,
        object=op.line,
        target=op.target,
        op=op.id,
        outcome=outcome,
        detail=detail or {},
    )


def _ended(op: Op, card: Card | None, **changes: object) -> Card:
    """The last card with its running step ended, buttons replaced by what makes sense now."""
    base = card or Card(title=op.command, context=f"run {op.id}")
    steps = tuple(
        step.model_copy(update={"tone": Tone.UNKNOWN, "detail": step.detail or "not finished"})
        if step.tone is Tone.RUNNING
        else step
        for step in base.steps
    )
    not_begun = [step.label for step in steps if step.tone is Tone.PLAIN]
    sections = (f"Not done: {', '.join(not_begun)}.",) if not_begun else ()
    update: dict[str, object] = {"steps": steps, "sections": sections, "buttons": (), "final": True, **changes}
    return base.model_copy(update=update)


def error_outcome(error: SendcatError, op: Op, card: Card | None) -> Outcome:
    """What happened, what was not done, what to type next; unreachable is INCOMPLETE, never green."""

    incomplete = isinstance(error, Unreachable)
    title = f"INCOMPLETE: {error.what}" if incomplete else f"{error.word}: {error.what}"
    hand = error.then or ""
    by_hand = hand if incomplete and "\n" in hand else ""
    shown = _ended(
        op,
        card,
        title=clipped(title),
        tone=Tone.UNKNOWN if incomplete else Tone.REFUSED,
        lead=" ".join(
            filter(None, (error.what if clipped(title) != title else "", f"Rule: {error.rule}." if error.rule else ""))
        ),
        code=by_hand,
        next="" if by_hand else hand,
        buttons=error.buttons if isinstance(error, Refused) else (),
    )
    verdict = Verdict.INCOMPLETE if incomplete else None
    return Outcome(card=shown, exit_status=error.exit_status, verdict=verdict, data={"error": str(error)})


def unknown_outcome(op: Op, card: Card | None, reference: str) -> Outcome:
    """An error of our own: an id leads to the log; the verdict is unknown."""

    shown = _ended(
        op,
        card,
        title=f"INCOMPLETE: {op.command} failed inside the bot",
        tone=Tone.UNKNOWN,
        lead=f"This is a fault of the bot, not of Sendcat. Reference {reference} leads to the log.",
        next=f"by hand, in a terminal: sendcat {op.line}; or again: /sendcat {op.line}",
    )
    return Outcome(
        card=shown, exit_status=3, verdict=Verdict.INCOMPLETE, data={"error": "internal", "reference": reference}
    )


def interrupted_outcome(op: Op, card: Card | None, why: str) -> Outcome:
    """A run that nobody finishes: it is never resumed and never passes (R18)."""

    again = Button(label="Run again", line=op.line, name=f"{op.command}.rerun", style="primary")
    shown = _ended(
        op,
        card,
        title=f"INTERRUPTED: {op.command}",
        tone=Tone.UNKNOWN,
        lead=f"{why[:1].upper()}{why[1:]}; run {op.id} did not end and decides nothing. No load is running.",
        next=f"run it again: /sendcat {op.line}",
    ).model_copy(update={"buttons": (again,)})
    # A step of a walk is told by the walk's own card, which is drawn anew; "run it again" is not for one that changes.
    silent = op.command.startswith("walk ") and op.place.channel is not None
    return Outcome(card=shown, exit_status=3, verdict=Verdict.INCOMPLETE, data={"error": "interrupted"}, silent=silent)
