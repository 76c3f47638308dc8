"""What a read says, in lines for a person: pure, from answers already masked (Runbook, playbooks A to H, read steps).

A finding is one line of plain text without markup; whoever draws it makes foreign words inert. Rows are Convex's
documents as JSON; what is missing in them is left out of the line, never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from playbooks.functions import LEFTOVER_PROVIDER, PROVIDERS, WORKER
from playbooks.knobs import effective
from playbooks.sampling import sampled
from playbooks.spans import FieldRef, KnobRef, Span, Term
from slo.snapshot import Circuit, Snapshot

ASKED = 50
"""Rows of each section that a snapshot is asked for."""
Tone = Literal["plain", "ok", "warn", "bad", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One line, and how it feels."""

    text: str
    tone: Tone = "plain"


def of_span(span: Span, now: Snapshot) -> tuple[Finding, ...]:
    """What the snapshot says about a field, a provider or a knob that a page names."""
    match span:
        case FieldRef():
            return (_field(span.text, now),)
        case KnobRef():
            return tuple(
                Finding(f"{knob.name} is {value}") for knob in span.knobs if (value := effective(now, knob)) is not None
            )
        case Term() if span.text in PROVIDERS:
            return circuits((span.text,), now)
    return ()


def of_answer(function: str, args: Mapping[str, object], value: Any, now: Snapshot) -> tuple[Finding, ...]:
    """What one Convex read says; the number of rows when nothing more is known about the function."""
    read = _READERS.get(function)
    if read is not None:
        return tuple(read(args, value, now))
    size = (
        f"{len(value)} rows" if isinstance(value, list) else f"{len(value)} fields" if isinstance(value, dict) else ""
    )
    return (Finding(f"{function}: {size or value}"),)


def circuits(providers: Sequence[str], now: Snapshot) -> tuple[Finding, ...]:
    """Circuits by name: each that is not closed on a line of its own, the closed and the never called together."""
    rows = {row.provider: row for row in now.circuit_breakers.recent}
    closed = [name for name in providers if name in rows and rows[name].state == "closed"]
    unused = [name for name in providers if name not in rows]
    found = [circuit(rows[name], now) for name in providers if name in rows and rows[name].state != "closed"]
    found += [Finding(f"circuits closed: {', '.join(closed)}", "ok")] if closed else []
    found += [Finding(f"circuits never called: {', '.join(unused)}", "ok")] if unused else []
    return tuple(found)


def circuit(row: Circuit, now: Snapshot) -> Finding:
    """One circuit: refusing now is told from one that only looks open (`cooldownUntil`)."""
    name = f"circuit {row.provider}"
    if row.provider == LEFTOVER_PROVIDER:
        return Finding(f"{name}: {row.state}, a leftover that no call uses")
    left_ms = (row.cooldown_until or 0) - now.generated_at
    if row.state == "open" and left_ms > 0:
        return Finding(f"{name}: open, refuses for another {_seconds(left_ms)}", "bad")
    if row.state == "open":
        if now.in_window(row.last_failure_at):
            return Finding(f"{name}: open, cool-down over, failed within the window; the next call tests it", "warn")
        return Finding(f"{name}: looks open, but its cool-down is over for {_seconds(-left_ms)}: not refusing", "ok")
    if row.state == "half_open":
        return Finding(f"{name}: half open, the next call decides", "warn")
    failures = f", {row.failure_count} failures in a row" if row.failure_count else ""
    return Finding(f"{name}: closed{failures}", "ok")


def _field(path: str, now: Snapshot) -> Finding:
    value, limit = _at(now, path), _limit(path, now)
    part = next((cut for cut in now.truncated_sections(ASKED) if path.startswith(cut.section) and cut.certain), None)
    shown = f"{path}: {_short(value)}" + (f" (sampled: {part.bias})" if part is not None else "")
    if limit is None or not isinstance(value, int | float):
        return Finding(shown)
    return Finding(f"{shown} of {limit}", "bad" if value >= limit else "ok")


