"""What a milestone's approval rests on: its policies, the milestone before it, and how it is looked at again (R10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bot.cases import bound
from bot.errors import Refused
from bot.milestone import ladder
from bot.run import Run
from bot.store.case import Case
from slo.policy import MilestonePolicy, Ownership, Policy


class Policies(bound.Policies):
    """The two policy files of a milestone gate."""

    KINDS: ClassVar[Mapping[str, type[Policy]]] = {"policy": MilestonePolicy, "ownership": Ownership}

    @property
    def milestones(self) -> MilestonePolicy:
        return self.of(MilestonePolicy)

    @property
    def ownership(self) -> Ownership:
        return self.of(Ownership)


async def changed(run: Run, case: Case, *, circuits: bool) -> str | None:
    """What of its binding has changed, as `bot.cases.bound.changed` says it."""
    return await bound.changed(run, case, Policies, circuits=circuits)


async def last_look(run: Run, case: Case) -> str | None:
    """Before an approval: the milestone before stands approved (raises `Refused`), and nothing has changed."""
    milestone, release = case.binding["milestone"], case.binding.get("release")
    now_ms = run.world.clock.now_ms()
    found = await run.world.store.read(lambda conn: ladder.rungs(conn, case.target or "", release, now_ms))
    before = ladder.lacking(found, milestone)
    if before is not None:
        of = f" --release={release}" if release else ""
        raise Refused(
            f"{milestone} is not approved before {before} is: {ladder.words(found)}.",
            rule=ladder.RULE,
            then=f"/sendcat milestone-gate --milestone={before}{of}",
        )
    return await changed(run, case, circuits=True)
