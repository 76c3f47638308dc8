"""The verdict of a gate reached again from the files that its report names, which lie beside it."""

from __future__ import annotations

from typing import Any

from bot.again import Files, data, unnamed
from bot.history import beside
from slo import gate
from slo.gate_report import GateHonest, GateReport
from slo.policy import FILES, Baseline, GatePolicy, Ownership, load
from slo.reports import DrillReport, ProbeReport
from slo.snapshot import Snapshot
from slo.verdict import Verdict


def again(files: Files) -> dict[str, Any]:
    """The verdict with its four steps, and what differs from the recorded one. Raises as `bot.again.Again`."""
    path, raw = files[-1]
    report = GateReport.parse(raw)
    honest = report.honest
    if honest is None:
        return unnamed(report.passed)
    evidence = honest.evidence
    made = gate.judge(
        before=beside(path, evidence.get("before"), Snapshot.parse),
        after=beside(path, evidence.get("after"), Snapshot.parse),
        probe=beside(path, evidence.get("probe"), ProbeReport.parse),
        drill=beside(path, evidence.get("drill"), DrillReport.parse),
        history=[beside(path, ref, DrillReport.parse) for ref in honest.history],
        policy=load(GatePolicy),
        baseline=load(Baseline),
        ownership=load(Ownership),
        required=honest.required_scenarios,
        now_ms=honest.judged_at,
        limit=honest.effective_limit,
        failed_in_window=honest.failed_in_window,
    )
    return {
        "verdict": made.verdict.value,
        "recorded": honest.verdict.value,
        "original_rule": made.original_rule,
        "reason": _unlike(honest, made.verdict),
        "steps": {name: data(step) for name, step in made.steps},
    }


def _unlike(honest: GateHonest, now: Verdict) -> str:
    """What a reader must know of a verdict that was reached again: another one then, or by other policies."""
    today = {FILES[kind]: load(kind).digest for kind in (GatePolicy, Ownership, Baseline)}
    other = sorted(name for name, digest in honest.policies.items() if today.get(name) != digest)
    said = [f"recorded as {honest.verdict}"] if honest.verdict is not now else []
    said += [f"judged now by another {' and '.join(other)} than then"] if other else []
    return "; ".join(said)
