"""What a drill reads beside the truth: of a target that stalls, and of a thousand streams."""

from __future__ import annotations

from slo.profiles import StagePlan
from tests.bench.figure import Figure
from tests.bot.sendcat.drill_kit import plan_of, pooled, run_apart
from tests.bot.sendcat.far import far
from tests.bot.sendcat.stalling import truth
from tests.bot.sendcat.streams import first_token_error_ms, hold

ROUNDS = 5


async def stall() -> list[Figure]:
    """400 ms of every 2 s at 500 planned requests a second, open loop beside the original's closed loop."""
    off: dict[int, list[float]] = {95: [], 99: []}
    closed: dict[int, list[float]] = {95: [], 99: []}
    async with far("stall") as server:
        for _ in range(ROUNDS):
            for mode, read in (("open", off), ("closed", closed)):
                stage = StagePlan("stall", workers=100 if mode == "open" else 10, total=2000, per_second=500)
                latency = pooled(await run_apart(plan_of(server["url"], stage, mode=mode))).latency
                for p, value in ((95, latency.p95_ms), (99, latency.p99_ms)):
                    assert value is not None
                    read[p].append(abs(value / truth(p) - 1) * 100)
    return [
        Figure(f"stall, p{p} off the truth", "%", off[p], 3, peer="closed loop", peer_values=closed[p]) for p in off
    ]


async def streams() -> list[Figure]:
    """1,000 streams of a practice Sendcat: how late the first token is read, and how many are open."""
    late, held = [], []
    for _ in range(3):
        report = await hold(1000)
        late.append(first_token_error_ms(report)[1])
        assert report.honest is not None
        chat = report.honest.scenario("chat_stream_http")
        assert chat is not None
        assert chat.held is not None
        held.append(float(chat.held.open_p5 or 0))
    return [
        Figure("1,000 streams, first token p99 off", "ms", late, 35),
        Figure("1,000 streams, open in 95 % of the time", "streams", held, 990, least=True),
    ]


async def measure() -> list[Figure]:
    """Everything here."""
    return [*await stall(), *await streams()]
