"""A game day: on its way, passed, failed with findings and items, with a woven fault, stopped; and its action items."""

from __future__ import annotations

from bot.course import Course
from bot.gameday.day import DASHBOARD, OPEN, PROBE, Day, drill_label
from bot.gameday.judged import conclude
from bot.gameday.shown import day_card
from bot.measure import Drilled
from bot.run import Run
from bot.store import gameday as rows
from slo.verdict import Judgement, Verdict, sum_up
from tests.golden.measured import WELL, Conduct, judged
from tests.golden.runs import probed
from tests.golden.stage import LEAD, RELMGR, T0, Scene, Shown

LINE = "gameday --profiles=quick,standard"
REFUSED, SLOW = Conduct(refused=0.45), Conduct(slower=5.4, five_xx=0.03)
FOUND = sum_up([], reason="F:caps was found: playbook F was suggested", also=[Verdict.PASS])
MISSED = sum_up([], reason="F:caps was not found: no signal of playbook F fired", also=[Verdict.FAIL])


async def cards(scene: Scene) -> dict[str, Shown]:
    found: dict[str, Shown] = {
        "gameday.running": await _running(scene),
        "gameday.passed": await _day(scene, WELL),
        "gameday.failed": await _day(scene, REFUSED, slow=True),
        "gameday.found-again": await _day(scene, REFUSED),
        "gameday.fault-found": await _day(scene, WELL, fault="F:caps", sought=FOUND),
        "gameday.fault-missed": await _day(scene, WELL, fault="F:caps", sought=MISSED),
        "gameday.stopped": await _day(scene, WELL, stop="stopped by visitor"),
        "gameday.opens-with-items": await _opens(scene),
        "gameday.item-taken": await scene.say("gameday assign gi-1 me"),
        "gameday.item-handed-over": await scene.say("gameday assign gi-2 relmgr"),
        "gameday.items": await scene.say("gameday items"),
        "gameday.item-done": await scene.say("gameday done gi-1 raised RATE_LIMIT_GMAIL_PUSH_MAX in c-41", by=RELMGR),
        "gameday.item-ended-before": await scene.say("gameday done gi-1 the same again", by=LEAD),
        "gameday.items-with-what-is-done": await scene.say("gameday items --all=true"),
    }
    return found


async def _running(scene: Scene) -> Shown:
    run = await scene.run("gameday --profiles=burst,soak")
    course = Course(run, "Game day", [OPEN, PROBE, drill_label("burst"), drill_label("soak"), DASHBOARD])
    async with course.step(OPEN):
        course.say("none from earlier game days")
    async with course.step(PROBE):
        await course.note("5 of 5 as expected")
    run.started -= 26
    async with course.step(drill_label("burst")):
        await course.note("gmail_push_webhook burst · 640 of 2590 requests · 300/s · p95 31 ms · 14 s left")
        return course.card()


async def _opens(scene: Scene) -> Shown:
    """The first step of a day after one that left something open."""
    run = await scene.run(LINE)
    course = Course(run, "Game day", [OPEN, PROBE, drill_label("quick"), drill_label("standard"), DASHBOARD])
    items = await scene.world.store.read(lambda conn: rows.opened(conn, "practice"))
    async with course.step(OPEN):
        await course.note(f"{len(items)}: " + "; ".join(f"{item.id} {item.words[:70]}" for item in items[-3:]))
        return course.card()


async def _day(
    scene: Scene,
    conduct: Conduct,
    *,
    slow: bool = False,
    fault: str | None = None,
    sought: Judgement | None = None,
    stop: str = "",
) -> Shown:
    """A day of two profiles as its findings and its card are made by the command."""
    run = await scene.run(LINE)
    profiles = ("quick", "standard")
    day = Day(T0 - 60_000, profiles, fault=fault, sought=sought)
    day.opened_with = await scene.world.store.read(lambda conn: rows.opened(conn, "practice"))
    day.probed = await probed(run)
    day.drilled["quick"] = await _drilled(run, "quick", conduct)
    if stop:
        run.brake.stop(stop)
        day.why["standard"] = stop
    else:
        day.drilled["standard"] = await _drilled(run, "standard", SLOW if slow else WELL)
    day.halted = run.brake.halted
    run.started -= 74
    made = await conclude(run, day)
    return day_card(run, day, made, lacking="", more=())


async def _drilled(run: Run, profile: str, conduct: Conduct) -> Drilled:
    report, judgement = judged(profile, conduct)
    kept = await run.keep("drill", report.to_artifact(), profile)
    return Drilled(judgement=judgement, artifact=kept.name, report=report)
