"""The dashboard: the original's table as it was, and trends by time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slo import dashboard
from slo.artifacts import DashboardReport
from slo.dashboard import FiledDrill, FiledGate, FiledProbe
from slo.policy import Baseline
from slo.reports import DrillReport, ProbeReport, Sample, iso
from slo.scenarios import CHAT
from slo.verdict import Verdict

ARTIFACTS = Path(__file__).parent.parent / "data" / "samples" / "artifacts"


def _folder() -> tuple[list[FiledDrill], list[FiledProbe], list[FiledGate]]:
    """The artifact folder as it was when the recorded dashboard was made."""
    case = json.loads((ARTIFACTS / "dashboard" / "run.json").read_text())
    files = {path.name: path for path in ARTIFACTS.glob("*/*.json")}
    raw = {name: json.loads(files[name].read_text()) for name in case["filesBefore"]}
    return (
        [FiledDrill(n, DrillReport.parse(r)) for n, r in raw.items() if n.startswith("load-drill")],
        [FiledProbe(n, ProbeReport.parse(r)) for n, r in raw.items() if n.startswith("synthetic")],
        [FiledGate(n, r["passed"]) for n, r in raw.items() if n.startswith("release-gate")],
    )


def test_the_recorded_dashboard_is_reproduced_byte_for_byte() -> None:
    text = (ARTIFACTS / "dashboard" / "slo-dashboard.json").read_text()
    recorded = DashboardReport.parse(json.loads(text))
    made = dashboard.original(*_folder(), generated_at=recorded.generated_at)

    assert made.to_json() == text
    assert dashboard.markdown(made) == (ARTIFACTS / "dashboard" / "slo-dashboard.md").read_text()


def test_an_unreadable_report_is_counted_and_named() -> None:
    drills, probes, gates = _folder()
    made = dashboard.original([*drills, FiledDrill("load-drill-z.json", None)], probes, gates, generated_at="x")

    assert (made.source.load_drill_reports, made.load_drills.overall_pass_rate) == (10, 1)


def test_nothing_is_drawn_from_nothing(baseline: Baseline) -> None:
    made = dashboard.original([], [], [], generated_at="x")
    ours = dashboard.build([], [], [], baseline)

    assert (made.load_drills.overall_pass_rate, made.load_drills.scenarios) == (0, ())
    assert ours.pass_rate(ours.drills) is None
    assert [trend.points for trend in ours.trends] == [(), (), ()]
    assert dashboard.original(*_folder(), generated_at="x", max_reports=0).source.load_drill_reports == 0


def _at(report: DrillReport, started_ms: int) -> DrillReport:
    return report.model_copy(update={"started_at": iso(started_ms)})


def test_trends_go_by_start_and_not_by_name(drilled: Callable[..., DrillReport], baseline: Baseline) -> None:
    """Weakness 25: `standard` of last month hides today's `burst`."""
    old = [FiledDrill(f"load-drill-standard-{n}.json", _at(drilled(), n)) for n in range(12)]
    new = FiledDrill("load-drill-burst-0.json", _at(drilled(), 10**9), Verdict.INCOMPLETE)
    made = dashboard.build([*old, new, FiledDrill("load-drill-a.json", None)], [], [], baseline)

    assert [mark.file for mark in made.drills][-1] == new.file
    assert made.drills[-1].verdict is Verdict.INCOMPLETE
    assert len(made.drills) == 10
    assert made.unreadable == ("load-drill-a.json",)
    named = dashboard.original([*old, new], [], [], generated_at="x")
    assert named.source.load_drill_reports == 10


def test_chat_is_shown_to_the_end_of_the_stream_with_its_success(
    drilled: Callable[..., DrillReport], sample_of: Callable[..., Sample], baseline: Baseline
) -> None:
    """Weakness 11: one field name for two latencies."""

    def stream(scenario: str, stage: str, i: int) -> Sample:
        changes: dict[str, Any] = {"headers_ms": i * 50.0 + 5, "took_ms": 900.0} if scenario == CHAT else {}
        return sample_of(scenario, stage, i, **changes)

    made = dashboard.build([FiledDrill("load-drill-quick-0.json", drilled(stream))], [], [], baseline)
    (point,) = made.trends[2].points

    assert (point.p95_ms, point.stream_success_rate, point.honest) == (900, 1, True)
    assert made.trends[2].slo is baseline.endpoint("/api/chat")
