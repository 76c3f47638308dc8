"""The course of a run in steps, on one card that is edited in place (ux.md, rules 1 and 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bot.card import Card, Step, Tone, stop_button
from bot.errors import SendcatError
from bot.redact import inert

if TYPE_CHECKING:
    from bot.run import Run


def seconds(value: float) -> str:
    """A duration for people: ``30 ms``, ``0.4 s``, ``12 s``, ``3:05``."""
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{int(value // 60)}:{int(value % 60):02d}"


class Course:
    """Steps with their tones; every change is shown. A step that raises is marked, and the error goes on."""

    def __init__(self, run: Run, name: str, labels: Sequence[str]) -> None:
        self.run = run
        self.name = name
        self.steps = [Step(label=label) for label in labels]
        self._at = -1

    def card(self) -> Card:
        """The running card: step n of m, elapsed time, Stop for everyone."""
        return Card(
            title=f"{self.name} RUNNING · step {max(self._at, 0) + 1} of {len(self.steps)}",
            tone=Tone.RUNNING,
            context=f"{self.run.context} · {seconds(self.run.elapsed_s)}",
            steps=tuple(self.steps),
            buttons=(stop_button(self.run.op.id),),
        )

    async def note(self, detail: str, tone: Tone = Tone.RUNNING) -> None:
        """Say more about the running step."""
        self.steps[self._at] = self.steps[self._at].model_copy(update={"detail": detail, "tone": tone})
        await self.run.show(self.card())

    def say(self, detail: str) -> None:
        """Set what the running step says, without drawing."""
        self.steps[self._at] = self.steps[self._at].model_copy(update={"detail": detail})

    def mark(self, label: str, tone: Tone, detail: str) -> None:
        """Set how a step ended, without drawing."""
        for at, step in enumerate(self.steps):
            if step.label == label:
                self.steps[at] = Step(label=label, tone=tone, detail=detail)

    @asynccontextmanager
    async def step(self, label: str) -> AsyncIterator[Course]:
        """Run one step: drawn when it begins and when it has ended."""
        self._at = next(at for at, step in enumerate(self.steps) if step.label == label)
        began = self.run.world.clock.monotonic()
        self.steps[self._at] = Step(label=label, tone=Tone.RUNNING)
        await self.run.show(self.card())
        try:
            yield self
        except SendcatError as error:
            self.steps[self._at] = Step(label=label, tone=Tone.UNKNOWN, detail=inert(error.what, 160))
            raise
        step = self.steps[self._at]
        if step.tone is Tone.RUNNING:
            took = seconds(self.run.world.clock.monotonic() - began)
            detail = f"{took} · {step.detail}" if step.detail else took
            self.steps[self._at] = step.model_copy(update={"tone": Tone.OK, "detail": detail})
        await self.run.show(self.card())
