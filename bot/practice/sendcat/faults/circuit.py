"""B. Circuit opens: primary, flapping, stale_open, tool, quota."""

from __future__ import annotations

from bot.practice.sendcat.circuits import EBAY, PRIMARY, SECONDARY, SERPER
from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.upstreams import Health

CHAT_PERIOD_MS = 500
"""Busy enough that a cool-down that has run out is tried again at once, and renewed."""
PRIMARY_FOR_MS = 325_000
"""Five cool-downs of a minute, and a third of the sixth: it was renewed lately, and is not about to be."""
FLAPPING_FOR_MS = 335_000
"""A third into a cool-down, after it was open, half open and closed before."""
FLAPPING_REST_MS = 80_000
"""The provider recovers when it is left alone this long: more than the default cool-down, less than one step more."""


def _primary(stage: Stage, options: dict[str, Option]) -> None:
    """The primary gives ``status``, or no answer at all (``timeout``); with ``secondary`` the second route as well."""
    health = Health("timeout") if options.get("timeout", False) else Health("status", int(options.get("status", 503)))
    for provider in (PRIMARY, SECONDARY) if options.get("secondary", False) else (PRIMARY,):
        _down(stage, provider, health)
    stage.repeat(CHAT_PERIOD_MS, stage.traffic.chat, for_ms=PRIMARY_FOR_MS)


def _quota(stage: Stage, options: dict[str, Option]) -> None:
    """The quota is used up: 402 counts neither as success nor as failure, so no circuit ever opens."""
    _down(stage, PRIMARY, Health("status", status=int(options.get("status", 402))))


def _flapping(stage: Stage, options: dict[str, Option]) -> None:
    """Seven of ten calls fail; a cool-down over ``FLAPPING_REST_MS`` lets the provider recover."""
    _down(stage, PRIMARY, Health("flapping", rest_ms=FLAPPING_REST_MS))
    stage.repeat(1_000, stage.traffic.chat, for_ms=FLAPPING_FOR_MS)


def _tool(stage: Stage, options: dict[str, Option]) -> None:
    """A tool's ``provider`` (or Gmail's sign-in) gives ``status`` to callers that need no job."""
    provider = str(options.get("provider", SERPER))
    _down(stage, provider, Health("status", status=int(options.get("status", 502))))
    stage.repeat(3_000, lambda at: stage.traffic.call(provider, at), for_ms=5 * 60_000 + 1_500)


def _stale_open(stage: Stage, options: dict[str, Option]) -> None:
    """An idle ``provider`` whose cool-down is long over: not an outage, whatever the table says."""
    provider = str(options.get("provider", EBAY))
    failed_ms = stage.now_ms - int(options.get("minutes", 50)) * 60_000
    stage.on.agenda.at(stage.now_ms, lambda at: _opened(stage, provider, failed_ms))


def _opened(stage: Stage, provider: str, failed_ms: int) -> None:
    for number in range(4):
        stage.on.circuits.failure(provider, failed_ms + number * 1_000, "HTTP 500")


def _down(stage: Stage, provider: str, health: Health) -> None:
    upstream = stage.on.upstreams[provider]
    stage.on.agenda.at(stage.now_ms - 6 * 60_000, lambda _: upstream.fail(health))
    stage.undo.append(upstream.heal)


FAULTS = (
    Fault("B", "primary", "the primary chat provider answers 503; its circuit is open", _primary),
    Fault("B", "flapping", "the primary fails seven of ten calls: open, half open, open", _flapping),
    Fault("B", "stale_open", "an idle circuit, open in the table, cool-down long over: no outage", _stale_open),
    Fault("B", "tool", "the web search provider answers 502; its circuit is open", _tool),
    Fault("B", "quota", "the primary answers 402, quota used up: chats fail and no circuit opens", _quota),
)
