"""Hangs cards up: pins them, sets the bookmark beside, and takes both away again; one at a time, as a convenience.

A pin is a row (`bot.store.pins`) that is settled once; where a scope is missing the card is simply not pinned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from bot.clock import Clock
from bot.slack.courier import Courier
from bot.slack.pace import Pace
from bot.store import pins
from bot.store.database import Store
from bot.store.pins import Pin

IDLE_S = 30.0
"""How long nobody looks when nothing is due; every commit to the outbox wakes its sender."""
_METHOD = "pins.add"

log = structlog.get_logger("post")


class Hanger:
    """Carries out one pin at a time; ``wake`` is called at its end."""

    def __init__(self, store: Store, courier: Courier, clock: Clock, pace: Pace, wake: Callable[[], None]) -> None:
        self._store, self._courier, self._clock, self._pace, self._wake = store, courier, clock, pace, wake
        self._task: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> tuple[asyncio.Task[None], ...]:
        """The pin that is being hung up or taken down, for who ends the process."""
        return (self._task,) if self._task is not None else ()

    def hang(self, pin: Pin) -> float:
        """Begin with this pin when its time has come; returns the seconds until the next may be looked for."""
        patience = self._pace.wait_s(_METHOD, pin.channel)
        if patience > 0 or self._task is not None:
            return patience or IDLE_S
        self._pace.take(_METHOD, pin.channel)
        self._task = asyncio.create_task(self._pin(pin), name=f"pin {pin.key}")
        self._task.add_done_callback(self._done)
        return IDLE_S

    def _done(self, _: asyncio.Task[None]) -> None:
        self._task = None
        self._wake()

    async def _pin(self, pin: Pin) -> None:
        outcome = await self._courier.pin(pin.channel, pin.ts, pin.wanted)
        if outcome.how in ("rate_limited", "unreachable"):
            self._pace.hold(_METHOD, outcome.retry_s)
            due_ms = self._clock.now_ms() + int(max(outcome.retry_s, 5.0) * 1000)
            await self._store.write(lambda tx: pins.later(tx, pin, due_ms))
            return
        if outcome.how != "sent":
            log.warning("not pinned", key=pin.key, error=outcome.error)
        bookmark = await self._bookmarked(pin) if outcome.how == "sent" else pin.bookmark
        await self._store.write(lambda tx: pins.settled(tx, pin, bookmark))

    async def _bookmarked(self, pin: Pin) -> str | None:
        """The bookmark beside a pin, set or taken away with it; never tried twice, since it is a convenience."""
        if pin.wanted:
            return await self._courier.bookmark(pin.channel, pin.ts, f"Sendcat {pin.key.rpartition(':')[2]}")
        if pin.bookmark is not None:
            await self._courier.unbookmark(pin.channel, pin.bookmark)
        return None
