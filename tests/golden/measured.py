"""Drills that were never sent: seeded requests, added up and reported by the product's own tallies.

What a deployment does is told in a few shares (`Conduct`); the same conduct and seed give the same report on every day.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bot.measure import judge_drill
from slo.policy import Baseline, load
from slo.profiles import StagePlan, profile
from slo.reports import DrillReport, Ended
from slo.scenarios import CHAT, SCENARIOS
from slo.summary import Run, StageRun, drill_report, held_streams
from slo.tally import Sample, StageTally
from slo.verdict import Judgement
from tests.golden.stage import T0

_SITES = {"practice": "http://127.0.0.1:2", "candidate": "http://127.0.0.1:4"}


@dataclass(frozen=True)
class Conduct:
    """How a deployment answers: ``slower`` is a factor, the rest are shares (0..1) of its requests."""

    slower: float = 1.0
    five_xx: float = 0.0
    refused: float = 0.0
    broken: float = 0.0
    """Chats whose stream ends without ``done``."""


WELL = Conduct()


@cache
def drill(
    name: str = "quick",
    conduct: Conduct = WELL,
    *,
    target: str = "practice",
    seed: int = 1,
    skipped: Sequence[tuple[str, str]] = (),
    only: tuple[str, ...] | None = None,
    users: int = 20,
    sustained: int = 0,
    open_streams: int = 0,
    ended: str = "",
) -> DrillReport:
    """One drill of a profile as it ended 14 s ago.

    ``sustained`` chats are sent while a milestone holds ``open_streams``; ``ended`` is why it was aborted.
    """
    plan, dice = profile(name), random.Random(f"{name}-{target}-{seed}")
    measured = {
        scenario: [
            StageRun(stage, _stage(scenario, stage, conduct, dice, users, sustained, whole=plan.consume_body))
            for stage in plan.stages(scenario)
        ]
        for scenario in SCENARIOS
        if scenario not in dict(skipped) and (only is None or scenario in only)
    }
    took_ms = 3_000 if name == "quick" else 540_000
    run = Run(
        target=target,
        base_url=_SITES[target],
        profile=name,
        started_ms=T0 - 14_000 - took_ms,
        finished_ms=T0 - 14_000,
        required=SCENARIOS,
        only=only,
        pool_size=users,
        rotation_seed=plan.default_seed,
    )
    streams = plan.streams
    held = held_streams(streams, [open_streams] * 20, open_streams + 3) if streams is not None else None
    how = Ended(how="aborted", reason=ended) if ended else Ended(how="finished")
    return drill_report(run, measured, baseline=load(Baseline), ended=how, skipped=dict(skipped), held=held)


@cache
def judged(name: str = "quick", conduct: Conduct = WELL, **more: Any) -> tuple[DrillReport, Judgement]:
    """A drill as `drill` makes it, with its judgement by the baseline."""
    report = drill(name, conduct, **more)
    return report, judge_drill(report)


def _stage(
    scenario: str, plan: StagePlan, conduct: Conduct, dice: random.Random, users: int, sustained: int, *, whole: bool
) -> StageTally:
    count = plan.planned_requests or sustained
    tally = StageTally(scenario, plan.name, warmup=plan.warmup, consume_body=whole and scenario == CHAT, planned=count)
    for number in range(count):
        tally.add(_request(scenario, plan, conduct, dice, number, users))
    return tally


def _request(scenario: str, plan: StagePlan, conduct: Conduct, dice: random.Random, number: int, users: int) -> Sample:
    planned = number * (1000 / (plan.per_second or 10))
    roll, chat = dice.random(), scenario == CHAT
    answer = 503 if roll < conduct.five_xx else 429 if roll < conduct.five_xx + conduct.refused else 200
    median = 2_400 if chat else 310
    took = conduct.slower * median * math.exp(0.28 * dice.gauss(0, 1)) if answer == 200 else 25.0
    cut = chat and dice.random() < conduct.broken
    return Sample(
        scenario=scenario,
        stage=plan.name,
        warmup=plan.warmup,
        planned_ms=planned,
        sent_ms=planned + 0.4,
        headers_ms=planned + (0.3 * took if chat else took),
        first_token_ms=planned + 0.4 * took if chat and answer == 200 else None,
        end_ms=planned + took,
        status=answer,
        stream=("error" if cut else "done") if chat and answer == 200 else None,
        error_code="provider_error" if cut and answer == 200 else None,
        sendcat_error=cut,
        user=number % users if chat else None,
    )
