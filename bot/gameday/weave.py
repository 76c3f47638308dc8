"""A fault woven into a game day: put in at a planned moment on practice, and out again whatever happens.

Three things take it out: the end of the day, in a ``finally`` that no cancellation cuts short; after a crash the next
start of the bot, which finds its row; and, should neither come, the practice Sendcat itself after a time that was given
along when it went in. The row is committed before the fault is put in (safety.md, R28).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from bot.errors import Refused, SendcatError, Unknown
from bot.practice.faulting import Faulting
from bot.store import audit, woven
from bot.store.audit import AuditRecord, Phase
from bot.store.woven import Woven
from slo.verdict import Judgement, Verdict, sum_up

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.tx import Tx
    from bot.world import World

log = structlog.get_logger("weave")

LETTERS = "ABCDEF"
"""Faults; G and H are decisions, which nothing clears."""
SPARE_MS = 120_000
"""How much longer than twice the planned drills a fault may stay in at most."""
AGAIN_S = 30.0
SWEPT = "the bot found it after a restart"


async def chosen(faulting: Faulting, wish: str) -> str:
    """The fault as the practice Sendcat calls it. Raises `Unknown` with what there is, `Refused` when it is in."""
    known = [name for name in await faulting.catalogue() if name[0] in LETTERS]
    letter, _, variant = wish.partition(":")
    fit = [name for name in known if name[0] == letter.upper() and variant.lower() in ("", name.partition(":")[2])]
    if not fit:
        raise Unknown(f"There is no fault {wish!r}; there are {', '.join(known)}.", then="--weave=F:caps")
    if fit[0] in await faulting.active():
        raise Refused(
            f"{fit[0]} is in the practice Sendcat already.",
            rule="a game day takes out what it put in, and nothing else",
            then="weave another one in, or begin with a fresh practice house",
        )
    return fit[0]


@dataclass
class Weaver:
    """One fault of one day. ``begun_ms`` is when it went in, None as long as it is not."""

    run: Run
    faulting: Faulting
    fault: str
    after_s: float
    for_ms: int
    say: Callable[[str], Awaitable[None]]
    row: int | None = None
    coming: bool = False
    """Its moment has come: from here on it is carried to its end and not cut short."""
    begun_ms: int | None = None
    trouble: str = ""

    async def put_in(self) -> None:
        """Wait for the planned moment, then put the fault in; what goes wrong is kept, since load is running."""
        clock, store = self.run.world.clock, self.run.world.store
        await clock.sleep(self.after_s)
        if self.run.brake.halted is not None:
            return
        self.coming = True
        now_ms = clock.now_ms()

        def intend(tx: Tx) -> int:
            _record(tx, self.run.op.id, self.run.op.by.account, self.run.target.name, self.fault, "intent", "put in")
            return woven.plan(
                tx,
                op=self.run.op.id,
                target=self.run.target.name,
                origin=self.faulting.origin,
                fault=self.fault,
                planned_ms=now_ms,
                until_ms=now_ms + self.for_ms,
            )

        self.row = row = await store.write(intend)
        try:
            await self.faulting.put_in(self.fault, for_ms=self.for_ms)
        except SendcatError as error:
            self.trouble = error.what
            return
        self.begun_ms = clock.now_ms()
        await store.write(lambda tx: woven.begun(tx, row))
        await self.say(f"in since {self.after_s:g} s into the drills")

    async def take_out(self, how: str) -> None:
        """Out, if it was ever to go in; a failure is left to the next start and to the fault's own end."""
        if self.row is None:
            return
        row = self.row
        try:
            await self.faulting.take_out(self.fault)
        except SendcatError as error:
            log.warning("woven fault not taken out", fault=self.fault, error=error.what)
            self.trouble = self.trouble or f"it could not be taken out: {error.what}"
            return

        def note(tx: Tx) -> None:
            woven.cleared(tx, row, how)
            _record(tx, self.run.op.id, self.run.op.by.account, self.run.target.name, self.fault, "result", how)

        await self.run.world.store.write(note)
        self.row = None


@asynccontextmanager
async def weaving(weaver: Weaver) -> AsyncIterator[None]:
    """Around the drills and the look for the fault: it comes at its moment and is out afterwards."""
    coming = asyncio.create_task(weaver.put_in(), name="weave")
    try:
        yield
    finally:
        if not weaver.coming:
            coming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await _through(coming)
        how = "the day ended" if weaver.run.brake.halted is None else "stopped"
        await _through(asyncio.ensure_future(weaver.take_out(how)))


async def _through(task: asyncio.Future[None]) -> None:
    """To its end, also when whoever waits is cancelled meanwhile; raises what the task raised."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


def seen(fault: str, before: tuple[str, ...], after: tuple[str, ...] | None, weaver: Weaver) -> Judgement:
    """Whether the playbooks' signals found the fault.

    Found fails the day, as the fault would in life; not found fails it too, since nobody would have been told.
    """
    letter = fault[0]
    if weaver.begun_ms is None:
        why = weaver.trouble or "the drills ended before its moment"
        return sum_up([], reason=f"{fault} was not woven in: {why}")
    if letter in before:
        return sum_up([], reason=f"playbook {letter} had fired before {fault} was woven in")
    if after is None:
        return sum_up([], reason=f"no look could be taken while {fault} was in")
    word = "found" if letter in after else "did not find"
    return sum_up([], also=[Verdict.FAIL], reason=f"playbook {letter} {word} the woven fault {fault}")


async def sweep(world: World) -> None:
    """Take out what an earlier process left in; what cannot be reached ends by itself, and is looked for until then."""
    left = await world.store.read(woven.left_in)
    while left:
        still = []
        for item in left:
            how = await _swept(world, item)
            if how is None:
                still.append(item)
                continue

            def note(tx: Tx, item: Woven = item, how: str = how) -> None:
                woven.cleared(tx, item.n, how)
                _record(tx, item.op, "system", item.target, item.fault, "result", how)

            await world.store.write(note)
        left = tuple(still)
        if left:
            await asyncio.sleep(AGAIN_S)


async def _swept(world: World, item: Woven) -> str | None:
    target = world.config.target.get(item.target)
    if target is None or target.api_url != item.origin:
        return "its practice Sendcat is gone"
    try:
        await Faulting(target).take_out(item.fault)
    except Refused:
        return "its practice Sendcat is gone"
    except SendcatError as error:
        if world.clock.now_ms() < item.until_ms:
            log.warning("woven fault still in", fault=item.fault, error=error.what)
            return None
        return "it ended by itself"
    return SWEPT


def _record(tx: Tx, op: str, account: str, target: str, fault: str, phase: Phase, outcome: str) -> None:
    audit.append(
        tx,
        AuditRecord(
            actor=account,
            door="system",
            phase=phase,
            action="gameday",
            object=f"weave {fault}",
            target=target,
            op=op,
            outcome=outcome,
        ),
    )
