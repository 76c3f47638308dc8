"""How the requests of one stage come into the world: by plan (open loop), by workers (closed loop), or by streams.

All three send through `Shop`, which is the engine. Nothing here waits: a timer and the ends of requests drive it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from slo.profiles import StagePlan, StreamPlan
from slo.tally import StageTally

OVERTIME_S = 15.0
"""After the last planned moment, requests that still wait for a free place are given up after this time."""
TICK_S = 0.001


class Shop(Protocol):
    """What a stage needs from the engine."""

    def now(self) -> float:
        """Monotonic seconds."""

    def send(self, index: int, planned_at: float, tally: StageTally) -> bool:
        """Send one request; False when the brake is on."""

    def own_lag(self, seconds: float) -> None:
        """How late we ourselves were to look at a planned request."""


class Stage:
    """One stage while it runs. ``over`` is done when everything that was sent has ended."""

    def __init__(self, shop: Shop, plan: StagePlan, tally: StageTally, cap: int) -> None:
        self.shop = shop
        self.plan = plan
        self.tally = tally
        self.cap = cap
        self.next = 0
        self.in_flight = 0
        self.began = shop.now()
        self.loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self.loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def start(self) -> None:
        """Send the first requests."""
        raise NotImplementedError

    def ended(self) -> None:
        """One of this stage's requests is over."""
        self.in_flight -= 1
        if not self._stopped:
            self.more()
        self.settle()

    def more(self) -> None:
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

    def send(self, planned_at: float) -> bool:
        index, self.next = self.next, self.next + 1
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

    def __init__(self, shop: Shop, plan: StagePlan, tally: StageTally, cap: int) -> None:
        super().__init__(shop, plan, tally, cap)
        assert plan.per_second is not None
        self._every = 1 / plan.per_second
        self._total = plan.planned_requests or 0
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
            planned = self.began + self._arrived * self._every
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
            self.at(self.began + self._total * self._every + OVERTIME_S, self._give_up)
        self.settle()

    def _give_up(self) -> None:
        self._waiting.clear()
        self.settle()

    def more(self) -> None:
        while self._waiting and self.in_flight < self.cap and not self._stopped:
            self.send(self._waiting.popleft())


class ClosedStage(Stage):
    """The original's loop: each worker sends its next request when the last one is over."""

    def start(self) -> None:
        for _ in range(self.cap):
            if self.finished_sending or not self._one():
                break
        if self.plan.duration_ms is not None and not self._stopped:
            self.at(self.began + self.plan.duration_ms / 1000, self.settle)

    @property
    def finished_sending(self) -> bool:
        if self.plan.total is not None:
            return self.next >= self.plan.total
        assert self.plan.duration_ms is not None
        return (self.shop.now() - self.began) * 1000 >= self.plan.duration_ms

    def more(self) -> None:
        if not self.finished_sending:
            self._one()

    def _one(self) -> bool:
        self.tally.planned += 1
        return self.send(self.shop.now())


class StreamStage(Stage):
    """A milestone at true scale: N streams arrive over the ramp, each ended one is replaced at once, then all end.

    What is planned within the ramp is warm-up and goes into its own tally.
    """

    def __init__(self, shop: Shop, streams: StreamPlan, ramp: StageTally, sustain: StageTally) -> None:
        until = streams.ramp_ms + streams.sustain_ms
        plan = StagePlan("sustain", workers=streams.streams, duration_ms=until)
        super().__init__(shop, plan, ramp, streams.streams)
        self._ramp_s = streams.ramp_ms / 1000
        self._until = self.began + until / 1000
        self._sustain = sustain
        self._opened = 0

    def start(self) -> None:
        self._tick()

    @property
    def finished_sending(self) -> bool:
        return self.shop.now() >= self._until

    def _tick(self) -> None:
        now = self.shop.now()
        while self._opened < self.cap and not self._stopped:
            planned = self.began + self._opened * self._ramp_s / self.cap
            if planned > now:
                self.at(planned, self._tick)
                return
            self._opened += 1
            self.shop.own_lag(now - planned)
            self._one(planned)
        if not self._stopped:
            self.at(self._until, self.settle)

    def more(self) -> None:
        if not self.finished_sending:
            self._one(self.shop.now())

    def _one(self, planned: float) -> None:
        if self.tally is not self._sustain and planned - self.began >= self._ramp_s:
            self.tally = self._sustain
        self.tally.planned += 1
        self.send(planned)
