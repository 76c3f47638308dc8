"""The milestone gate's artifact: the original's fields in its order, computed its way; `honest` decides.

Written also when the drill failed, was aborted, or was never sent, where the original crashed and left nothing
(operator-commands.md section 10; weakness 24).
"""

from __future__ import annotations

from slo import milestone
from slo.artifacts import MilestoneHonest, MilestoneReport, MilestoneSnapshotChecks
from slo.policy import Milestone
from slo.reports import DrillReport, HonestStage, iso
from slo.scenarios import CHAT
from slo.snapshot import Snapshot
from slo.verdict import Check, Judgement, Verdict

NEAR = 0.8
"""From this share of a limit a passing check is marked: within 20% of its limit."""


def milestone_report(
    name: str,
    rules: Milestone,
    *,
    started_ms: int,
    finished_ms: int,
    base_url: str,
    policy_path: str,
    drill: DrillReport | None,
    drill_path: str | None,
    after: Snapshot | None,
    minutes: int,
    limit: int,
    honest: MilestoneHonest,
) -> MilestoneReport:
    """The whole artifact. `pass` is what the original would have said: without a passed drill it has no pass."""
    if drill is not None:
        scenarios = tuple(milestone.original_scenario(each, rules, drill) for each in rules.required_scenarios)
    else:
        scenarios = tuple(milestone.missing_scenario(each) for each in rules.required_scenarios)
    looked = milestone.original_snapshot(rules, after) if after is not None else None
    return MilestoneReport(
        started_at=iso(started_ms),
        finished_at=iso(finished_ms),
        base_url=base_url,
        milestone=name,
        policy_path=policy_path,
        drill_report_path=drill_path,
        snapshot_window_minutes=minutes,
        snapshot_limit=limit,
        scenario_checks=scenarios,
        snapshot_checks=looked or MilestoneSnapshotChecks(passed=False, checks=()),
        passed=milestone.original_rule(rules, drill, after),
        honest=honest,
    )


def availability(drill: DrillReport | None) -> float | None:
    """Share of streams that ended with `done`, of all that were sent; None when streams were not read."""
    pooled = _pooled(drill)
    return pooled.succeeded / pooled.sent if pooled is not None and pooled.sent else None


def _pooled(drill: DrillReport | None) -> HonestStage | None:
    ours = drill.honest.scenario(CHAT) if drill is not None and drill.honest is not None else None
    return ours.pooled if ours is not None else None


def blocked(made: Judgement) -> str:
    """Why nobody can approve what is INCOMPLETE, in a sentence; empty for what was shown."""
    if made.verdict is not Verdict.INCOMPLETE:
        return ""
    parts = [
        check.reason or f"{check.name.replace('_', ' ')} not measured"
        for check in made.undecided
        if not (made.reason and made.reason in check.reason)
    ]
    return "; ".join(dict.fromkeys([*([made.reason] if made.reason else []), *parts]))


def warnings(made: Judgement) -> tuple[str, ...]:
    """Lines to be read before an approval: what is near its limit, and what the original's rule fails."""
    found = [
        f"{check.name.replace('_', ' ')} of {check.scope} is within 20% of its limit"
        for check in made.checks
        if near(check)
    ]
    if made.verdict is Verdict.PASS and made.original_rule is False:
        found.append("the original rule fails this gate")
    return tuple(found)


def near(check: Check) -> bool:
    """Whether a passing check is within 20% of its limit; of a minimum rate, of the share that may be bad."""
    if check.verdict is not Verdict.PASS or check.value is None or check.limit is None:
        return False
    if check.comparison == ">=":
        bad = check.name.endswith("success_rate") and check.limit < 1
        return bad and (1 - check.value) >= NEAR * (1 - check.limit)
    return check.limit > 0 and check.value >= NEAR * check.limit
