"""A readiness check that was gathered becomes a verdict, an artifact, and a case when it is TRIGGERED (section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.cases.bound import identity, judged_by_another
from bot.cases.opening import Opened, open_case
from bot.dashboard.files import shown
from bot.region.sources import OWN, Drills, with_lookback
from bot.views import duration
from slo import region as judge
from slo.artifacts import FileRef, RegionHonest, RegionReport
from slo.policy import RegionPolicy, load
from slo.region import RegionJudgement
from slo.reports import iso
from slo.snapshot import SERVER_MAX_LIMIT, Snapshot
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.card import Card
    from bot.run import Run

SUBJECT = "multi-region programme"
NAMED = 10
"""Damaged files that are named; the rest is counted."""


@dataclass(frozen=True)
class Look:
    """The snapshot that is judged. ``fresh``: taken for this check; ``note`` says what is odd about it."""

    snapshot: Snapshot
    ref: FileRef
    fresh: bool
    limit: int = SERVER_MAX_LIMIT
    skew_ms: int = 0
    note: str = ""


@dataclass(frozen=True)
class Gathered:
    """What was asked for and what was found; ``look`` is None when there is no snapshot, ``missing`` says why."""

    streams: int | None
    policy: RegionPolicy
    policy_path: str
    drills: Drills
    look: Look | None
    missing: str = ""
    by_hand: str = ""


@dataclass(frozen=True)
class Made:
    """The judgement with its report, and the names under which it is kept."""

    judged: RegionJudgement
    report: RegionReport
    artifact: str
    sha256: str
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        return self.judged.judgement.verdict


async def judge_and_keep(run: Run, found: Gathered) -> Made:
    """Judge by the three triggers, and keep `region-readiness-<stamp>.json`."""
    now_ms = run.world.clock.now_ms()
    look, drills = found.look, found.drills
    judged = judge.judge(
        found.streams,
        drills.ours,
        look.snapshot if look else None,
        found.policy,
        now_ms=now_ms + (look.skew_ms if look else 0),
        limit=look.limit if look else SERVER_MAX_LIMIT,
        ignored_prefix=run.world.book.thresholds.g.ignored_provider_prefix,
        fresh=look.fresh if look else True,
        original=drills.every,
    )
    warnings = _warnings(run, found)
    made = judged.judgement
    if drills.stops_at:  # there the original has no verdict at all
        made = made.model_copy(update={"original_rule": None})
    topology = look.snapshot.config.region_topology if look else None
    report = RegionReport(
        started_at=iso(now_ms),
        policy_path=found.policy_path,
        expected_peak_streams=found.streams or 0,
        current_topology=topology.topology_mode if topology else judge.SINGLE,
        readiness_only=topology.readiness_only if topology else True,
        triggers=judged.triggers,
        decision=judged.decision,
        honest=RegionHonest(
            target=run.target.name,
            verdict=made.verdict,
            original_rule=made.original_rule,
            reason=made.reason,
            checks=made.checks,
            not_looked_at=_left_out(drills.unread),
            recommended_topology=judged.topology,
            forecast_given=found.streams is not None,
            judged_at=now_ms,
            lookback_reports=found.policy.load_pressure.lookback_reports,
            limit=look.limit if look else None,
            fresh=look.fresh if look else True,
            snapshot=look.ref if look else None,
            drills=drills.latest,
            warnings=warnings,
            policies={OWN: found.policy.digest},
        ),
    )
    kept = await run.keep("region", report.to_artifact())
    judged = RegionJudgement(made, judged.topology, judged.triggers, judged.decision)
    return Made(judged, report, kept.name, kept.sha256, warnings)


def _left_out(names: tuple[str, ...]) -> tuple[str, ...]:
    named = [f"{name}: damaged, or not as it was written" for name in names[:NAMED]]
    return (*named, f"{len(names) - NAMED} more") if len(names) > NAMED else tuple(named)


def _warnings(run: Run, found: Gathered) -> tuple[str, ...]:
    """What may have made this check easier or harder than the policy's own; read before anybody decides (R42)."""
    own, look = load(RegionPolicy), found.look
    said = []
    back, usual = found.policy.load_pressure.lookback_reports, own.load_pressure.lookback_reports
    if with_lookback(found.policy, usual) != own:
        said.append(judged_by_another(OWN))
    if back != usual:
        said.append(f"looked back at {back} reports, the policy says {usual}")
    if look is None:
        return tuple(said)
    window, wanted = look.snapshot.window_minutes, found.policy.ops_snapshot.window_minutes
    if window < wanted:
        said.append(f"the snapshot looks back {window:g} of {wanted:g} minutes: alerts may be missing")
    if not look.fresh:
        age = duration(max(0, run.world.clock.now_ms() - look.snapshot.generated_at))
        said.append(f"the saved snapshot {shown(look.ref.name)} was taken {age} ago")
    return (*said, look.note) if look.note else tuple(said)


def binding(run: Run, found: Gathered, made: Made) -> dict[str, Any]:
    """What a decision is bound to: report, policy, target and deployment, forecast (R10)."""
    return {
        "version": 1,
        "report": {"name": made.artifact, "sha256": made.sha256},
        "policy": found.policy.digest,
        "policy_file": None if found.policy_path.startswith("slo/") else found.policy_path,
        "lookback_reports": found.policy.load_pressure.lookback_reports,
        "target": identity(run.target),
        "expected_peak_streams": found.streams,
        "recommended_topology": made.judged.topology,
    }


async def opened(run: Run, found: Gathered, made: Made, card: Card) -> Opened:
    """What was TRIGGERED waits for a release manager; an older open case of this target is replaced."""
    return await open_case(
        run,
        "region",
        target=run.target.name,
        subject=SUBJECT,
        verdict=made.verdict,
        binding=binding(run, found, made),
        needs_reason=True,
        card=card,
    )
