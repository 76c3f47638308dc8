"""The measurements that commands share: snapshot, probe, drill - taken, judged, and kept as artifacts.

Commands share measurements and judges, never each other (INTERFACES.md, section 6).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Unpack

from pydantic import ValidationError

from bot.errors import Broken, Refused, SendcatError
from bot.run import Run
from bot.sendcat.circuits import CircuitWatch
from bot.sendcat.load import credentials, parent, planning
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets
from bot.sendcat.load.planning import DrillOptions
from bot.sendcat.mask import Mask
from bot.sendcat.probe import probe as send_probes
from bot.sendcat.snapshot import SnapshotRead, read_snapshot
from bot.store import artifacts
from bot.store.artifacts import Artifact
from bot.target import Ceilings, Target
from playbooks.facts import Event, Facts, Lease, ReplayKey
from playbooks.functions import SCOPES
from slo import drill as drill_judge
from slo import posture as posture_judge
from slo import probe as probe_judge
from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.reports import DrillReport, Probe, ProbeReport
from slo.snapshot import Snapshot
from slo.verdict import Judgement
from slo.wire import Wire

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
    read = await read_snapshot(run.convex, run.world.masker, run.world.clock, minutes, limit)
    kept = await run.keep("snapshot", read.raw)
    judgement = posture_judge.judge(
        read.snapshot, load(GatePolicy), load(Ownership), now_ms=run.world.clock.now_ms() + read.skew_ms
    )
    return Looked(judgement=judgement, artifact=kept.name, read=read)


async def probe(run: Run, on_result: Callable[[Probe], None] = lambda _: None) -> Probed:
    """Send the five synthetic probes (runbook, First 5 Minutes, step 2)."""
    report = await send_probes(run.target, run.world.clock, run.brake, on_result)
    kept = await run.keep("probe", report.to_artifact())
    return Probed(judgement=judge_probe(report), artifact=kept.name, report=report)


async def drill(
    run: Run,
    *,
    profile: str = "quick",
    scenarios: tuple[str, ...] | None = None,
    quick: bool = False,
    pool_file: Path | None = None,
    approved: Approved | None = None,
    kind: str = "drill",
    on_progress: Callable[[DrillProgress], None],
    waiting: Callable[[str], Awaitable[None]],
    **options: Unpack[DrillOptions],
) -> Drilled:
    """Run a load drill in child processes, one drill at a time for each origin, with rests (R16-R20).

    ``pool_file`` is a pool for this drill alone; ``approved`` are ceilings that somebody may have raised. A circuit
    that opens meanwhile ends the drill (R18). ``kind`` is how it is kept: rounds of a canary are no drills of their own
    (they would count as several in every history). Raises `Refused` naming the ceiling that the plan would break.
    """
    if pool_file is not None:
        await _own_pool(run, pool_file)
    prepared, secrets = plan(run, profile, scenarios, quick=quick, pool_file=pool_file, approved=approved, **options)
    floor = run.world.floor
    assert floor is not None
    async with floor.hold(run.target.site_url, run.op.id, quick=not prepared.beyond_quick, waiting=waiting):
        async with CircuitWatch(run.convex, run.brake, run.world.clock) as circuits:
            report = await parent.drill(
                prepared, secrets, brake=run.brake, on_progress=on_progress, clock=run.world.clock
            )
        report = circuits.noted(report)
    kept = await run.keep(kind, report.to_artifact(), prepared.profile)
    return Drilled(judgement=judge_drill(report), artifact=kept.name, report=report)


def plan(
    run: Run,
    profile: str,
    scenarios: tuple[str, ...] | None,
    *,
    quick: bool = False,
    pool_file: Path | None = None,
    approved: Approved | None = None,
    **options: Unpack[DrillOptions],
) -> tuple[DrillPlan, DrillSecrets]:
    """What a drill of this target would do, and what its requests carry; raises as `planning.plan_drill`."""
    target: Target = run.target
    secrets = credentials.drill_secrets(target, pool_file)
    run.world.scrubber.learn_all(secrets.values())
    made = planning.plan_drill(
        target,
        profile,
        scenarios,
        quick=quick,
        secrets=secrets,
        ceilings=approved.ceilings if approved else None,
        approval=approved.decision if approved else None,
        **options,
    )
    return made, secrets


@dataclass(frozen=True)
class Approved:
    """Ceilings that a decision (``d-12``) raised for one drill of this target."""

    decision: str
    ceilings: Ceilings


async def _own_pool(run: Run, file: Path) -> None:
    """A pool that was made for another target stays there (R15)."""
    row = await run.world.store.read(lambda conn: artifacts.named(conn, file.name))
    if row is not None and row.target not in (None, run.target.name):
        raise Refused(
            f"{file.name} holds credentials of target {row.target}, not of {run.target.name}.",
            rule="each credential belongs to one target and is never sent elsewhere (R15)",
            then=f"sendcat pool --target={run.target.name}",
        )


def judge_probe(report: ProbeReport) -> Judgement:
    """The probes' judgement by the ownership matrix."""
    return probe_judge.judge(report, load(Ownership))


def judge_drill(report: DrillReport, required: tuple[str, ...] | None = None) -> Judgement:
    """The drill's judgement by the baseline; one baseline file feeds every verdict."""
    return drill_judge.judge(report, load(Baseline), load(Ownership), required=required)


async def last_snapshot(run: Run) -> tuple[str, Snapshot] | None:
    """The newest saved snapshot of this target before this run, with its artifact name."""
    found = await _newest(run, "snapshot")
    return (found.name, Snapshot.parse(_read(run, found))) if found else None


