"""The drill engine: runs a plan against one origin, and can be stopped at any moment (R16, R18, R19).

Every request asks the brake first. Latency counts from the planned moment, so a target that stalls is read truly; and
the generator measures itself, so that its own slowness is never taken for the target's.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.clock import Clock
from bot.sendcat.brake import Brake, Budget, ErrorBudget, Halt
from bot.sendcat.dial import Origin, Resolve, checked_addresses, resolve, tls_context
from bot.sendcat.load.bodies import Build, builder
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets, ScenarioPlan
from bot.sendcat.load.stage import ClosedStage, OpenStage, Stage, StreamStage
from bot.sendcat.load.stream import ChatStream
from bot.sendcat.load.wire import Job, Pool
from slo.measure import histogram, percentile
from slo.profiles import StagePlan
from slo.scenarios import CHAT, endpoint
from slo.summary import StageRun
from slo.tally import StageTally

SWEEP_S = 0.02
GRACE_S = 1.2
"""After a stop, answers that are on their way may still arrive for this long; then every socket is closed."""
PROGRESS_S = 0.25
MAX_LAG_S = 0.1
"""More than one in twenty requests sent (or loop turns made) later than this by our own fault: the run is void."""

WEBHOOK_S = 15.0
CHAT_S = 60.0
CHAT_IDLE_S = 20.0


@dataclass
class Measured:
    """What came out: stages of each scenario as far as they ran, and the generator's look at itself."""

    stages: dict[str, list[StageRun]] = field(default_factory=dict)
    halt: Halt | None = None
    cut_off: int = 0
    """Requests on their way that a stop cut off; they are in no tally."""
    own_lag_ms: array[float] = field(default_factory=lambda: array("d"))
    loop_lag_ms: array[float] = field(default_factory=lambda: array("d"))

    @property
    def bottleneck(self) -> str:
        """Why the generator was too slow; empty when it was not."""
        for lags, word in ((self.own_lag_ms, "sent"), (self.loop_lag_ms, "read")):
            p95 = percentile(lags, 95)
            if p95 > MAX_LAG_S * 1000:
                return f"the generator {word} late: p95 {p95:.0f} ms, allowed {MAX_LAG_S * 1000:.0f} ms"
        return ""


