"""The policies of a canary, and how one is looked at again before and after its decision (safety.md, R10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bot.cases import bound
from bot.run import Run
from bot.store.case import Case
from slo.policy import Baseline, CanaryPolicy, Ownership, Policy


class Policies(bound.Policies):
    """The three policy files of a canary; only the first can be replaced."""

    KINDS: ClassVar[Mapping[str, type[Policy]]] = {
        "canary": CanaryPolicy,
        "ownership": Ownership,
        "baseline": Baseline,
    }


async def changed(run: Run, case: Case, *, circuits: bool) -> str | None:
    """What of a canary's binding has changed, on either side, as `bot.cases.bound.changed` says it."""
    return await bound.changed(run, case, Policies, circuits=circuits)
