"""A. Rate-limit pressure: abusive, legitimate, chat, contention."""

from __future__ import annotations

from bot.practice.sendcat.faults.stage import Fault, Option, Stage, void

PUSH_SOURCE, BUSY_SOURCE = "66.249.93.77", "203.0.113.9"


def _abusive(stage: Stage, options: dict[str, Option]) -> None:
    """Eight addresses far over the limit all the time; others are not touched, since limits are per address.

    Options: ``per_second`` of each address, how many ``sources``, and the ``bucket``.
    """
    each, bucket = int(options.get("per_second", 60)), str(options.get("bucket", "whatsapp_webhook"))
    sources = [f"203.0.113.{10 + number}" for number in range(int(options.get("sources", 8)))]

    def burst(at_ms: int) -> None:
        for ip in sources:
            stage.traffic.webhook(bucket, ip, at_ms, requests=each)

    stage.repeat(1_000, burst, for_ms=6 * 60_000)
    stage.monitors()


def _legitimate(stage: Stage, options: dict[str, Option]) -> None:
    """One push service at a steady rate a minute, a little over the limit: the refusals fall to each minute's end.

    Options: the rate ``per_minute``, and the ``bucket``.
    """
    rate, bucket = int(options.get("per_minute", 140)), str(options.get("bucket", "gmail_push"))
    stage.repeat(60_000 // rate, lambda at: stage.traffic.webhook(bucket, PUSH_SOURCE, at), for_ms=5 * 60_000)


def _chat(stage: Stage, options: dict[str, Option]) -> None:
    """A group of people shares one account: one chat each ``period_ms``."""
    period_ms = int(options.get("period_ms", 2_000))
    stage.repeat(period_ms, lambda at: stage.traffic.user_chat("usr_shared", at), for_ms=6 * 60_000)
    stage.monitors()


def _contention(stage: Stage, options: dict[str, Option]) -> None:
    """Many simultaneous writes on one key lose their conflict; the limit has nothing to do with it.

    Options: the ``share`` (0..1) of writes that lose, and the ``bucket``, which may be ``chat_stream``.
    """
    share, bucket = float(options.get("share", 0.3)), str(options.get("bucket", "whatsapp_webhook"))
    stage.on.limiter.contention[bucket] = share
    stage.undo.append(lambda: void(stage.on.limiter.contention.pop(bucket, None)))

    def write(at_ms: int) -> None:
        if bucket == "chat_stream":
            stage.traffic.user_chat("usr_busy", at_ms)
        else:
            stage.traffic.webhook(bucket, BUSY_SOURCE, at_ms)

    stage.repeat(10_500 if bucket == "chat_stream" else 1_500, write, for_ms=6 * 60_000)
    stage.monitors()


FAULTS = (
    Fault("A", "abusive", "eight addresses refused all the time; the right answer is to keep the limits", _abusive),
    Fault("A", "legitimate", "one push service at 140 a minute against 120; +25% is enough", _legitimate),
    Fault("A", "chat", "a group of users shares one account", _chat),
    Fault("A", "contention", "write conflicts on one key; more limit does not help", _contention),
)
