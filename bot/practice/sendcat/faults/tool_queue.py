"""F. Tool queue: backlog, caps, no_drain, leaked_slots, upstream."""

from __future__ import annotations

import json

from bot.practice.sendcat.circuits import SERPER, WORKER
from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.jobs import WEB
from bot.practice.sendcat.tables import ToolJob
from bot.practice.sendcat.upstreams import Health
from bot.practice.sendcat.workers import PROVIDER_OF, Drain

SLOW_SEARCH_MS = (6_900, 7_100)
LANES = 2
"""Jobs that run at all times: the default cap of web searches."""


def _caps(stage: Stage, options: dict[str, Option]) -> None:
    """A slow but sound search: two at a time do 17 jobs a minute, 20 come; three at a time do 25."""
    for_ms = 8 * 60_000
    _slow_search(stage, SLOW_SEARCH_MS, for_ms=for_ms)
    stage.rest("jobs")
    for number in range(30):
        _job(stage, f"early {number}", "queued", age_ms=for_ms + 20_000 - number * 500)
    _busy_lanes(stage, ceiling=72, period_ms=4_200, for_ms=for_ms)
    stage.monitors()


def _busy_lanes(stage: Stage, *, ceiling: int, period_ms: int, for_ms: int) -> None:
    """Chats that need a search: some regularly while fewer than ``ceiling`` wait, and one whenever a lane runs empty.

    Only an accepted job starts a drain, so without the latter a lane would pause after each drain, and a full queue
    would stand still with nothing running: another fault (no drain) than the one meant.
    """
    queue, traffic, workers = stage.on.queue, stage.traffic, stage.on.workers

    def visitor(at_ms: int) -> None:
        if queue.counts()[WEB, "queued"] < ceiling:
            traffic.job(at_ms)

    def impatient(_: Drain, at_ms: int) -> None:
        if queue.counts()[WEB, "running"] < LANES:
            traffic.job(at_ms)

    def begin(at_ms: int) -> None:
        workers.after_drain.append(impatient)
        stage.undo.append(lambda: workers.after_drain.remove(impatient))
        for _ in range(LANES):
            traffic.job(at_ms)

    stage.on.agenda.at(stage.now_ms - for_ms, begin)
    stage.repeat(period_ms, visitor, for_ms=for_ms)


def _backlog(stage: Stage, options: dict[str, Option]) -> None:
    """78 jobs queued, the oldest 240 s, two running, 26 dead letters; as many come as two at a time can do.

    Options: how many are ``queued`` (80 is the cap, where chats are refused), and how many are ``dead``.
    """
    count = int(options.get("queued", 78))
    _slow_search(stage, SLOW_SEARCH_MS, for_ms=0)
    stage.rest("jobs")
    for number in range(int(options.get("dead", 26))):
        _job(stage, f"dead {number}", "dead_letter", age_ms=1_200_000 - number * 20_000)
    for number in range(LANES):
        _job(stage, f"first {number}", "queued", age_ms=240_001)
    for number in range(count - LANES):
        _job(stage, f"waiting {number}", "queued", age_ms=240_000 - number * 3_000)
    _busy_lanes(stage, ceiling=count, period_ms=3_000, for_ms=0)
    stage.monitors()


def _no_drain(stage: Stage, options: dict[str, Option]) -> None:
    """Workers free, search sound, no traffic: ``jobs`` (nine) do not move until somebody drains."""
    stage.rest("jobs")
    for number in range(int(options.get("jobs", 9))):
        _job(stage, f"left over {number}", "queued", age_ms=900_000 - number * 1_000)
    stage.monitors()


def _leaked_slots(stage: Stage, options: dict[str, Option]) -> None:
    """Six of six worker slots belong to nobody; they end with their lease, after a minute. ``jobs`` (12) wait."""
    stage.rest("jobs")
    for number in range(int(options.get("jobs", 12))):
        _job(stage, f"stuck {number}", "queued", age_ms=300_000 - number * 1_000)
    bulkheads = stage.on.bulkheads
    for number in range(bulkheads.limit(WORKER)):
        expires_ms = stage.now_ms + bulkheads.lease_ttl_ms(WORKER)
        bulkheads.add(WORKER, f"leaked-{number}", acquired_at=stage.now_ms, expires_at=expires_ms)
    stage.monitors()


def _upstream(stage: Stage, options: dict[str, Option]) -> None:
    """The provider of a ``tool`` is down: each job fails twice, waits in between, and ends in the dead letters."""
    tool = str(options.get("tool", WEB))
    upstream = stage.on.upstreams[PROVIDER_OF[tool]]
    stage.rest("jobs")
    stage.on.agenda.at(stage.now_ms - 5 * 60_000, lambda _: upstream.fail(Health("status", status=503)))
    stage.undo.append(upstream.heal)
    stage.repeat(int(options.get("period_ms", 4_000)), lambda at: stage.traffic.job(at, tool), for_ms=5 * 60_000)
    stage.monitors()


def _slow_search(stage: Stage, connect_ms: tuple[int, int], *, for_ms: int) -> None:
    upstream = stage.on.upstreams[SERPER]
    usual = upstream.connect_ms
    if for_ms:
        stage.on.agenda.at(stage.now_ms - for_ms, lambda _: setattr(upstream, "connect_ms", connect_ms))
    else:
        upstream.connect_ms = connect_ms
    stage.undo.append(lambda: setattr(upstream, "connect_ms", usual))


def queued(stage: Stage, query: str, *, age_ms: int) -> ToolJob:
    """A web job that waits since ``age_ms``."""
    return _job(stage, query, "queued", age_ms=age_ms)


def _job(stage: Stage, query: str, status: str, *, age_ms: int) -> ToolJob:
    """A job with a history: queued and never tried, or dead after its last attempt."""
    ids, number = stage.on.ids, stage.on.environment.number
    created_ms = stage.now_ms - age_ms
    dead = status == "dead_letter"
    attempts = number("TOOL_JOB_MAX_ATTEMPTS")
    return stage.on.queue.add(
        ToolJob(
            id=ids.new(),
            creation_time=float(created_ms),
            source="chat_http",
            tool_name=WEB,
            qos_class="realtime",
            args_json=json.dumps({"query": query}),
            status=status,
            attempts=attempts if dead else 0,
            max_attempts=attempts,
            available_at=created_ms,
            last_error="Web search failed: 503" if dead else None,
            dead_letter_reason="Web search failed: 503" if dead else None,
            dead_letter_at=created_ms + 9_000 if dead else None,
            completed_at=created_ms + 9_000 if dead else None,
            created_at=created_ms,
            updated_at=created_ms + (9_000 if dead else 0),
            expires_at=stage.now_ms + number("TOOL_JOB_DLQ_TTL_MS" if dead else "TOOL_JOB_TTL_MS"),
        )
    )


FAULTS = (
    Fault("F", "caps", "search is slow but sound, two at a time: the running caps are too low", _caps),
    Fault("F", "backlog", "78 queued, 26 dead letters, two running", _backlog),
    Fault("F", "no_drain", "nine jobs left over, no traffic, nothing drains", _no_drain),
    Fault("F", "leaked_slots", "six of six worker slots belong to nobody", _leaked_slots),
    Fault("F", "upstream", "the search provider is down: jobs fail twice and die", _upstream),
)
