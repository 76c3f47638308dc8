"""What a release gate rests on: its three policies, and how it is looked at again (VERDICTS, "Gate"; R10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bot.cases import bound
from bot.run import Run
from bot.store.case import Case
from slo.policy import Baseline, GatePolicy, Ownership, Policy


class Policies(bound.Policies):
    """The three policy files of a gate."""

    KINDS: ClassVar[Mapping[str, type[Policy]]] = {"gate": GatePolicy, "ownership": Ownership, "baseline": Baseline}

    @property
    def gate(self) -> GatePolicy:
        return self.of(GatePolicy)

    @property
    def ownership(self) -> Ownership:
        return self.of(Ownership)

    @property
    def baseline(self) -> Baseline:
        return self.of(Baseline)

    def paths(self) -> tuple[str, str, str]:
        """As the artifact names them: gate policy, ownership, baseline."""
        return self.path("gate"), self.path("ownership"), self.path("baseline")


async def changed(run: Run, case: Case, *, circuits: bool) -> str | None:
    """What of a gate's binding has changed, as `bot.cases.bound.changed` says it."""
    return await bound.changed(run, case, Policies, circuits=circuits)
