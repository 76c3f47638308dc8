"""What is only looked at: snapshot, one Convex read, the knobs, and the record beside them - of a practice deployment
whose clock stands still - and the dashboard of saved reports.
"""

from __future__ import annotations

from pydantic import SecretStr

from bot.card import Card
from bot.dashboard import shown as dashboard_shown
from bot.dashboard.made import make
from bot.practice.sendcat import PracticeSendcat
from bot.practice.sendcat.clock import PracticeClock
from tests.golden.measured import WELL, Conduct, drill
from tests.golden.runs import probed
from tests.golden.stage import LEAD, T0, Scene, Shown

SLOW = Conduct(slower=5.4, five_xx=0.05, broken=0.2)


async def cards(scene: Scene) -> dict[str, Shown]:
    found: dict[str, Shown] = await _dashboards(scene)
    clock = PracticeClock(stepped_from_ms=T0)
    practice = PracticeSendcat(name="practice-otter-1", seed=1, clock=clock)
    practice.switches.audit_log = True
    await practice.start()
    try:
        there = {"api_url": practice.api_url, "site_url": practice.site_url}
        key = {"deploy_key": SecretStr(practice.deploy_key)}
        target = scene.config.target["practice"].model_copy(update={**there, **key})
        scene.world.config = scene.config.model_copy(update={"target": {"practice": target}})
        found |= await _read(scene, practice)
    finally:
        await scene.world.close()
        await practice.stop()
    return found


async def _read(scene: Scene, practice: PracticeSendcat) -> dict[str, Shown]:
    environment = practice.deployment.environment
    environment.set("TOOL_JOB_RUNMAX_WEB", "4")
    healthy = await scene.say("snapshot")
    first = await scene.say("audit reconcile", by=LEAD)
    practice.inject("B")
    changed = await scene.say("snapshot --diff=true")
    # A stranger with the same key and a shell: the deployment's own log tells of it, our record does not.
    await scene.world.convex(scene.config.target["practice"]).set_environment(
        {
            "TOOL_JOB_RUNMAX_WEB": "9",
            "RATE_LIMIT_GMAIL_PUSH_MAX": "999",
            "CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS": "soon",
        }
    )
    return {
        "snapshot.healthy": healthy,
        "snapshot.what-changed": changed,
        "snapshot.circuit-open": await scene.say("snapshot"),
        "inspect.circuits": await scene.say("inspect circuitBreaker:listStatuses '{\"limit\":20}'"),
        "inspect.summary": await scene.say("inspect rateLimit:getEventSummary '{\"minutes\":15}'"),
        "inspect.list": await scene.say("inspect"),
        "inspect.refused-change": await scene.say("inspect toolJobs:processQueue"),
        "knobs.bulkhead": await scene.say("knobs bulkhead"),
        "knobs.playbook-B": await scene.say("knobs B"),
        "knobs.playbook-C": await scene.say("knobs C"),
        "knobs.no-such-family": await scene.say("knobs bulkheads"),
        "knobs.circuit": await scene.say("knobs circuit"),
        "knobs.all": await scene.say("knobs"),
        "audit.reconcile-first-look": first,
        "audit.reconcile-changed-outside": await scene.say("audit reconcile", by=LEAD),
        "audit.reconcile-accepted": await scene.say(
            "audit reconcile --accept=RATE_LIMIT_GMAIL_PUSH_MAX --why='the provider asked for it'", by=LEAD
        ),
    }


async def _dashboards(scene: Scene) -> dict[str, Shown]:
    run = await scene.run("drill --quick=true")
    for seed in range(4):
        await run.keep("drill", drill("quick", WELL, seed=seed).to_artifact(), "quick")
        await probed(run)
    calm = await _dashboard(scene)
    (scene.config.artifact_dir / "load-drill-quick-2026-11-23T06-00-00-000Z.json").write_text("[]")
    await run.keep("drill", drill("quick", SLOW, seed=9).to_artifact(), "quick")
    return {"dashboard.within-limits": calm, "dashboard.over-its-limits": await _dashboard(scene)}


async def _dashboard(scene: Scene) -> Card:
    run = await scene.run("dashboard")
    return dashboard_shown.card(run, await make(run, draw=_drawn))


async def _drawn(data: dict[str, object]) -> bytes:
    """The picture, which a child process would draw."""
    return b"a picture"
