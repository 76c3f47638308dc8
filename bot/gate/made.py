"""A gate that was measured becomes a verdict, an artifact, a card, and a case for a person (VERDICTS, "Gate")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import history, pictures
from bot.card import Card
from bot.cases import bound
from bot.cases.opening import Opened, open_case
from bot.command import EXIT, Outcome
from bot.gate import checks, shown
from bot.store import cases
from bot.store.case import YES
from slo import gate as judge
from slo.artifacts import FileRef
from slo.gate_report import GateHonest, GateReport, JudgedStep, gate_report, original_steps
from slo.promotion import Gaps, gaps, warnings
from slo.snapshot import SERVER_MAX_LIMIT
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.commands.gate import GateArgs
    from bot.gate.policies import Policies
    from bot.measure import Drilled, Looked, Probed
    from bot.run import Run
    from bot.store.artifacts import Artifact
    from slo.gate import Burn, GateJudgement

WINDOW_MINUTES = 15
"""How far the original's gate looks back (operator-commands.md section 5)."""


@dataclass
class Gathered:
    """What was measured, each None when it was not."""

    started_ms: int
    before: Looked | None = None
    probed: Probed | None = None
    drilled: Drilled | None = None
    after: Looked | None = None


@dataclass(frozen=True)
class Asked:
    """What the gate was asked for; ``release`` None means that nobody can approve it."""

    release: str | None
    commit: str | None
    risk: str
    profile: str
    minutes: int
    limit: int
    skipped: frozenset[str]

    @classmethod
    def of(cls, args: GateArgs) -> Asked:
        skipped = {"synthetic_probes": args.skip_probes, "load_drill": args.skip_drill}
        return cls(
            release=args.name,
            commit=args.commit,
            risk=args.risk,
            profile=args.profile,
            minutes=args.minutes,
            limit=args.limit,
            skipped=frozenset(name for name, left_out in skipped.items() if left_out),
        )


@dataclass(frozen=True)
class Made:
    """Everything that the card and the case need."""

    judged: GateJudgement
    report: GateReport
    kept: Artifact
    gaps: Gaps
    warnings: tuple[str, ...]
    last: GateReport | None
    playbook: str | None
    """Where a FAIL leads; None when neither a check nor a signal names a playbook."""


async def conclude(
    run: Run, asked: Asked, policies: Policies, found: Gathered, missing: Sequence[str], by_hand: Sequence[str]
) -> Outcome:
    """Judge, keep the artifact, and open the case when the gate is about a named release."""
    made = await _make(run, asked, policies, found)
    verdict = made.judged.verdict
    card = shown.card(run, asked, made, missing, by_hand)
    if found.drilled is not None:
        card = await pictures.beside(run, card, found.drilled)
    data: dict[str, Any] = {
        "verdict": verdict.value,
        "artifact": made.kept.name,
        "release": asked.release,
        "original_rule": made.judged.original_rule,
        "waivable": list(made.gaps.waivable),
        "blocked": made.gaps.blocked,
        "warnings": list(made.warnings),
    }
    if asked.release is not None:
        opened = await _open_case(run, asked, asked.release, policies, found, made, card)
        card, data = opened.card, data | opened.data
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=data)