class Engine:
    """One drill. Build it inside the running loop, then `run`."""

    def __init__(
        self,
        plan: DrillPlan,
        secrets: DrillSecrets,
        brake: Brake,
        clock: Clock,
        on_progress: Callable[[DrillProgress], None] = lambda _: None,
        *,
        resolver: Resolve = resolve,
        tls: Any = None,
    ) -> None:
        self.plan = plan
        self._secrets = secrets
        self._brake = brake
        self._clock = clock
        self._on_progress = on_progress
        self._resolver = resolver
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self.now = clock.monotonic
        self.zero = self.now()
        self.measured = Measured()
        self._pool: Pool | None = None
        self._stage: Stage | None = None
        self._tallies: dict[tuple[str, str], StageTally] = {}
        self._build: Build | None = None
        self._scenario = ""
        self._budget: ErrorBudget | None = None
        self._stopped_at: float | None = None
        self._sent = self._done = self._errors = 0
        self._p95 = histogram(())
        self._next_sweep = 0.0
        self._next_progress = 0.0
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def sockets(self) -> int:
        return self._pool.sockets if self._pool is not None else 0

    async def run(self) -> Measured:
        """Run all stages of all scenarios, one after the other. Raises `Refused` for an address out of bounds."""
        origin, unresolved = Origin.parse(self.plan.site_url), ""
        try:
            addresses = await checked_addresses(origin, self._resolver)
        except OSError as error:
            # A name that does not resolve is a network error of each request, measured like any other.
            addresses, unresolved = [], type(error).__name__
        tls = (self._tls or tls_context()) if origin.scheme == "https" else None
        self._pool = Pool(origin, addresses, tls, self.now, self._finished, unresolved=unresolved)
        self._brake.start()
        self._next_sweep = self.now() + SWEEP_S
        self._sweep()
        try:
            for scenario in self.plan.scenarios:
                if scenario.skipped is None and self._brake.look() is None:
                    await self._run_scenario(scenario)
        finally:
            self.measured.halt = self._brake.halted
            self.measured.cut_off += self._pool.abort()
            await self._quiet()
            if self._sweeper is not None:
                self._sweeper.cancel()
        self._tell()
        return self.measured

    async def _run_scenario(self, scenario: ScenarioPlan) -> None:
        name = scenario.name
        self._scenario = name
        self._build = builder(name, self.plan, self._secrets)
        self._p95 = histogram(())
        slo = self.plan.baseline.endpoint(endpoint(name))
        self._budget = (
            ErrorBudget(Budget(slo.max_five_xx_rate, slo.max_network_error_rate, slo.max_p95_ms), name) if slo else None
        )
        runs = self.measured.stages.setdefault(name, [])
        if scenario.streams is not None:
            ramp, sustain = (self._tally(name, stage, stage == "ramp") for stage in ("ramp", "sustain"))
            stage: Stage = StreamStage(self, scenario.streams, ramp, sustain)
            ramp_plan = StagePlan("ramp", scenario.streams.streams, duration_ms=scenario.streams.ramp_ms, warmup=True)
            held = StagePlan("sustain", scenario.streams.streams, duration_ms=scenario.streams.sustain_ms)
            runs += [StageRun(ramp_plan, ramp), StageRun(held, sustain)]
            await self._run_stage(stage)
            return
        for plan in scenario.stages:
            if self._brake.look() is not None:
                return
            tally = self._tally(name, plan.name, plan.warmup)
            runs.append(StageRun(plan, tally))
            by_plan = self.plan.mode == "open" and plan.per_second is not None
            kind = OpenStage if by_plan else ClosedStage
            await self._run_stage(kind(self, plan, tally, self.plan.cap(name, plan)))
            await self._pause(plan.pause_ms / 1000)

    async def _quiet(self) -> None:
        """Wait until every socket is closed; the transports need one turn of the loop for it."""
        until = self.now() + 0.5
        while self.sockets and self.now() < until:  # noqa: ASYNC110 - the transports signal nobody
            await asyncio.sleep(0.002)

    def _tally(self, scenario: str, stage: str, warmup: bool) -> StageTally:
        tally = StageTally(scenario, stage, warmup, self.plan.consume_body and scenario == CHAT)
        self._tallies[scenario, stage] = tally
        return tally

    async def _run_stage(self, stage: Stage) -> None:
        self._stage = stage
        stage.start()
        await stage.over
        self._stage = None

    async def _pause(self, seconds: float) -> None:
        until = self.now() + seconds
        while self.now() < until and self._brake.look() is None:  # noqa: ASYNC110 - a brake is looked at
            await asyncio.sleep(min(0.05, max(0.0, until - self.now())))

    # Shop

    def own_lag(self, seconds: float) -> None:
        self.measured.own_lag_ms.append(max(0.0, seconds * 1000))

    def send(self, index: int, planned_at: float, tally: StageTally) -> bool:
        assert self._pool is not None
        assert self._build is not None
        if self._brake.check(self._sent - self._done) is not None:
            return False
        chat = tally.scenario == CHAT
        payload, user = self._build(index, self._clock.now_ms())
        job = Job(
            tally.scenario,
            tally.stage,
            tally.warmup,
            planned_at,
            payload,
            user,
            total_s=CHAT_S if chat else WEBHOOK_S,
            idle_s=CHAT_IDLE_S if chat else None,
            stream=ChatStream() if chat else None,
        )
        self._brake.count()
        self._sent += 1
        self._pool.send(job)
        return True

    def _finished(self, job: Job) -> None:
        self._done += 1
        sample = job.sample(self.zero)
        self._tallies[job.scenario, job.stage].add(sample)
        failed = not sample.answered or (sample.status or 0) >= 500 or sample.stream in ("error", "cut")
        self._errors += failed
        latency_ms = sample.finished_ms - sample.planned_ms
        if sample.succeeded:
            self._p95.record_value(max(1, min(120_000_000, round(latency_ms * 1000))))
        if self._budget is not None:
            self._budget.note(self.now(), latency_ms, sample.status if sample.answered else None)
        if self._stage is not None:
            self._stage.ended()

    # Watching

    def _sweep(self) -> None:
        """Every 20 ms: time-outs, the brake, the error budget, progress, and how late this very turn is."""
        now = self.now()
        assert self._pool is not None
        if self._stopped_at is None:
            self.measured.loop_lag_ms.append(max(0.0, (now - self._next_sweep) * 1000))
        self._next_sweep = now + SWEEP_S
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        self._pool.sweep()
        halt = self._brake.look() or self._over_budget(now)
        if halt is not None and self._stopped_at is None:
            self._stopped_at = now
            if self._stage is not None:
                self._stage.stop()
        if self._stopped_at is not None and now - self._stopped_at > GRACE_S:
            self._cut_off()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_S
            self._tell()

    def _over_budget(self, now: float) -> Halt | None:
        if self._budget is None or self._pool is None:
            return None
        before = now - self._budget.slow_ms / 1000
        overdue = sum(1 for job in self._pool.jobs() if job.planned_at < before and job.scenario == self._scenario)
        if isinstance(self._stage, OpenStage):
            overdue += self._stage.overdue(before)
        halt = self._budget.verdict(now, overdue)
        if halt is not None:
            self._brake.halt(halt)
        return self._brake.halted

    def _cut_off(self) -> None:
        """Close everything; requests on their way are forgotten, since not the target ended them."""
        assert self._pool is not None
        cut = self._pool.abort()
        self.measured.cut_off += cut
        stage = self._stage
        if stage is not None:
            stage.in_flight = 0
            stage.stop()

    def _tell(self) -> None:
        elapsed = self.now() - self.zero
        p95 = self._p95.get_value_at_percentile(95) / 1000 if self._p95.get_total_count() else None
        self._on_progress(
            DrillProgress(
                scenario=self._scenario,
                stage=self._stage.plan.name if self._stage is not None else "",
                planned=max(self.plan.requests, self._sent),
                sent=self._sent,
                done=self._done,
                errors=self._errors,
                in_flight=self._sent - self._done,
                elapsed_s=round(elapsed, 3),
                remaining_s=round(max(0.0, self.plan.duration_ms / 1000 - elapsed), 3),
                rate=round(self._sent / elapsed, 2) if elapsed > 0 else 0.0,
                p95_ms=round(p95, 1) if p95 is not None else None,
            )
        )


def stage_runs(measured: Measured) -> dict[str, Sequence[StageRun]]:
    """The stages that were begun, for `slo.summary.drill_report`."""
    return {name: runs for name, runs in measured.stages.items() if runs}
