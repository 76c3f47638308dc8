"""Watches Sendcat's circuits while load is on: one that opens ends the drill (safety.md, R18).

A circuit counts when it opened during the drill (VERDICTS, "Profiles"): one that was open before says nothing about
this load. What cannot be read is told and never taken for well.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Self

from pydantic import ValidationError

from bot.clock import Clock
from bot.errors import SendcatError
from bot.redact import inert
from bot.sendcat.brake import Brake, Halt, Why
from bot.sendcat.convex import ConvexClient
from slo.reports import DrillReport
from slo.wire import Wire

EVERY_S = 2.0
MOST = 100
"""As many circuits as one answer holds."""
_NO_PROVIDER = "phase_"
"""Circuits of the project's own tests bear this prefix; they guard no provider."""


class _Circuit(Wire):
    provider: str
    state: str


class CircuitWatch:
    """``async with``: reads at the beginning, then every two seconds, and puts the brake on when one has opened."""

    def __init__(self, convex: ConvexClient, brake: Brake, clock: Clock, every_s: float = EVERY_S) -> None:
        self._convex = convex
        self._brake = brake
        self._clock = clock
        self._every_s = every_s
        self._before: frozenset[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self.opened: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        self._before = await self._open()
        if self._before is not None:
            self._task = asyncio.create_task(self._look(self._before))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def noted(self, report: DrillReport) -> DrillReport:
        """The report with what was seen of the circuits; nothing when they could not be read."""
        if report.honest is None or self._before is None:
            return report
        honest = report.honest.model_copy(update={"circuits_opened": self.opened})
        return report.model_copy(update={"honest": honest})

    async def _look(self, before: frozenset[str]) -> None:
        while True:
            await self._clock.sleep(self._every_s)
            now = await self._open()
            opened = sorted(now - before) if now is not None else []
            if opened:
                self.opened = tuple(opened)
                names = ", ".join(opened[:3])
                self._brake.halt(Halt(Why.ABORTED, f"circuit {names} opened during the drill"))
                return

    async def _open(self) -> frozenset[str] | None:
        """The providers whose circuit is open, whether or not its cool-down is over; None when it cannot be read."""
        try:
            answer: Any = await self._convex.query("circuitBreaker:listStatuses", {"limit": MOST})
            rows = [_Circuit.model_validate(row) for row in answer]
        except (SendcatError, ValidationError, TypeError):
            return None
        return frozenset(
            inert(row.provider, 60) for row in rows if row.state == "open" and not row.provider.startswith(_NO_PROVIDER)
        )
