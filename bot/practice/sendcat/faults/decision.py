"""G and H: what asks for a decision - the region's triggers, and a milestone that cannot pass."""

from __future__ import annotations

from bot.practice.sendcat.circuits import PRIMARY, SERPER
from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.faults.tool_queue import queued
from bot.practice.sendcat.limiter import ALERT_RULES

SLOW_HEAD_MS = 5_700.0
"""Over the region's 5 s to the headers, and well within the chat objective of 12 s to the end of the stream."""
OVER_MS = 6 * 60_000
"""How long ago the pressure ended whose alerts still count."""


def _demand(stage: Stage, options: dict[str, Option]) -> None:
    """A forecast over the threshold; nothing clears it, since it is a decision and no fault."""
    stage.on.forecast_streams = int(options.get("streams", 25_000))
    stage.undo.append(lambda: setattr(stage.on, "forecast_streams", 0))


def _load(stage: Stage, options: dict[str, Option]) -> None:
    """Every chat waits longer than the region's load pressure allows, and none fails: three drills in six trigger.

    The original's p95 of a default profile ends at the headers, so slow tokens alone would trigger nothing.
    """
    usual = stage.on.chat_head_ms
    stage.on.chat_head_ms = float(options.get("head_ms", SLOW_HEAD_MS))
    stage.undo.append(lambda: setattr(stage.on, "chat_head_ms", usual))


def _snapshot(stage: Stage, options: dict[str, Option]) -> None:
    """Two circuits opened within half an hour, and more than a hundred jobs queued."""
    _circuits(stage, options)
    _queued(stage, options)


def _circuits(stage: Stage, options: dict[str, Option]) -> None:
    """Two circuits opened a minute ago. Those that were updated ``minutes`` over 30 ago do not count."""
    age_ms = int(float(options.get("minutes", 1)) * 60_000)

    def opened(at_ms: int) -> None:
        for provider in (PRIMARY, SERPER):
            for _ in range(6):
                stage.on.circuits.failure(provider, at_ms - age_ms, "HTTP 503")

    stage.on.agenda.at(stage.now_ms, opened)
    stage.rest("jobs", "chats")


def _queued(stage: Stage, options: dict[str, Option]) -> None:
    """101 web jobs wait: requeued dead letters skip the queue cap."""
    stage.rest("jobs")
    for number in range(int(options.get("jobs", 101))):
        queued(stage, f"waiting {number}", age_ms=50_000 - number * 100)


def _alerts(stage: Stage, options: dict[str, Option]) -> None:
    """Six rules alerted some minutes ago; their pressure is over, the alerts stay in the window."""
    limiter = stage.on.limiter

    def pressure(at_ms: int) -> None:
        for bucket, outcome, threshold in ALERT_RULES[: int(options.get("rules", 6))]:
            source = "chat_http" if bucket.startswith("chat") else "http"
            for number in range(threshold + 6):
                key = f"{bucket}:past:{number}"
                limiter.record(source, bucket, key, outcome, at_ms - 60_000 + number * 1_000)
        limiter.monitor(at_ms)

    stage.on.agenda.at(stage.now_ms - OVER_MS, pressure)


def _milestone_circuit(stage: Stage, options: dict[str, Option]) -> None:
    """A circuit that opened 150 s ago and was not touched since."""
    stage.rest("chats")
    for _ in range(6):
        stage.on.circuits.failure(PRIMARY, stage.now_ms - 150_000, "HTTP 503")


def _milestone_queue(stage: Stage, options: dict[str, Option]) -> None:
    """The oldest queued job is 70 s old."""
    stage.rest("jobs")
    queued(stage, "late", age_ms=int(options.get("age_ms", 70_000)))


def _milestone_pool(stage: Stage, options: dict[str, Option]) -> None:
    """The sessions of all users but 19 (``users``) are over: the pool file looks right and is one short."""
    stage.on.accounts.valid_users = int(options.get("users", 19))
    stage.undo.append(lambda: setattr(stage.on.accounts, "valid_users", None))


FAULTS = (
    Fault("G", "demand", "a forecast of 25,000 concurrent streams", _demand),
    Fault("G", "load", "every chat waits 5.7 s for its first byte: three of six drill reports are a trigger", _load),
    Fault("G", "snapshot", "two open circuits and 101 queued jobs", _snapshot),
    Fault("G", "circuits", "two circuits opened a minute ago", _circuits),
    Fault("G", "queued", "101 queued jobs", _queued),
    Fault("G", "alerts", "six rate-limit alerts in the window, of pressure that is over", _alerts),
    Fault("H", "circuit", "a circuit open and untouched for 150 s", _milestone_circuit),
    Fault("H", "queue", "the oldest queued job is 70 s old", _milestone_queue),
    Fault("H", "pool", "only 19 users of the pool still have a session", _milestone_pool),
)
