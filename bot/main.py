"""Builds the world and opens the doors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from bot.clock import Clock, SystemClock, rung
from bot.commands import catalog
from bot.config import Config
from bot.desk import Desk
from bot.errors import Busy, SendcatError
from bot.incidents.keeper import Keeper
from bot.logs import configure
from bot.notary import Notary
from bot.pages import findings, read_book
from bot.redact import Masker, Scrubber
from bot.sendcat.brake import Stops
from bot.store import audit, epochs, walks
from bot.store.audit import AuditRecord
from bot.store.database import UNWRITABLE, Store
from bot.store.leader import Leadership
from bot.terminal.socket import SocketServer
from bot.tuning.failpoints import PLAIN, Seams
from bot.worker import Worker
from bot.world import Finding, Floor, World

if TYPE_CHECKING:
    from bot.tuning.applier import Applier

log = structlog.get_logger("main")


@dataclass
class Bot:
    """The leader: lock, store, world, desk, worker, socket."""

    leadership: Leadership
    world: World
    desk: Desk
    worker: Worker
    socket: SocketServer
    applier: Applier
    cards: asyncio.Task[None] | None = None
    """Keeps the cards of decided cases as they stand."""
    pulse: asyncio.Task[None] | None = None
    """Notes a sign of life while something runs, and so notices when nothing can be recorded."""
    faults: asyncio.Task[None] | None = None
    """Takes out of practice what a game day of an earlier process left in."""

    @classmethod
    async def lead(
        cls,
        config: Config,
        *,
        clock: Clock | None = None,
        wait: bool = False,
        rests: bool = True,
        seams: Seams = PLAIN,
    ) -> Bot:
        """Take the lock, open the store, resolve what was left open, listen on the socket.

        Raises `Busy` (75) at once when another process leads, unless ``wait``.
        """
        clock = clock or SystemClock()
        wall = catalog()
        book = read_book(wall.names)
        leadership = await asyncio.to_thread(Leadership.acquire, config.state_dir, wait=wait)
        try:
            store = Store.open(leadership, clock=clock)
        except BaseException:
            leadership.release()
            raise
        world = World(
            config=config,
            clock=clock,
            store=store,
            book=book,
            stops=Stops(config.state_dir, clock),
            scrubber=Scrubber(config.secrets()),
            masker=Masker(masking_key(config.state_dir)),
            floor=Floor(clock, rests=rests),
            keeper=Keeper(
                store,
                clock,
                commands=[command.name for command in wall.commands if not command.quiet],
                artifact_dir=config.artifact_dir,
                runbook_dir=config.runbook_dir,
            ),
        )
        world.notary = Notary(store, clock, config)
        world.checks.append(lambda: _slack_findings(config))
        world.checks.append(lambda: asyncio.to_thread(findings, wall.names, book))
        from bot.tuning.applier import Applier  # only who leads carries changes, and pays for loading it

        desk = Desk(world, wall)
        bot = cls(
            leadership,
            world,
            desk,
            Worker(world, desk),
            SocketServer(desk, config.state_dir),
            Applier(world, seams),
        )
        store.on_commit(UNWRITABLE, lambda: halt(world))
        if store.damage is None:
            await store.write(
                lambda tx: audit.append(tx, AuditRecord(phase="system", action="start", actor="system", door="system"))
            )
            world.notary.start()
            world.carrier = bot.applier
            await bot.worker.start()
            if await store.read(walks.interrupted):
                from bot.walk.course import mend

                await mend(world)
            await bot.applier.start()
            bot.cards = asyncio.create_task(keep_cases(world), name="cases")
            bot.pulse = asyncio.create_task(keep_recording(world), name="pulse")
            bot.faults = asyncio.create_task(clear_faults(world), name="faults")
            assert world.keeper is not None
            world.keeper.start()
        await bot.socket.start()
        return bot

    async def close(self, grace_s: float = 5.0) -> None:
        """Admit nothing, stop drills, let the rest end, record what did not, release the lock; within 10 s (R32)."""
        self.desk.open = False
        for task in (self.cards, self.pulse, self.faults):
            if task is not None:
                task.cancel()
        await self.worker.stop(grace_s)
        await self.applier.stop()
        if self.world.keeper is not None:
            await self.world.keeper.stop()
        if self.world.notary is not None:
            await self.world.notary.stop()
        await self.socket.stop()
        await self.world.close()
        await self.world.store.close(timeout_s=2.0)
        self.leadership.release()


async def keep_cases(world: World) -> None:
    """Draw the cards of cases again whenever they stand differently: at start, after commits, and as they expire."""
    from bot.cases.deciding import settle

    changed = world.store.watch("cases")
    world.store.on_commit("ops", changed.set)
    # A wait that ends in the moment of a cancellation can swallow it, so the end is looked at as well.
    while not world.store.closed:
        changed.clear()
        try:
            await settle(world)
        except Busy:  # full, or ending: tried again, by whoever leads then
            pass
        except SendcatError as error:
            if world.store.closed:
                return
            log.warning("cases not drawn", error=error.what)
        if await rung(changed, CASES_EVERY_S):
            await asyncio.sleep(TOGETHER_S)


def halt(world: World) -> None:
    """Nothing can be recorded: what runs ends; what would begin is refused by its own intent (R38)."""
    for op in world.stops.running:
        log.error("stopped", op=op, reason="nothing can be recorded")
        world.stops.stop(op, "the bot: nothing can be recorded (R38)")


async def keep_recording(world: World) -> None:
    """While something runs, write a sign of life every few seconds: a drill that writes nothing is not unwatched."""
    while True:
        await asyncio.sleep(PULSE_S)
        if world.stops.running:
            try:
                await world.store.write(epochs.beat)
            except SendcatError as error:
                log.error("no sign of life", error=error.what)


async def clear_faults(world: World) -> None:
    """After a crash: no fault stays in a practice Sendcat because nobody was left to take it out."""
    from bot.store import woven

    if await world.store.read(woven.left_in):
        from bot.gameday.weave import sweep  # loaded only when there is something to do

        await sweep(world)


PULSE_S = 2.0
CASES_EVERY_S, TOGETHER_S = 20.0, 0.2
"""How often expiries are looked for, and how long changes are gathered before one look."""


async def _slack_findings(config: Config) -> list[Finding]:
    """Slack's lines of ``doctor``; its libraries are loaded only when somebody asks."""
    from bot.slack.check import check

    return await check(config)


