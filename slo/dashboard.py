"""Trends over reports: the original's table, and ours by time against the limits.

Runbook, "Game-Day Procedure", step 3; operator-commands.md section 8. The original takes the last reports by
file name, so that last month's `standard` hides today's `burst` (weakness 25), and averages figures of
unlike profiles; ours goes by start, and keeps latency until the headers and until the end apart (11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from slo import gate as gates
from slo.artifacts import DashboardReport, DashboardSource, DrillTrends, PassRate, ScenarioTrend
from slo.measure import five_xx, to_fixed
from slo.policy import Baseline, EndpointSlo
from slo.reports import DrillReport, MeasuredScenario, ProbeReport, ms_of_iso
from slo.scenarios import CHAT, ENDPOINTS
from slo.verdict import Verdict

MAX_REPORTS = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FiledDrill:
    """One `load-drill-*.json`; `report` is None when it cannot be read, `verdict` is ours, None without `honest`."""

    file: str
    report: DrillReport | None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class FiledProbe:
    file: str
    report: ProbeReport | None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class FiledGate:
    """One `release-gate-*.json`: what a dashboard needs of it. `passed` is None when it cannot be read."""

    file: str
    passed: bool | None
    started_ms: int | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One drill of one endpoint. `p95_ms` counts from the planned time (chat: to the end of the stream);
    where only the original measured, `honest` is False and it is its figure."""

    started_ms: int
    file: str
    profile: str
    p95_ms: float | None
    first_token_p95_ms: float | None
    five_xx_rate: float | None
    network_error_rate: float | None
    refused_rate: float | None
    stream_success_rate: float | None
    burn: float | None
    honest: bool

    @property
    def error_rate(self) -> float | None:
        """Both kinds of failure together; each has a limit of its own, so the sum is held against none."""
        parts = (self.five_xx_rate, self.network_error_rate)
        return None if None in parts else sum(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Trend:
    """One endpoint over time, oldest first, and the promises it is held against."""

    endpoint: str
    scenario: str
    slo: EndpointSlo | None
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One run of a command and how it ended: PASS, FAIL, INCOMPLETE."""

    started_ms: int
    file: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What the page and the card show, oldest first; `unreadable` are files that were left out."""

    trends: tuple[Trend, ...]
    drills: tuple[Mark, ...]
    probes: tuple[Mark, ...]
    gates: tuple[Mark, ...]
    unreadable: tuple[str, ...]

    def pass_rate(self, marks: Sequence[Mark]) -> float | None:
        """Share that passed (0..1); None without any."""
        return sum(mark.verdict is Verdict.PASS for mark in marks) / len(marks) if marks else None


def build(
    drills: Sequence[FiledDrill],
    probes: Sequence[FiledProbe],
    gate_runs: Sequence[FiledGate],
    baseline: Baseline,
    *,
    max_reports: int = MAX_REPORTS,
) -> Dashboard:
    """Ours: the last `max_reports` of each kind by start."""
    readable = [(item, item.report) for item in drills if item.report is not None]
    latest = sorted(readable, key=lambda pair: (_started(pair[1].started_at), pair[0].file))[-max_reports:]
    latest = latest if max_reports else []
    probed = sorted(
        ((item, item.report) for item in probes if item.report is not None),
        key=lambda pair: (_started(pair[1].started_at), pair[0].file),
    )[-max_reports:]
    probed = probed if max_reports else []
    gated = sorted(
        (item for item in gate_runs if item.passed is not None), key=lambda item: (item.started_ms or 0, item.file)
    )
    return Dashboard(
        trends=tuple(
            Trend(
                path,
                name,
                baseline.endpoint(path),
                tuple(
                    point
                    for item, report in latest
                    if (point := _point(item.file, report, name, baseline.endpoint(path))) is not None
                ),
            )
            for name, path in ENDPOINTS.items()
        ),
        drills=tuple(
            Mark(_started(report.started_at), item.file, item.verdict or _word(report.passed))
            for item, report in latest
        ),
        probes=tuple(
            Mark(_started(report.started_at), item.file, item.verdict or _word(report.passed))
            for item, report in probed
        ),
        gates=tuple(
            Mark(item.started_ms or 0, item.file, item.verdict or _word(bool(item.passed)))
            for item in _last(gated, max_reports)
        ),
        unreadable=tuple(
            [item.file for item in drills if item.report is None]
            + [item.file for item in probes if item.report is None]
            + [item.file for item in gate_runs if item.passed is None]
        ),
    )


def _last(items: Sequence[T], n: int) -> Sequence[T]:
    return items[-n:] if n else ()


def _word(passed: bool) -> Verdict:
    return Verdict.PASS if passed else Verdict.FAIL


def _started(text: str) -> int:
    try:
        return ms_of_iso(text)
    except ValueError:
        return 0


def _point(file: str, report: DrillReport, name: str, slo: EndpointSlo | None) -> Point | None:
    whole = report.scenario(name)
    ours = report.honest.scenario(name) if report.honest is not None else None
    burn = None
    if isinstance(whole, MeasuredScenario) and slo is not None:
        burn = to_fixed(gates.metric_burn(whole.summary, slo).overall, 3)
    if ours is not None and ours.pooled is not None:
        pool = ours.pooled
        return Point(
            _started(report.started_at),
            file,
            report.profile,
            pool.latency.p95_ms,
            pool.first_token.p95_ms if name == CHAT else None,
            five_xx(pool.statuses) / pool.sent if pool.sent else None,
            sum(pool.errors.values()) / pool.sent if pool.sent else None,
            pool.statuses.get("429", 0) / pool.sent if pool.sent else None,
            pool.succeeded / pool.sent if name == CHAT and pool.sent else None,
            burn,
            True,
        )
    if not isinstance(whole, MeasuredScenario):
        return None
    summary = whole.summary
    total = summary.total_requests
    return Point(
        _started(report.started_at),
        file,
        report.profile,
        summary.latency.p95_ms if total else None,
        None,
        five_xx(summary.statuses) / total if total else None,
        sum(summary.errors.values()) / total if total else None,
        summary.statuses.get("429", 0) / total if total else None,
        None,
        burn,
        False,
    )


# The original's


def original(
    drills: Sequence[FiledDrill],
    probes: Sequence[FiledProbe],
    gate_runs: Sequence[FiledGate],
    *,
    generated_at: str,
    max_reports: int = MAX_REPORTS,
) -> DashboardReport:
    """`slo-dashboard.json` as the original writes it: the last by file name, unreadable ones only counted."""
    by_name = [_last(sorted(kind, key=lambda item: item.file), max_reports) for kind in (drills, probes, gate_runs)]
    drilled = [item.report for item in by_name[0] if isinstance(item, FiledDrill) and item.report is not None]
    probed = [item.report.passed for item in by_name[1] if isinstance(item, FiledProbe) and item.report is not None]
    gated = [item.passed for item in by_name[2] if isinstance(item, FiledGate) and item.passed is not None]
    runs: dict[str, list[MeasuredScenario]] = {}
    for report in drilled:
        for scenario in report.scenarios:
            if isinstance(scenario, MeasuredScenario):
                runs.setdefault(scenario.name, []).append(scenario)
    return DashboardReport(
        generated_at=generated_at,
        source=DashboardSource(
            load_drill_reports=len(by_name[0]),
            probe_reports=len(by_name[1]),
            gate_reports=len(by_name[2]),
            max_reports=max_reports,
        ),
        load_drills=DrillTrends(
            overall_pass_rate=_share([report.passed for report in drilled]),
            scenarios=tuple(_trend(name, runs[name]) for name in sorted(runs)),
        ),
        probes=PassRate(overall_pass_rate=_share(probed)),
        release_gate=PassRate(overall_pass_rate=_share(gated)),
    )


def _trend(name: str, runs: Sequence[MeasuredScenario]) -> ScenarioTrend:
    p95s = [run.summary.latency.p95_ms for run in runs]
    return ScenarioTrend(
        name=name,
        runs=len(runs),
        pass_rate=_share([run.slo.passed for run in runs]),
        avg_p95_ms=sum(p95s) / len(p95s),
        max_p95_ms=max(p95s),
    )


def _share(passed: Sequence[bool]) -> float:
    return sum(passed) / len(passed) if passed else 0


def markdown(report: DashboardReport) -> str:
    """`slo-dashboard.md` as the original writes it."""
    source, most = report.source, report.source.max_reports
    lines = [
        "# Reliability SLO Dashboard",
        "",
        f"Generated: {report.generated_at}",
        "",
        "## Coverage",
        f"- Load drill reports analyzed: {source.load_drill_reports} (max {most})",
        f"- Synthetic probe reports analyzed: {source.probe_reports} (max {most})",
        f"- Release gate reports analyzed: {source.gate_reports} (max {most})",
        "",
        "## Aggregate Pass Rates",
        f"- Load drills: {_percent(report.load_drills.overall_pass_rate)}",
        f"- Synthetic probes: {_percent(report.probes.overall_pass_rate)}",
        f"- Release gates: {_percent(report.release_gate.overall_pass_rate)}",
        "",
        "## Scenario Trends",
        "",
        "| Scenario | Runs | Pass Rate | Avg p95 (ms) | Max p95 (ms) |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in report.load_drills.scenarios:
        average, most_ms = _one(row.avg_p95_ms), _one(row.max_p95_ms)
        lines.append(f"| {row.name} | {row.runs} | {_percent(row.pass_rate)} | {average} | {most_ms} |")
    return "\n".join(lines)


def _one(value: float) -> str:
    return f"{float(to_fixed(value, 1)):.1f}"


def _percent(share: float) -> str:
    return f"{_one(share * 100)}%"
