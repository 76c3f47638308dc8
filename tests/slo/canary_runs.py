"""Seeded canaries: two deployments with known behaviour, drilled in interleaved rounds on a clock that steps.

Each round plans its requests at the profile's own rates; the clock steps from one to the next, so a canary of eleven
minutes takes a moment. Time of day moves both sides alike: the target drifts slower and back within the canary.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from slo import canary
from slo.canary import Seen
from slo.policy import Baseline, CanaryPolicy, Ownership, load
from slo.profiles import profile
from slo.reports import DrillReport, ProbeReport, Sample
from slo.rounds import CONTROL, merge, order
from slo.scenarios import CHAT, SCENARIOS
from slo.summary import Run, StageRun, drill_report
from slo.tally import StageTally
from slo.verdict import Judgement

BASELINE, OWNERSHIP, POLICY = load(Baseline), load(Ownership), load(CanaryPolicy)
PROFILE = "standard"


@dataclass(frozen=True)
class Deployment:
    """How a deployment behaves: medians in ms (log-normal with `sigma`), and shares of requests that go wrong."""

    webhook_ms: float = 120
    chat_ms: float = 3_500
    sigma: float = 0.3
    five_xx: float = 0.0005
    broken: float = 0.001
    lost: float = 0.0005

    def sample(self, dice: random.Random, scenario: str, stage: str, i: int, planned: float, drift: float) -> Sample:
        median = (self.chat_ms if scenario == CHAT else self.webhook_ms) * drift
        took = median * math.exp(self.sigma * dice.gauss(0, 1))
        headers = took * 0.1 if scenario == CHAT else took
        luck = dice.random()
        status: int | None = 200
        if luck < self.lost:
            status = None
        elif luck < self.lost + self.five_xx:
            status = 503
        stream = None
        if scenario == CHAT and status == 200:
            stream = "error" if dice.random() < self.broken else "done"
        return Sample(
            scenario=scenario,
            stage=stage,
            warmup=False,
            planned_ms=planned,
            sent_ms=planned,
            headers_ms=planned + headers if status else None,
            first_token_ms=planned + headers * 2 if stream == "done" else None,
            end_ms=planned + took,
            status=status,
            error=None if status else "TypeError",
            stream=stream,
            user=i % 20 if scenario == CHAT else None,
        )


def drilled(side: Deployment, dice: random.Random, url: str, now_ms: float, drift: float) -> tuple[DrillReport, float]:
    """One round that begins at `now_ms`, and when it ended."""
    plan, began, clock = profile(PROFILE), now_ms, 0.0
    measured: dict[str, list[StageRun]] = {}
    for scenario in SCENARIOS:
        for stage in plan.stages(scenario):
            assert stage.total is not None
            assert stage.per_second is not None
            tally = StageTally(scenario, stage.name, planned=stage.total)
            for i in range(stage.total):
                tally.add(side.sample(dice, scenario, stage.name, i, clock + i * 1000 / stage.per_second, drift))
            clock += stage.total * 1000 / stage.per_second + stage.pause_ms
            measured.setdefault(scenario, []).append(StageRun(stage, tally))
    run = Run(
        target=url,
        base_url=url,
        profile=PROFILE,
        started_ms=round(began),
        finished_ms=round(began + clock),
        required=SCENARIOS,
        pool_size=20,
    )
    from slo.reports import Ended

    return drill_report(run, measured, baseline=BASELINE, ended=Ended(how="finished")), began + clock


def run(control: Deployment, candidate: Deployment, probe: ProbeReport, seed: int) -> Judgement:
    """One whole canary at profile standard, with as many blocks of rounds as the profile runs by itself."""
    dice = random.Random(seed)
    turns = order(canary.blocks_for(PROFILE))
    seen: dict[str, list[DrillReport]] = {"control": [], "candidate": []}
    now = 1_795_419_406_000.0
    for at, side in enumerate(turns):
        drift = 1 + 0.3 * math.sin(math.pi * at / (len(turns) - 1))
        deployment = control if side == CONTROL else candidate
        report, now = drilled(deployment, dice, f"http://{side}.example", now, drift)
        seen[side].append(report)
    whole = {side: merge(reports, BASELINE) for side, reports in seen.items()}
    return canary.judge(
        Seen(probe, whole["control"]), Seen(probe, whole["candidate"]), POLICY, BASELINE, OWNERSHIP, required=SCENARIOS
    )
