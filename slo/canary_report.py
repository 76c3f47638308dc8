"""What stands between a judged canary and its promotion, its artifact, and the same verdict from the files alone.

VERDICTS: only *not run* can be waived, by name; a limit looser than Sendcat's own is read before a promotion (R42).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from slo import canary, canary_original
from slo import drill as drills
from slo.artifacts import CanaryFiles, CanaryHonest, CanaryReport, FileRef
from slo.canary import Figures, Seen
from slo.drill import SCENARIO_RAN
from slo.gameday import MAX_429_SHARE
from slo.policy import Baseline, CanaryPolicy, Ownership, load
from slo.promotion import Gaps, near
from slo.reports import DrillReport, ProbeReport, iso
from slo.scenarios import ENDPOINTS, SCENARIOS
from slo.verdict import Check, Judgement, Verdict

PARTS = ("controlProbe", "candidateProbe", "controlDrill", "candidateDrill")
"""What is compared, by its name in the artifact."""


def with_overrides(policy: CanaryPolicy, given: Mapping[str, float | None]) -> CanaryPolicy:
    """The policy with the limits that were given by flag; None leaves the file's. Raises ValidationError."""
    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        return policy
    comparison = {**policy.comparison.model_dump(), **said}
    return CanaryPolicy.model_validate({"comparison": comparison})


def looser(policy: CanaryPolicy) -> tuple[str, ...]:
    """Which limits let more through than Sendcat's own file, in sentences."""
    own, used = load(CanaryPolicy).comparison.model_dump(), policy.comparison.model_dump()
    return tuple(
        f"{name.replace('_', ' ')} {used[name]:g} lets more through than Sendcat's own {own[name]:g}"
        for name in own
        if used[name] > own[name]
    )


def settled(made: Judgement, done: int, planned: int) -> Judgement:
    """The judgement of so many rounds; a PASS of fewer than planned is none, since the rounds no longer take turns."""
    if made.verdict is not Verdict.PASS or done >= planned:
        return made
    return made.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": f"{done} of {planned} rounds ran"})


def gaps(made: Judgement, control: Seen, candidate: Seen, required: Sequence[str]) -> Gaps:
    """What an INCOMPLETE canary lacks: scenarios that may be waived by name, and a sentence for what may not."""
    if made.verdict is not Verdict.INCOMPLETE:
        return Gaps()
    waivable: list[str] = []
    blocked = [made.reason] if made.reason else []
    for check in made.undecided:
        scenario = next((name for name, path in ENDPOINTS.items() if path == check.scope), None)
        if check.name == SCENARIO_RAN and scenario is not None:
            waivable.append(scenario)
        elif check.name in ("control_drill", "candidate_drill"):
            side = control if check.name == "control_drill" else candidate
            # Without a drill the reason says so already.
            if side.drill is not None and not _only_not_run(side.drill, required):
                blocked.append(_why(check))
        else:
            blocked.append(_why(check))
    if set(waivable) >= set(SCENARIOS) and not blocked:
        blocked.append("no scenario ran on both sides")
    return Gaps(tuple(dict.fromkeys(waivable)), "; ".join(dict.fromkeys(blocked)))


def _only_not_run(drill: DrillReport | None, required: Sequence[str]) -> bool:
    """Whether a drill decides nothing only because a scenario was not run."""
    if drill is None:
        return False
    made = drills.judge(drill, load(Baseline), load(Ownership), required=required)
    return not made.failed and not made.reason and all(check.name == SCENARIO_RAN for check in made.undecided)


def _why(check: Check) -> str:
    of = "" if check.scope == canary.RUNS else f" of {check.scope}"
    return f"{check.name.replace('_', ' ')}{of}: {check.reason or 'not measured'}"


def warnings(made: Judgement, policy: CanaryPolicy, control: Seen, candidate: Seen) -> tuple[str, ...]:
    """Lines to be read before a promotion, most telling first; none for a clean PASS by Sendcat's own limits."""
    found = [*looser(policy), *_refused(control, candidate)]
    found += [
        f"{check.name.replace('_', ' ')} of {check.scope} is within 20% of its limit"
        for check in made.checks
        if near(check) and check.unit != "count" and check.name != "p95_regression"
    ]
    if made.verdict is Verdict.PASS and made.original_rule is False:
        names = [check.name.replace("_", " ") for check in made.checks if check.original is False]
        found.append(f"the original rule fails this canary: {', '.join(names) or 'as a whole'}")
    return tuple(dict.fromkeys(found))


def _refused(control: Seen, candidate: Seen) -> Iterator[str]:
    """Where most requests met a limit on a side, little of the release was seen (operator-commands.md, weakness 4)."""
    for name in SCENARIOS:
        for side, seen in (("control", control), ("candidate", candidate)):
            figures = Figures.of(seen.drill, name) if seen.drill is not None else None
            refused = figures.statuses.get("429", 0) if figures is not None else 0
            if figures is not None and refused > MAX_429_SHARE * figures.n:
                yield f"{refused} of {figures.n} requests of {name} were refused (429) on the {side}"


def report(
    *,
    started_ms: int,
    finished_ms: int,
    profile: str,
    urls: tuple[str, str],
    policy_path: str,
    policy: CanaryPolicy,
    control: Seen,
    candidate: Seen,
    paths: Mapping[str, str | None],
    honest: CanaryHonest,
) -> CanaryReport:
    """The whole artifact, also of a canary that was not carried through; ``paths`` are the reports by `PARTS`."""
    checks = canary_original.checks(control, candidate, policy, dict(paths))
    return CanaryReport(
        started_at=iso(started_ms),
        finished_at=iso(finished_ms),
        profile=profile,
        control_url=urls[0],
        candidate_url=urls[1],
        policy_path=policy_path,
        checks=checks,
        artifacts=CanaryFiles.model_validate({part: paths[part] for part in PARTS if paths.get(part)}),
        passed=all(check.passed for check in checks),
        rollback_criteria=canary.ROLLBACK_CRITERIA,
        honest=honest,
    )


Held = Callable[[str, str | None], dict[str, Any]]
"""Reads a file beside the report: its name, and the sha256 that it must have (None for one of the original's)."""


def judge_again(made: CanaryReport, held: Held) -> Judgement:
    """The verdict reached again from the report and the files it names. Raises `SloError`, or what ``held`` does."""
    ours = made.honest
    refs: dict[str, FileRef | None]
    if ours is not None:
        refs = {part: ours.evidence.get(part) for part in PARTS}
    else:
        written = made.artifacts.model_dump(by_alias=True)
        refs = {
            part: FileRef(name=PurePath(written[part]).name, sha256="") if written.get(part) else None for part in PARTS
        }
    raw = {part: held(ref.name, ref.sha256 or None) for part, ref in refs.items() if ref is not None}
    limits = ours.limits if ours is not None else None
    policy = load(CanaryPolicy)
    if limits is not None:
        policy = with_overrides(policy, limits.model_dump(include=set(policy.comparison.model_dump())))
    sides = {
        side: Seen(
            ProbeReport.parse(raw[f"{side}Probe"]) if f"{side}Probe" in raw else None,
            DrillReport.parse(raw[f"{side}Drill"]) if f"{side}Drill" in raw else None,
        )
        for side in ("control", "candidate")
    }
    again = canary.judge(
        sides["control"],
        sides["candidate"],
        policy,
        load(Baseline),
        load(Ownership),
        required=ours.required_scenarios if ours is not None else None,
    )
    return settled(again, len(ours.rounds), ours.rounds_planned) if ours is not None else again
