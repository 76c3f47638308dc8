"""What will happen when: the order of events of a simulation without threads or timers."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, order=True)
class Event:
    """One entry: ``run`` is called with the event's own time, which may lie in the past of the clock."""

    at_ms: int
    turn: int
    run: Callable[[int], None] = field(compare=False)
    period_ms: int | None = field(default=None, compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class Agenda:
    """Events in the order of their time, and of their entry where times are equal.

    Nothing runs by itself: whoever looks at the deployment first brings it up to date with
    :meth:`run_until`. The same seed and the same calls therefore give the same history on a real and on a
    stepped clock. An event entered for a past time runs at the next look, with that past time: this is how a
    fault grows old in an instant.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._turn = 0
        self._running = False

    def at(self, when_ms: int, run: Callable[[int], None]) -> Event:
        return self._enter(Event(when_ms, self._next_turn(), run))

    def every(self, period_ms: int, run: Callable[[int], None], *, start_ms: int) -> Event:
        """Repeat ``run`` from ``start_ms`` on, until the event is cancelled."""
        if period_ms < 1:
            raise ValueError("a period is at least one millisecond")
        return self._enter(Event(start_ms, self._next_turn(), run, period_ms))

    def run_until(self, now_ms: int) -> None:
        events = self._events
        if self._running or not events or events[0].at_ms > now_ms:
            return
        self._running = True
        try:
            while events and events[0].at_ms <= now_ms:
                event = heapq.heappop(events)
                if event.cancelled:
                    continue
                at_ms = event.at_ms
                event.run(at_ms)
                if event.period_ms is not None and not event.cancelled:
                    event.at_ms = at_ms + event.period_ms
                    event.turn = self._next_turn()
                    heapq.heappush(events, event)
        finally:
            self._running = False

    def next_ms(self) -> int | None:
        """When the next event is due; None when nothing is planned."""
        while self._events and self._events[0].cancelled:
            heapq.heappop(self._events)
        return self._events[0].at_ms if self._events else None

    def _enter(self, event: Event) -> Event:
        heapq.heappush(self._events, event)
        return event

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn
