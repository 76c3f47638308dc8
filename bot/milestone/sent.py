"""How much chat a drill sent, for the arithmetic of its limits (playbook H, action 4)."""

from __future__ import annotations

from playbooks.milestone_knobs import Load
from slo.reports import DrillReport
from slo.scenarios import CHAT


def load_of(drill: DrillReport) -> Load | None:
    """How much chat a drill sent, and how much of it was refused; None when it read no streams."""
    ours = drill.honest.scenario(CHAT) if drill.honest is not None else None
    if ours is None or not ours.stages or not drill.chat_auth_pool_size:
        return None
    return Load(
        users=drill.chat_auth_pool_size,
        chats=sum(stage.sent for stage in ours.stages),
        took_ms=max(stage.wall_ms for stage in ours.stages)
        if ours.held is None
        else ours.held.ramp_ms + ours.held.sustain_ms,
        refused=sum(stage.statuses.get("429", 0) for stage in ours.stages),
    )
