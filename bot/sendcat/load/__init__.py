"""The drill: planned here, run in a child process, reported honestly.

``plan_drill`` says what will be done, `drill` does it and reports; the secrets go apart (`drill_secrets`).
"""

from __future__ import annotations

from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.parent import drill
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets, ScenarioPlan
from bot.sendcat.load.planning import AboveCeiling, DrillOptions, plan_drill

__all__ = [
    "AboveCeiling",
    "DrillOptions",
    "DrillPlan",
    "DrillProgress",
    "DrillSecrets",
    "ScenarioPlan",
    "drill",
    "drill_secrets",
    "plan_drill",
]
