"""A milestone judged again from files alone: its own report with the files that it names, or a drill and snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.again import Files, data, unnamed
from bot.history import beside
from slo import milestone
from slo.artifacts import MilestoneReport
from slo.authpool import COVERAGE, FRESH, SIZE
from slo.errors import SloError
from slo.policy import MilestonePolicy, Ownership, load
from slo.reports import DrillReport
from slo.snapshot import Snapshot
from slo.verdict import Judgement


def again(files: Files) -> dict[str, Any]:
    """The verdict; a report of the original names no evidence, so it decides nothing. Raises as `bot.again.Again`."""
    reports = [(path, raw) for path, raw in files if "scenarioChecks" in raw]
    if reports:
        return _report(*reports[-1])
    return _parts(files)


def _report(path: Path, raw: dict[str, Any]) -> dict[str, Any]:
    report = MilestoneReport.parse(raw)
    honest = report.honest
    if honest is None:
        return unnamed(report.passed)
    evidence = honest.evidence
    made = milestone.judge(
        report.milestone,
        load(MilestonePolicy).milestone(report.milestone),
        beside(path, evidence.get("drill"), DrillReport.parse),
        beside(path, evidence.get("after"), Snapshot.parse),
        load(Ownership),
        now_ms=honest.judged_at or 0,
        before=beside(path, evidence.get("before"), Snapshot.parse),
        limit=honest.effective_limit or 0,
        pool=tuple(check for check in honest.checks if check.name in (SIZE, COVERAGE, FRESH)),
        not_run=honest.not_done[0] if honest.not_done else "",
    )
    return _data(report.milestone, made) | {"recorded": honest.verdict.value}


def _parts(files: Files) -> dict[str, Any]:
    """The newest drill names the milestone by its profile; the newest snapshot is judged at the moment it was taken."""
    drills = [DrillReport.parse(raw) for _, raw in files if "scenarios" in raw]
    looks = sorted((Snapshot.parse(raw) for _, raw in files if "generatedAt" in raw), key=lambda s: s.generated_at)
    if not drills:
        raise SloError("name a milestone-gate report, or a drill report and the snapshot after it")
    drill = max(drills, key=lambda report: report.started_at)
    after = looks[-1] if looks else None
    made = milestone.judge(
        drill.profile,
        load(MilestonePolicy).milestone(drill.profile),
        drill,
        after,
        load(Ownership),
        now_ms=after.generated_at if after is not None else 0,
        before=looks[-2] if len(looks) > 1 else None,
    )
    return _data(drill.profile, made)


def _data(name: str, made: Judgement) -> dict[str, Any]:
    return {"milestone": name, **data(made)}
