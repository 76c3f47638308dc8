"""Triage, drill and gate, from what was measured once; and every way in which a run can end without a result."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from bot import measure
from bot.card import who
from bot.commands import drill as drill_command
from bot.commands import triage as triage_command
from bot.commands.drill import DrillArgs
from bot.commands.triage import CAUSE, DRILL, PROBE, SNAPSHOT, Evidence
from bot.course import Course
from bot.desk import _again, _running, opening
from bot.errors import Unreachable
from bot.measure import Drilled, Looked, Probed
from bot.run import Run
from bot.sendcat.snapshot import SnapshotRead
from bot.store.inbox import Delivery
from bot.worker import error_outcome, interrupted_outcome, unknown_outcome
from playbooks.diagnosis import diagnose
from playbooks.facts import Facts
from slo import posture
from slo.policy import GatePolicy, Ownership, load
from slo.reports import DrillReport, ProbeReport
from slo.snapshot import Snapshot
from slo.verdict import Judgement
from tests.golden.stage import MINUTE, RELMGR, T0, VISITOR, Scene, Shown, sample

STEPS = (SNAPSHOT, PROBE, DRILL, CAUSE)


async def looked(run: Run, name: str) -> Looked:
    """A look at the deployment as a sample tells it, 14 s ago."""
    raw = sample(f"samples/snapshots/{name}.json")["snapshot"]
    snapshot = Snapshot.parse(raw)
    kept = await run.keep("snapshot", raw)
    judged = posture.judge(snapshot, load(GatePolicy), load(Ownership), now_ms=T0)
    return Looked(judgement=judged, artifact=kept.name, read=SnapshotRead(raw, snapshot, T0, 0, 40, 15, 50, 50))


async def probed(run: Run) -> Probed:
    report = ProbeReport.parse(sample("samples/artifacts/probe-pass/synthetic-probes-2026-11-23T07-47-21-296Z.json"))
    kept = await run.keep("probe", report.to_artifact())
    return Probed(judgement=measure.judge_probe(report), artifact=kept.name, report=report)


@cache
def _measured(*, failing: bool, without_chat: bool) -> tuple[DrillReport, Judgement]:
    raw = copy.deepcopy(sample("tuning/quick.json"))
    for scenario in raw["honest"]["scenarios"]:
        if scenario["name"] == "chat_stream_http" and failing:
            for part in (scenario["pooled"], *scenario["stages"]):
                part |= {"statuses": {"503": part["sent"]}, "succeeded": 0}
    if without_chat:
        raw["honest"]["scenarios"] = [s for s in raw["honest"]["scenarios"] if s["name"] != "chat_stream_http"]
    report = DrillReport.parse(raw)
    return report, measure.judge_drill(report)


async def drilled(run: Run, *, failing: bool = False, without_chat: bool = False) -> Drilled:
    """A quick drill as it was once measured; ``failing``: every chat answers 503."""
    report, judgement = _measured(failing=failing, without_chat=without_chat)
    kept = await run.keep("drill", report.to_artifact(), "quick")
    return Drilled(judgement=judgement, artifact=kept.name, report=report)


async def cards(scene: Scene) -> dict[str, Shown]:
    return {**await _triage(scene), **await _drill(scene), **await _ends(scene)}


async def _triage(scene: Scene) -> dict[str, Shown]:
    async def answered(
        name: str | None, *, failing: bool = False, nothing: bool = False, unprobed: bool = False
    ) -> Shown:
        run = await scene.run("triage")
        course, found = Course(run, "Triage", STEPS), Evidence()
        if name is not None:
            found.looks.append(await looked(run, name))
        if not nothing:
            if unprobed:
                found.missing[PROBE.lower()] = "the origin refused the connection"
                found.by_hand.append("npm run reliability:probe")
            else:
                found.probed = await probed(run)
            found.drilled = await drilled(run, failing=failing)
        else:
            found.missing |= dict.fromkeys((SNAPSHOT.lower(), PROBE.lower()), "practice does not answer")
            found.missing[DRILL.lower()] = "no endpoint answered the probe"
            found.by_hand += ["npm run reliability:snapshot", "npm run reliability:probe"]
        facts = Facts(
            tuple(each.snapshot for each in found.looks),
            found.probed.report if found.probed else None,
            found.drilled.report if found.drilled else None,
        )
        judged = [part.judgement if part else None for part in (found.drilled, found.probed)]
        diagnosis = diagnose(facts, judged[0], judged[1], found.posture, run.world.book, found.missing)
        return (await triage_command._answer(run, course, found, diagnosis)).card

    run = await scene.run("triage")
    course = Course(run, "Triage", STEPS)
    async with course.step(SNAPSHOT):
        course.say("saved as `reliability-snapshot-2026-11-23T07-30-00-000Z.json`")
    running = course.card()
    return {
        "triage.accepted": opening(run.op, run.who, effects=True),
        "triage.running": running,
        "triage.healthy": await answered("idle"),
        "triage.outbound-provider": await answered("circuit-open", failing=True),
        "triage.tool-queue": await answered("queue-backlog"),
        "triage.rate-limit": await answered("rate-limit-pressure"),
        "triage.replay-and-cache": await answered("webhook-replay-and-cache"),
        "triage.nothing-answers": await answered(None, nothing=True),
        "triage.probe-did-not-run": await answered("idle", unprobed=True),
        "triage.stopped": triage_command._stopped(run, course, Evidence(), f"stopped by {who(VISITOR)}").card,
    }


async def _drill(scene: Scene) -> dict[str, Shown]:
    async def answered(**how: bool) -> Shown:
        run = await scene.run("drill --quick=true")
        return drill_command._answer(run, DrillArgs(quick=True), await drilled(run, **how)).card

    return {
        "drill.passed": await answered(),
        "drill.failed": await answered(failing=True),
        "drill.incomplete": await answered(without_chat=True),
    }


async def _ends(scene: Scene) -> dict[str, Shown]:
    """How a run ends without a result, and what a second delivery of a wish hears."""
    run = await scene.run("drill --profile=burst")
    course = Course(run, "Drill", ("Drill",))
    async with course.step("Drill"):
        course.say("gmail_push_webhook burst · 210 of 900 requests · 300/s · p95 31 ms · 2 s left")
        going = course.card()
    silent = Unreachable(
        "Convex does not answer: no connection to practice.",
        rule="a probe that could not run is not a pass",
        then="npm run reliability:snapshot\nnpm run reliability:probe",
    )
    delivery = Delivery(op=run.op.id, by=scene.who(RELMGR).actor, at_ms=T0 - MINUTE, duplicate=True)
    started = run.op.model_copy(update={"by": scene.who(RELMGR).actor})
    values: dict[str, Any] = {
        "run.in-a-step": going,
        "run.unreachable": error_outcome(silent, run.op, going).card,
        "run.failed-inside-the-bot": unknown_outcome(run.op, going, "5f2c01aa").card,
        "run.interrupted": interrupted_outcome(run.op, going, "the bot was restarted").card,
        "run.already-running": _running(started, "https://practice.slack.test/archives/C0INC/p1795419420000100"),
        "run.already-running-not-posted-yet": _running(started, ""),
        "run.delivered-twice": _again(delivery),
    }
    return values
