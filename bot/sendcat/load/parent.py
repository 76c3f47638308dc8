"""Runs a drill in spawned children and stays their master (safety.md, R16, R19, R36).

The secrets travel over a child's stdin; its arguments and its environment hold none. A stop reaches the children at
once; if they have not closed their sockets in time, the kernel does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.clock import Clock, SystemClock
from bot.redact import Scrubber
from bot.sendcat.brake import Brake, ended
from bot.sendcat.load.crew import Crew
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets
from bot.sendcat.load.report import empty_report
from slo.reports import DrillReport, Ended


async def drill(
    plan: DrillPlan,
    secrets: DrillSecrets,
    *,
    brake: Brake,
    on_progress: Callable[[DrillProgress], None] = lambda _: None,
    clock: Clock,
) -> DrillReport:
    """Run the plan and report, however it ends: finished, stopped, aborted, control lost, or a child died.

    ``brake`` is looked at all the time; once it is on, no new request starts after 250 ms and every socket is closed
    within 2 s. Raises `Refused` when the target's address may not be dialled (R14). Cancelling ends the load at once.
    """
    started_ms = clock.now_ms()
    halt = brake.look()
    if halt is not None:
        return empty_report(plan, ended(halt, started_ms), started_ms, started_ms)
    # The children's schedule needs the machine's own clock, which all processes share.
    crew = Crew(plan, brake, on_progress, SystemClock())
    try:
        await crew.start(secrets, started_ms)
        await crew.watch()
    finally:
        await asyncio.shield(crew.end())
    if crew.refused is not None:
        raise crew.refused
    if crew.report is not None:
        return DrillReport.parse(crew.report)
    now_ms = clock.now_ms()
    if brake.halted is not None:
        return empty_report(plan, ended(brake.halted, now_ms), started_ms, now_ms)
    said = Scrubber(secrets.values()).scrub(crew.last_words)[-200:]
    died = Ended(how="died", reason=f"the load process died{f': {said}' if said else ''}", at=now_ms)
    return empty_report(plan, died, started_ms, now_ms)
