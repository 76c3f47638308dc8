"""The release gate's artifact: the original's fields in its order, and ours under `honest`.

Fields: contract/operator-commands.md section 5. `passed` and the steps are computed the original way; `honest` decides,
and names every file it rests on, so that the same verdict can be reached again from the files alone.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from slo import gate
from slo.artifacts import FileRef
from slo.gate import Burn, GateJudgement
from slo.policy import GatePolicy, Ownership
from slo.reports import Artifact, DrillReport, ProbeReport, iso
from slo.snapshot import Snapshot
from slo.verdict import Judgement, Verdict
from slo.wire import Count, Millis, Wire


class GateStep(Artifact):
    """One of the four steps as the original writes it; fields that it does not write are absent."""

    name: str
    passed: bool = Field(alias="pass")
    report: str | None = None
    exit_code: Count | None = None
    skipped: bool | None = None
    profile: str | None = None
    checks: tuple[dict[str, Any], ...] | None = None
    source_report: str | None = None
    lookback_reports: Count | None = None


class JudgedStep(Wire):
    """One step as we judged it."""

    name: str
    judgement: Judgement


class GateHonest(Wire):
    """Ours: the verdict, what it rests on, and what it was asked for.

    `evidence` holds the files: before, after, probe, drill; those that were not made are absent. `failed_in_window` is
    the exact count of dead letters, where one was needed.
    """

    version: Literal[1] = 1
    target: str
    release: str
    commit: str | None = None
    risk: str
    verdict: Verdict
    original_rule: bool
    judged_at: Millis
    required_scenarios: tuple[str, ...]
    steps: tuple[JudgedStep, ...]
    already: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    waivable: tuple[str, ...] = ()
    blocked: str = ""
    effective_limit: Count
    failed_in_window: Count | None = None
    evidence: dict[str, FileRef]
    history: tuple[FileRef, ...] = ()
    policies: dict[str, str]
    """File name of each policy, and the digest of what it says."""
    configuration: str
    """Digest of the deployment's effective configuration in the snapshot that decided."""


class GateReport(Artifact):
    """`release-gate-<stamp>.json`; without `honest` it is one of the original's."""

    started_at: str
    finished_at: str
    base_url: str
    profile: str
    snapshot_window_minutes: Count
    snapshot_limit: Count
    """As it was wished for; the server may have cut it (`honest.effective_limit`)."""
    policy_path: str
    ownership_path: str
    slo_baseline_path: str
    steps: tuple[GateStep, ...]
    passed: bool
    rollback_criteria: tuple[str, ...]
    honest: GateHonest | None = None

    def judgement(self, step: str) -> Judgement | None:
        """What we judged of one step, if this is one of ours."""
        steps = self.honest.steps if self.honest else ()
        return next((item.judgement for item in steps if item.name == step), None)


def original_steps(
    made: GateJudgement,
    *,
    probe: tuple[str, ProbeReport] | None,
    drill: tuple[str, DrillReport] | None,
    skipped: frozenset[str],
    profile: str,
    after: Snapshot | None,
    burns: tuple[Burn, ...],
    looked_back: int,
    policy: GatePolicy,
    ownership: Ownership,
) -> tuple[GateStep, ...]:
    """The four steps as the original would have written them; `probe` and `drill` with their paths.

    A step that was asked for and could not be done is one that exited 1; a skipped one passes, as it did there.
    """

    def measured(name: str, found: tuple[str, ProbeReport] | tuple[str, DrillReport] | None, **more: str) -> GateStep:
        if name in skipped:
            return GateStep.parse({"name": name, "pass": True, "skipped": True, **more})
        passed = found is not None and found[1].passed
        path = found[0] if found else None
        return GateStep.parse({"name": name, "pass": passed, "report": path, "exitCode": 0 if passed else 1, **more})

    rows = gate.original_snapshot_checks(after, policy, ownership) if after is not None else []
    look = {"name": "snapshot_gate", "pass": bool(rows) and all(row["pass"] for row in rows), "checks": rows}
    burn: dict[str, object] = {"name": "burn_rate_gate", "pass": True, "skipped": True}
    if drill is not None and policy.burn_rate.enabled:
        burn = {
            "name": "burn_rate_gate",
            "pass": all(item.passed for item in burns),
            "checks": [gate.original_burn_check(item, policy) for item in burns],
            "sourceReport": drill[0],
            "lookbackReports": looked_back,
        }
    return (
        measured("synthetic_probes", probe),
        measured("load_drill", drill, profile=profile),
        GateStep.parse(look),
        GateStep.parse(burn),
    )


def gate_report(
    *,
    started_ms: int,
    finished_ms: int,
    base_url: str,
    profile: str,
    minutes: int,
    limit: int,
    paths: tuple[str, str, str],
    steps: tuple[GateStep, ...],
    honest: GateHonest,
) -> GateReport:
    """The whole artifact; `paths` are those of gate policy, ownership and baseline."""
    return GateReport(
        started_at=iso(started_ms),
        finished_at=iso(finished_ms),
        base_url=base_url,
        profile=profile,
        snapshot_window_minutes=minutes,
        snapshot_limit=limit,
        policy_path=paths[0],
        ownership_path=paths[1],
        slo_baseline_path=paths[2],
        steps=steps,
        passed=all(step.passed for step in steps),
        rollback_criteria=gate.ROLLBACK_CRITERIA,
        honest=honest,
    )
