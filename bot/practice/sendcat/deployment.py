"""One practice deployment: all its state, brought up to date whenever somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.practice.sendcat.accounts import Accounts
from bot.practice.sendcat.agenda import Agenda
from bot.practice.sendcat.bulkheads import Bulkheads
from bot.practice.sendcat.cache import ToolCache
from bot.practice.sendcat.calls import Calls
from bot.practice.sendcat.circuits import Circuits
from bot.practice.sendcat.clock import PracticeClock
from bot.practice.sendcat.counters import Counters
from bot.practice.sendcat.environment import Environment
from bot.practice.sendcat.idempotency import Idempotency
from bot.practice.sendcat.jobs import ToolQueue
from bot.practice.sendcat.limiter import RateLimiter
from bot.practice.sendcat.sentry import Warnings
from bot.practice.sendcat.switches import Switches
from bot.practice.sendcat.tables import Ids
from bot.practice.sendcat.upstreams import Upstreams
from bot.practice.sendcat.values import Document
from bot.practice.sendcat.workers import Workers

MONITOR_PERIOD_MS = 5 * 60_000
LEASE_CLEANUP_PERIOD_MS = 30 * 60_000
CLEANUP_PERIOD_MS = 3_600_000


class Deployment:
    """State and behaviour without any wire. Everything that happens by itself stands on the agenda."""

    def __init__(self, name: str, clock: PracticeClock, environment: Mapping[str, str], *, seed: int = 0) -> None:
        self.name = name
        self.seed = seed
        self.clock = clock
        self.agenda = Agenda()
        self.ids = Ids(seed)
        self.environment = Environment(environment)
        self.switches = Switches()
        self.counters = Counters()
        self.warnings = Warnings(self.environment.get)
        self.upstreams = Upstreams(seed)
        self.limiter = RateLimiter(self.ids, self.warnings, seed)
        self.circuits = Circuits(self.ids, self.environment)
        self.bulkheads = Bulkheads(self.ids, self.environment, self.warnings)
        self.idempotency = Idempotency(self.ids)
        self.cache = ToolCache(self.ids)
        self.calls = Calls(self.circuits, self.bulkheads, self.upstreams)
        self.queue = ToolQueue(self.ids, self.environment, self.warnings)
        self.workers = Workers(
            self.agenda, self.environment, self.queue, self.bulkheads, self.calls, self.cache, self.upstreams
        )
        self.accounts = Accounts(self.ids, seed, clock.now_ms)
        self.site_delays: list[Callable[[int], float]] = []
        """Extra milliseconds that each webhook request waits, from whoever puts load on the deployment."""
        self.audit: list[Document] = []
        self.forecast_streams = 0
        """Expected peak of concurrent chat streams, for practising playbook G."""
        self._processed: set[str] = set()
        now_ms = clock.now_ms()
        self.agenda.every(MONITOR_PERIOD_MS, self._monitors, start_ms=next_slot(now_ms, MONITOR_PERIOD_MS))
        self.agenda.every(
            LEASE_CLEANUP_PERIOD_MS,
            lambda at_ms: void(self.bulkheads.cleanup(at_ms)),
            start_ms=next_slot(now_ms, LEASE_CLEANUP_PERIOD_MS),
        )
        self.agenda.every(CLEANUP_PERIOD_MS, self._cleanup, start_ms=next_slot(now_ms, CLEANUP_PERIOD_MS))

    def settle(self) -> int:
        """Let everything happen that is due, and answer the present time in milliseconds."""
        now_ms = self.clock.now_ms()
        self.agenda.run_until(now_ms)
        return now_ms

    def process(self, scope: str, key: str) -> None:
        """Hand a webhook message on for work; work done twice for one message is counted."""
        self.counters.processed[scope] += 1
        identity = f"{scope}|{key}"
        if identity in self._processed:
            self.counters.processed_twice += 1
        self._processed.add(identity)

    def webhook_delay_ms(self, now_ms: int) -> float:
        return self.switches.webhook_ms * self.switches.slower + sum(delay(now_ms) for delay in self.site_delays)

    def _monitors(self, now_ms: int) -> None:
        self.limiter.monitor(now_ms)
        self.queue.monitor(now_ms)

    def _cleanup(self, now_ms: int) -> None:
        self.limiter.cleanup(now_ms)
        self.idempotency.cleanup(now_ms)
        self.cache.cleanup(now_ms)
        self.queue.cleanup(now_ms)


def next_slot(now_ms: int, period_ms: int) -> int:
    """The next multiple of ``period_ms`` on the clock."""
    return now_ms - now_ms % period_ms + period_ms


def void(_: object) -> None:
    """Throw a result away."""
