"""Seeded canaries of the practice pair on a clock that jumps: the application's own code, the drill's own requests.

Both deployments are whole practice Sendcats, spoken to in process. Requests are built, planned, tallied and reported as
the product does it, at the profile's own rates and in open loop; only sockets are missing, and time: the event loop jumps
to its next timer as soon as nothing is left to do, so that ten minutes take seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.practice.sendcat import PracticeSendcat
from bot.practice.sendcat.clock import STEPPED_START_MS, PracticeClock
from bot.sendcat.load.bodies import builder
from bot.sendcat.load.plan import ChatUser, DrillSecrets
from bot.sendcat.load.planning import plan_drill
from bot.sendcat.load.report import run_of
from bot.sendcat.load.stream import ChatStream
from bot.target import Environment, Target
from slo import canary, canary_power
from slo.canary import Seen
from slo.policy import Baseline, CanaryPolicy, Ownership, load
from slo.profiles import StagePlan
from slo.reports import DrillReport, Ended, ProbeReport, Sample
from slo.rounds import CANDIDATE, CONTROL, merge, order
from slo.scenarios import CHAT, SCENARIOS
from slo.summary import StageRun, drill_report
from slo.tally import StageTally
from slo.verdict import Judgement

BASELINE, OWNERSHIP, POLICY = load(Baseline), load(Ownership), load(CanaryPolicy)
PROFILE = "standard"
WEBHOOK_MS, WEBHOOK_SIGMA, CHAT_MS = 650.0, 0.25, (2_000, 4_300)
"""The pair's usual latencies: log-normal webhooks with a p95 near 1 s, chats evenly up to 4.3 s to their headers."""
FIVE_XX, BROKEN, DRIFT = 0.0005, 0.002, 0.3
"""What goes wrong on a healthy day, and how much slower both get in the ten minutes of a whole canary."""
LAST = len(order(canary_power.blocks_for(PROFILE))) - 1
ROOM = {f"RATE_LIMIT_{bucket}_MAX": "5000" for bucket in ("GMAIL_PUSH", "WHATSAPP")}
"""820 requests of one address are more than 120 a minute: otherwise limits would be measured, not the release."""


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: the time that was to be waited is over at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is left to happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop on which sleeping costs nothing."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def jump(self, to: float) -> None:
        """It is later now; nothing may be waiting."""
        self._jumping.now = max(self._jumping.now, to)


class _Nap:
    """Asleep for so many milliseconds, for whoever turns the clock by hand."""

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def __await__(self) -> Generator[float]:
        yield self.ms


class LoopClock(PracticeClock):
    """The loop's time as the practice deployment sees it; or ``hand_ms``, while webhooks are driven without a loop.

    Tens of thousands of tasks and timers would take most of the time; a heap of sleeping coroutines does the same.
    """

    def __init__(self, loop: SteppedLoop) -> None:
        super().__init__(stepped_from_ms=STEPPED_START_MS)
        self._loop = loop
        self.hand_ms: float | None = None

    def now_ms(self) -> int:
        return STEPPED_START_MS + round(self._loop.time() * 1000 if self.hand_ms is None else self.hand_ms)

    async def sleep(self, ms: float) -> None:
        if self.hand_ms is None:
            await asyncio.sleep(ms / 1000)
        else:
            await _Nap(ms)

    def by_hand(
        self, arrivals: Sequence[float], begin: Callable[[int], Coroutine[float, None, Sample]]
    ) -> list[Sample]:
        """Begin one coroutine at each of these moments (ms from now), and let all of them end."""
        start_ms = self._loop.time() * 1000
        due: list[tuple[float, int, Coroutine[float, None, Sample] | None]]
        due = [(start_ms + at_ms, number, None) for number, at_ms in enumerate(arrivals)]
        done: list[Sample] = []
        while due:
            self.hand_ms, number, running = heapq.heappop(due)
            running = running or begin(number)
            try:
                nap_ms = running.send(None)
            except StopIteration as ended:
                done.append(ended.value)
            else:
                heapq.heappush(due, (self.hand_ms + nap_ms, number, running))
        assert self.hand_ms is not None
        self._loop.jump(self.hand_ms / 1000)
        self.hand_ms = None
        return done


