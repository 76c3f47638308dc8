"""Judge a game day: a rehearsal whose findings count.

Runbook, "Game-Day Procedure"; operator-commands.md section 7. In the original findings do not fail the run,
not even 85% of refusals (weakness 31); here they do, and each becomes an action item with an owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slo import drill as drills
from slo import probe as probes
from slo.artifacts import ActionItem
from slo.measure import to_fixed
from slo.policy import Baseline, Ownership
from slo.reports import DrillReport, MeasuredScenario, ProbeReport
from slo.scenarios import SCENARIOS, endpoint
from slo.verdict import Check, Judgement, Owner, Verdict, sum_up
from slo.verdict import judge as check

MAX_429_SHARE = 0.3
NOTHING_TO_DO = "No findings: nothing to do before the next game day."
TO_DO = (
    "Investigate failed/flagged scenarios via runbook playbooks.",
    "Tune reliability env knobs conservatively and rerun game-day.",
)


@dataclass(frozen=True, slots=True)
class Drilled:
    """One drill of the day; `report` is None when it could not be made, `why` says so."""

    profile: str
    report: DrillReport | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that somebody has to look at before the next game day."""

    text: str
    owner: Owner
    decided: bool = True
    """False for a step that was not done or proved nothing."""

    def item(self, id: str | None = None) -> ActionItem:
        return ActionItem(finding=self.text, owner=self.owner.owner, secondary=self.owner.secondary, id=id)


@dataclass(frozen=True, slots=True)
class GameDayJudgement:
    """`findings` are ours, once each; `original_findings` are the original's sentences. `steps` in their order."""

    judgement: Judgement
    findings: tuple[Finding, ...]
    original_findings: tuple[str, ...]
    steps: tuple[tuple[str, Judgement], ...] = ()

    def step(self, name: str) -> Judgement:
        """One step's judgement: `probe`, `drill burst`, or a further one by its name. Raises KeyError."""
        return dict(self.steps)[name]


def judge(
    probe: ProbeReport | None,
    day: Sequence[Drilled],
    baseline: Baseline,
    ownership: Ownership,
    *,
    required: Sequence[str] | None = None,
    further: Sequence[tuple[str, Judgement]] = (),
) -> GameDayJudgement:
    """The verdict of a game day: probe, every profile's drill, and the share of refusals (429).

    `further` are steps that were judged elsewhere, such as the look for a fault that was woven in.

    A step that was not done, or proved nothing, is INCOMPLETE and a finding of its own.
    """
    steps: list[tuple[str, Judgement]] = [
        ("probe", probes.judge(probe, ownership) if probe else sum_up([], reason="not run"))
    ]
    checks: list[Check] = []
    for item in day:
        made = sum_up([], reason=item.why or "not run")
        if item.report is not None:
            made = drills.judge(item.report, baseline, ownership, required=required)
            checks.extend(_refusals(item.profile, item.report, ownership))
        steps.append((f"drill {item.profile}", made))
    steps.extend(further)
    findings = [finding for name, made in steps for finding in _of_step(name, made, ownership)]
    findings += [Finding(_refused_text(item), item.owner or ownership.defaults) for item in checks if _over(item)]
    whole = sum_up(
        [*(item for _, made in steps for item in made.checks), *checks],
        original_rule=original_rule(probe, day),
        reason="; ".join(f"{name}: {made.reason}" for name, made in steps if made.reason),
        also=[made.verdict for _, made in steps],
    )
    return GameDayJudgement(whole, tuple(dict.fromkeys(findings)), original_findings(probe, day), tuple(steps))


def _refusals(profile: str, report: DrillReport, ownership: Ownership) -> list[Check]:
    """The share of requests that were refused with 429, for each endpoint that ran."""
    made = []
    for name in SCENARIOS:
        ours = report.honest.scenario(name) if report.honest is not None else None
        whole = report.scenario(name)
        if ours is not None and ours.pooled is not None:
            total, refused = ours.pooled.sent, ours.pooled.statuses.get("429", 0)
        elif isinstance(whole, MeasuredScenario):
            total, refused = whole.summary.total_requests, whole.summary.statuses.get("429", 0)
        else:
            continue
        path = endpoint(name)
        made.append(
            check(
                "429_share",
                refused / total if total else None,
                MAX_429_SHARE,
                scope=path,
                unit="rate",
                owner=ownership.owner_of(path),
                reason=f"{profile}: {refused} of {total}" if total else "no requests",
            )
        )
    return made


def _over(item: Check) -> bool:
    return item.verdict is Verdict.FAIL


def _refused_text(item: Check) -> str:
    return f"{item.scope} refused {item.reason.partition(': ')[2]} requests in profile {item.reason.partition(': ')[0]}"


def _of_step(name: str, made: Judgement, ownership: Ownership) -> list[Finding]:
    """What failed in a step, one finding for each endpoint; a step that decided nothing is one finding."""
    by_scope: dict[str, list[Check]] = {}
    for item in made.failed:
        by_scope.setdefault(item.scope, []).append(item)
    found = [
        Finding(f"{name}: {', '.join(map(_figure, red))} of {scope}", red[0].owner or ownership.defaults)
        for scope, red in by_scope.items()
    ]
    if made.verdict is Verdict.FAIL and not found:
        found.append(Finding(f"{name}: {made.reason}", ownership.defaults))
    if made.verdict is Verdict.INCOMPLETE:
        first = made.undecided[0] if made.undecided else None
        why = made.reason or (f"{_figure(first)} of {first.scope}: {first.reason}" if first else "not run")
        found.append(Finding(f"{name} decided nothing: {why}", (first and first.owner) or ownership.defaults, False))
    return found


def _figure(item: Check) -> str:
    """``p95 latency 1678 ms``: a check in words, always with the same unit, so that two days tell it alike."""
    name = item.name.replace("_", " ")
    if item.value is None or item.unit == "count":
        return name
    return f"{name} {item.value:.0f} ms" if item.unit == "ms" else f"{name} {item.value * 100:.1f} %"


# The original's rule


def original_rule(probe: ProbeReport | None, day: Sequence[Drilled]) -> bool:
    """All steps exited 0; findings move nothing."""
    return bool(probe and probe.passed) and all(item.report is not None and item.report.passed for item in day)


def original_findings(probe: ProbeReport | None, day: Sequence[Drilled]) -> tuple[str, ...]:
    """`findings`, in the original's words; a drill without a report is a failed step but no finding."""
    found = []
    if probe is None or not probe.passed:
        found.append("Synthetic probes failed.")
    for item in day:
        if item.report is None:
            continue
        if not item.report.passed:
            found.append(f"Load drill failed for profile {item.profile}.")
        for scenario in item.report.scenarios:
            if not isinstance(scenario, MeasuredScenario):
                continue
            total = scenario.summary.total_requests
            share = scenario.summary.statuses.get("429", 0) / total if total else 0
            if share > MAX_429_SHARE:
                percent = f"{float(to_fixed(share * 100, 1)):.1f}"
                found.append(f"Profile {item.profile}, scenario {scenario.name} had high 429 share ({percent}%).")
    return tuple(found)


def original_actions(findings: Sequence[str]) -> tuple[str, ...]:
    """`actionItems`: one line when there is nothing to do, two fixed ones otherwise."""
    return TO_DO if findings else (NOTHING_TO_DO,)


def open_items(rows: Sequence[Mapping[str, str]]) -> tuple[ActionItem, ...]:
    """Rows of action items as they stand in a report."""
    return tuple(
        ActionItem(finding=row["finding"], owner=row["owner"], secondary=row["secondary"], id=row["id"]) for row in rows
    )
