"""Makes a pool user by user; each one that succeeds stands in the file at once (operator-commands.md section 11).

What an earlier run of the same name made is kept: a token that lives long enough stays, a user whose token has ended is
signed in again and keeps his thread; until then his old entry stays. One user who fails takes none of the others along,
and a stop leaves a whole file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.authpool.entries import Entry, earlier, ends_ms
from bot.errors import Refused
from bot.sendcat.app import AppFailed, create_thread, sign
from bot.sendcat.dial import tls_context
from bot.store import artifacts
from bot.store.artifacts import Artifact

if TYPE_CHECKING:
    from bot.run import Run

AT_ONCE = 4
"""Users in the making at the same time: sign-in is costly for the app, and it limits it."""
TRIES = 3
SAY_EVERY = 5


@dataclass(frozen=True)
class Wish:
    """Which users: ``<prefix>-<seed>-<4-digit index>@example.com`` from ``start`` on, ``count`` of them.

    A token that does not live ``keep_ms`` longer is renewed; ``renew`` renews them all.
    """

    name: str
    prefix: str
    seed: str
    start: int
    count: int
    model_id: str
    title: str
    keep_ms: int
    renew: bool = False

    @property
    def indices(self) -> range:
        return range(self.start, self.start + self.count)

    def email(self, index: int) -> str:
        return f"{self.prefix}-{self.seed}-{index:04d}@example.com"


@dataclass
class Made:
    """How it went: users by what was done, failures by label with their reason (no secret in it)."""

    users: dict[int, Entry] = field(default_factory=dict)
    kept: int = 0
    renewed: int = 0
    signed_up: int = 0
    threads: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    not_tried: int = 0
    artifact: Artifact | None = None
    unclear: int = 0


async def make(run: Run, wish: Wish, password: str, say: Callable[[str], Awaitable[None]]) -> Made:
    """Make or complete the pool.

    Raises `Broken` when its name is taken by something else or the disk refuses, `Refused` when it is another target's.
    """
    await own(run, wish.name)
    return await _Maker(run, wish, password, say).make()


async def own(run: Run, name: str) -> None:
    """A pool of this name that was made for another target stays that target's (R15)."""
    row = await run.world.store.read(lambda conn: artifacts.named(conn, name))
    there = (run.world.config.artifact_dir / name).is_file()
    if there and row is not None and row.target not in (None, run.target.name):
        raise Refused(
            f"{name} holds credentials of target {row.target}, not of {run.target.name}.",
            rule="each credential belongs to one target and is never sent elsewhere (R15)",
            then=f"sendcat pool --target={run.target.name} --prefix={run.target.name}",
        )


class _Maker:
    def __init__(self, run: Run, wish: Wish, password: str, say: Callable[[str], Awaitable[None]]) -> None:
        self.run, self.wish, self.password, self.say = run, wish, password, say
        self.made = Made()
        self._had: dict[str, Entry] = {}
        self._writing = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tls = tls_context() if run.target.app_url.startswith("https") else None

    async def make(self) -> Made:
        folder = self.run.world.config.artifact_dir
        self._had = await asyncio.to_thread(earlier, folder / self.wish.name)
        self.run.world.scrubber.learn_all([self.password, *(entry.token for entry in self._had.values())])
        waiting = []
        now_ms = self.run.world.clock.now_ms()
        for index in self.wish.indices:
            entry = self._had.get(self.wish.email(index))
            if entry is not None and not self.wish.renew and self._lives(entry, now_ms):
                self.made.users[index] = entry
                self.made.kept += 1
            else:
                waiting.append(index)
        try:
            await asyncio.gather(*(self._one(index) for index in waiting))
        finally:
            if self.made.users:
                await asyncio.shield(self._write(register=True))
        return self.made

    def _lives(self, entry: Entry, now_ms: int) -> bool:
        end = ends_ms(entry.token)
        return end is not None and end > now_ms + self.wish.keep_ms

    async def _one(self, index: int) -> None:
        async with self._places:
            if self.run.brake.check() is not None:
                self.made.not_tried += 1
                return
            label = f"u{index}"
            try:
                entry = await self._until_made(index, label)
            except AppFailed as failed:
                self.made.failed[label] = failed.what
                self.made.unclear += failed.ambiguous
                return
            self.made.users[index] = entry
            await self._write(register=self.made.artifact is None)
            done = len(self.made.users)
            if done % SAY_EVERY == 0 or done == self.wish.count:
                await self.say(f"{done} of {self.wish.count} users")

    async def _until_made(self, index: int, label: str) -> Entry:
        """Up to three tries where another one may help; a stop ends the waiting."""
        for left in range(TRIES - 1, -1, -1):
            try:
                return await self._make(index, label)
            except AppFailed as failed:
                if failed.again_s is None or left == 0:
                    raise
                await self.run.world.clock.sleep(failed.again_s)
                if self.run.brake.check() is not None:
                    raise
        raise AssertionError("unreachable")

    async def _make(self, index: int, label: str) -> Entry:
        target, email = self.run.target, self.wish.email(index)
        self.run.brake.count()
        signed = await sign(
            target, email=email, name=f"{self.wish.prefix} {label}", password=self.password, tls=self._tls
        )
        self.run.world.scrubber.learn(signed.token)
        had = self._had.get(email)
        if had is not None and signed.source == "sign-in":
            self.made.renewed += 1
            return Entry(label, email, had.thread_id, signed.token, signed.source)
        now_ms = self.run.world.clock.now_ms()
        thread = await create_thread(
            target,
            signed.token,
            title=f"{self.wish.title} {label}",
            model_id=self.wish.model_id,
            session_id=f"loadtest-{self.wish.seed}-{index}-{now_ms}",
            tls=self._tls,
        )
        self.made.threads += 1
        if signed.source == "sign-up":
            self.made.signed_up += 1
        else:
            self.made.renewed += 1
        return Entry(label, email, thread, signed.token, signed.source)

    async def _write(self, *, register: bool) -> None:
        """The whole file under its name, in the order of the users; a row says whose it is from the first user on."""
        async with self._writing:
            users = dict(self._had)
            for index in sorted(self.made.users):
                users[self.wish.email(index)] = self.made.users[index]
            order = {self.wish.email(index): index for index in self.wish.indices}
            rows = [users[email].to_json() for email in sorted(users, key=lambda email: (order.get(email, 1e9), email))]
            written = await asyncio.to_thread(
                artifacts.write_file,
                self.run.world.config.artifact_dir,
                self.wish.name,
                rows,
                kind="pool",
                started_ms=self.run.world.clock.now_ms(),
                target=self.run.target.name,
                op=self.run.op.id,
            )
            if register or self.made.artifact is None:
                await self.run.world.store.write(lambda tx: artifacts.register(tx, written))
            self.made.artifact = written
