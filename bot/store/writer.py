"""The writer: one thread, one connection, many waiting steps per commit (safety.md, decision 2; R4, R29, R38)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, TypeVar

from bot.clock import Clock
from bot.errors import Busy
from bot.store import epochs
from bot.store.connection import Unwritable, explain, is_damage
from bot.store.tx import Tx

T = TypeVar("T")

GROUP = 64
"""At most this many steps share a commit."""
QUEUE_LIMIT = 4_000
"""At most this many steps wait; the next one is told that we are busy (R6). The urgent lane has as much again."""


@dataclass
class _Item:
    step: Callable[[Tx], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    topics: set[str] = field(default_factory=set)


class _Gone(Exception):
    """The transaction was lost under a step; nothing of the group is recorded."""


class Writer:
    """Runs steps in groups. A future is resolved after the commit that holds its step, never before.

    Each step has its own savepoint: one that fails leaves its neighbours alone. A group whose transaction fails, fails
    as a whole, and every waiter is told that nothing was recorded. ``committed`` is called on the event loop with the
    topics that were touched; ``damaged`` is called in the thread of the writer with a sentence, once.
    """

    def __init__(
        self,
        db: Connection,
        *,
        clock: Clock,
        epoch: int,
        committed: Callable[[set[str]], None],
        damaged: Callable[[str], None],
        limit: int = QUEUE_LIMIT,
    ) -> None:
        self._db = db
        self._clock = clock
        self._epoch = epoch
        self._committed = committed
        self._damaged = damaged
        self._limit = limit
        self._urgent: deque[_Item] = deque()
        self._waiting: deque[_Item] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._deadline: float | None = None
        self._damage: str | None = None
        self._thread = threading.Thread(target=self._run, name="sendcat-writer", daemon=True)
        self._thread.start()

    def submit(self, step: Callable[[Tx], T], *, urgent: bool) -> asyncio.Future[T]:
        """Queue a step; raises `Busy` when the queue is full or the store is closing: nothing was accepted."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        lane = self._urgent if urgent else self._waiting
        with self._change:
            if self._closing:
                raise Busy("The bot is ending: nothing was recorded.", then="try again in a moment")
            if len(lane) >= self._limit:
                raise Busy(
                    f"Too much at once ({self._limit} requests are waiting): nothing was recorded.",
                    then="try again in a moment",
                )
            lane.append(_Item(step, loop, future))
            self._change.notify()
        return future

    @property
    def waiting(self) -> int:
        """How many steps wait for their turn."""
        return len(self._urgent) + len(self._waiting)

    async def close(self, timeout_s: float) -> None:
        """Admit nothing more, write what waits for at most ``timeout_s``, tell the rest, close the connection."""
        with self._change:
            self._closing = True
            self._deadline = time.monotonic() + timeout_s
            self._change.notify()
        await asyncio.to_thread(self._thread.join, timeout_s + 1.0)

    def _run(self) -> None:
        while items := self._take():
            self._commit(items)
            self._answer(items)
        self._end()

    def _take(self) -> list[_Item]:
        """The next group, urgent ones first; waits for one, and is empty at the end."""
        with self._change:
            while not (self._urgent or self._waiting or self._closing):
                self._change.wait()
            if self._deadline is not None and time.monotonic() > self._deadline:
                return []
            items: list[_Item] = []
            for lane in (self._urgent, self._waiting):
                while lane and len(items) < GROUP:
                    items.append(lane.popleft())
            return items

    def _commit(self, items: list[_Item]) -> None:
        db = self._db
        try:
            if self._damage:
                raise Unwritable(self._damage, rule="a damaged database is left as it is", then="sendcat doctor")
            db.execute("BEGIN IMMEDIATE")
            epochs.check(db, self._epoch)
            for item in items:
                self._step(item)
            db.execute("COMMIT")
        except BaseException as error:
            self._note(error)
            with contextlib.suppress(Exception):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            cause = error.__cause__ if isinstance(error, _Gone) and error.__cause__ else error
            for item in items:
                item.result = None
                item.error = item.error or explain(cause)
                item.topics.clear()

    def _step(self, item: _Item) -> None:
        db = self._db
        tx = Tx(db, self._clock.now_ms(), self._epoch)
        db.execute("SAVEPOINT step")
        try:
            item.result = item.step(tx)
            item.topics = tx.topics
        except BaseException as error:
            self._note(error)
            item.error = explain(error)
            if not db.in_transaction:
                raise _Gone from item.error
            db.execute("ROLLBACK TO step")
        if not db.in_transaction:
            raise _Gone from RuntimeError("a step ended the transaction that it shares with others")
        db.execute("RELEASE step")

    def _note(self, error: BaseException) -> None:
        """After an error of the file itself nothing more is written: what a failed sync lost is not known."""
        if self._damage is None and is_damage(error):
            self._damage = f"The database is in doubt since an error ({error}): it is read only now."
            self._damaged(self._damage)

    def _answer(self, items: Iterable[_Item]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
        for item in items:
            loops.setdefault(item.loop, []).append(item)
        for loop, group in loops.items():
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(self._resolve, group)

    def _resolve(self, items: list[_Item]) -> None:
        topics: set[str] = set()
        for item in items:
            topics |= item.topics
            if item.future.done():
                continue
            if item.error is None:
                item.future.set_result(item.result)
            elif isinstance(item.error, StopIteration):  # a future refuses it
                item.future.set_exception(RuntimeError("a step raised StopIteration"))
            else:
                item.future.set_exception(item.error)
        if topics:
            self._committed(topics)

    def _end(self) -> None:
        with self._change:
            left = [*self._urgent, *self._waiting]
            self._urgent.clear()
            self._waiting.clear()
        for item in left:
            item.error = Busy("The bot is ending: nothing was recorded.", then="try again in a moment")
        self._answer(left)
        db = self._db
        with contextlib.suppress(Exception):  # a database that cannot be written keeps its unclean end
            if self._damage is None:
                db.execute("BEGIN IMMEDIATE")
                epochs.check(db, self._epoch)
                epochs.end(Tx(db, self._clock.now_ms(), self._epoch), clean=not left)
                db.execute("COMMIT")
        db.close()