@dataclass(frozen=True)
class Release:
    """What is different about a deployment: how many times slower, further shares of 5xx and of broken chats."""

    slower: float = 1.0
    five_xx: float = 0.0
    broken: float = 0.0


class Side:
    """One deployment with its plan and its own credentials."""

    def __init__(self, name: str, release: Release, seed: int, loop: SteppedLoop) -> None:
        self.clock = LoopClock(loop)
        self.practice = PracticeSendcat(name=name, seed=seed, clock=self.clock, environment=ROOM)
        self.release = release
        dice = random.Random(f"{name}-{seed}")
        switches, deployment = self.practice.switches, self.practice.deployment
        switches.webhook_ms = 0.0
        switches.site_fail_share = FIVE_XX + release.five_xx
        switches.stream_break_share = BROKEN + release.broken
        deployment.site_delays.append(
            lambda _: switches.slower * WEBHOOK_MS * math.exp(WEBHOOK_SIGMA * dice.gauss(0, 1))
        )
        for provider in deployment.upstreams.names():
            if provider.startswith("openrouter"):
                deployment.upstreams[provider].connect_ms = CHAT_MS
        target = Target(
            name=name,
            environment=Environment.PRACTICE,
            api_url=f"https://{name}.convex.cloud",
            site_url=f"https://{name}.convex.site",
            deploy_key=SecretStr(self.practice.deploy_key),
        )
        users = tuple(ChatUser(entry["authToken"], entry["threadId"]) for entry in self.practice.pool)
        self.secrets = DrillSecrets(
            gmail_token=self.practice.gmail_token,
            whatsapp_secret=self.practice.whatsapp_secret,
            chat_users=users,
            pooled=True,
        )
        self.plan = plan_drill(target, PROFILE, secrets=self.secrets)

    async def drilled(self, drift: float) -> DrillReport:
        """One round, from now."""
        self.practice.switches.slower = self.release.slower * drift
        began_ms = self.clock.now_ms()
        measured: dict[str, list[StageRun]] = {}
        for scenario in self.plan.scenarios:
            for stage in scenario.stages:
                tally = await self._stage(scenario.name, stage, began_ms)
                measured.setdefault(scenario.name, []).append(StageRun(stage, tally))
                await self.clock.sleep(stage.pause_ms)
        run = run_of(self.plan, began_ms, self.clock.now_ms())
        return drill_report(run, measured, baseline=BASELINE, ended=Ended(how="finished"))

    async def _stage(self, scenario: str, stage: StagePlan, began_ms: int) -> StageTally:
        assert stage.total is not None
        assert stage.per_second is not None
        tally = StageTally(scenario, stage.name, warmup=stage.warmup, planned=stage.total)
        build = builder(scenario, self.plan, self.secrets)
        start_ms = self.clock.now_ms() - began_ms

        def begin(number: int) -> Coroutine[Any, Any, Sample]:
            return self._request(scenario, stage, build, number, began_ms, start_ms + arrivals[number])

        async def later(number: int) -> Sample:
            await asyncio.sleep(arrivals[number] / 1000)
            return await begin(number)

        arrivals = [number * 1000 / stage.per_second for number in range(stage.total)]
        if scenario == CHAT:
            samples = await asyncio.gather(*map(later, range(stage.total)))
        else:
            samples = self.clock.by_hand(arrivals, begin)
        for sample in samples:
            tally.add(sample)
        return tally

    async def _request(
        self, scenario: str, stage: StagePlan, build: Any, number: int, began_ms: int, planned_ms: float
    ) -> Sample:
        raw, user = build(number, self.clock.now_ms())
        seen = _Seen(self.clock, began_ms, ChatStream() if scenario == CHAT else None)
        sent_ms = float(self.clock.now_ms() - began_ms)
        await self.practice.site_app(_scope(raw), _receiver(raw), seen.send)
        return Sample(
            scenario=scenario,
            stage=stage.name,
            warmup=stage.warmup,
            # The clock shows whole milliseconds: what was sent in time is not early.
            planned_ms=min(planned_ms, sent_ms),
            sent_ms=sent_ms,
            headers_ms=seen.headers_ms,
            first_token_ms=seen.first_token_ms,
            end_ms=seen.end_ms,
            status=seen.status,
            stream=seen.stream_end,
            user=user,
        )