async def _make(run: Run, asked: Asked, policies: Policies, found: Gathered) -> Made:
    world, target = run.world, run.target
    before, after = found.before, found.after
    limit = (after.read.effective_limit if after else None) or SERVER_MAX_LIMIT
    past = await history.drills(world, target.name, asked.profile, policies.gate.burn_rate.lookback_reports)
    failed = await _failed_in_window(run, after, limit)
    now_ms = world.clock.now_ms()
    judged = judge.judge(
        before=before.snapshot if before else None,
        after=after.snapshot if after else None,
        probe=found.probed.report if found.probed else None,
        drill=found.drilled.report if found.drilled else None,
        history=[report for _, report in past],
        policy=policies.gate,
        baseline=policies.baseline,
        ownership=policies.ownership,
        required=target.required_scenarios,
        now_ms=now_ms + (after.read.skew_ms if after else 0),
        limit=limit,
        failed_in_window=failed,
    )
    lacks, warned = gaps(judged), (*_softer(asked, policies), *warnings(judged))
    last = await _last_release(run, asked)
    burns: tuple[Burn, ...] = ()
    if found.drilled is not None:
        reports = [report for _, report in past]
        burns = judge.burn_rates(found.drilled.report, reports, policies.gate, policies.baseline, policies.ownership)
    parts = {"before": before, "after": after, "probe": found.probed, "drill": found.drilled}
    honest = GateHonest(
        target=target.name,
        release=asked.release or "",
        commit=asked.commit,
        risk=asked.risk,
        verdict=judged.verdict,
        original_rule=judged.original_rule,
        judged_at=now_ms,
        required_scenarios=target.required_scenarios,
        steps=tuple(JudgedStep(name=name, judgement=step) for name, step in judged.steps),
        already=judged.already,
        warnings=warned,
        waivable=lacks.waivable,
        blocked=lacks.blocked,
        effective_limit=limit,
        failed_in_window=failed,
        evidence={key: run.ref(part.artifact) for key, part in parts.items() if part},
        history=tuple(FileRef(name=kept.name, sha256=kept.sha256) for kept, _ in past),
        policies=policies.digests,
        configuration=bound.configuration(after.snapshot) if after else "",
    )
    folder = world.config.artifact_dir
    report = gate_report(
        started_ms=found.started_ms,
        finished_ms=now_ms,
        base_url=target.site_url,
        profile=asked.profile,
        minutes=asked.minutes,
        limit=asked.limit,
        paths=policies.paths(),
        steps=original_steps(
            judged,
            probe=(str(folder / found.probed.artifact), found.probed.report) if found.probed else None,
            drill=(str(folder / found.drilled.artifact), found.drilled.report) if found.drilled else None,
            skipped=asked.skipped,
            profile=asked.profile,
            after=after.snapshot if after else None,
            burns=burns,
            looked_back=len(past),
            policy=policies.gate,
            ownership=policies.ownership,
        ),
        honest=honest,
    )
    kept = await run.keep("gate", report.to_artifact())
    playbook = await _playbook(run, judged, found)
    return Made(judged, report, kept, lacks, warned, last, playbook)


async def _playbook(run: Run, judged: GateJudgement, found: Gathered) -> str | None:
    """The playbook of what is red: of a red snapshot check, else of the first signal that the evidence fires."""
    from bot import measure
    from playbooks.signals import judge_signals, suggestions

    if judged.verdict is not Verdict.FAIL:
        return None
    if (letter := checks.playbook_of(judged)) is not None:
        return letter
    looks = [look.snapshot for look in (found.before, found.after) if look is not None]
    facts = await measure.facts(
        run,
        looks,
        found.probed.report if found.probed else None,
        found.drilled.report if found.drilled else None,
    )
    return next(iter(suggestions(judge_signals(facts, run.world.book))), None)


def _softer(asked: Asked, policies: Policies) -> tuple[str, ...]:
    """What may have made this gate easier than the runbook's; it is read before anybody approves (R42)."""
    found = [*policies.foreign]
    if asked.minutes < WINDOW_MINUTES:
        found.append(f"the snapshots look back {asked.minutes} minutes, the runbook's gate {WINDOW_MINUTES}")
    return tuple(found)


async def _last_release(run: Run, asked: Asked) -> GateReport | None:
    """The gate of the release that was approved last, else the newest one of another release, to compare with."""
    target = run.target.name
    reports = [(kept.name, report) for kept, report in await history.gates(run.world, target)]
    others = {
        name: report
        for name, report in reports
        if report.honest is not None and report.honest.release not in ("", asked.release)
    }
    known = await run.world.store.read(lambda conn: cases.recent(conn, "gate", 50))
    approved = (
        others.get(str(case.binding["report"]["name"]))
        for case in known
        if case.target == target and case.answer is not None and case.answer.verb in YES
    )
    return next((report for report in approved if report is not None), None) or next(iter(others.values()), None)


async def _failed_in_window(run: Run, after: Looked | None, limit: int) -> int | None:
    """Dead letters of the window, counted exactly where the snapshot's own list is cut."""
    from bot.errors import SendcatError

    if after is None or len(after.snapshot.tool_jobs.recent_dead_letters) < limit:
        return None
    try:
        rows = await run.convex.query("toolJobs:listDeadLetters", {"limit": 500})
    except SendcatError:
        return None
    if len(rows) >= 500:
        return None
    return sum(after.snapshot.in_window(int(row.get("updatedAt", 0))) for row in rows)


async def _open_case(
    run: Run, asked: Asked, release: str, policies: Policies, found: Gathered, made: Made, card: Card
) -> Opened:
    return await open_case(
        run,
        "gate",
        target=run.target.name,
        subject=release,
        commit=asked.commit,
        verdict=made.judged.verdict,
        binding=bound.binding(
            report=made.kept,
            policies=policies,
            deployed=bound.Deployed.at(run, run.target, found.after),
            minutes=asked.minutes,
            limit=asked.limit,
            args={"release": release, "commit": asked.commit, "risk": asked.risk},
        ),
        waivable=made.gaps.waivable,
        blocked=made.gaps.blocked,
        needs_reason=bool(made.warnings) or asked.risk == "high",
        card=card,
    )
