"""A game day that was measured becomes findings with owners, rows, a verdict and an artifact (section 7).

``passed``, ``steps`` and ``findings`` are named as in the original; our verdict, which findings move, decides
(operator-commands.md section 12, 31). It is written whatever the day brought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.redact import inert
from bot.store import gameday as rows
from bot.store.gameday import Item
from slo import gameday as judge
from slo.artifacts import ActionItem, GameDayHonest, GameDayReport, GameDayStep
from slo.gameday import Drilled as DrilledDay
from slo.gameday import GameDayJudgement
from slo.policy import Baseline, Ownership, load
from slo.reports import iso
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.gameday.day import Day
    from bot.run import Run

LOOK = "look"
MAX_FINDING = 300


@dataclass(frozen=True)
class Concluded:
    """``items`` are of this day, new and found again; ``still`` are older ones that it did not find again."""

    judged: GameDayJudgement
    report: GameDayReport
    artifact: str
    sha256: str
    items: tuple[Item, ...]
    still: tuple[Item, ...]

    @property
    def verdict(self) -> Verdict:
        return self.judged.judgement.verdict


async def conclude(run: Run, day: Day) -> Concluded:
    """Judge, note the action items, keep ``game-day-<stamp>.json``."""
    target, ownership = run.target, load(Ownership)
    drilled = [
        DrilledDay(name, made.report if made else None, day.why.get(name, ""))
        for name in day.profiles
        for made in (day.drilled.get(name),)
    ]
    judged = judge.judge(
        day.probed.report if day.probed else None,
        drilled,
        load(Baseline),
        ownership,
        required=target.required_scenarios,
        further=[(LOOK, day.sought)] if day.sought is not None else (),
    )
    found = [item for item in judged.findings if item.decided or not day.stopped]
    texts = [(inert(item.text, MAX_FINDING), item.owner.owner, item.owner.secondary) for item in found]
    items = await run.world.store.write(lambda tx: rows.note(tx, op=run.op.id, target=target.name, findings=texts))
    again = {item.id for item in items}
    report = _report(run, day, judged, items)
    kept = await run.keep("gameday", report.to_artifact())
    return Concluded(
        judged, report, kept.name, kept.sha256, items, tuple(item for item in day.opened_with if item.id not in again)
    )


def _report(run: Run, day: Day, judged: GameDayJudgement, items: tuple[Item, ...]) -> GameDayReport:
    folder = run.world.config.artifact_dir
    probe = GameDayStep(
        type="probe",
        passed=judged.step("probe").verdict is Verdict.PASS,
        report_path=str(folder / day.probed.artifact) if day.probed else None,
    )
    drills = [
        GameDayStep(
            type="drill",
            profile=name,
            passed=judged.step(f"drill {name}").verdict is Verdict.PASS,
            report_path=str(folder / day.drilled[name].artifact) if name in day.drilled else None,
        )
        for name in day.profiles
    ]
    made = judged.judgement
    return GameDayReport(
        started_at=iso(day.started_ms),
        finished_at=iso(run.world.clock.now_ms()),
        base_url=run.target.site_url,
        profiles=day.profiles,
        passed=made.verdict is Verdict.PASS,
        steps=(probe, *drills),
        findings=judged.original_findings,
        action_items=judge.original_actions(judged.original_findings or [item.text for item in judged.findings]),
        honest=GameDayHonest.of(
            made,
            target=run.target.name,
            items=tuple(_action(item) for item in items),
            opened_with=tuple(_action(item) for item in day.opened_with),
            fault=day.fault,
        ),
    )


def _action(item: Item) -> ActionItem:
    return ActionItem(finding=item.words, owner=item.owner, secondary=item.secondary, id=item.id)