class _Seen:
    """What one client saw of one answer."""

    def __init__(self, clock: LoopClock, began_ms: int, stream: ChatStream | None) -> None:
        self._clock, self._began_ms, self._stream = clock, began_ms, stream
        self.status: int | None = None
        self.headers_ms: float | None = None
        self.first_token_ms: float | None = None
        self.end_ms: float | None = None

    async def send(self, message: Any) -> None:
        now_ms = float(self._clock.now_ms() - self._began_ms)
        if message["type"] == "http.response.start":
            self.status, self.headers_ms = message["status"], now_ms
            return
        if self._stream is not None:
            self._stream.feed(message.get("body", b""))
            if self._stream.first_token and self.first_token_ms is None:
                self.first_token_ms = now_ms
        if not message.get("more_body"):
            self.end_ms = now_ms

    @property
    def stream_end(self) -> Any:
        if self._stream is None or self.status != 200:
            return None
        return self._stream.end or "cut"


def _scope(raw: bytes) -> dict[str, Any]:
    head = raw.partition(b"\r\n\r\n")[0]
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.decode().split(" ")
    path, _, query = target.partition("?")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 5000),
    }


def _receiver(raw: bytes) -> Callable[[], Awaitable[Any]]:
    body = raw.partition(b"\r\n\r\n")[2]
    told = False

    async def receive() -> Any:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await asyncio.get_running_loop().create_future()

    return receive


def drilled(side: str, release: Release, seed: int, blocks: int | None = None) -> DrillReport:
    """All rounds of one side as one report, at the times at which its turns come in a whole canary.

    The sides share nothing but time, so each can be run by itself, and one control can stand beside several candidates.
    ``blocks`` is as many as the profile runs by itself, unless given.
    """
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(_drilled(side, release, seed, blocks or canary_power.blocks_for(PROFILE)))


async def _drilled(side: str, release: Release, seed: int, blocks: int) -> DrillReport:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppedLoop)
    here = Side(side, release, 2 * seed + (side == CANDIDATE), loop)
    turns = order(blocks)
    reports = []
    for at, turn in enumerate(turns):
        if turn == side:
            reports.append(await here.drilled(1 + DRIFT * math.sin(math.pi * at / LAST)))
        else:
            loop.jump(loop.time() + here.plan.duration_ms / 1000)
    return merge(reports, BASELINE)


def judged(control: DrillReport, candidate: DrillReport) -> Judgement:
    """The canary of these two, both probed well."""
    sides = Seen(_probe(), control), Seen(_probe(), candidate)
    return canary.judge(*sides, POLICY, BASELINE, OWNERSHIP, required=SCENARIOS)


def _probe() -> ProbeReport:
    """Recorded probes that passed: what is shown here is what the drills show."""
    folder = Path(__file__).parents[2] / "data" / "samples" / "artifacts" / "probe-pass"
    return ProbeReport.parse(json.loads(next(folder.glob("synthetic-*.json")).read_text()))


WORSE = {
    "slower": Release(slower=1.6),
    "5xx": Release(five_xx=0.05),
    "broken": Release(broken=0.05),
}
"""What must be caught: +60% latency, which is beyond the limits here; 5% more 5xx; 5% broken streams."""


def verdicts(seed: int, worse: bool = True) -> dict[str, str]:
    """The verdicts of one seed: the same release on both sides (``same``), and each of `WORSE` beside that control."""
    control = drilled(CONTROL, Release(), seed)
    candidates = {"same": Release(), **(WORSE if worse else {})}
    return {name: str(judged(control, drilled(CANDIDATE, each, seed)).verdict) for name, each in candidates.items()}
