"""One milestone gate while it runs: pool, snapshot, drill, own leases, snapshot (runbook, playbook H, actions 1 and 2).

Nothing is sent before the pool is fit. What cannot be done is kept as a gap and ends nothing, so that there is always
something to judge and an artifact to review.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot import measure
from bot.authpool.entries import looked_at
from bot.authpool.maker import own
from bot.card import Tone
from bot.drill import ceiling
from bot.errors import SendcatError, Unknown, Unreachable
from bot.gate.leases import own_leases_end
from bot.redact import inert
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.plan import DrillPlan
from bot.sendcat.load.planning import plan_drill
from bot.views import follow
from slo import authpool
from slo.scenarios import CHAT, endpoint
from slo.verdict import Check, Verdict, combine

if TYPE_CHECKING:
    from pathlib import Path

    from bot.course import Course
    from bot.drill.flags import DrillArgs
    from bot.measure import Drilled, Looked
    from bot.milestone.flags import MilestoneArgs
    from bot.milestone.policies import Policies
    from bot.run import Run
    from slo.authpool import PoolFacts
    from slo.policy import Milestone

POOL, BEFORE, DRILL, LEASES, AFTER = (
    "Chat auth pool",
    "Snapshot before",
    "Drill",
    "Own leases end",
    "Snapshot after",
)
DRAIN_MS = 60_000
"""Streams that are open at the end are read to theirs; tokens must hold as long."""


@dataclass
class Gathered:
    """What was measured, each None when it was not; ``not_run`` says why no drill was sent."""

    started_ms: int
    pool: PoolFacts | None = None
    pool_checks: tuple[Check, ...] = ()
    before: Looked | None = None
    drilled: Drilled | None = None
    after: Looked | None = None
    plan: DrillPlan | None = None
    not_run: str = ""
    missing: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """What the gate was asked for, with everything that may refuse it asked already."""

    args: MilestoneArgs
    rules: Milestone
    policies: Policies
    drill: DrillArgs
    approved: measure.Approved | None
    plan: DrillPlan
    pool_file: Path | None
    pool_missing: str
    minutes: int
    limit: int


Work = Callable[["Run", Asked, "Course", Gathered], Awaitable[None]]


async def asked(run: Run, args: MilestoneArgs, policies: Policies, rules: Milestone) -> Asked:
    """Everything that refuses before anything is read or sent: ceilings, names, whose pool it is. Raises.

    A pool that is not there or cannot be used refuses nothing: the gate then says so in its artifact.
    """
    defaults, drill = policies.milestones.defaults, args.drill(rules)
    file, missing = None, ""
    try:
        file = args.pool_file(run.world.config)
    except Unknown as error:
        missing = error.what
    if file is not None:
        await own(run, file.name)
    flags = ceiling.flags_of(drill)
    approved = await ceiling.approved(run, drill, flags)
    with ceiling.asking(run, flags):
        plan = await asyncio.to_thread(_plan, run, drill, None if missing else file, bool(missing), approved)
    return Asked(
        args=args,
        rules=rules,
        policies=policies,
        drill=drill,
        approved=approved,
        plan=plan,
        pool_file=file,
        pool_missing=missing,
        minutes=args.snapshot_minutes or int(defaults.snapshot_window_minutes),
        limit=args.snapshot_limit or int(defaults.snapshot_limit),
    )


def _plan(run: Run, drill: DrillArgs, file: Path | None, missing: bool, approved: measure.Approved | None) -> DrillPlan:
    """What would be sent, by the ceilings; how many users it brings in is the pool check's to say."""
    from bot.sendcat.load.plan import ChatUser, DrillSecrets

    somebody = DrillSecrets(chat_users=(ChatUser("nobody", "nothing"),))
    try:
        secrets = somebody if missing else drill_secrets(run.target, file)
    except SendcatError:
        secrets = somebody
    options = drill.options()
    options["min_unique_coverage"] = -1.0
    return plan_drill(
        run.target,
        drill.profile,
        drill.chosen_scenarios,
        secrets=secrets if secrets.chat_users else somebody,
        ceilings=approved.ceilings if approved else None,
        approval=approved.decision if approved else None,
        **options,
    )


