"""Small drills of the tests: plans made by hand, run in this process or in their own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from bot.clock import SystemClock
from bot.sendcat.brake import Brake
from bot.sendcat.load.engine import Engine
from bot.sendcat.load.parent import drill
from bot.sendcat.load.plan import ChatUser, DrillPlan, DrillProgress, DrillSecrets, ScenarioPlan
from bot.sendcat.load.report import report_of
from slo.policy import Baseline, Ownership, load
from slo.profiles import StagePlan, StreamPlan
from slo.reports import DrillReport, HonestStage
from slo.scenarios import CHAT, WHATSAPP
from slo.verdict import Judgement
from tests.bot.sendcat.wild import Handler, Wild

Start = Callable[[Handler], Awaitable[Wild]]
SECRETS = DrillSecrets(chat_users=tuple(ChatUser(f"token-{n}", f"thread-{n}") for n in range(5)), pooled=True)


def stage(total: int = 30, per_second: float | None = 300, workers: int = 20, **more: Any) -> StagePlan:
    return StagePlan("stage", workers=workers, total=total, per_second=per_second, **more)


def plan_of(
    url: str, *stages: StagePlan, scenario: str = WHATSAPP, streams: StreamPlan | None = None, **more: Any
) -> DrillPlan:
    """A drill of one scenario."""
    settings: dict[str, Any] = {
        "target": "practice",
        "site_url": url,
        "profile": "standard",
        "required": (scenario,),
        "only": (scenario,),
        "scenarios": (ScenarioPlan(name=scenario, stages=stages, streams=streams),),
        "pool_size": len(SECRETS.chat_users) if scenario == CHAT else 0,
        "baseline": load(Baseline),
        **more,
    }
    return DrillPlan(**settings)


async def run_here(
    plan: DrillPlan, brake: Brake | None = None, on_progress: Callable[[DrillProgress], None] = lambda _: None
) -> DrillReport:
    """The engine in this process."""
    clock = SystemClock()
    measured = await Engine(plan, SECRETS, brake or Brake(clock), clock, on_progress).run()
    return report_of(plan, measured, 0, 1000)


async def run_apart(
    plan: DrillPlan, brake: Brake | None = None, on_progress: Callable[[DrillProgress], None] = lambda _: None
) -> DrillReport:
    """As in the product: in child processes."""
    clock = SystemClock()
    return await drill(plan, SECRETS, brake=brake or Brake(clock), on_progress=on_progress, clock=clock)


def pooled(report: DrillReport) -> HonestStage:
    """The one measured scenario, all but warm-ups."""
    assert report.honest is not None
    [found] = [item.pooled for item in report.honest.scenarios if item.pooled is not None]
    return found


def judged(report: DrillReport) -> Judgement:
    from slo import drill as judge

    return judge.judge(report, load(Baseline), load(Ownership))


def after(wild: Wild, moment: float) -> int:
    """Requests that came after this monotonic moment."""
    return sum(1 for seen in wild.seen if seen.at > moment)


def now() -> float:
    return time.monotonic()
