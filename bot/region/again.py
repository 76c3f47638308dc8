"""Region readiness judged from files alone: a report and the evidence that lies beside it, or drills with a snapshot.

A report of ours names its snapshot and its drills, which give its verdict again; one of the original, which names
nothing, gives the decision that its own triggers mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.again import Files, data
from bot.errors import Unknown
from bot.history import beside
from bot.region.sources import with_lookback
from slo import region
from slo.artifacts import RegionReport
from slo.policy import RegionPolicy, load
from slo.region import BadForecast, Filed, RegionJudgement
from slo.reports import DrillReport
from slo.snapshot import SERVER_MAX_LIMIT, Snapshot
from slo.verdict import Verdict

FORECAST = "expectedPeakStreams"


def again(files: Files) -> dict[str, Any]:
    """The verdict with the decision that it means. Raises as `bot.again.Again`."""
    reports = [(path, raw) for path, raw in files if "triggers" in raw]
    if reports:
        path, raw = reports[-1]
        return _report(path, RegionReport.parse(raw))
    return _loose(files)


def _report(path: Path, report: RegionReport) -> dict[str, Any]:
    honest = report.honest
    if honest is None or honest.judged_at is None:
        decision = region.original_decision(report.triggers)
        verdict = Verdict.FAIL if decision.activate_multi_region_program else Verdict.PASS
        return {
            "verdict": verdict.value,
            "recorded": None,
            "original_rule": verdict is Verdict.PASS,
            "recommended_topology": decision.recommended_topology,
            "reason": "a report of the original names no evidence; judged by the triggers that it recorded",
        }

    made = region.judge(
        int(report.expected_peak_streams) if honest.forecast_given else None,
        [Filed(ref.name, beside(path, ref, DrillReport.parse)) for ref in honest.drills],
        beside(path, honest.snapshot, _snapshot),
        with_lookback(load(RegionPolicy), honest.lookback_reports),
        now_ms=honest.judged_at,
        limit=honest.limit or SERVER_MAX_LIMIT,
        fresh=honest.fresh,
    )
    return _answer(made) | {"recorded": honest.verdict.value, "original_rule": honest.original_rule}


def _loose(files: Files) -> dict[str, Any]:
    """Drill reports, at most one snapshot, and at most one forecast, in any order."""
    drills = [Filed(path.name, DrillReport.parse(raw)) for path, raw in files if "scenarios" in raw]
    forecasts = [raw[FORECAST] for _, raw in files if set(raw) == {FORECAST}]
    others = [(path, raw) for path, raw in files if "scenarios" not in raw and set(raw) != {FORECAST}]
    if len(others) > 1 or len(forecasts) > 1:
        raise Unknown(
            "More than one file is neither a drill report nor the region-readiness report.",
            then="judge region REPORT, or judge region DRILLS… SNAPSHOT --expected-peak-streams=5k",
        )
    snapshot = _snapshot(others[0][1]) if others else None
    try:
        streams = region.parse_streams(str(forecasts[0])) if forecasts else None
    except BadForecast as error:
        raise Unknown(f"{error}.", then="--expected-peak-streams=5k") from None
    # A saved file is judged as at its moment: how long it lies there does not matter.
    now_ms = snapshot.generated_at if snapshot is not None else 0
    return _answer(region.judge(streams, drills or None, snapshot, load(RegionPolicy), now_ms=now_ms, fresh=False))


def _snapshot(raw: dict[str, Any]) -> Snapshot:
    """As the function answers it, or with the answer under `snapshot`."""
    inner = raw.get("snapshot")
    return Snapshot.parse(inner if isinstance(inner, dict) else raw)


def _answer(made: RegionJudgement) -> dict[str, Any]:
    return {
        **data(made.judgement),
        "decision": made.word,
        "recommended_topology": made.topology,
    }
