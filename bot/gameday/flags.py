"""The flags of a game day (operator-commands.md section 7), and what its drills come to as one operation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from bot.drill.flags import ChatFlags, Scenarios, chosen, no_milestone
from bot.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.sendcat.load.plan import DrillPlan
    from bot.target import Target

_FAULT = re.compile(r"[A-Fa-f](:[A-Za-z_]{1,40})?")


class GameDayArgs(ChatFlags):
    """A game day as typed: the original's flags, the drill's for chat and scenarios, and the woven fault."""

    profiles: str = "burst,soak"
    """Comma list of drill profiles, run one after the other: quick, standard, burst, soak."""
    scenarios: Scenarios = None
    """Comma list; what the target requires and is left out here makes the day INCOMPLETE."""
    weave: str | None = None
    """Practice only: a fault to find, such as F:caps; taken out at the end of the day."""
    weave_after: float = Field(default=2, ge=0, le=3600, allow_inf_nan=False)
    """Seconds into the drills when the fault goes in."""

    @field_validator("profiles")
    @classmethod
    def _profiles(cls, value: str) -> str:
        names = [part.strip() for part in value.split(",") if part.strip()]
        if not names:
            raise ValueError("names no profile, for example burst,soak")
        for name in names:
            no_milestone(name, "gameday")
        if len(set(names)) != len(names):
            raise ValueError("each profile is named once")
        return ",".join(names)

    @field_validator("weave")
    @classmethod
    def _weave(cls, value: str | None) -> str | None:
        if value is not None and not _FAULT.fullmatch(value):
            raise ValueError("a fault A to F with an optional variant, such as F:caps (G and H are decisions)")
        return value

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(self.profiles.split(","))

    @property
    def chosen_scenarios(self) -> tuple[str, ...] | None:
        return chosen(self.scenarios)


def within(plans: Sequence[DrillPlan], target: Target) -> None:
    """The drills of a day are one operation: together they stay below the ceilings (R16; VERDICTS, "Profiles")."""
    limits = target.limits
    asked = {"requests": sum(plan.requests for plan in plans), "minutes": minutes(plans)}
    for word, ceiling in (("requests", limits.requests), ("minutes", limits.minutes)):
        if ceiling is not None and asked[word] > ceiling:
            raise Refused(
                f"This game day plans {asked[word]:g} {word}; the ceiling of {target.name}"
                f" ({target.environment.value}) is {ceiling}.",
                rule=f"ceiling `{word}` of one operation (R16; VERDICTS, Profiles)",
                then="name fewer profiles: gameday --profiles=burst",
            )


def minutes(plans: Sequence[DrillPlan]) -> float:
    """How long the drills take together, in minutes with one decimal."""
    return round(sum(plan.duration_ms for plan in plans) / 60_000, 1)
