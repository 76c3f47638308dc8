"""Who runs the queue: drains that take a worker slot and work through a few jobs, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable

from bot.practice.sendcat.agenda import Agenda
from bot.practice.sendcat.bulkheads import Bulkheads
from bot.practice.sendcat.cache import ToolCache
from bot.practice.sendcat.calls import Calls, Pending, Refused
from bot.practice.sendcat.circuits import EBAY, GLOBAL, SERPER, WORKER
from bot.practice.sendcat.environment import Environment
from bot.practice.sendcat.jobs import GLOBAL_TOOL, PRODUCTS, WEB, ToolQueue
from bot.practice.sendcat.tables import ToolJob
from bot.practice.sendcat.upstreams import Upstreams
from bot.practice.sendcat.values import Document, Json

PROVIDER_OF = {WEB: SERPER, PRODUCTS: EBAY, GLOBAL_TOOL: GLOBAL}
_SPOKEN = {WEB: "Web search", PRODUCTS: "eBay search", GLOBAL_TOOL: "Global search"}
CACHED_MS = 5
TOOL_TIMEOUT_MS = 20_000


class Drain:
    """One run of ``toolJobs:processQueue``: over when ``done``, with what it did in ``result``."""

    def __init__(self, lease_id: str, most: int) -> None:
        self.lease_id = lease_id
        self.most = most
        self.done = False
        self.skipped = False
        self.jobs: list[tuple[str, str]] = []

    def result(self) -> Document:
        jobs: list[Json] = [{"jobId": job_id, "status": status} for job_id, status in self.jobs]
        result: Document = {"processed": len(jobs), "jobs": jobs}
        return result | {"skipped": "worker_saturated"} if self.skipped else result


class Workers:
    """Starts drains and runs their jobs on the agenda.

    There is no periodic drain: only an enqueued job or an operator starts one (Convex functions, section 7).
    """

    def __init__(
        self,
        agenda: Agenda,
        environment: Environment,
        queue: ToolQueue,
        bulkheads: Bulkheads,
        calls: Calls,
        cache: ToolCache,
        upstreams: Upstreams,
    ) -> None:
        self._agenda = agenda
        self._environment = environment
        self._queue = queue
        self._bulkheads = bulkheads
        self._calls = calls
        self._cache = cache
        self._upstreams = upstreams
        self._number = 0
        self.after_drain: list[Callable[[Drain, int], None]] = []

    def enqueue(self, source: str, tool: str, args_json: str, now_ms: int, max_attempts: int | None = None) -> ToolJob:
        """Add a job and start a drain for it, as the product does."""
        job = self._queue.enqueue(source, tool, args_json, now_ms, max_attempts)
        self.drain(now_ms)
        return job

    def drain(self, now_ms: int, most: float | None = None) -> Drain:
        """Start a drain of at most ``most`` jobs (cut to 1..max(``TOOL_JOB_MAX_PER_RUN``, 10))."""
        usual = self._environment.number("TOOL_JOB_MAX_PER_RUN")
        self._number += 1
        size = usual if most is None else max(1, min(int(most // 1), max(usual, 10)))
        drain = Drain(f"{WORKER}-{self._number}", size)
        if not self._bulkheads.acquire(WORKER, drain.lease_id, now_ms).acquired:
            drain.skipped = drain.done = True
            return drain
        self._next(drain, now_ms)
        return drain

    def _next(self, drain: Drain, now_ms: int) -> None:
        job = self._queue.claim_next(now_ms) if len(drain.jobs) < drain.most else None
        if job is None:
            drain.done = True
            self._bulkheads.release(WORKER, drain.lease_id)
            if drain.jobs:
                for hook in list(self.after_drain):
                    hook(drain, now_ms)
            return
        self._run(drain, job, now_ms)

    def _run(self, drain: Drain, job: ToolJob, now_ms: int) -> None:
        attempt = job.attempts
        namespace = self._namespace(job.tool_name)
        query = _query(job)
        cached = self._cache.get(namespace, query, now_ms) if namespace else None
        if cached is not None:
            self._agenda.at(now_ms + CACHED_MS, lambda at: self._settle(drain, job, attempt, cached, None, at))
            return
        if job.tool_name == WEB and not self._environment.get("SERPER_API_KEY"):
            self._settle(drain, job, attempt, None, "SERPER_API_KEY is not configured", now_ms)
            return
        call = self._calls.begin(PROVIDER_OF[job.tool_name], now_ms, TOOL_TIMEOUT_MS)
        if isinstance(call, Refused):
            self._settle(drain, job, attempt, None, call.why, now_ms)
            return
        pending: Pending = call

        def answered(at_ms: int) -> None:
            ended = self._calls.end(pending, at_ms)
            if ended.ok:
                self._settle(drain, job, attempt, self._fresh(job, query, at_ms), None, at_ms)
            else:
                why = "timed out" if ended.status is None else f"failed: {ended.status}"
                self._settle(drain, job, attempt, None, f"{_SPOKEN[job.tool_name]} {why}", at_ms)

        self._agenda.at(now_ms + pending.wait_ms, answered)

    def _settle(
        self, drain: Drain, job: ToolJob, attempt: int, result: str | None, error: str | None, now_ms: int
    ) -> None:
        if job.status == "running" and job.attempts == attempt:
            if result is not None:
                self._queue.complete(job, result, now_ms)
                drain.jobs.append((job.id, "completed"))
            else:
                drain.jobs.append((job.id, self._queue.fail(job, error or "Tool failed", now_ms)))
        else:
            drain.jobs.append((job.id, "requeued"))
        self._next(drain, now_ms)

    def _fresh(self, job: ToolJob, query: str, now_ms: int) -> str:
        mark = self._upstreams[PROVIDER_OF[job.tool_name]].mark
        value = search_results(query, mark)
        namespace = self._namespace(job.tool_name)
        if namespace:
            knob = "WEB_SEARCH" if job.tool_name == WEB else "PRODUCT_SEARCH"
            self._cache.set(namespace, query, value, self._environment.number(f"TOOL_CACHE_{knob}_TTL_MS"), now_ms)
        return value

    def _namespace(self, tool: str) -> str | None:
        if tool == WEB:
            return self._environment.web_namespace()
        return self._environment.products_namespace() if tool == PRODUCTS else None


def search_results(query: str, mark: str) -> str:
    """Three results as a search provider gives them; ``mark`` tells fresh from stale."""
    return json.dumps(
        [
            {
                "title": f"{query} result {number} {mark}",
                "link": f"https://example.com/{number}",
                "snippet": f"About {query}, number {number}.",
            }
            for number in (1, 2, 3)
        ]
    )


def _query(job: ToolJob) -> str:
    try:
        arguments = json.loads(job.args_json)
    except ValueError:
        return job.args_json
    query = arguments.get("query") if isinstance(arguments, dict) else None
    return query if isinstance(query, str) else job.args_json
