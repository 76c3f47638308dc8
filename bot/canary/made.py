"""A canary that was measured becomes a verdict, an artifact, a card, and a case for a person (VERDICTS, "Canary")."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot import pictures
from bot.canary import evidence, shown
from bot.canary.comparing import SIDES
from bot.canary.flags import LOOK_LIMIT, LOOK_MINUTES, CanaryArgs, Pair
from bot.canary.policies import Policies
from bot.cases import bound
from bot.cases.opening import Opened, open_case
from bot.command import EXIT, Outcome
from slo import canary as judge
from slo import canary_power
from slo.artifacts import CanaryHonest, CanaryLimits, CanaryReport, CanaryRound, FileRef
from slo.canary import Delta, Seen
from slo.canary_report import PARTS, gaps, report, settled, warnings, with_overrides
from slo.compare import CanaryStatistics
from slo.policy import Baseline, CanaryPolicy, Ownership
from slo.promotion import Gaps
from slo.reports import DrillReport
from slo.rounds import Side, merge
from slo.scenarios import CHAT
from slo.verdict import Judgement

if TYPE_CHECKING:
    from bot.canary.comparing import Gathered
    from bot.card import Card
    from bot.run import Run
    from bot.store.artifacts import Artifact


@dataclass(frozen=True)
class Made:
    """Everything that the card and the case need."""

    judged: Judgement
    seen: Mapping[Side, Seen]
    report: CanaryReport
    kept: Artifact
    deltas: tuple[Delta, ...]
    gaps: Gaps
    warnings: tuple[str, ...]
    picture: str | None
    left_out: str
    """What of the evidence could not be made, and why."""

    @property
    def honest(self) -> CanaryHonest:
        assert self.report.honest is not None
        return self.report.honest


async def in_children(
    control: DrillReport, candidate: DrillReport, baseline: Baseline
) -> tuple[CanaryStatistics, bytes | str]:
    """Statistics and picture, at the same time in two children; the picture may be a sentence why there is none."""
    data = await asyncio.to_thread(evidence.picture, control, candidate, baseline)
    if data is None:
        return await evidence.statistics(control, candidate), ""
    statistics, drawn = await asyncio.gather(evidence.statistics(control, candidate), pictures.render(data))
    return statistics, drawn


Beside = Callable[[DrillReport, DrillReport, Baseline], Awaitable[tuple[CanaryStatistics, bytes | str]]]
"""What makes the evidence that stands beside the verdict and decides nothing; both sides were drilled."""


async def conclude(
    run: Run, args: CanaryArgs, pair: Pair, policies: Policies, found: Gathered, *, beside: Beside = in_children
) -> Outcome:
    """Judge, keep ``canary-check-<stamp>.json``, and open the case; a canary that was stopped opens none."""
    made = await make(run, args, pair, policies, found, beside=beside)
    verdict = made.judged.verdict
    card = shown.card(run, args, pair, found, made)
    data: dict[str, Any] = {
        "verdict": verdict.value,
        "artifact": made.kept.name,
        "control": pair.control.name,
        "candidate": pair.candidate.name,
        "original_rule": made.judged.original_rule,
        "waivable": list(made.gaps.waivable),
        "blocked": made.gaps.blocked,
        "warnings": list(made.warnings),
        "report": made.report.to_artifact(),
    }
    if found.stopped:
        return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data={**data, "state": "stopped"})
    opened = await _open_case(run, args, pair, policies, found, made, card)
    return Outcome(card=opened.card, exit_status=EXIT[verdict], verdict=verdict, data=data | opened.data)


async def make(
    run: Run, args: CanaryArgs, pair: Pair, policies: Policies, found: Gathered, *, beside: Beside = in_children
) -> Made:
    """The judgement and its artifact; what was measured is kept whatever it says."""
    policy = with_overrides(policies.of(CanaryPolicy), args.overrides)
    baseline, ownership = policies.of(Baseline), policies.of(Ownership)
    files, seen = await _sides(run, pair, baseline, found)
    control, candidate = seen["control"], seen["candidate"]

    def judged_now() -> tuple[Judgement, Gaps]:
        made = judge.judge(control, candidate, policy, baseline, ownership, required=pair.required)
        made = settled(made, len(found.rounds), len(found.planned))
        return made, gaps(made, control, candidate, pair.required)

    made, lacks = await asyncio.to_thread(judged_now)
    lacks = _bindable(lacks, pair, found)
    warned = (
        *policies.foreign,
        *warnings(made, policy, control, candidate),
    )
    statistics: CanaryStatistics | None = None
    drawn: bytes | str = ""
    if control.drill is not None and candidate.drill is not None:
        statistics, drawn = await beside(control.drill, candidate.drill, baseline)
    honest = CanaryHonest.of(
        made,
        target=pair.candidate.name,
        control_target=pair.control.name,
        candidate_target=pair.candidate.name,
        release=args.name,
        commit=args.commit,
        required_scenarios=pair.required,
        limits=CanaryLimits.model_validate(policy.comparison.model_dump()),
        warnings=warned,
        waivable=lacks.waivable,
        blocked=lacks.blocked,
        not_done=tuple(found.not_done),
        rounds_planned=len(found.planned),
        rounds=tuple(CanaryRound(side=side, report=run.ref(drilled.artifact)) for side, drilled in found.rounds),
        evidence={part: FileRef(name=file.name, sha256=file.sha256) for part, file in files.items()},
        policies=policies.digests,
        power=_power(seen),
        statistics=statistics,
    )
    folder = run.world.config.artifact_dir
    written = report(
        started_ms=found.started_ms,
        finished_ms=run.world.clock.now_ms(),
        profile=args.profile,
        urls=(pair.control.site_url, pair.candidate.site_url),
        policy_path=policies.path("canary"),
        policy=policy,
        control=control,
        candidate=candidate,
        paths={part: str(folder / files[part].name) if part in files else None for part in PARTS},
        honest=honest,
    )
    kept = await run.keep("canary", written.to_artifact())
    compared: tuple[Delta, ...] = ()
    if control.drill is not None and candidate.drill is not None:
        compared = judge.deltas(control.drill, candidate.drill, made, baseline)
    picture, no_picture = await pictures.keep(run, drawn, kept.name) if drawn else (None, "")
    statistics_left_out = statistics.left_out if statistics is not None else ""
    left_out = "; ".join(part for part in (statistics_left_out, no_picture) if part)
    return Made(made, seen, written, kept, compared, lacks, warned, picture, left_out)


async def _sides(
    run: Run, pair: Pair, baseline: Baseline, found: Gathered
) -> tuple[dict[str, Artifact], dict[Side, Seen]]:
    """Both sides, all rounds of each as one drill that is kept as such; and every file by its name in the artifact."""
    by_name = {artifact.name: artifact for artifact in run.saved}
    files: dict[str, Artifact] = {}
    seen: dict[Side, Seen] = {}
    for side in SIDES:
        rounds = [drilled.report for drilled in found.of(side)]
        whole = await asyncio.to_thread(merge, rounds, baseline) if rounds else None
        if whole is not None:
            at = replace(run, on=pair[side])
            files[f"{side}Drill"] = await at.keep("drill", whole.to_artifact(), whole.profile)
        probed = found.probed.get(side)
        named = {"Probe": probed, "Before": found.before.get(side), "After": found.after.get(side)}
        files |= {f"{side}{part}": by_name[item.artifact] for part, item in named.items() if item is not None}
        seen[side] = Seen(probed.report if probed else None, whole)
    return files, seen


def _bindable(lacks: Gaps, pair: Pair, found: Gathered) -> Gaps:
    """A promotion is bound to both deployments as they were configured; without that nobody can promote."""
    blocked = [lacks.blocked] if lacks.blocked else []
    for side in SIDES:
        name, before, after = pair[side].name, found.before.get(side), found.after.get(side)
        if before is None or after is None:
            blocked.append(f"{name} could not be looked at {'before' if before is None else 'afterwards'}")
        elif bound.configuration(before.snapshot) != bound.configuration(after.snapshot):
            blocked.append(f"the configuration of {name} changed during the canary")
    return replace(lacks, blocked="; ".join(blocked))


def _power(seen: Mapping[Side, Seen]) -> float | None:
    """How surely 5% broken chats would have been seen, by the fewer chats of the two sides."""
    counts = []
    for side in seen.values():
        ours = side.drill.honest.scenario(CHAT) if side.drill is not None and side.drill.honest is not None else None
        counts.append(ours.pooled.sent if ours is not None and ours.pooled is not None else 0)
    return canary_power.power(min(counts)) if all(counts) else None


async def _open_case(
    run: Run, args: CanaryArgs, pair: Pair, policies: Policies, found: Gathered, made: Made, card: Card
) -> Opened:
    def deployed(side: Side) -> bound.Deployed:
        return bound.Deployed.at(run, pair[side], found.after.get(side))

    return await open_case(
        run,
        "canary",
        target=pair.control.name,
        subject=pair.candidate.name,
        commit=args.commit,
        verdict=made.judged.verdict,
        binding=bound.binding(
            report=made.kept,
            policies=policies,
            deployed=deployed("candidate"),
            also=(deployed("control"),),
            minutes=LOOK_MINUTES,
            limit=LOOK_LIMIT,
            args={
                "release": args.name,
                "commit": args.commit,
                "limits": {name: str(value) for name, value in args.overrides.items() if value is not None},
            },
        ),
        waivable=made.gaps.waivable,
        blocked=made.gaps.blocked,
        needs_reason=bool(made.warnings),
        card=card,
    )
