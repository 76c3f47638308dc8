"""The measurements that commands share: snapshot, probe, drill - taken, judged, and kept as artifacts.

Commands share measurements and judges, never each other (INTERFACES.md, section 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.config import Target
from bot.errors import Unknown
from bot.run import Run
from bot.sendcat import load as engine
from bot.sendcat.load import DrillProgress
from bot.sendcat.probe import probe as send_probes
from bot.sendcat.snapshot import SnapshotRead, read_snapshot
from bot.store import artifacts
from slo import drill as drill_judge
from slo import posture as posture_judge
from slo import probe as probe_judge
from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.reports import DrillReport, Probe, ProbeReport, artifact_name
from slo.snapshot import Snapshot
from slo.verdict import Judgement

FRESH_MS = 15 * 60_000
"""A probe or quick drill at most this old may stand in for a new one (VERDICTS.md, "Tuning retest")."""


@dataclass(frozen=True)
class Measured:
    """A report with its judgement and the artifact it was kept as."""

    judgement: Judgement
    artifact: str


@dataclass(frozen=True)
class Looked(Measured):
    read: SnapshotRead

    @property
    def snapshot(self) -> Snapshot:
        return self.read.snapshot


@dataclass(frozen=True)
class Probed(Measured):
    report: ProbeReport


@dataclass(frozen=True)
class Drilled(Measured):
    report: DrillReport


async def snapshot(run: Run, *, minutes: int | None = None, limit: int | None = None) -> Looked:
    """Read the reliability snapshot, keep it masked, judge its posture (runbook, First 5 Minutes, step 1)."""
    read = await read_snapshot(run.convex, run.world.masker, minutes=minutes, limit=limit)
    kept = await run.keep(artifact_name("reliability-snapshot", read.fetched_at_ms), read.raw)
    judgement = posture_judge.judge(
        read.snapshot, load(GatePolicy), load(Ownership), now_ms=run.world.clock.now_ms() - (read.skew_ms or 0)
    )
    return Looked(judgement=judgement, artifact=kept.name, read=read)


async def probe(run: Run, on_result: Callable[[Probe], Awaitable[None]] | None = None) -> Probed:
    """Send the five synthetic probes (runbook, First 5 Minutes, step 2)."""
    report = await send_probes(run.target, run.world.clock, run.brake, on_result=on_result)
    kept = await run.keep(artifact_name("synthetic-probes", run.world.clock.now_ms()), report.to_artifact())
    return Probed(judgement=probe_judge.judge(report, load(Ownership)), artifact=kept.name, report=report)


async def drill(
    run: Run,
    *,
    profile: str = "quick",
    scenarios: tuple[str, ...] | None = None,
    on_progress: Callable[[DrillProgress], None],
    waiting: Callable[[str], Awaitable[None]],
) -> Drilled:
    """Run a load drill in the child process, one at a time for each origin, with rests (R16-R20)."""
    target: Target = run.target
    plan = engine.plan_drill(target, profile=profile, scenarios=scenarios)
    floor = run.world.floor
    assert floor is not None
    async with floor.hold(target.site_url, run.op.id, quick=profile == "quick", waiting=waiting):
        report = await engine.drill(
            plan, engine.secrets_of(target), brake=run.brake, on_progress=on_progress, clock=run.world.clock
        )
    kept = await run.keep(artifact_name("load-drill", run.world.clock.now_ms(), profile), report.to_artifact())
    judgement = drill_judge.judge(report, load(Baseline), load(Ownership))
    return Drilled(judgement=judgement, artifact=kept.name, report=report)


async def last_snapshot(run: Run) -> tuple[str, Snapshot] | None:
    """The newest saved snapshot of this target before this run, with its artifact name."""
    found = await run.world.store.read(
        lambda conn: artifacts.latest(conn, "reliability-snapshot", run.target.name, not_op=run.op.id)
    )
    if found is None:
        return None
    return found.name, Snapshot.parse(artifacts.read_file(run.world.config.artifact_dir, found.name))


async def fresh_reports(run: Run) -> tuple[ProbeReport | None, DrillReport | None]:
    """Probe and quick drill of this target that are young enough to count, without sending anything."""
    since = run.world.clock.now_ms() - FRESH_MS
    name = run.target.name
    probes = await run.world.store.read(lambda conn: artifacts.latest(conn, "synthetic-probes", name, since_ms=since))
    drills = await run.world.store.read(lambda conn: artifacts.latest(conn, "load-drill", name, since_ms=since))
    folder = run.world.config.artifact_dir
    return (
        ProbeReport.parse(artifacts.read_file(folder, probes.name)) if probes else None,
        DrillReport.parse(artifacts.read_file(folder, drills.name)) if drills else None,
    )


def scenario_list(text: str | None) -> tuple[str, ...] | None:
    """``gmail_push_webhook,whatsapp_webhook`` as names; an empty choice is a mistake, not everything."""
    if text is None:
        return None
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise Unknown("--scenarios names nothing.", then="leave it out to run every scenario")
    return names
