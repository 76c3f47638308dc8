"""A region-readiness check: NOT_TRIGGERED, TRIGGERED by each kind of trigger, decided on, and the ticket of playbook G."""

from __future__ import annotations

from dataclasses import replace

from bot.cases.decided import decided
from bot.command import Outcome
from bot.commands.region import conclude
from bot.region import made, sources
from bot.run import Run
from bot.store import cases
from bot.store.case import Case
from bot.store.walks import Taken
from bot.walk import ticket
from bot.walk.card import card
from bot.walk.look import Look
from bot.walk.picture import picture
from playbooks.facts import Facts
from playbooks.signals import judge_signals
from slo.artifacts import FileRef
from slo.policy import RegionPolicy, load
from tests.golden.decisions import decision, denied
from tests.golden.measured import WELL, Conduct, drill
from tests.golden.runs import looked
from tests.golden.stage import HOUR, LEAD, MINUTE, ONCALL, RELMGR, T0, Scene, Shown
from tests.golden.walks import walk

DAY = 24 * HOUR
PRESSED = Conduct(slower=6.0, refused=0.2)


async def cards(scene: Scene) -> dict[str, Shown]:
    run = await scene.run("drill --quick=true")
    for seed in range(3):
        await run.keep("drill", drill("quick", WELL, seed=seed).to_artifact(), "quick")
    calm = (await _concluded(scene, 5_000)).card
    nobody_knows = (await _concluded(scene, None)).card
    damaged = scene.config.artifact_dir / "load-drill-quick-2026-11-23T06-00-00-000Z.json"
    damaged.write_text('{"startedAt": "2026')
    left_out = (await _concluded(scene, 5_000)).card
    damaged.unlink()
    for seed in range(3, 6):
        await run.keep("drill", drill("quick", PRESSED, seed=seed).to_artifact(), "quick")
    pressed = await _case(scene, await _concluded(scene, 5_000))
    demand = await _case(scene, await _concluded(scene, 25_000))
    yes = decision("approve", "launch forecast confirmed", case=demand.id, until_ms=T0 + 90 * DAY)
    no = decision("reject", "the forecast was withdrawn", case=demand.id)
    approved = demand.model_copy(update={"decisions": (yes,)})
    found: dict[str, Shown] = {
        "region.not-triggered": calm,
        "region.not-triggered-without-a-damaged-file": left_out,
        "region.triggered-by-load": decided(pressed, T0),
        "region.waits-for-approval": decided(demand, T0),
        "region.approved": decided(approved, T0 + MINUTE),
        "region.rejected": decided(demand.model_copy(update={"decisions": (no,)}), T0 + MINUTE),
        "region.expired": decided(demand, T0 + 8 * DAY),
        "region.no-forecast": nobody_knows,
        "region.ticket": await _ticket(scene),
    }
    asked = await scene.run("region-readiness approve rg-2 --reason=go", by=RELMGR)
    found["region.stale-click"] = denied(scene, asked, approved, "approve", LEAD, T0 + 2 * MINUTE)
    found["region.not-the-starter"] = denied(scene, asked, demand, "approve", ONCALL, T0)
    return found


async def _concluded(scene: Scene, streams: int | None) -> Outcome:
    line = "region-readiness" + (f" --expected-peak-streams={streams}" if streams else "")
    run = await scene.run(line)
    policy = load(RegionPolicy)
    read = await _look(run)
    drills = await sources.drills(run, policy.load_pressure.lookback_reports)
    run.started -= 1
    return await conclude(run, made.Gathered(streams, policy, f"slo/policies/{sources.OWN}", drills, read))


async def _look(run: Run) -> made.Look:
    """A fresh look at an idle deployment, with the window that the policy asks for."""
    seen = await looked(run, "idle")
    (kept,) = (file for file in run.saved if file.name == seen.artifact)
    snapshot = seen.snapshot.model_copy(update={"window_minutes": 30})
    return made.Look(snapshot, FileRef(name=kept.name, sha256=kept.sha256), fresh=True)


async def _case(scene: Scene, outcome: Outcome) -> Case:
    case = await scene.world.store.read(lambda conn: cases.look(conn, str(outcome.data["case"])))
    assert case is not None
    return case.model_copy(update={"op_state": "done"})


async def _ticket(scene: Scene) -> Shown:
    """Step 3 of the walk through playbook G, once it was pressed; GitHub is not configured here."""
    await _concluded(scene, 25_000)
    run = await scene.run("playbook G")
    opened = await ticket.open_for(run)
    page, seen = scene.world.book.page("g"), await looked(run, "idle")
    facts = Facts((seen.snapshot,))
    look = Look(run=run, page=page, facts=facts, signals=judge_signals(facts, scene.world.book), artifact=seen.artifact)
    done = Taken(3, "done", ONCALL, T0, run.op.id, opened.lines)
    return card(replace(walk("g", await picture(look)), steps={3: done}), page)
