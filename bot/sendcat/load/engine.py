"""The drill engine: runs a plan against one origin, and can be stopped at any moment (R16, R18, R19).

Every request asks the brake first. Latency counts from the planned moment, so a target that stalls is read truly; and
the generator measures itself, so that its own slowness is never taken for the target's.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from typing import Any

from bot.clock import Clock
from bot.sendcat.brake import Brake, Budget, ErrorBudget, Halt, Why
from bot.sendcat.dial import Origin, Resolve, checked_addresses, resolve, tls_context
from bot.sendcat.load.bodies import Build, builder
from bot.sendcat.load.measured import Measured, Window
from bot.sendcat.load.plan import DrillPlan, DrillProgress, DrillSecrets, ScenarioPlan
from bot.sendcat.load.share import Share
from bot.sendcat.load.stage import ClosedStage, OpenStage, Stage, StreamStage
from bot.sendcat.load.stream import ChatStream
from bot.sendcat.load.wire import Job, Pool
from slo.measure import histogram
from slo.profiles import StagePlan
from slo.scenarios import CHAT, endpoint
from slo.summary import StageRun
from slo.tally import StageTally

SWEEP_S = 0.02
GRACE_S = 1.2
"""After a stop, answers that are on their way may still arrive for this long; then every socket is closed."""
PROGRESS_S = 0.25
PART_PROGRESS_S = 0.1
"""With several processes the master keeps the error budget, so they tell more often."""

OWN_LATE_S = 1.0
"""When we stood still for longer than this, what looks slow within the window of the error budget may be ours."""

WEBHOOK_S = 15.0
CHAT_S = 60.0
CHAT_IDLE_S = 20.0


Starts = Callable[[int], Awaitable[float]]
"""From the number of a stage to the moment (monotonic seconds) at which all processes begin it."""


class Engine:
    """One drill, or one process's share of it. Build it inside the running loop, then `run`.

    ``zero`` is the monotonic moment from which samples count, the same in all processes. With a share the error
    budget is the master's: it gets the counts of each scenario by ``on_window``.
    """

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
        share: Share | None = None,
        zero: float | None = None,
        starts: Starts | None = None,
        on_window: Callable[[Window], None] = lambda _: None,
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
        self._born = self.now()
        self.zero = self._born if zero is None else zero
        self.share = share or Share()
        self._starts = starts
        self._on_window = on_window
        self._window: Window | None = None
        self._stages_begun = 0
        self.measured = Measured()
        self._pool: Pool | None = None
        self._stage: Stage | None = None
        self._tallies: dict[tuple[str, str], StageTally] = {}
        self._build: Build | None = None
        self._scenario = ""
        self._budget: ErrorBudget | None = None
        self._stopped_at: float | None = None
        self._own_lag: array[float] = array("d")
        self._late_at = float("-inf")
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
        self._own_lag = self.measured.own_lag_ms.setdefault(name, array("d"))
        self._budget = scenario_budget(self.plan, name)
        self._window = None if self.share.whole else Window(name)
        runs = self.measured.stages.setdefault(name, [])
        if scenario.streams is not None:
            ramp, sustain = (self._tally(name, stage, stage == "ramp") for stage in ("ramp", "sustain"))
            streams = scenario.streams
            ramp_plan = StagePlan("ramp", streams.streams, duration_ms=streams.ramp_ms, warmup=True)
            held = StagePlan("sustain", streams.streams, duration_ms=streams.sustain_ms)
            runs += [StageRun(ramp_plan, ramp, "streams"), StageRun(held, sustain, "streams")]
            stage = await self._run_stage(lambda began: StreamStage(self, streams, ramp, sustain, began, self.share))
            if isinstance(stage, StreamStage):
                stage.look()
                self.measured.open_counts = stage.open_counts
            return
        for plan in scenario.stages:
            if self._brake.look() is not None:
                return
            await self._planned_stage(name, plan, runs)

    async def _planned_stage(self, name: str, plan: StagePlan, runs: list[StageRun]) -> None:
        tally = self._tally(name, plan.name, plan.warmup)
        by_plan = self.plan.mode == "open" and plan.per_second is not None
        runs.append(StageRun(plan, tally, "open" if by_plan else "closed"))
        cap = self.plan.cap(name, plan)
        kind = OpenStage if by_plan else ClosedStage
        await self._run_stage(lambda began: kind(self, plan, tally, cap, began, self.share))
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

    async def _run_stage(self, build: Callable[[float], Stage]) -> Stage | None:
        """Run one stage from the moment on that all processes share; None when the brake came first."""
        began = await self._begin()
        if began is None:
            return None
        self._stage = stage = build(began)
        stage.start()
        await stage.over
        self._stage = None
        return stage

    async def _begin(self) -> float | None:
        number, self._stages_begun = self._stages_begun, self._stages_begun + 1
        if self._starts is None:
            return self.now()
        told = asyncio.ensure_future(self._starts(number))
        try:
            while self._brake.look() is None:
                await asyncio.wait({told}, timeout=0.05)
                if told.done():
                    return told.result()
        finally:
            told.cancel()
        return None

    async def _pause(self, seconds: float) -> None:
        until = self.now() + seconds
        while self.now() < until and self._brake.look() is None:  # noqa: ASYNC110 - a brake is looked at
            await asyncio.sleep(min(0.05, max(0.0, until - self.now())))

    # Shop

    def own_lag(self, seconds: float) -> None:
        self._own_lag.append(max(0.0, seconds * 1000))
        if seconds > OWN_LATE_S:
            self._late_at = self.now()

    def send(self, index: int, planned_at: float, tally: StageTally) -> bool:
        assert self._pool is not None
        assert self._build is not None
        chat = tally.scenario == CHAT
        if self._brake.check(self._sent - self._done) is not None or self._above_ceiling(chat):
            return False
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

    def _above_ceiling(self, chat: bool) -> bool:
        """Whatever the plan says, no more than the target's ceiling is ever open (R16)."""
        ceilings = self.plan.ceilings
        most = ceilings.streams if chat else ceilings.in_flight
        if most is None or self._sent - self._done < max(1, self.share.count(most)):
            return False
        self._brake.halt(Halt(Why.CEILING, f"{most} {'open streams' if chat else 'requests in flight'}"))
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
        status = sample.status if sample.answered else None
        if self._window is not None and self._budget is not None:
            self._window.note(latency_ms > self._budget.slow_ms, status)
        elif self._budget is not None:
            self._budget.note(self.now(), latency_ms, status)
        if self._stage is not None:
            self._stage.ended(sample.succeeded)

    # Watching

    def _sweep(self) -> None:
        """Every 20 ms: time-outs, the brake, the error budget, progress, and how late this very turn is."""
        now = self.now()
        assert self._pool is not None
        if self._stopped_at is None:
            self.measured.loop_lag_ms.append(max(0.0, (now - self._next_sweep) * 1000))
        if now - self._next_sweep > OWN_LATE_S:
            self._late_at = now
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
        if isinstance(self._stage, StreamStage):
            self._stage.look()
        if now >= self._next_progress:
            self._next_progress = now + (PROGRESS_S if self.share.whole else PART_PROGRESS_S)
            self._tell()

    def _over_budget(self, now: float) -> Halt | None:
        if self._budget is None or self._window is not None:
            return None
        halt = self._budget.verdict(now, self._overdue(now), late=self._late(now))
        if halt is not None:
            self._brake.halt(halt)
        return self._brake.halted

    def _late(self, now: float) -> bool:
        """Whether we stood still lately; what was planned then may end as late as the window and its latency allow."""
        assert self._budget is not None
        return now - self._late_at < self._budget.budget.window_s + self._budget.slow_ms / 1000

    def _overdue(self, now: float) -> int:
        """Requests that are open, or wait for a place, for longer than twice the latency limit."""
        assert self._pool is not None
        assert self._budget is not None
        before = now - self._budget.slow_ms / 1000
        overdue = sum(1 for job in self._pool.jobs() if job.planned_at < before and job.scenario == self._scenario)
        return overdue + (self._stage.overdue(before) if isinstance(self._stage, OpenStage) else 0)

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
        if self._window is not None and self._budget is not None:
            full, self._window = self._window, Window(self._scenario)
            full.overdue, full.late = self._overdue(self.now()), self._late(self.now())
            self._on_window(full)
        elapsed = self.now() - self._born
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
                open_streams=isinstance(self._stage, StreamStage),
            )
        )


def scenario_budget(plan: DrillPlan, scenario: str) -> ErrorBudget | None:
    """What this scenario may look like before the load is taken off; None when the baseline promises nothing."""
    slo = plan.baseline.endpoint(endpoint(scenario))
    if slo is None:
        return None
    return ErrorBudget(Budget(slo.max_five_xx_rate, slo.max_network_error_rate, slo.max_p95_ms), scenario)
