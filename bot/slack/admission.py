"""How many requests are worked on at a time, and how long one may wait (safety.md, R6).

Everybody gets an answer: those that cannot be taken in time hear "busy". A stop has a lane of its own, so that it is
answered while a thousand others wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.errors import Busy

AT_ONCE = 64
"""In Bolt at one time: enough to fill a group commit, few enough that each is answered soon."""
WAITING = 2_000
STOPS_AT_ONCE = 16
PATIENCE_S = 1.6
"""A request that waited this long is answered "busy": the rest of the 2.5 s belongs to the desk (R4)."""


class Admission:
    """Two lanes: one for stops, one for everything else. First come, first served within a lane."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING, patience_s: float = PATIENCE_S) -> None:
        self._lanes = {False: asyncio.Semaphore(at_once), True: asyncio.Semaphore(STOPS_AT_ONCE)}
        self._room = {False: waiting, True: waiting}
        self._patience_s = patience_s
        self.turned_away = 0

    @asynccontextmanager
    async def turn(self, *, stop: bool) -> AsyncIterator[None]:
        """Wait for a turn; raises `Busy` when too many wait already or the wait grows too long."""
        lane = self._lanes[stop]
        if self._room[stop] <= 0:
            self.turned_away += 1
            raise Busy("Too many requests are waiting; this was NOT accepted.", then="try again in a minute")
        self._room[stop] -= 1
        try:
            async with asyncio.timeout(self._patience_s):
                await lane.acquire()
        except TimeoutError:
            self.turned_away += 1
            raise Busy("The bot is busy; this was NOT accepted.", then="try again in a minute") from None
        finally:
            self._room[stop] += 1
        try:
            yield
        finally:
            lane.release()
