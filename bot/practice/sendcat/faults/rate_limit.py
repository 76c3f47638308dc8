"""A. Rate-limit pressure: abusive, legitimate, chat, contention."""

from __future__ import annotations

from bot.practice.sendcat.faults.stage import Fault, Option, Stage

_SOURCES = tuple(f"203.0.113.{number}" for number in range(10, 18))
PUSH_SOURCE = "66.249.93.77"


def _abusive(stage: Stage, options: dict[str, Option]) -> None:
    """Eight addresses far over the limit all the time; others are not touched, since limits are per address."""
    each = int(options.get("per_second", 60))

    def burst(at_ms: int) -> None:
        for ip in _SOURCES:
            stage.traffic.webhook("whatsapp_webhook", ip, at_ms, requests=each)

    stage.repeat(1_000, burst, for_ms=6 * 60_000)
    stage.monitors()


def _legitimate(stage: Stage, options: dict[str, Option]) -> None:
    """One push service at a steady rate a minute, a little over the limit: the refusals fall to each minute's end."""
    rate = int(options.get("per_minute", 140))
    stage.repeat(60_000 // rate, lambda at: stage.traffic.webhook("gmail_push", PUSH_SOURCE, at), for_ms=5 * 60_000)


def _chat(stage: Stage, options: dict[str, Option]) -> None:
    """A group of people shares one account."""
    stage.repeat(2_000, lambda at: stage.traffic.user_chat("usr_shared", at), for_ms=6 * 60_000)
    stage.monitors()


def _contention(stage: Stage, options: dict[str, Option]) -> None:
    """Many simultaneous writes on one key lose their conflict; the limit has nothing to do with it."""
    share = float(options.get("share", 0.3))
    stage.on.limiter.contention["whatsapp_webhook"] = share
    stage.undo.append(lambda: stage.on.limiter.contention.clear())
    stage.repeat(1_500, lambda at: stage.traffic.webhook("whatsapp_webhook", _SOURCES[0], at), for_ms=6 * 60_000)
    stage.monitors()


FAULTS = (
    Fault("A", "abusive", "eight addresses refused all the time; the right answer is to keep the limits", _abusive),
    Fault("A", "legitimate", "one push service at 140 a minute against 120; +25% is enough", _legitimate),
    Fault("A", "chat", "a group of users shares one account", _chat),
    Fault("A", "contention", "write conflicts on one key; more limit does not help", _contention),
)
