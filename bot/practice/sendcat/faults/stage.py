"""What a fault may touch, and how it is taken out again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.practice.sendcat.agenda import Event
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.traffic import Background, Traffic

Option = bool | int | float | str


@dataclass
class Stage:
    """The deployment with its callers, while one fault is in it."""

    on: Deployment
    traffic: Traffic
    background: Background
    now_ms: int
    events: list[Event] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)

    def repeat(self, period_ms: int, call: Callable[[int], None], *, for_ms: int) -> Event:
        """A cause that has been at work for ``for_ms`` already and goes on until it is cleared."""
        event = self.traffic.every(period_ms, call, start_ms=self.now_ms - for_ms)
        self.events.append(event)
        return event

    def rest(self, *kinds: str) -> None:
        """Keep background traffic of these kinds away while the fault is in."""
        for kind in kinds:
            self.background.pause(kind)
            self.undo.append(lambda kind=kind: self.background.resume(kind))  # type: ignore[misc]

    def monitors(self) -> None:
        """The five-minute monitors have just looked, once all that was entered for the past has happened."""
        self.on.agenda.at(self.now_ms, lambda at: void(self.on.limiter.monitor(at), self.on.queue.monitor(at)))

    def clear(self) -> None:
        """Take the cause out; what it left behind heals by the product's own rules."""
        for event in self.events:
            event.cancel()
        for undo in self.undo:
            undo()


def void(*_: object) -> None:
    """Throw results away."""


@dataclass(frozen=True)
class Fault:
    """One variant of a fault letter."""

    letter: str
    variant: str
    summary: str
    start: Callable[[Stage, dict[str, Option]], None]