def _limit(path: str, now: Snapshot) -> int | None:
    """The cap beside a count, where there is one."""
    provider = path.removeprefix("bulkheads.inFlightByProvider.")
    if provider != path and provider in now.config.bulkheads:
        return now.config.bulkheads[provider].max_concurrent
    if path == "toolJobs.byStatus.queued":
        return now.config.tool_queue_alerts.max_queued_jobs
    return None


def _at(place: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(place, BaseModel):
            names = {info.alias or name: name for name, info in type(place).model_fields.items()}
            place = getattr(place, names.get(part, part), None)
        elif isinstance(place, Mapping):
            place = place.get(part, 0)
    return place


def _short(value: Any) -> str:
    if isinstance(value, BaseModel):
        plain = value.model_dump(by_alias=True, mode="json")
        scalars = [f"{key} {_short(item)}" for key, item in plain.items() if not isinstance(item, dict | list)]
        lists = [f"{key} {len(item)}" for key, item in plain.items() if isinstance(item, list)]
        return ", ".join((*scalars, *lists)) or f"{len(plain)} parts"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(item)}" for key, item in list(value.items())[:8]) or "none"
    if isinstance(value, list | tuple):
        return f"{len(value)} rows"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


# -- Convex reads, one function each ------------------------------------------------------------------------------


def _cut(function: str, args: Mapping[str, object], value: Any) -> str:
    """The label of a figure that was counted from a part of the data."""
    left_out = sampled(function, args, value)
    return f" (sampled: {left_out})" if left_out else ""


