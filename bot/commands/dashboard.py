"""``dashboard``: trends of saved reports against their limits, as files, page, picture and table (runbook, "Game-Day
Procedure", step 3). Reads files only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run

MOST = 200


class DashboardArgs(Args):
    max_reports: int = 10
    """How many of the newest drills, probes and gates are shown, 0 to 200."""

    @field_validator("max_reports", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """Rounded down, as the original does; what is no number is refused and not replaced."""
        try:
            count = float(value)
        except (TypeError, ValueError):
            count = math.nan
        if not 0 <= count <= MOST:
            raise ValueError(f"a number from 0 to {MOST}")
        return math.floor(count)


async def _run(run: Run, args: DashboardArgs) -> Outcome:
    from bot.dashboard import shown
    from bot.dashboard.made import HTML, JSON, MARKDOWN, make

    made = await make(run, max_reports=args.max_reports)
    folder = run.world.config.artifact_dir
    data = {
        "json": str(folder / JSON),
        "markdown": str(folder / MARKDOWN),
        "html": str(folder / HTML),
        "picture": made.picture,
        "unreadable": list(made.report.honest["unreadable"]) if made.report.honest else [],
        "report": made.report.to_artifact(),
    }
    return Outcome(card=shown.card(run, made), exit_status=0, data=data)


COMMAND = Command(
    name="dashboard",
    summary="Trends of saved reports against their limits: page, picture, table.",
    action="dashboard",
    args=DashboardArgs,
    run=_run,
    examples=("dashboard", "dashboard --max-reports=30"),
    group="Look",
    single=True,
)
