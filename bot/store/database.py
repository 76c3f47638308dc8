"""The store: one writer, a few readers, and a bell that rings after commits."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from bot.clock import Clock
from bot.errors import Broken, Busy, SendcatError
from bot.store import connection, epochs, health, migrations, outbox
from bot.store.connection import Unwritable
from bot.store.leader import Leadership
from bot.store.tx import Tx
from bot.store.writer import QUEUE_LIMIT, Writer

T = TypeVar("T")

READERS = 3
UNWRITABLE = "unwritable"
"""Topic that rings when a step could not be recorded because of the database itself (R38)."""
CLOSE_S = 5.0


class Store:
    """The database of ``state_dir``, opened by a leader (`open`) or only for reading (`open_reader`)."""

    def __init__(self, path: Path, *, epoch: int, damage: str | None = None) -> None:
        self.path = path
        self.epoch = epoch
        """The number of this start; when only reading, the newest one known."""
        self.damage = damage
        """Why nothing may be written, or None (safe mode, R41)."""
        self._writer: Writer | None = None
        self._bells: dict[str, list[Callable[[], None]]] = {}
        self._readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._closed = False
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="sendcat-reader")

    @classmethod
    def open(cls, leadership: Leadership, *, clock: Clock, queue_limit: int = QUEUE_LIMIT) -> Store:
        """Open for writing: check, migrate, raise the epoch, and find the letters whose sending was cut short.

        A damaged database is opened all the same, in safe mode: `damage` says why, reads may work, every write raises
        `Broken`, and the files stay as they are. Raises `Broken` when the file cannot be opened at all.
        """
        path = leadership.state_dir / connection.FILE
        try:
            if found := health.damage(path, leadership.epoch):
                return cls(path, epoch=leadership.epoch, damage=found)
            db = connection.writer(path)
            try:
                migrations.apply(db)
                epoch = max(epochs.newest(db), leadership.epoch) + 1
                tx = Tx(db, clock.now_ms(), epoch)
                db.execute("BEGIN IMMEDIATE")
                epochs.begin(tx)
                outbox.recover(tx)
                db.execute("COMMIT")
            except BaseException:
                db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise Broken(
                f"The database {path} cannot be opened: {error}.",
                rule="what cannot be recorded is not done",
                then="sendcat doctor",
            ) from error
        leadership.remember(epoch)
        store = cls(path, epoch=epoch)
        store._writer = Writer(
            db,
            clock=clock,
            epoch=epoch,
            committed=store._ring,
            damaged=store._now_damaged,
            limit=queue_limit,
        )
        return store

    @classmethod
    def open_reader(cls, state_dir: Path) -> Store:
        """Open for reading only, beside a leader or without one; raises `Broken` when there is nothing to read."""
        path = state_dir / connection.FILE
        if not path.is_file():
            raise Broken(f"There is no database in {state_dir} yet.", then="sendcat serve")
        try:
            db = connection.reader(path)
            epoch = epochs.newest(db)
        except sqlite3.Error as error:
            raise Broken(f"The database {path} cannot be read: {error}.", then="sendcat doctor") from error
        store = cls(path, epoch=epoch)
        store._readers.put(db)
        return store

    async def write(self, step: Callable[[Tx], T], *, urgent: bool = False) -> T:
        """Run a step in a transaction and return its result after the commit.

        Whatever the step raises is raised here, and nothing of it is recorded. Raises `Busy` when the queue is full,
        the store is closing or another process leads; `Broken` when it cannot be written (disk full, damage).
        A waiter that is cancelled does not undo its step: what was queued is written.
        """
        try:
            if self.damage:
                raise Unwritable(self.damage, rule="a damaged database is left as it is", then="sendcat doctor")
            if self._writer is None:
                raise Busy("This process only reads; another one leads.", rule="one leader per state folder")
            return await self._writer.submit(step, urgent=urgent)
        except Unwritable:
            self._ring({UNWRITABLE})
            raise

    async def read(self, look: Callable[[Connection], T]) -> T:
        """Run a look on a read-only connection, in one snapshot, beside the writer."""
        if self._closed:
            raise Busy("The bot is ending.", then="try again in a moment")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._look, look)

    def on_commit(self, topic: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` on the event loop after each commit that touched ``topic``; returns how to take it back."""
        self._bells.setdefault(topic, []).append(callback)

        def forget() -> None:
            with contextlib.suppress(ValueError):
                self._bells[topic].remove(callback)

        return forget

    def watch(self, topic: str) -> asyncio.Event:
        """An event that is set after each commit that touched ``topic``; who waits on it clears it before looking."""
        event = asyncio.Event()
        self.on_commit(topic, event.set)
        return event

    @property
    def closed(self) -> bool:
        """Whether nothing is read or written any more, since the bot is ending."""
        return self._closed

    @property
    def waiting(self) -> int:
        """How many steps wait for the writer."""
        return self._writer.waiting if self._writer else 0

    async def close(self, *, timeout_s: float = CLOSE_S) -> None:
        """Admit nothing more, write what waits (for ``timeout_s`` at most), close; safe to call twice."""
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.to_thread(self._pool.shutdown)
        while not self._readers.empty():
            self._readers.get_nowait().close()
        if self._writer is not None:
            await self._writer.close(timeout_s)

    def _look(self, look: Callable[[Connection], T]) -> T:
        conn: Connection | None = None
        try:
            try:
                conn = self._readers.get_nowait()
            except queue.Empty:
                conn = connection.reader(self.path)
            conn.execute("BEGIN")
            try:
                return look(conn)
            finally:
                conn.execute("ROLLBACK")
        except SendcatError:
            raise
        except sqlite3.Error as error:
            explained = connection.explain(error)
            if explained is error:
                raise
            raise explained from error
        finally:
            if conn is not None:
                self._readers.put(conn)

    def _ring(self, topics: set[str]) -> None:
        loop = asyncio.get_running_loop()
        for topic in topics:
            for callback in self._bells.get(topic, ()):
                loop.call_soon(callback)

    def _now_damaged(self, why: str) -> None:
        self.damage = why
