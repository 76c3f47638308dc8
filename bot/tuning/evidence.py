"""``tuning-<id>-<stamp>.json``: a change as evidence - what, by whom, why, both sides by name, what came of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bot.run import Run
from bot.store.artifacts import Artifact
from bot.store.change import Change, Taken
from slo.retest import Retest


async def evidence(
    run: Run, change: Change, retest: Retest | None, after: Taken | None, *, undone: str | None = None
) -> Artifact:
    """Keep the artifact: at the retest, and once more when the change was undone.

    ``undone`` is the snapshot that shows the values as they are again; None while the change is in force.
    """
    payload: dict[str, Any] = {
        "change": change.id,
        "target": change.target,
        "deployment": change.deployment,
        "line": change.line,
        "why": change.why,
        "steps": [asdict(step) for step in change.steps],
        "proposedBy": change.proposer.model_dump(),
        "approvedBy": change.approver.model_dump() if change.approver else None,
        "breakGlass": change.break_glass,
        "binding": change.binding,
        "policy": change.policy,
        "sentMs": change.sent_ms,
        "before": change.before.model_dump() if change.before else None,
        "after": after.model_dump() if after else None,
        "verdict": retest.answer.value if retest else None,
        "retest": retest.model_dump(mode="json") if retest else None,
        "undone": None,
    }
    if undone is not None:
        by = change.undo_by.model_dump() if change.undo_by else None
        payload["undone"] = {
            "by": by,
            "why": change.undo_why,
            "snapshot": undone,
            "left": list(change.undo_knobs or ()),
        }
    return await run.keep("tuning", payload, change.id)
