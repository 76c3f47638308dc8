"""How the requests of one stage come into the world: by plan (open loop), by workers (closed loop), or by streams.

All three send through `Shop`, which is the engine. Nothing here waits: a timer and the ends of requests drive it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from bot.sendcat.load.share import Share
from slo.profiles import GIVEN_UP_MS, StagePlan, StreamPlan
from slo.tally import StageTally

OVERTIME_S = GIVEN_UP_MS / 1000
"""After the last planned moment, requests that still wait for a free place are given up after this time."""
TICK_S = 0.001
LOOK_EVERY_S = 0.25
"""How often the open streams of a milestone are counted."""
REFUSED_AGAIN_S = 1.0
REFUSED_PER_S = 500
"""A stream that was refused or failed was never open: it is tried again after a second, and no more than so many a
second in all. Replacing refusals at once would answer "too many" with thousands of requests a second."""


class Shop(Protocol):
    """What a stage needs from the engine."""

    def now(self) -> float:
        """Monotonic seconds."""

    def send(self, index: int, planned_at: float, tally: StageTally) -> bool:
        """Send one request; False when the brake is on."""

    def own_lag(self, seconds: float) -> None:
        """How late we ourselves were to look at a planned request."""


class Stage:
    """One stage while it runs, from the moment ``began`` on. ``over`` is done when all that was sent has ended.

    ``cap`` is the most that may be open at once, of all processes together; ``share`` is this process's part.
    """

    def __init__(
        self, shop: Shop, plan: StagePlan, tally: StageTally, cap: int, began: float, share: Share | None = None
    ) -> None:
        self.shop = shop
        self.plan = plan
        self.tally = tally
        self.share = (share or Share()).among(cap)
        self.cap = self.share.count(cap)
        self.next = 0
        self.in_flight = 0
        self.began = began
        self.loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self.loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        """Send the first requests."""
        raise NotImplementedError

    def ended(self, well: bool = True) -> None:
        """One of this stage's requests is over; ``well`` when it was what had been asked for."""
        self.in_flight -= 1
        if not self._stopped:
            self.more(well)
        self.settle()

    def more(self, well: bool) -> None:
        """A place is free."""

    @property
    def finished_sending(self) -> bool:
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """Requests whose planned moment has come and that have no place yet."""
        return 0

    def stop(self) -> None:
        """Send nothing more; what waits is never sent."""
        self._stopped = True
        self.cancel()
        self.settle()

    def settle(self) -> None:
        if (self._stopped or self.finished_sending) and self.in_flight <= 0 and not self.over.done():
            self.cancel()
            self.over.set_result(None)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def at(self, moment: float, call: Callable[[], None]) -> None:
        self._timer = self.loop.call_later(max(TICK_S, moment - self.shop.now()), call)

    def settle_at(self, moment: float) -> None:
        """Settle then; a timer may fire a little early."""
        if self.shop.now() < moment:
            self.at(moment, lambda: self.settle_at(moment))
        else:
            self.settle()

    def send(self, planned_at: float) -> bool:
        index, self.next = self.share.number(self.next), self.next + 1
        self.in_flight += 1
        if self.shop.send(index, planned_at, self.tally):
            return True
        self.in_flight -= 1
        self.stop()
        return False


class OpenStage(Stage):
    """Arrivals at the planned rate, whatever the target does; latency counts from the planned moment.

    What finds no place (in flight at most ``cap``) waits, and counts as late.
    """

    def __init__(
        self, shop: Shop, plan: StagePlan, tally: StageTally, cap: int, began: float, share: Share | None = None
    ) -> None:
        super().__init__(shop, plan, tally, cap, began, share)
        assert plan.per_second is not None
        self._every = 1 / plan.per_second
        self._total = self.share.count(plan.planned_requests or 0)
        self._arrived = 0
        self._waiting: deque[float] = deque()
        tally.planned = self._total

    def start(self) -> None:
        self._tick()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def overdue(self, before: float) -> int:
        """Waiting requests that were planned before this moment."""
        return sum(1 for planned in self._waiting if planned < before)

    @property
    def finished_sending(self) -> bool:
        return self._arrived >= self._total and not self._waiting

    def _tick(self) -> None:
        now = self.shop.now()
        while self._arrived < self._total and not self._stopped:
            planned = self.began + self.share.number(self._arrived) * self._every
            if planned > now:
                self.at(planned, self._tick)
                return
            self._arrived += 1
            self.shop.own_lag(now - planned)
            if self.in_flight < self.cap and not self._waiting:
                self.send(planned)
            else:
                self._waiting.append(planned)
        if self._waiting and not self._stopped:
            self.at(self.began + self.share.number(self._total) * self._every + OVERTIME_S, self._give_up)
        self.settle()

    def _give_up(self) -> None:
        self._waiting.clear()
        self.settle()

    def more(self, well: bool) -> None:
        while self._waiting and self.in_flight < self.cap and not self._stopped:
            self.send(self._waiting.popleft())


