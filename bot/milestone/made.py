"""A milestone that was measured, or not, becomes a verdict, an artifact, a card, and a case for a person.

The artifact is written in every case: failed, aborted, stopped, or never sent for want of a pool (weakness 24).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import history, pictures
from bot.cases import bound
from bot.cases.opening import Opened, open_case
from bot.command import EXIT, Outcome
from bot.milestone import ladder, shown
from bot.milestone.flags import subject
from bot.sendcat.brake import Why
from slo import milestone as judge
from slo import milestone_report
from slo.artifacts import MilestoneHonest, MilestoneReport, MilestoneScale
from slo.profiles import profile
from slo.scenarios import CHAT
from slo.snapshot import SERVER_MAX_LIMIT
from slo.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from bot.card import Card
    from bot.milestone.gathering import Asked, Gathered
    from bot.milestone.ladder import Rung
    from bot.run import Run
    from bot.store.artifacts import Artifact
    from slo.reports import DrillReport


@dataclass(frozen=True)
class Made:
    """Everything that the card and the case need; ``last`` is the gate of this milestone before, to compare with."""

    judged: Judgement
    report: MilestoneReport
    kept: Artifact
    rungs: tuple[Rung, ...]
    last: MilestoneReport | None

    @property
    def honest(self) -> MilestoneHonest:
        assert self.report.honest is not None
        return self.report.honest


async def conclude(run: Run, wish: Asked, found: Gathered) -> Outcome:
    """Judge, keep the artifact, and open the case: of a PASS to decide on, of a FAIL that blocks.

    What proves nothing (scaled, stopped, never sent) opens none: it takes no earlier approval away.
    """
    made = await _make(run, wish, found)
    verdict = made.judged.verdict
    card = shown.gate_card(run, wish, found, made)
    if found.drilled is not None and not stopped(run):
        card = await pictures.beside(run, card, found.drilled)
    data: dict[str, Any] = {
        "verdict": verdict.value,
        "artifact": made.kept.name,
        "milestone": wish.args.milestone,
        "release": wish.args.name,
        "original_rule": made.judged.original_rule,
        "blocked": made.honest.blocked,
        "warnings": list(made.honest.warnings),
        "ladder": dict(ladder.data(made.rungs)),
        "not_run": found.not_run,
    }
    if stopped(run):
        data["state"] = "stopped"
    elif verdict is not Verdict.INCOMPLETE and found.drilled is not None:
        opened = await _open_case(run, wish, found, made, card)
        card, data = opened.card, data | opened.data
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=data)


def stopped(run: Run) -> bool:
    """Whether a person stopped it or control was lost, so that nothing is decided."""
    halt = run.brake.halted
    return halt is not None and halt.reason in (Why.STOPPED, Why.CONTROL_LOST)


async def _make(run: Run, wish: Asked, found: Gathered) -> Made:
    world, target, name, rules = run.world, run.target, wish.args.milestone, wish.rules
    before, after = found.before, found.after
    drill = found.drilled.report if found.drilled is not None else None
    limit = (after.read.effective_limit if after is not None else None) or SERVER_MAX_LIMIT
    now_ms = world.clock.now_ms()
    judged_ms = now_ms + (after.read.skew_ms if after is not None else 0)
    judged = judge.judge(
        name,
        rules,
        drill,
        after.snapshot if after is not None else None,
        wish.policies.ownership,
        now_ms=judged_ms,
        before=before.snapshot if before is not None else None,
        limit=limit,
        pool=found.pool_checks,
        not_run=found.not_run,
    )
    past = await history.milestones(world, target.name)
    parts = {"before": before, "after": after, "drill": found.drilled}
    honest = MilestoneHonest.of(
        judged,
        target=target.name,
        release=wish.args.name,
        commit=wish.args.commit,
        judged_at=judged_ms,
        **_streams(wish, drill),
        scale=MilestoneScale(
            load=wish.drill.scale.load,
            concurrency=wish.drill.scale.concurrency,
            duration=wish.drill.scale.duration,
            original_workers=wish.args.original_scale,
        ),
        approval=wish.approved.decision if wish.approved is not None else None,
        pool_name=found.pool.name if found.pool is not None else None,
        pool_age_ms=found.pool.age_ms(now_ms) if found.pool is not None else None,
        availability=milestone_report.availability(drill),
        availability_target=judge.AVAILABILITY.get(name),
        warnings=(*_softer(wish), *milestone_report.warnings(judged)),
        blocked=milestone_report.blocked(judged),
        not_done=(*([found.not_run] if found.not_run else []), *found.missing),
        effective_limit=limit,
        evidence={key: run.ref(part.artifact) for key, part in parts.items() if part is not None},
        policies=wish.policies.digests,
        configuration=bound.configuration(after.snapshot) if after is not None else "",
    )
    assert isinstance(honest, MilestoneHonest)
    report = milestone_report.milestone_report(
        name,
        rules,
        started_ms=found.started_ms,
        finished_ms=now_ms,
        base_url=target.site_url,
        policy_path=wish.policies.path("policy"),
        drill=drill,
        drill_path=str(world.config.artifact_dir / found.drilled.artifact) if found.drilled is not None else None,
        after=after.snapshot if after is not None else None,
        minutes=wish.minutes,
        limit=wish.limit,
        honest=honest,
    )
    kept = await run.keep("milestone", report.to_artifact(), name)
    rungs = await world.store.read(lambda conn: ladder.rungs(conn, target.name, wish.args.name, now_ms))
    last = next((report for _, report in past if report.milestone == name and report.drill_report_path), None)
    return Made(judged, report, kept, rungs, last)


def _streams(wish: Asked, drill: DrillReport | None) -> dict[str, int | None]:
    """What the milestone's name means, what was planned, and what was really open."""
    plan = profile(wish.rules.profile).streams
    chat = next((item.streams for item in wish.plan.scenarios if item.name == CHAT), None)
    ours = drill.honest.scenario(CHAT) if drill is not None and drill.honest is not None else None
    held = ours.held if ours is not None else None
    return {
        "streams_wanted": judge.wanted_streams(wish.args.milestone, wish.rules) or None,
        "streams_planned": chat.streams if chat is not None else None,
        "streams_held": held.open_p5 if held is not None else None,
        "sustained_ms": held.sustain_ms if held is not None else None,
        "soak_ms": plan.soak_ms if plan is not None else None,
    }


