"""Whether what a region decision rests on still holds (safety.md, R10)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot import history
from bot.cases.bound import identity
from bot.errors import Broken, Refused, Unknown
from bot.region import sources
from bot.store import artifacts
from slo.artifacts import RegionReport
from slo.errors import SloError
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.case import Case

LATER = 20
"""Newer checks that are looked at; a longer row of them is not found in an open decision's seven days."""


async def changed(run: Run, case: Case) -> str | None:
    """What of the binding has changed, in a sentence; None when all of it still holds. Sends nothing to Sendcat."""
    bound, config = case.binding, run.world.config
    target = config.target.get(case.target or "")
    if target is None or identity(target) != bound["target"]:
        return f"the target {case.target} is another one than was judged"
    try:
        policy, _ = await asyncio.to_thread(sources.policy, config, bound["policy_file"], anywhere=True)
    except (Broken, Refused, Unknown):
        return "the policy that it was judged by is missing or wrong"
    if sources.with_lookback(policy, bound["lookback_reports"]).digest != bound["policy"]:
        return f"the policy changed ({sources.OWN})"
    folder, named = config.artifact_dir, bound["report"]
    try:
        RegionReport.parse(await asyncio.to_thread(history.read, folder, named["name"], named["sha256"]))
    except (Broken, SloError, ValueError):
        return f"the report {named['name']} is not as it was judged"
    return await _newer(run, case)


async def _newer(run: Run, case: Case) -> str | None:
    """A later check that says one region is enough; one that could not decide does not count against it."""
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, "region", case.target, limit=LATER))
    for row in rows:
        if row.name == case.binding["report"]["name"]:
            return None
        try:
            raw = await asyncio.to_thread(history.read, run.world.config.artifact_dir, row.name, row.sha256)
            honest = RegionReport.parse(raw).honest
        except (Broken, SloError, ValueError):
            continue
        if honest is not None and honest.verdict is Verdict.PASS:
            return f"a newer check says NOT_TRIGGERED ({row.name})"
    return None
