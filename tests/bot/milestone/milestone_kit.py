"""A milestone of somebody's own policy: small enough to be run in seconds, judged by the same rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slo.policy import MilestonePolicy, load

SMALL = "small-milestones.json"
TRY = f"milestone-gate --milestone=m0_try --policy={SMALL}"
"""Three chats, without held streams: `m0_try` is named after no number of them."""


def write_policy(folder: Path, **pool: float) -> None:
    """Sendcat's own policy with one milestone more, ``m0_try``, that runs the quick profile."""
    own: dict[str, Any] = json.loads(load(MilestonePolicy).model_dump_json(by_alias=True))
    small = json.loads(json.dumps(own["milestones"]["m1_1k"]))
    small["profile"] = "quick"
    small["pool"] = {"minAuthPoolSize": 20, "minUniqueCoverage": 0.1, **pool}
    own["milestones"]["m0_try"] = small
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SMALL).write_text(json.dumps(own))