class ClosedStage(Stage):
    """The original's loop: each worker sends its next request when the last one is over."""

    def start(self) -> None:
        if self.began > self.shop.now():
            self.at(self.began, self.start)
            return
        for _ in range(self.cap):
            if self.finished_sending or not self._one():
                break
        self.settle()
        if self.plan.duration_ms is not None and not self._stopped and not self.over.done():
            self.settle_at(self.began + self.plan.duration_ms / 1000)

    @property
    def finished_sending(self) -> bool:
        if self.share.idle:
            return True
        if self.plan.total is not None:
            return self.next >= self.share.count(self.plan.total)
        assert self.plan.duration_ms is not None
        return (self.shop.now() - self.began) * 1000 >= self.plan.duration_ms

    def more(self, well: bool) -> None:
        if not self.finished_sending:
            self._one()

    def _one(self) -> bool:
        self.tally.planned += 1
        return self.send(self.shop.now())


class StreamStage(Stage):
    """A milestone at true scale: N streams arrive over the ramp, each ended one is replaced at once, then all end.

    What is planned within the ramp is warm-up and goes into its own tally. ``open_counts`` are the open streams at
    steps of `LOOK_EVERY_S` from the beginning.
    """

    def __init__(
        self,
        shop: Shop,
        streams: StreamPlan,
        ramp: StageTally,
        sustain: StageTally,
        began: float,
        share: Share | None = None,
    ) -> None:
        until = streams.ramp_ms + streams.sustain_ms
        plan = StagePlan("sustain", workers=streams.streams, duration_ms=until)
        super().__init__(shop, plan, ramp, streams.streams, began, share)
        self._every = streams.ramp_ms / 1000 / streams.streams
        self._ramp_s = streams.ramp_ms / 1000
        self._until = self.began + until / 1000
        self._sustain = sustain
        self._opened = 0
        self._later: set[asyncio.TimerHandle] = set()
        self._refused_every = self.share.of / REFUSED_PER_S
        self._next_refused = 0.0
        self.open_counts: list[int] = []

    def start(self) -> None:
        self._tick()

    @property
    def finished_sending(self) -> bool:
        return self.shop.now() >= self._until

    def look(self) -> None:
        """Count the open streams; a step that was missed has the count of this one."""
        due = int((min(self.shop.now(), self._until) - self.began) / LOOK_EVERY_S)
        self.open_counts += [self.in_flight] * (due - len(self.open_counts))

    def _tick(self) -> None:
        now = self.shop.now()
        while self._opened < self.cap and not self._stopped:
            planned = self.began + self.share.number(self._opened) * self._every
            if planned > now:
                self.at(planned, self._tick)
                return
            self._opened += 1
            self.shop.own_lag(now - planned)
            self._one(planned)
        if not self._stopped:
            self.settle_at(self._until)

    def more(self, well: bool) -> None:
        if self.finished_sending:
            return
        if well:
            self._one(self.shop.now())
            return
        now = self.shop.now()
        self._next_refused = max(now + REFUSED_AGAIN_S, self._next_refused + self._refused_every)
        wait = self._next_refused - now
        handle: asyncio.TimerHandle = self.loop.call_later(wait, lambda: self._again(handle))
        self._later.add(handle)

    def _again(self, handle: asyncio.TimerHandle) -> None:
        self._later.discard(handle)
        if not self._stopped and not self.finished_sending:
            self._one(self.shop.now())

    def cancel(self) -> None:
        super().cancel()
        for handle in self._later:
            handle.cancel()
        self._later.clear()

    def _one(self, planned: float) -> None:
        if self.tally is not self._sustain and planned - self.began >= self._ramp_s:
            self.tally = self._sustain
        self.tally.planned += 1
        self.send(planned)