async def recent_snapshots(run: Run, count: int, *, since_ms: int) -> list[Snapshot]:
    """The newest saved snapshots of this target since a moment, not by this run itself, the oldest first."""
    rows = await run.world.store.read(
        lambda conn: artifacts.listing(conn, "snapshot", run.target.name, limit=count + 3)
    )
    found: list[Snapshot] = []
    for row in rows:
        if row.op == run.op.id or row.started_ms < since_ms or len(found) >= count:
            continue
        with contextlib.suppress(SendcatError, OSError, ValueError):
            found.append(Snapshot.parse(_read(run, row)))
    return sorted(found, key=lambda look: look.generated_at)


async def named_snapshot(run: Run, name: str | None) -> Snapshot | None:
    """A saved snapshot by its name; None when its file is gone or no longer as it was written."""
    if name is None:
        return None
    found = await run.world.store.read(lambda conn: artifacts.named(conn, name))
    try:
        return Snapshot.parse(_read(run, found)) if found else None
    except (OSError, ValueError, SendcatError):
        return None


async def fresh_reports(run: Run) -> tuple[ProbeReport | None, DrillReport | None]:
    """Probe and drill of this target that are young enough to count, without sending anything."""
    since = run.world.clock.now_ms() - FRESH_MS
    probe, drill = await _newest(run, "probe", since), await _newest(run, "drill", since)
    return (
        ProbeReport.parse(_read(run, probe)) if probe else None,
        DrillReport.parse(_read(run, drill)) if drill else None,
    )


async def fresh_drill(run: Run) -> Drilled | None:
    """A whole quick drill of this target that is young enough to count as before, also one of this run (VERDICTS)."""
    since = run.world.clock.now_ms() - FRESH_MS
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, "drill", run.target.name, limit=10))
    for row in rows:
        if row.started_ms < since or not (run.world.config.artifact_dir / row.name).is_file():
            continue
        report = DrillReport.parse(_read(run, row))
        if report.profile == "quick" and report.honest is not None and report.honest.ended.how == "finished":
            return Drilled(judgement=judge_drill(report), artifact=row.name, report=report)
    return None


async def saved(run: Run, name: str) -> dict[str, Any]:
    """A saved report by its name, as it was written; raises `Broken` when it is gone or was changed."""
    row = await run.world.store.read(lambda conn: artifacts.named(conn, name))
    if row is None or not (run.world.config.artifact_dir / row.name).is_file():
        raise Broken(f"{name} is gone.", then="look for it in a backup of the artifact folder")
    return _read(run, row)


async def snapshot_at(run: Run, at_ms: int) -> tuple[int, Snapshot] | None:
    """The saved snapshot that shows how things were at a moment: the newest before it, else the oldest after it."""
    rows = await run.world.store.read(lambda conn: artifacts.around(conn, "snapshot", run.target.name, at_ms))
    for row in rows:
        with contextlib.suppress(SendcatError, OSError, ValueError):
            return row.started_ms, Snapshot.parse(_read(run, row))
    return None


async def recent_drills(run: Run, count: int) -> list[DrillReport]:
    """The newest drill reports of this target that are as they were written, the newest first."""
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, "drill", run.target.name, limit=count))
    found = []
    for row in rows:
        try:
            found.append(DrillReport.parse(_read(run, row)))
        except (OSError, ValueError, SendcatError):
            continue
    return found


async def _newest(run: Run, kind: str, since_ms: int = 0) -> Artifact | None:
    """The newest report of a kind whose file is still there, not by this run itself."""
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, kind, run.target.name, limit=10))
    folder = run.world.config.artifact_dir
    fit = (row for row in rows if row.op != run.op.id and row.started_ms >= since_ms and (folder / row.name).is_file())
    return next(fit, None)


def _read(run: Run, artifact: Artifact) -> dict[str, Any]:
    """A saved report as JSON; raises `Broken` when somebody damaged or changed it."""
    content = (run.world.config.artifact_dir / artifact.name).read_bytes()
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise Broken(f"{artifact.name} is not as it was written.", then="move it away and measure again")
    found: dict[str, Any] = json.loads(content)
    return found


async def facts(run: Run, looks: Sequence[Snapshot], probe: ProbeReport | None, drill: DrillReport | None) -> Facts:
    """What signals are judged from: the looks, and the reads beside the newest one that make them sharper.

    A read that fails is None, which a signal names as missing; it never fails the run.
    """
    if not looks:
        return Facts(looks=(), probe=probe, drill=drill)
    busy = [name for name in looks[-1].config.bulkheads if (looks[-1].bulkhead_utilization(name) or 0) >= BUSY]
    events = await _rows(run, "rateLimit:listRecentEvents", {"limit": 200}, Event)
    leases = [await _rows(run, "bulkhead:listInFlightByProvider", {"provider": p, "limit": 500}, Lease) for p in busy]
    keys = [await _rows(run, "idempotency:listRecentByScope", {"scope": s, "limit": 200}, ReplayKey) for s in SCOPES]
    return Facts(
        looks=tuple(looks),
        probe=probe,
        drill=drill,
        events=events,
        leases=_together(leases),
        replay_keys=_together(keys),
    )


BUSY = 0.8
"""From this share of its cap a bulkhead's leases are read one by one, to tell load from leaked leases."""

W = TypeVar("W", bound=Wire)


async def _rows(run: Run, function: str, args: dict[str, object], model: type[W]) -> tuple[W, ...] | None:
    try:
        answer = Mask(run.world.masker).result(function, await run.convex.query(function, args))
        return tuple(model.model_validate(row) for row in answer)
    except (SendcatError, ValidationError, TypeError):
        return None


def _together(parts: list[tuple[W, ...] | None]) -> tuple[W, ...] | None:
    return None if any(part is None for part in parts) else tuple(row for part in parts for row in part or ())
