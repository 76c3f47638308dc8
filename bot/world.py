"""Everything a run may use, put together once and passed by hand: no module keeps a global of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bot.authority import Standing
from bot.card import Card
from bot.clock import Clock
from bot.command import Outcome
from bot.config import Config
from bot.errors import SendcatError, Unreachable
from bot.incidents.keeper import Keeper
from bot.notary import Notary
from bot.redact import Masker, Scrubber
from bot.sendcat.brake import Stops
from bot.sendcat.convex import ConvexClient
from bot.sendcat.line import Line
from bot.store import incidents
from bot.store.database import Store
from bot.target import Target
from playbooks.book import Book

VERSION = "0.1.0"


@dataclass(frozen=True)
class Said:
    """One message of the workspace, as the workspace itself shows it. ``text`` is foreign and not yet inert.

    ``author`` is an account, or empty for a message without one; ``at_ms`` is when it was written, ms UTC.
    """

    channel: str
    ts: str
    author: str
    text: str
    at_ms: int
    link: str


class Messages(Protocol):
    """Reads messages of channels the bot is in, so that nobody can put words into a mouth."""

    async def read(self, channel: str, ts: str) -> Said:
        """Raises `Refused` when there is no such message or the bot may not read it, `Unreachable` without Slack."""

    def address(self, channel: str, ts: str) -> str:
        """Where a message of ours stands, as a link; empty as long as the workspace's address is not known."""


class Directory(Protocol):
    """What a workspace says of an account (safety.md, R7, R8)."""

    @property
    def team(self) -> str | None:
        """The workspace's id, once Slack has told it."""

    async def standing(self, account: str) -> Standing:
        """Never raises: what cannot be learned is ``unknown``."""


class NoWorkspace:
    """The directory while Slack is not connected: nobody from there is known."""

    team: str | None = None

    async def standing(self, account: str) -> Standing:
        return Standing(known=False, kind="unknown")


class Carrier(Protocol):
    """Who carries tuning changes from their approval to their end (`bot.tuning.applier`)."""

    def wake(self, change_id: str) -> None:
        """There is a change to carry, or news of one."""

    async def ended(self, change_id: str, within_s: float | None = None) -> None:
        """Wait until nothing is carried of it any more."""


class NoMessages:
    """While Slack is not connected, nothing can be read there."""

    async def read(self, channel: str, ts: str) -> Said:
        raise Unreachable("Slack is not connected to this process.", then="add it in Slack, or: sendcat incident note")

    def address(self, channel: str, ts: str) -> str:
        return ""


@dataclass(frozen=True)
class Finding:
    """One line of ``doctor``: what was looked at, how it is, what to do."""

    what: str
    state: str
    """``ok``, ``warn``, ``bad`` or ``skipped``."""
    detail: str
    then: str = ""


class Feed:
    """Cards of running operations, for whoever watches from this process: the terminal door and the socket."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Card, Outcome | None]] = {}
        self._watchers: dict[str, set[asyncio.Queue[tuple[Card, Outcome | None]]]] = {}

    def publish(self, op: str, card: Card, outcome: Outcome | None = None) -> None:
        """Show a newer card; with ``outcome`` the operation has ended. Only ended runs of the last 200 are kept."""
        self._last[op] = (card, outcome)
        while len(self._last) > 200:
            self._last.pop(next(iter(self._last)))
        for queue in self._watchers.get(op, ()):
            queue.put_nowait((card, outcome))

    async def follow(self, op: str) -> AsyncIterator[tuple[Card, Outcome | None]]:
        """The newest card at once, then each newer one, until the outcome."""
        queue: asyncio.Queue[tuple[Card, Outcome | None]] = asyncio.Queue()
        self._watchers.setdefault(op, set()).add(queue)
        try:
            if op in self._last:
                queue.put_nowait(self._last[op])
            while True:
                card, outcome = await queue.get()
                yield card, outcome
                if outcome is not None:
                    return
        finally:
            watchers = self._watchers[op]
            watchers.discard(queue)
            if not watchers:
                del self._watchers[op]


class Floor:
    """One load operation at a time per target origin, with rests between them (safety.md, R17; VERDICTS.md)."""

    REST_AFTER_QUICK_S = 10.0
    REST_AFTER_LOAD_S = 60.0

    def __init__(self, clock: Clock, rests: bool = True) -> None:
        self._clock = clock
        self._rests = rests
        self._locks: dict[str, asyncio.Lock] = {}
        self._holders: dict[str, str] = {}
        self._free_at: dict[str, float] = {}

    def holder(self, origin: str) -> str | None:
        """The run that loads this origin now."""
        return self._holders.get(origin)

    @asynccontextmanager
    async def hold(
        self, origin: str, op: str, *, quick: bool, waiting: Callable[[str], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Wait for the turn, saying so through ``waiting``; inside an operation there is no rest.

        An operation of several drills holds the origin around them all; each of them is let through at once.
        """
        if self._holders.get(origin) == op:
            yield
            return
        lock = self._locks.setdefault(origin, asyncio.Lock())
        if lock.locked():
            await waiting(f"waiting for run {self._holders.get(origin, 'before this one')} to end")
        async with lock:
            rest = self._free_at.get(origin, 0.0) - self._clock.monotonic()
            if rest > 0 and self._rests:
                await waiting(f"waiting {rest:.0f} s: rest between drills on one origin")
                await self._clock.sleep(rest)
            self._holders[origin] = op
            try:
                yield
            finally:
                self._holders.pop(origin, None)
                pause = self.REST_AFTER_QUICK_S if quick else self.REST_AFTER_LOAD_S
                self._free_at[origin] = self._clock.monotonic() + pause


class Bound:
    """Channels that an open incident is bound to; read again only after a commit that may have changed them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known, self._now = -1, 0
        self.channels: frozenset[str] = frozenset()
        store.on_commit(incidents.TOPIC, self._changed)

    def _changed(self) -> None:
        self._now += 1

    async def fresh(self) -> frozenset[str]:
        """The channels now; what is known stays when the database does not answer, so that help and stop go on."""
        if self._known != self._now:
            looking_at = self._now
            with contextlib.suppress(SendcatError):
                self.channels = await self._store.read(incidents.bound)
                self._known = looking_at
        return self.channels


@dataclass
class World:
    """The parts, as `bot.main` and the tests put them together."""

    config: Config
    clock: Clock
    store: Store
    book: Book
    stops: Stops
    scrubber: Scrubber
    masker: Masker
    directory: Directory = field(default_factory=NoWorkspace)
    messages: Messages = field(default_factory=NoMessages)
    feed: Feed = field(default_factory=Feed)
    floor: Floor | None = None
    carrier: Carrier | None = None
    notary: Notary | None = None
    checks: list[Callable[[], Awaitable[list[Finding]]]] = field(default_factory=list)
    """Further looks of ``doctor`` that only a door can take (Slack)."""
    _clients: dict[str, ConvexClient] = field(default_factory=dict)

    keeper: Keeper | None = None
    bound: Bound = field(init=False)

    def __post_init__(self) -> None:
        self.bound = Bound(self.store)
        if self.floor is None:
            self.floor = Floor(self.clock)

    def convex(self, target: Target) -> ConvexClient:
        """The one client of a target; only it holds the deploy key (safety.md, decision 8)."""
        if target.name not in self._clients:
            self._clients[target.name] = ConvexClient(Line(target, self.clock, self.scrubber))
        return self._clients[target.name]

    async def close(self) -> None:
        """Close every client; the store is closed by who opened it."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