def _softer(wish: Asked) -> tuple[str, ...]:
    """What may have made this gate easier than the runbook's; it is read before anybody approves (R42)."""
    found = [*wish.policies.foreign]
    least = wish.policies.milestones.defaults.snapshot_window_minutes
    if wish.minutes < least:
        found.append(f"the snapshots look back {wish.minutes} minutes, the policy {least}")
    if (wish.drill.chat_min_unique_coverage or 0) < wish.rules.pool.min_unique_coverage:
        found.append(
            f"a lower coverage of the pool was asked for than the policy's {wish.rules.pool.min_unique_coverage}"
        )
    return tuple(found)


async def _open_case(run: Run, wish: Asked, found: Gathered, made: Made, card: Card) -> Opened:
    return await open_case(
        run,
        "milestone",
        target=run.target.name,
        subject=subject(wish.args.milestone, wish.args.name),
        commit=wish.args.commit,
        verdict=made.judged.verdict,
        binding=bound.binding(
            report=made.kept,
            policies=wish.policies,
            deployed=bound.Deployed.at(run, run.target, found.after),
            minutes=wish.minutes,
            limit=wish.limit,
            args={"milestone": wish.args.milestone, "release": wish.args.name, "commit": wish.args.commit},
        ),
        needs_reason=bool(made.honest.warnings),
        card=card,
    )
