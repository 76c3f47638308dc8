"""A milestone gate with its true streams: on its way, passed, failed with the knobs to look at, decided on."""

from __future__ import annotations

import json
import os
from typing import Any

from bot.cases.decided import decided
from bot.command import Outcome
from bot.commands import catalog
from bot.course import Course
from bot.measure import Drilled, judge_drill
from bot.milestone import gathering
from bot.milestone.flags import MilestoneArgs
from bot.milestone.gathering import AFTER, BEFORE, DRILL, LEASES, POOL, Asked, Gathered
from bot.milestone.made import conclude
from bot.milestone.policies import Policies
from bot.run import Run
from bot.store import cases
from bot.store.case import Case
from slo.policy import MilestonePolicy, load
from slo.scenarios import CHAT
from tests.golden.decisions import decision, denied
from tests.golden.measured import WELL, Conduct, drill
from tests.golden.runs import looked
from tests.golden.stage import HOUR, LEAD, MINUTE, ONCALL, RELMGR, T0, Scene, Shown

LINE = "milestone-gate --milestone={} --release=2026.11.23-2@4c1e9ab --chat-auth-pool-file={}"
POOL_FILE = "chat-auth-pool-loadtest-20261123-1-20.json"
STATUS = "milestone-gate status --milestone=m1_1k --release=2026.11.23-2"
STEPS = (POOL, BEFORE, DRILL, LEASES, AFTER)
SENT = 700
"""Chats of the sustain time; a small part of what is really sent, and enough for every figure."""
REFUSED = Conduct(slower=1.4, refused=0.31)
BROKEN = Conduct(slower=2.6, five_xx=0.04, broken=0.09)


async def cards(scene: Scene) -> dict[str, Shown]:
    write_pool(scene)
    passed, failed = await _case(scene, WELL, "idle"), await _case(scene, BROKEN, "circuit-open")
    refused = await _case(scene, REFUSED, "rate-limit-pressure")
    yes = decision("approve", "", case="ms-1", until_ms=T0 + 30 * 24 * HOUR)
    approved = passed.model_copy(update={"decisions": (yes,)})
    no = decision("reject", "first token too near its limit", case="ms-1")
    found: dict[str, Shown] = {
        "milestone.running": await _running(scene),
        "milestone.waits-for-approval": decided(passed, T0),
        "milestone.failed": decided(failed, T0),
        "milestone.failed-by-refusals": decided(refused, T0),
        "milestone.approved": decided(approved, T0 + MINUTE),
        "milestone.rejected": decided(passed.model_copy(update={"decisions": (no,)}), T0 + MINUTE),
        "milestone.expired": decided(passed, T0 + 5 * HOUR),
        "milestone.scaled": (
            await _concluded(scene, WELL, "idle", more=" --chat-concurrency-scale=0.5", held=500)
        ).card,
        "milestone.stopped": (await _concluded(scene, WELL, "idle", stop="stopped by visitor")).card,
        "milestone.status-blocked": await scene.say(STATUS),
    }
    run = await scene.run("milestone-gate approve ms-1", by=RELMGR)
    tries = (
        ("stale-click", approved, LEAD, T0 + 2 * MINUTE),
        ("not-the-starter", passed, ONCALL, T0),
        ("fail-cannot-be-approved", failed, RELMGR, T0),
    )
    for name, case, account, now_ms in tries:
        found[f"milestone.{name}"] = denied(scene, run, case, "approve", account, now_ms)
    return found


def write_pool(scene: Scene) -> None:
    """Twenty users in a file of 12 minutes ago, whose tokens do not say when they end."""
    folder = scene.config.artifact_dir
    folder.mkdir(parents=True, exist_ok=True)
    users = [{"authToken": f"token-{n:04d}", "threadId": f"t-{n}"} for n in range(20)]
    (folder / POOL_FILE).write_text(json.dumps(users))
    os.utime(folder / POOL_FILE, (T0 / 1000 - 720, T0 / 1000 - 720))


async def _began(scene: Scene, more: str = "", milestone: str = "m1_1k") -> tuple[Run, Asked]:
    line = LINE.format(milestone, POOL_FILE) + more
    run = await scene.run(line)
    args = catalog().plan(line, scene.config).args
    assert isinstance(args, MilestoneArgs)
    rules = load(MilestonePolicy).milestone(milestone)
    return run, await gathering.asked(run, args, Policies(scene.config, {}, anywhere=True), rules)


async def _running(scene: Scene) -> Shown:
    run, _ = await _began(scene)
    course = Course(run, "Milestone m1_1k", STEPS)
    async with course.step(POOL):
        course.say("20 users whose tokens hold")
    async with course.step(BEFORE):
        pass
    run.started -= 171
    async with course.step(DRILL):
        await course.note(
            "chat_stream_http sustain · 2310 of 6800 requests · 17/s · 1000 streams open · p95 4.9 s · 4 min left"
        )
        return course.card()


async def _concluded(
    scene: Scene, conduct: Conduct, after: str, *, more: str = "", held: int = 1_000, stop: str = ""
) -> Outcome:
    run, wish = await _began(scene, more)
    found = Gathered(T0 - 420_000, plan=wish.plan)
    found.pool_checks = await gathering._pool(run, wish, found)
    found.before = await looked(run, "idle")
    report = drill("m1_1k", conduct, only=(CHAT,), sustained=SENT, open_streams=held)
    report = _without_curves(report)
    kept = await run.keep("drill", report.to_artifact(), "m1_1k")
    if stop:
        run.brake.stop(stop)
        found.missing.append(f"snapshot after ({stop})")
    else:
        found.after = await looked(run, after)
    found.drilled = Drilled(judgement=judge_drill(report), artifact=kept.name, report=report)
    run.started -= 418
    return await conclude(run, wish, found)


def _without_curves(report: Any) -> Any:
    """Without histograms there is no picture to draw, which a child process would do."""
    honest = report.honest
    bare = []
    for scenario in honest.scenarios:
        stages = tuple(
            stage.model_copy(update={"latency": stage.latency.model_copy(update={"histogram": None})})
            for stage in scenario.stages
        )
        bare.append(scenario.model_copy(update={"stages": stages}))
    return report.model_copy(update={"honest": honest.model_copy(update={"scenarios": tuple(bare)})})


async def _case(scene: Scene, conduct: Conduct, after: str) -> Case:
    outcome = await _concluded(scene, conduct, after)
    case = await scene.world.store.read(lambda conn: cases.look(conn, str(outcome.data["case"])))
    assert case is not None
    return case.model_copy(update={"op_state": "done"})