def masking_key(state_dir: Path) -> bytes:
    """The key of the masking hash: made once, kept beside the database, readable by its owner only (R37)."""
    path = state_dir / "masking.key"
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    key = secrets.token_bytes(32)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
    return key


async def serve(config: Config, *, http: bool, port: int, standby: bool = False) -> int:
    """Run the bot on a workspace until a signal ends it; the exit status is 3 when its socket is lost for good."""
    from bot.slack.door import SlackDoor
    from bot.watch import Watch

    configure(Scrubber(config.secrets()), json=config.log_json)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)

    if not standby:  # who only waits for the lock is ended by the signal itself
        listen()
    bot = await Bot.lead(config, wait=standby)
    listen()
    loop.add_signal_handler(signal.SIGUSR1, lambda: bot.world.stops.stop_all("a signal on the host"))
    watch = Watch(bot.world.store, bot.world.clock, bot.world.config, keeper=bot.world.keeper, notary=bot.world.notary)
    door = SlackDoor(bot.world.config, bot.desk, bot.world.store, bot.world.clock)
    bot.world.directory, bot.world.messages = door.directory, door.messages
    lost = False
    try:
        if http:
            await door.start_http(config.http_host, port)
        else:
            await door.start_socket()
        watch.start()
        log.info("ready", mode="http" if http else "socket", epoch=bot.world.store.epoch)
        lost = await _until(ended, door.socket.lost if door.socket else None)
    finally:
        log.info("ending")
        bot.desk.open = False
        watch.stop()
        await bot.worker.stop()
        await door.stop(flush_s=1.5)
        await bot.close()
    return 3 if lost else 0


async def _until(ended: asyncio.Event, lost: asyncio.Event | None) -> bool:
    """Wait for a signal, or for a socket that cannot be opened again; whether it was the latter."""
    waits = [asyncio.create_task(event.wait()) for event in (ended, lost) if event is not None]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return not ended.is_set()
