"""The later operator commands before anything was done, and without a deployment."""

from __future__ import annotations

from tests.golden.stage import LEAD, Scene, Shown

LINES = {
    "region.incomplete": "region-readiness --expected-peak-streams=5000",
    "milestone.without-a-pool": "milestone-gate --milestone=m1_1k",
    "milestone.status-none": "milestone-gate status --milestone=m1_1k",
    "pool.status-none": "pool status",
    "canary.itself": "canary --control=practice --candidate=practice",
    "canary.status-none": "canary status --candidate=practice",
    "gameday.unreachable": "gameday --profiles=quick",
    "gameday.items-none": "gameday items",
    "dashboard.empty": "dashboard",
    "knobs.unreachable": "knobs",
    "inspect.unreachable": "inspect circuitBreaker:listStatuses",
    "snapshot.unreachable": "snapshot",
    "status.after-some-runs": "status",
    "owners.all": "owners",
}
BY_LEAD = {
    "audit.search": "audit --since=7d",
    "audit.nothing-found": "audit --person=nobody",
    "audit.story-of-a-run": "audit show {run}",
    "audit.story-of-nothing": "audit show c-999",
    "audit.reconcile-unreachable": "audit reconcile",
}


async def cards(scene: Scene) -> dict[str, Shown]:
    found: dict[str, Shown] = {name: await scene.say(line) for name, line in LINES.items()}
    run = await scene.run("owners")
    return found | {name: await scene.say(line.format(run=run.op.id), by=LEAD) for name, line in BY_LEAD.items()}
