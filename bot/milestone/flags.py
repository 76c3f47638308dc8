"""The flags of a milestone gate (operator-commands.md section 10), and the one drill that they come to."""

from __future__ import annotations

from pydantic import Field, model_validator

from bot.asking import ReleaseArgs
from bot.drill.flags import Approval, ChatFlags, DrillArgs
from slo.errors import UnknownMilestone
from slo.policy import Milestone, MilestonePolicy, load


class MilestoneArgs(ReleaseArgs, ChatFlags):
    """A milestone gate as typed: the original's flags, and ours for the true number of streams."""

    milestone: str = "m1_1k"
    """m1_1k, m2_5k or m3_20k."""
    release: str | None = None
    """The release candidate, NAME or NAME@COMMIT; the approval is then about it."""
    policy: str | None = None
    """Another milestone policy; a file name in the artifact directory."""
    snapshot_minutes: int | None = Field(default=None, ge=1, le=1440)
    """Window of the snapshots in minutes; the policy's 30 without it."""
    snapshot_limit: int | None = Field(default=None, ge=1, le=1000)
    """Rows of each snapshot section; the policy's 80 without it, and the server cuts it to 50."""
    original_scale: bool = False
    """The original's 40, 80 or 160 workers instead of true streams; such a run proves nothing of the streams."""
    processes: int = 1
    """How many load processes share the work."""
    approval: Approval = None
    """A decision such as d-12 that raised the target's ceilings for this drill."""

    @model_validator(mode="after")
    def _known(self) -> MilestoneArgs:
        """Sendcat's own policy is at hand; another one is read when it runs."""
        if self.policy is None:
            known_in(load(MilestonePolicy), self.milestone)
        return self

    def drill(self, rules: Milestone) -> DrillArgs:
        """The drill that this gate runs: the milestone's profile, its scenarios, its coverage unless one was given."""
        chat = self.model_dump(include=set(ChatFlags.model_fields))
        if chat["chat_min_unique_coverage"] is None:
            chat["chat_min_unique_coverage"] = rules.pool.min_unique_coverage
        return DrillArgs(
            **chat,
            profile=rules.profile,
            scenarios=",".join(rules.required_scenarios),
            original_scale=self.original_scale,
            processes=self.processes,
            approval=self.approval,
        )


def known_in(policy: MilestonePolicy, name: str) -> Milestone:
    """The milestone of that name; raises ValueError with the nearest one."""
    try:
        return policy.milestone(name)
    except UnknownMilestone as error:
        near = f"; --milestone={error.nearest}" if error.nearest else ""
        raise ValueError(f"{name[:40]!r} is none of {', '.join(policy.milestones)}{near}") from None


def subject(milestone: str, release: str | None) -> str:
    """What is decided about, as cases name it: ``m1_1k``, or ``m1_1k of 2026.11.23-2``."""
    return f"{milestone} of {release}" if release else milestone
