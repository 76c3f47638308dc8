"""A stage on which settling takes no time: the bot's clock and the practice Sendcat's jump together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from bot.slack.door import SlackDoor
from bot.store import changes
from bot.store.change import Change
from bot.tuning.failpoints import PLAIN, Seams
from tests.conftest import Stage, until

JUMP_FROM_S = 20.0


@dataclass
class JumpClock:
    """The machine's clock, but a long sleep is a jump: of this clock, and of the practice Sendcat's with it."""

    sendcat: PracticeSendcat
    ahead_ms: int = 0
    slept_s: list[float] = field(default_factory=list)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_ms / 1000

    async def sleep(self, seconds: float) -> None:
        if seconds < JUMP_FROM_S:
            await asyncio.sleep(max(0.0, seconds))
            return
        self.slept_s.append(seconds)
        self.jump(seconds)
        await asyncio.sleep(0.01)

    def jump(self, seconds: float) -> None:
        self.ahead_ms += round(seconds * 1000)
        self.sendcat.clock.advance(round(seconds * 1000))
        self.sendcat.deployment.settle()


class Patient:
    """The same time, but sleeping is sleeping: for the Slack door, whose loops would run away."""

    def __init__(self, clock: JumpClock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@dataclass
class TuningStage(Stage):
    """The whole product with a jumping clock."""

    clock: JumpClock | None = None
    seams: Seams = PLAIN

    async def lead(self) -> Bot:
        self.clock = self.clock or JumpClock(self.sendcat)
        self.bot = await Bot.lead(self.config, clock=self.clock, rests=False, seams=self.seams)
        self.door = SlackDoor(self.bot.world.config, self.bot.desk, self.bot.world.store, Patient(self.clock))
        self.bot.world.directory = self.door.directory
        await self.door.open()
        self.slack.deliver_http(app=self.door.asgi_app)
        return self.bot

    async def change(self, change_id: str = "c-1") -> Change:
        assert self.bot is not None
        found = await self.bot.world.store.read(lambda conn: changes.get(conn, change_id))
        assert found is not None
        return found

    async def reaches(self, *states: str, change_id: str = "c-1", within_s: float = 40.0) -> Change:
        """Wait until the change is in one of these states."""
        found = await self.change(change_id)
        for _ in range(int(within_s / 0.05)):
            found = await self.change(change_id)
            if found.state in states:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{change_id} is {found.state}, not {states}: {found.note}")

    async def proposal(self) -> None:
        """Wait until the proposal's card stands with its button."""
        await until(lambda: any("Approve" in str(card) for card in self.cards()))
