"""What a walk through playbook H is about: which milestone is next, the pool for it, and what its last gate lacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import history
from bot.authpool import pools
from bot.errors import SendcatError
from bot.milestone import ladder
from bot.milestone.sent import load_of
from bot.redact import inert
from bot.views import number
from playbooks.facts import MilestoneWish
from playbooks.findings import Finding
from playbooks.milestone_knobs import Advice, Load, advise
from slo.artifacts import MilestoneReport
from slo.authpool import COVERAGE, FRESH, SIZE
from slo.errors import SloError
from slo.milestone import ORDER
from slo.policy import MilestonePolicy, load
from slo.reports import DrillReport
from slo.verdict import Check, Verdict

if TYPE_CHECKING:
    from bot.run import Run
    from slo.authpool import PoolFacts
    from slo.snapshot import Snapshot

SHOWN = 4


@dataclass(frozen=True)
class Gate:
    """The milestone that is next on a target, its best pool, and the newest report of its gate."""

    wish: MilestoneWish
    pool: str | None
    report: MilestoneReport | None
    sent: Load | None
    ladder: str

    @property
    def line(self) -> str:
        """The line that runs it: with the pool that was made for it, else with the target's own."""
        file = f" --chat-auth-pool-file={self.pool}" if self.pool is not None else ""
        return f"milestone-gate --milestone={self.wish.milestone}{file}"

    def red(self) -> tuple[Check, ...]:
        """What its last gate failed by, and a pool that was not fit."""
        honest = self.report.honest if self.report is not None else None
        checks = honest.checks if honest is not None else ()
        lacking = (SIZE, COVERAGE, FRESH)
        return tuple(
            check
            for check in checks
            if check.verdict is Verdict.FAIL or (check.verdict is Verdict.INCOMPLETE and check.name in lacking)
        )

    def lines(self) -> tuple[Finding, ...]:
        """What the report says, for the step that reviews it: the red checks, or why it decides nothing."""
        found = [
            Finding(f"{check.name.replace('_', ' ')} {number(check.value, check.unit)}, limit {check.limit:g}", "bad")
            for check in self.red()
            if check.limit is not None
        ]
        honest = self.report.honest if self.report is not None else None
        if not found and honest is not None and honest.blocked:
            found = [Finding(inert(honest.blocked, 200), "unknown")]
        return (*found[:SHOWN], Finding(self.ladder))

    def advice(self, now: Snapshot) -> tuple[Advice, ...]:
        least = load(MilestonePolicy).milestone(self.wish.milestone).pool.min_auth_pool_size
        return advise({check.name for check in self.red()}, now, self.sent, least)


async def gate_of(run: Run) -> Gate:
    """Look it up: in the cases, in the reports, and in the pool files."""
    world, target, now_ms = run.world, run.target.name, run.world.clock.now_ms()
    rungs = await world.store.read(lambda conn: ladder.rungs(conn, target, None, now_ms))
    past = await history.milestones(world, target)
    newest = past[0][1] if past else None
    name = next((rung.name for rung in rungs if not rung.approved), ORDER[-1])
    if newest is not None and newest.milestone in ORDER:
        done = next(rung.approved for rung in rungs if rung.name == newest.milestone)
        name = name if done else newest.milestone
    report = next((item for _, item in past if item.milestone == name), None)
    honest = report.honest if report is not None else None
    passed = None if honest is None or honest.verdict is Verdict.INCOMPLETE else honest.verdict is Verdict.PASS
    best = await _best(run, now_ms)
    facts = best[1] if best is not None else None
    wish = MilestoneWish(
        milestone=name,
        pool_size=best[2] if best is not None else None,
        pool_age_ms=facts.age_ms(now_ms) if facts is not None and facts.silent() else None,
        passed=passed,
    )
    return Gate(wish, best[0] if best is not None else None, report, await _sent(run, report), ladder.words(rungs))


async def _best(run: Run, now_ms: int) -> tuple[str | None, PoolFacts, int] | None:
    """The pool with the most users whose token holds: name of its file (None: the target's own), facts, that number."""
    max_age_ms = run.world.book.thresholds.h.pool_max_age_ms
    found: list[tuple[str | None, PoolFacts, int]] = []
    for each in await pools.of_target(run):
        if not isinstance(each.facts, str):
            name = each.name if each.made else None
            found.append((name, each.facts, each.facts.fresh(now_ms, 0, max_age_ms)))
    return max(found, key=lambda item: item[2], default=None)


async def _sent(run: Run, report: MilestoneReport | None) -> Load | None:
    """What the drill of that report sent, as far as its file is still as it was."""
    import asyncio

    honest = report.honest if report is not None else None
    ref = honest.evidence.get("drill") if honest is not None else None
    if ref is None:
        return None
    try:
        raw = await asyncio.to_thread(history.read, run.world.config.artifact_dir, ref.name, ref.sha256)
        drill = DrillReport.parse(raw)
    except (SendcatError, SloError, ValueError):
        return None
    return load_of(drill)