def _event_summary(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    total, minutes = value.get("total", 0), value.get("windowMinutes", args.get("minutes", 15))
    cut = _cut("rateLimit:getEventSummary", args, value)
    refused = {k: v for k, v in value.get("byBucketOutcome", {}).items() if not k.endswith(":allowed")}
    yield Finding(f"{total} rate-limit events in {minutes:g} min{cut}; {sum(refused.values())} of them refusals")
    for name, count in sorted(refused.items(), key=lambda item: -item[1])[:3]:
        bucket, _, outcome = name.partition(":")
        yield Finding(f"{bucket}: {count} {outcome} events", "warn")


def _events(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    refused = [row for row in value if row.get("outcome") != "allowed"]
    cut = _cut("rateLimit:listRecentEvents", args, value)
    if not refused:
        yield Finding(f"no refusals among the newest {len(value)} events{cut}", "ok")
        return
    buckets = Counter(row.get("bucket", "?") for row in refused)
    for bucket, count in buckets.most_common(2):
        keys = Counter(row.get("key", "?") for row in refused if row.get("bucket") == bucket)
        loudest = keys.most_common(1)[0][1]
        who = "key" if len(keys) == 1 else "keys"
        yield Finding(f"{bucket}: {count} refusal events of {len(keys)} {who}, the loudest {loudest}{cut}", "warn")


def _alerts(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    if not value:
        yield Finding("no alert on record", "ok")
        return
    newest = value[0]
    name = f"{newest.get('bucket', newest.get('kind', 'alert'))} {newest.get('outcome', '')}".strip()
    age = _seconds(now.age_ms(int(newest.get("createdAt", now.generated_at))))
    cut = _cut("rateLimit:listRecentAlerts", args, value)
    yield Finding(f"{len(value)} alerts{cut}, the newest {name}, {age} old: pressure was there, not that it is", "warn")


def _circuits(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    rows = [Circuit.model_validate(row) for row in value]
    closed = [row.provider for row in rows if row.state == "closed"]
    if cut := _cut("circuitBreaker:listStatuses", args, value):
        yield Finding(f"{len(rows)} circuits{cut}", "warn")
    for row in rows:
        if row.state != "closed":
            yield circuit(row, now)
    if closed:
        yield Finding(f"circuits closed: {', '.join(closed)}", "ok")
    if not rows:
        yield Finding("no circuit on record: nothing was called yet", "ok")


def _leases(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    provider = str(args.get("provider", ""))
    config = now.config.bulkheads.get(provider)
    cap = f" of {config.max_concurrent}" if config else ""
    full = config is not None and len(value) >= config.max_concurrent
    ages = [now.generated_at - int(row["acquiredAt"]) for row in value if "acquiredAt" in row]
    oldest = f", the oldest {_seconds(max(ages))} old" if ages else ""
    left_out = _cut("bulkhead:listInFlightByProvider", args, value)
    yield Finding(f"leases of {provider}: {len(value)}{cap}{left_out}{oldest}", "bad" if full else "ok")


def _replays(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    scope = str(args.get("scope", ""))
    loud = sorted(
        (row for row in value if row.get("hitCount", 1) > 1), key=lambda r: (-r["hitCount"], -r["lastSeenAt"])
    )
    cut = _cut("idempotency:listRecentByScope", args, value)
    if not loud:
        yield Finding(f"{scope}: {len(value)} keys, none repeated{cut}", "ok")
        return
    hits = sum(row["hitCount"] - 1 for row in loud)
    yield Finding(f"{scope}: {len(loud)} of {len(value)} keys repeated, {hits} duplicate hits{cut}", "warn")
    for row in loud[:2]:
        first, last = now.age_ms(row["firstSeenAt"]), now.age_ms(row["lastSeenAt"])
        old = "" if now.in_window(row["firstSeenAt"]) else "; the snapshot cannot show it, its first sight is too old"
        yield Finding(
            f"{scope}: a key with {row['hitCount']} hits, first {_seconds(first)} and last {_seconds(last)} ago{old}",
            "warn",
        )


def _cache(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    names = value.get("byNamespace", {})
    used = now.config.tool_cache_namespaces
    for name, count in sorted(names.items()):
        current = name in (used.web_search, used.product_search)
        cut = _cut("toolCache:listNamespaceStats", args, value)
        yield Finding(f"{name}: {count} active entries{cut}" + ("" if current else ", an old name that nothing reads"))
    if not names:
        yield Finding("nothing is cached", "ok")


def _queue(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    status = value.get("byStatus", {})
    counts = ", ".join(f"{status.get(key, 0)} {word}" for key, word in _QUEUE_WORDS.items())
    cut = _cut("toolJobs:getQueueStats", args, value)
    yield Finding(f"jobs: {counts}{cut}", "warn" if status.get("queued") else "ok")
    taken = now.bulkheads.in_flight_by_provider.get(WORKER, 0)
    yield Finding(f"worker slots taken: {taken}")


_QUEUE_WORDS = {"queued": "queued", "running": "running", "deadLetter": "dead letters"}


def _dead_letters(args: Mapping[str, object], value: Any, now: Snapshot) -> Iterable[Finding]:
    if not value:
        yield Finding("no dead letters", "ok")
        return
    fresh = [row for row in value if now.in_window(row.get("updatedAt"))]
    tools = Counter(row.get("toolName", "?") for row in value)
    names = ", ".join(f"{count} {tool}" for tool, count in tools.most_common())
    cut = _cut("toolJobs:listDeadLetters", args, value)
    yield Finding(
        f"{len(value)} dead letters{cut} ({names}), {len(fresh)} of this window", "warn" if fresh else "plain"
    )
    for row in value[:3]:
        age = _seconds(now.age_ms(row.get("updatedAt", now.generated_at)))
        yield Finding(
            f"{row.get('_id', '?')}: {row.get('toolName', '?')}, {age} old, error {row.get('lastError', '?')}"
        )


_READERS: Mapping[str, Callable[[Mapping[str, object], Any, Snapshot], Iterable[Finding]]] = {
    "rateLimit:getEventSummary": _event_summary,
    "rateLimit:listRecentEvents": _events,
    "rateLimit:listRecentAlerts": _alerts,
    "circuitBreaker:listStatuses": _circuits,
    "bulkhead:listInFlightByProvider": _leases,
    "idempotency:listRecentByScope": _replays,
    "toolCache:listNamespaceStats": _cache,
    "toolJobs:getQueueStats": _queue,
    "toolJobs:listDeadLetters": _dead_letters,
    "toolJobs:listRecentQueueAlerts": _alerts,
}


def _seconds(ms: float) -> str:
    if ms < 120_000:
        return f"{ms / 1000:.0f} s"
    if ms < 2 * 3_600_000:
        return f"{ms / 60_000:.0f} min"
    return f"{ms / 3_600_000:.0f} h"
