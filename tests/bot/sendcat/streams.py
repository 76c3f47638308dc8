"""Streams of a practice Sendcat in another process, whose first token is due at a known moment."""

from __future__ import annotations

from bot.clock import SystemClock
from bot.sendcat.brake import Brake
from bot.sendcat.load.parent import drill
from bot.sendcat.load.plan import ChatUser, DrillSecrets
from slo.profiles import StreamPlan
from slo.reports import DrillReport
from slo.scenarios import CHAT
from tests.bot.sendcat.drill_kit import plan_of
from tests.bot.sendcat.far import far

CONNECT_MS, TOKEN_MS, TOKENS = 200, 1500, 6
DUE_MS = CONNECT_MS + TOKEN_MS


async def hold(streams: int, *, ramp_ms: int = 8_000, sustain_ms: int = 20_000, processes: int = 1) -> DrillReport:
    """Hold so many streams of a practice Sendcat in another process; each first token is due after `DUE_MS`."""
    async with far("practice", connect_ms=CONNECT_MS, token_ms=TOKEN_MS, tokens=TOKENS) as sendcat:
        users = tuple(ChatUser(user["authToken"], user["threadId"]) for user in sendcat["pool"])
        plan = plan_of(
            sendcat["url"],
            scenario=CHAT,
            streams=StreamPlan(streams, ramp_ms, sustain_ms, soak_ms=1_800_000),
            profile="m1_1k",
            processes=processes,
        )
        clock = SystemClock()
        return await drill(plan, DrillSecrets(chat_users=users, pooled=True), brake=Brake(clock), clock=clock)


def first_token_error_ms(report: DrillReport) -> tuple[float, float]:
    """How far p50 and p99 of the first token are from the moment at which it was due."""
    assert report.honest is not None
    chat = report.honest.scenario(CHAT)
    assert chat is not None
    assert chat.pooled is not None
    spread = chat.pooled.first_token
    assert spread.p50_ms is not None
    assert spread.p99_ms is not None
    return spread.p50_ms - DUE_MS, spread.p99_ms - DUE_MS
