"""A milestone judged again from files alone: its own report with the files that it names, or a drill and snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot import history
from slo import milestone
from slo.artifacts import FileRef, MilestoneReport
from slo.authpool import COVERAGE, FRESH, SIZE
from slo.errors import SloError
from slo.policy import MilestonePolicy, Ownership, load
from slo.reports import DrillReport
from slo.snapshot import Snapshot
from slo.verdict import Judgement, Verdict

Files = list[tuple[Path, dict[str, Any]]]


def again(files: Files) -> dict[str, Any]:
    """The verdict as plain data. A report of the original names no evidence, so it decides nothing.

    Raises `SloError` for files that are neither, and `Broken` when evidence is gone or was changed.
    """
    reports = [(path, raw) for path, raw in files if "scenarioChecks" in raw]
    if reports:
        return _report(*reports[-1])
    return _parts(files)


def _report(path: Path, raw: dict[str, Any]) -> dict[str, Any]:
    report = MilestoneReport.parse(raw)
    honest = report.honest
    if honest is None:
        return {
            "verdict": Verdict.INCOMPLETE.value,
            "original_rule": report.passed,
            "reason": "a report of the original names no evidence to judge again",
        }

    def held(ref: FileRef | None) -> dict[str, Any] | None:
        return None if ref is None else history.read(path.parent, ref.name, ref.sha256)

    before, after, drill = (held(honest.evidence.get(key)) for key in ("before", "after", "drill"))
    made = milestone.judge(
        report.milestone,
        load(MilestonePolicy).milestone(report.milestone),
        DrillReport.parse(drill) if drill else None,
        Snapshot.parse(after) if after else None,
        load(Ownership),
        now_ms=honest.judged_at or 0,
        before=Snapshot.parse(before) if before else None,
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
    return {"milestone": name, **made.model_dump(mode="json")}
