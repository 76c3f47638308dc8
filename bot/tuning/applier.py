"""The applier: one task for each open change, which carries it from state to state until its story ends.

After a crash it finds every open change and goes on from its state: what was approved is applied or expires, what was
sent without an answer is left alone for a minute and then looked for, what was worse is undone (safety.md, R26-R28).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from bot.errors import SendcatError
from bot.redact import inert
from bot.store import changes
from bot.store.change import BEFORE_WRITE, Change, State
from bot.store.changes import Moved
from bot.tuning import back, forward
from bot.tuning.failpoints import PLAIN, Seams
from bot.tuning.hand import Hand
from bot.world import World

log = structlog.get_logger("tuning")

STEPS: Mapping[State, Callable[[Hand, Change], Awaitable[None]]] = {
    "approved": forward.approved,
    "taken": forward.taken,
    "intent": forward.intent,
    "ambiguous": forward.ambiguous,
    "written": forward.written,
    "confirmed": forward.confirmed,
    "settling": forward.settling,
    "retested": forward.retested,
    "undoing": back.undoing,
    "reverting": back.reverting,
    "doubtful": back.doubtful,
    "unknown": back.unknown,
}
_READING: tuple[State, ...] = ("ambiguous", "written", "settling", "doubtful", "unknown")
"""Nothing is sent in these: whoever has news for the change need not wait for the end of the step."""
RETRY_S = 30.0
"""After an error of our own in a step that may not be given up."""


class Applier:
    """Carries changes. ``start`` resolves what an earlier process left; `wake` takes a new one or brings news."""

    def __init__(self, world: World, seams: Seams = PLAIN) -> None:
        self.hand = Hand(world, seams)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._open = True

    async def start(self) -> None:
        """Mark what is in doubt, at once, then carry on with every open change."""
        for change in await self.hand.world.store.read(changes.open_changes):
            if change.state in ("intent", "reverting"):
                await STEPS[change.state](self.hand, change)
            self.wake(change.id)

    async def stop(self, grace_s: float = 3.0) -> None:
        """Give writes a moment to be answered and recorded, then leave the rest to the next start."""
        self._open = False
        for change_id, task in list(self._tasks.items()):
            change = await self.hand.get(change_id)
            if change is not None and change.state not in ("taken", "intent", "undoing", "reverting"):
                task.cancel()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)

    def wake(self, change_id: str) -> None:
        """There is a change to carry, or news of one: a person has approved, stopped or undone it."""
        if change_id in self._tasks:
            self._news[change_id].set()
            return
        if not self._open:
            return  # the next start finds it
        self._news[change_id] = asyncio.Event()
        task = asyncio.create_task(self._carry(change_id), name=change_id)
        self._tasks[change_id] = task
        task.add_done_callback(lambda _: self._forget(change_id))

    async def ended(self, change_id: str, within_s: float | None = None) -> None:
        """Wait until nothing is carried of this change any more: its story ended, or it waits for a person."""
        task = self._tasks.get(change_id)
        if task is not None:
            await asyncio.wait({task}, timeout=within_s)

    def _forget(self, change_id: str) -> None:
        task = self._tasks.pop(change_id, None)
        news = self._news.pop(change_id, None)
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            log.error("change lost", change=change_id, error=repr(error))
        elif news is not None and news.is_set() and task is not None and not task.cancelled():
            self.wake(change_id)

    async def _carry(self, change_id: str) -> None:
        while True:
            self._news[change_id].clear()
            change = await self.hand.get(change_id)
            if change is None or change.state not in STEPS:
                if change is not None:
                    self.hand.let_go(change)
                return
            try:
                await self._step(change)
            except Moved:
                continue
            except SendcatError as error:
                await self._trouble(change, error)
            except Exception:
                log.exception("a step failed", change=change_id, state=change.state)
                await self._trouble(change, SendcatError("a fault inside the bot; the log has it"))

    async def _step(self, change: Change) -> None:
        """One step; in those that only read and wait, news cut it short."""
        step = asyncio.ensure_future(STEPS[change.state](self.hand, change))
        news = asyncio.ensure_future(self._news[change.id].wait())
        try:
            await asyncio.wait({step, news}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done() and change.state in _READING:
                return
            await step
        finally:
            news.cancel()
            if not step.done():
                step.cancel()
                await asyncio.wait({step})

    async def _trouble(self, change: Change, error: SendcatError) -> None:
        """A step that could not be done: before the write it is given up, afterwards it is tried again."""
        try:
            now = await self.hand.get(change.id)
            if now is not None and now.state in BEFORE_WRITE and now.state != "proposed":
                await self.hand.move(now, "failed", note=f"Not begun: {inert(error.what, 300)}")
                return
        except SendcatError as again:
            log.warning("not recorded", change=change.id, error=again.what)
        log.warning("a step waits", change=change.id, state=change.state, error=error.what)
        await self.hand.world.clock.sleep(RETRY_S)