async def gather(run: Run, wish: Asked, course: Course, found: Gathered) -> None:
    """Fill ``found`` step by step; raises only what is not Sendcat's doing."""
    found.plan = wish.plan
    async with course.step(POOL):
        found.pool_checks = await _pool(run, wish, found)
        verdict = combine(check.verdict for check in found.pool_checks)
        if verdict is not Verdict.PASS or found.not_run:
            told = "; ".join(check.reason or _short(check) for check in found.pool_checks if check.verdict != "PASS")
            found.not_run = found.not_run or f"nothing was sent: {told}"
            await course.note(inert(found.not_run, 160), Tone.BAD)
        else:
            size = found.pool.size if found.pool is not None else 0
            course.say(f"{size} users whose tokens hold")
    if found.not_run or _halted(run, found):
        return
    await _step(course, found, BEFORE, lambda: "npm run reliability:snapshot", _before, run, wish)
    if found.before is None:
        found.not_run = "nothing was sent: no snapshot before the drill"
        return
    if _halted(run, found):
        return
    await _step(course, found, DRILL, lambda: ceiling.drill_text(run, wish.drill), _drill, run, wish)
    if found.drilled is None:
        found.not_run = found.not_run or "the drill could not be run"
    elif run.brake.halted is None:
        await _step(course, found, LEASES, lambda: "npm run reliability:snapshot", _leases, run, wish)
    await _step(course, found, AFTER, lambda: "npm run reliability:snapshot", _after, run, wish)


def _halted(run: Run, found: Gathered) -> bool:
    halt = run.brake.look()
    if halt is not None:
        found.not_run = f"nothing was sent: {halt.detail}"
    return halt is not None


async def _step(
    course: Course, found: Gathered, label: str, by_hand: Callable[[], str], work: Work, run: Run, wish: Asked
) -> None:
    """One step that talks to Sendcat: when it does not answer, that is a gap with the line to run by hand."""
    try:
        async with course.step(label):
            await work(run, wish, course, found)
    except Unreachable as error:
        found.missing.append(f"{label.lower()} ({inert(error.what, 160)})")
        found.by_hand.append(error.then or by_hand())


async def _pool(run: Run, wish: Asked, found: Gathered) -> tuple[Check, ...]:
    """Playbook H, action 1: there, readable, large enough, fresh, and used widely enough by this rotation."""
    target, path = run.target, endpoint(CHAT)
    looked: PoolFacts | str | None = wish.pool_missing or None
    if not wish.pool_missing:
        looked = await asyncio.to_thread(looked_at, target, wish.pool_file)
    found.pool = looked if not isinstance(looked, str) else None
    limits = wish.rules.pool
    selector = None
    if found.pool is not None and found.pool.size:
        selector = wish.plan.model_copy(update={"pool_size": found.pool.size}).selector(found.pool.size)
    made = authpool.judge(
        found.pool,
        min_size=limits.min_auth_pool_size,
        min_coverage=wish.drill.chat_min_unique_coverage or 0.0,
        selector=selector,
        requests=_chats(wish.plan),
        now_ms=run.world.clock.now_ms(),
        for_ms=wish.plan.duration_ms + DRAIN_MS,
        max_age_ms=run.world.book.thresholds.h.pool_max_age_ms,
        owner=wish.policies.ownership.owner_of(path),
    )
    if isinstance(looked, str):
        found.not_run = f"nothing was sent: {inert(looked, 200)}"
    return made


def _chats(plan: DrillPlan) -> int:
    """Chats of the longest stage, since the choice of users begins anew in each."""
    chat = next((item for item in plan.scenarios if item.name == CHAT), None)
    if chat is None:
        return 0
    if chat.streams is not None:
        return chat.streams.streams
    return max((stage.planned_requests or stage.workers for stage in chat.stages), default=0)


def _short(check: Check) -> str:
    return f"{check.name.replace('_', ' ')} is {check.value:g}, at least {check.limit:g}"


async def _before(run: Run, wish: Asked, course: Course, found: Gathered) -> None:
    found.before = await measure.snapshot(run, minutes=wish.minutes, limit=wish.limit)


async def _leases(run: Run, wish: Asked, course: Course, found: Gathered) -> None:
    assert found.before is not None
    await course.note(await own_leases_end(run, found.before.read))


async def _drill(run: Run, wish: Asked, course: Course, found: Gathered) -> None:
    async with follow(course) as progress:
        found.drilled = await measure.drill(
            run,
            profile=wish.drill.profile,
            scenarios=wish.drill.chosen_scenarios,
            pool_file=wish.pool_file,
            approved=wish.approved,
            on_progress=progress.see,
            waiting=course.note,
            **wish.drill.options(),
        )


async def _after(run: Run, wish: Asked, course: Course, found: Gathered) -> None:
    found.after = await measure.snapshot(run, minutes=wish.minutes, limit=wish.limit)
