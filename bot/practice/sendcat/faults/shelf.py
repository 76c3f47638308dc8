"""All faults by letter and variant; the first of a letter is its default."""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.faults import bulkhead, cached, circuit, decision, rate_limit, replay, tool_queue
from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.traffic import Background, Traffic

ALL: tuple[Fault, ...] = (
    *rate_limit.FAULTS,
    *circuit.FAULTS,
    *bulkhead.FAULTS,
    *replay.FAULTS,
    *cached.FAULTS,
    *tool_queue.FAULTS,
    *decision.FAULTS,
)


class Faults:
    """Puts faults into one deployment and takes them out. Several may be in at once."""

    def __init__(self, deployment: Deployment) -> None:
        self._on = deployment
        self._traffic = Traffic(deployment)
        self._background = Background(deployment, self._traffic)
        self._active: dict[str, Stage] = {}

    def inject(self, fault: str, *, variant: str | None = None, for_ms: int | None = None, **options: Option) -> None:
        """Put a fault in, already grown old; raises ValueError listing what exists.

        With ``for_ms`` it goes out by itself after that time, whatever became of whoever put it in.
        """
        found = self._find(fault.upper(), variant)
        name = f"{found.letter}:{found.variant}"
        if name in self._active:
            return
        stage = Stage(self._on, self._traffic, self._background, self._on.settle())
        found.start(stage, options)
        self._active[name] = stage
        now_ms = self._on.settle()
        if for_ms is not None:
            self._on.agenda.at(now_ms + for_ms, lambda _: self._out(name, stage))

    def clear(self, name: str | None = None) -> None:
        """Take every cause out, or only the one of this letter and variant."""
        for each, stage in list(self._active.items()):
            if name is None or each.lower() == name.lower():
                self._out(each, stage)

    def _out(self, name: str, stage: Stage) -> None:
        if self._active.get(name) is stage:
            del self._active[name]
            stage.clear()

    def active(self) -> list[str]:
        return list(self._active)

    def catalogue(self) -> list[Mapping[str, str]]:
        """Letter, variant and summary of every fault, by letter."""
        ordered = sorted(ALL, key=lambda fault: fault.letter)
        return [{"fault": f.letter, "variant": f.variant, "summary": f.summary} for f in ordered]

    def _find(self, letter: str, variant: str | None) -> Fault:
        for fault in ALL:
            if fault.letter == letter and variant in (None, fault.variant):
                return fault
        known = ", ".join(f"{f.letter}:{f.variant}" for f in sorted(ALL, key=lambda fault: fault.letter))
        raise ValueError(f"no fault {letter}{f':{variant}' if variant else ''}; there are {known}")
