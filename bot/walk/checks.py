"""The checks that pages name (`playbooks.checks.CHECKS`): each looks and says what it found; none changes anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from bot.card import when
from bot.errors import Unreachable
from bot.redact import inert
from playbooks.advice import queue_cause
from playbooks.callers import pressure
from playbooks.facts import CachedAnswer
from playbooks.findings import Finding, circuit
from playbooks.functions import WORKER
from playbooks.judges.c_bulkhead import call_limit_ms, leaked_leases
from playbooks.judges.f_tool_queue import CIRCUIT_OF, busiest
from playbooks.regressions import between_drills
from slo.verdict import Judgement

if TYPE_CHECKING:
    from bot.outside import providers
    from bot.run import Run
    from bot.walk.look import Look

PRIMARY, SECONDARY, GMAIL = "openrouter_chat_primary", "openrouter_chat_secondary", "gmail_oauth"
ACK_MS = 2_000
"""Slower acknowledgements than this make senders of webhooks try again (Runbook, playbook D, action 3)."""


async def callers(look: Look) -> tuple[Finding, ...]:
    """Where the pressure is highest, and whether it is abuse or legitimate, with the reason (playbook A, action 1)."""
    signal = look.signal("A")
    if not signal.fired:
        return (Finding(f"nobody in particular: {signal.why}", "ok" if signal.state == "quiet" else "unknown"),)
    pressed = pressure(look.facts)
    if pressed is None:
        return (Finding(f"{signal.variant or 'not told apart'}: {signal.why}", "warn"),)
    return (
        Finding(f"highest pressure: bucket {pressed.bucket}, endpoint {pressed.endpoint}", "bad"),
        Finding(f"{signal.variant or 'not told apart'}: {pressed.reason(signal.variant)}", "warn"),
    )


async def cached_answers(look: Look) -> tuple[Finding, ...]:
    """Fresh answers beside the cached ones, for the queries of the configuration, in both namespaces (playbook E)."""
    from bot.walk.look import cached

    spaces, counts = look.now.config.tool_cache_namespaces, look.now.tool_cache.by_namespace
    pairs = (("serper", spaces.web_search), ("ebay", spaces.product_search))
    used = [(name, space) for name, space in pairs if counts.get(space, 0)]
    if not used:
        return (Finding("nothing is cached in the namespaces in use", "ok"),)
    parts = await asyncio.gather(*(_compared(look, name, space) for name, space in used))
    answers = tuple(answer for found, _ in parts for answer in found)
    if answers:
        cached(look, answers)
    return tuple(line for _, lines in parts for line in lines)


async def _compared(look: Look, name: str, namespace: str) -> tuple[tuple[CachedAnswer, ...], tuple[Finding, ...]]:
    """Cached answers of one namespace beside its provider's own; only whether they differ is kept."""
    from bot.outside import providers

    provider = look.run.world.config.providers.get(name)
    if provider is None or provider.key is None or not provider.queries:
        hint = f"set key_env and queries under [providers.{name}], or ask the product itself"
        return (), (Finding(f"{namespace}: cached answers were not compared with fresh ones: {hint}", "unknown"),)
    answers: list[CachedAnswer] = []
    try:
        for query in provider.queries[:5]:
            held = await look.run.convex.query("toolCache:get", {"namespace": namespace, "key": query.strip().lower()})
            if isinstance(held, str):
                fresh = await providers.search(name, provider, query)
                answers.append(CachedAnswer(namespace, not set(titles(held)) & set(fresh)))
    except Unreachable as error:
        return tuple(answers), (
            Finding(
                f"{namespace}: not compared, {name} is the upstream: {error.what} Cleared now, it fills again.", "bad"
            ),
        )
    if not answers:
        return (), (Finding(f"{namespace}: none of the configured queries is cached", "unknown"),)
    stale = sum(answer.differs for answer in answers)
    words = f"{stale} of {len(answers)} cached answers in {namespace} share nothing with fresh ones"
    return tuple(answers), (Finding(words, "bad" if stale else "ok"), Finding(f"{name} answers a fresh search", "ok"))


def titles(cached: str) -> tuple[str, ...]:
    """Titles of a cached search; none when it is no list of results."""
    try:
        rows = json.loads(cached)
    except ValueError:
        return ()
    return tuple(str(row.get("title", "")) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


async def failover(look: Look) -> tuple[Finding, ...]:
    """The flag, and the health of the secondary route (playbook B, action 5)."""
    on = look.now.config.chat_gateway.provider_failover_enabled
    flag = Finding(
        "FF_PROVIDER_FAILOVER_ENABLED is true"
        if on
        else "FF_PROVIDER_FAILOVER_ENABLED is false: there is no second route",
        "ok" if on else "bad",
    )
    row = next((row for row in look.now.circuit_breakers.recent if row.provider == SECONDARY), None)
    second = circuit(row, look.now) if row else Finding(f"circuit {SECONDARY}: never called, so its health is unknown")
    return (flag, second)


async def pool(look: Look) -> tuple[Finding, ...]:
    """The chat auth pools: there, readable, size, tokens that hold, and for what enough (playbook H, action 1)."""
    from bot.authpool.pools import enough_for, of_target

    run = look.run
    pools = await of_target(run)
    if not pools:
        return (Finding("no chat auth pool: `sendcat pool` makes one".replace("`", ""), "bad"),)
    now_ms, max_age_ms = run.world.clock.now_ms(), run.world.book.thresholds.h.pool_max_age_ms
    found = []
    for each in pools:
        if isinstance(each.facts, str):
            found.append(Finding(f"{each.name} cannot be used: {inert(each.facts, 160)}", "bad"))
            continue
        facts = each.facts
        fresh, age = facts.fresh(now_ms, 0, max_age_ms), facts.age_ms(now_ms)
        fit = enough_for(fresh)
        old = "" if age is None else f", {age / 60_000:.0f} min old"
        holds = "" if fresh == facts.size else f", {facts.size - fresh} of them with a token that has ended or may have"
        words = f"{inert(each.name, 80)}: {facts.size} users{old}{holds}; enough for {', '.join(fit) or 'no milestone'}"
        found.append(Finding(words, "ok" if fit and not holds else "warn" if fit else "bad"))
    return tuple(found)


async def provider_status(look: Look) -> tuple[Finding, ...]:
    """Status page, key and quota of the providers that matter here (playbook B, action 2)."""
    from bot.outside import providers

    signal = look.signal("B")
    troubled = [r.name for r in signal.readings if r.fired and r.name in providers.OF]
    names = dict.fromkeys(providers.OF[name] for name in troubled or (PRIMARY, "serper_search"))
    settings = look.run.world.config.providers
    found: list[Finding] = []
    for name in names:
        entry = settings.get(name)
        if entry is None:
            found.append(Finding(f"{name}: status and quota are not configured: add [providers.{name}]", "unknown"))
            continue
        parts = await asyncio.gather(providers.status(name, entry), providers.quota(name, entry))
        found += [Finding(f"{h.what}: {h.words}", h.state) for h in (parts[0], *parts[1])]
    return tuple(found)


async def regressions(look: Look) -> tuple[Finding, ...]:
    """5xx and unknown status of the newest drill beside the one before it."""
    judged = await drills(look)
    if not judged:
        return (Finding("no drill yet: run the retest first", "unknown"),)
    return between_drills(judged[1] if len(judged) > 1 else None, judged[0])


async def drills(look: Look) -> list[Judgement]:
    """Judgements of the newest two drills on this target, the newest first."""
    from bot import measure

    return [measure.judge_drill(report) for report in await measure.recent_drills(look.run, 2)]


async def sender_retries(look: Look) -> tuple[Finding, ...]:
    """Why a sender would repeat: slow, failing or refused acknowledgements (playbook D, action 3)."""
    found: list[Finding] = []
    drill = look.facts.drill
    honest = drill.honest if drill else None
    for name in ("gmail_push_webhook", "whatsapp_webhook"):
        scenario = honest.scenario(name) if honest else None
        pooled = scenario.pooled if scenario else None
        if pooled is None or not pooled.answered:
            unmeasured = f"{name}: ack timing was not measured lately: /sendcat drill --quick=true, then look again"
            found.append(Finding(unmeasured, "unknown"))
            continue
        p95 = pooled.latency.p95_ms
        slow = p95 is not None and p95 > ACK_MS
        auth = sum(count for status, count in pooled.statuses.items() if status in ("401", "403"))
        broken = sum(count for status, count in pooled.statuses.items() if status.startswith("5"))
        words = f"p95 {p95:.0f} ms" if p95 is not None else "no latency"
        words += " (slow enough that senders try again)" if slow else ""
        text = f"{name}: acknowledged in {words}; of {pooled.answered}: {auth} auth failures, {broken} upstream errors"
        found.append(Finding(text, "bad" if slow or auth or broken else "ok"))
    refused = {
        key.partition(":")[0]: count
        for key, count in look.now.rate_limit_pressure.by_bucket_outcome.items()
        if key.endswith(":blocked") and key.startswith(("gmail_push:", "whatsapp_webhook:"))
    }
    found += [
        Finding(f"{bucket}: {count} refusals make the sender come back", "warn") for bucket, count in refused.items()
    ]
    row = next((row for row in look.now.circuit_breakers.recent if row.provider == GMAIL), None)
    if row is not None:
        found.append(circuit(row, look.now))
    return tuple(found)


async def sentry_warnings(look: Look) -> tuple[Finding, ...]:
    """What Sentry got from the rate-limit monitor in the last day (playbook A, signal)."""
    from bot.outside import sentry

    settings = look.run.world.config.sentry
    if not settings.ready:
        return (Finding("Sentry is not configured: set [sentry] organization, project and its token", "unknown"),)
    issues = await sentry.warnings(settings, sentry.RATE_LIMIT_MONITOR)
    if not issues:
        return (Finding("Sentry: no warning of convex.rateLimit.monitor in 24 h", "ok"),)
    return tuple(
        Finding(f"Sentry: {i.title}, {i.count}×, last {when(i.last_ms) if i.last_ms else i.last_seen}", "warn")
        for i in issues[:3]
    )


async def upstream_healthy(look: Look) -> tuple[Finding, ...]:
    """Whether the upstream of the dead letters works: its circuit, and the provider itself where configured."""
    provider = upstream(look)
    if provider is None:
        return (Finding("no tool has dead letters", "ok"),)
    row = next((row for row in look.now.circuit_breakers.recent if row.provider == provider), None)
    found = [circuit(row, look.now) if row else Finding(f"circuit {provider}: never called", "ok")]
    own = await own_health(look.run, provider)
    return (*found, *(Finding(f"{health.what}: {health.words}", health.state) for health in own))


def upstream(look: Look) -> str | None:
    """The provider behind the tool with the most waiting or dead jobs."""
    tool = busiest(look.now)
    counts = look.now.tool_jobs.by_tool.get(tool)
    return CIRCUIT_OF.get(tool) if counts is not None and (counts.queued or counts.dead_letter) else None


async def own_health(run: Run, circuit_name: str) -> tuple[providers.Health, ...]:
    """What the provider behind a circuit says of itself, where it is configured: status page, and a real search."""
    from bot.outside import providers

    name = providers.OF.get(circuit_name, "")
    entry = run.world.config.providers.get(name)
    if entry is None:
        return ()
    found = [await providers.status(name, entry)]
    if name in providers.SEARCHES and entry.key is not None:
        try:
            await providers.search(name, entry, entry.queries[0] if entry.queries else "sendcat")
            found.append(providers.Health(f"{name} search", "ok", "answers a fresh search"))
        except Unreachable as error:
            found.append(providers.Health(f"{name} search", "bad", error.what))
    return tuple(found)


async def slots(look: Look) -> tuple[Finding, ...]:
    """Each provider against its own cap; where one is short of slots, whether they leaked (playbook C, action 1)."""
    now, settings = look.now, look.run.world.book.thresholds.c
    taken = now.bulkheads.in_flight_by_provider
    used = {name: now.bulkhead_utilization(name) or 0.0 for name in now.config.bulkheads if name != WORKER}
    found: list[Finding] = []
    for name in sorted((name for name in used if used[name] >= settings.full), key=lambda name: -used[name]):
        leaked, most_s = leaked_leases(name, look.facts, settings), call_limit_ms(name, now, settings) / 1000
        words = "their age was not read" if leaked is None else "none outlived a call: load, not leaked"
        if leaked:
            words = f"{leaked} older than a call can take ({most_s:.0f} s): leaked, not load"
        count = f"{taken.get(name, 0)} of {now.config.bulkheads[name].max_concurrent}"
        found.append(Finding(f"{name}: {count} slots taken, {words}", "bad"))
    rest = [
        f"{n} {taken.get(n, 0)} of {now.config.bulkheads[n].max_concurrent}" for n in used if used[n] < settings.full
    ]
    if rest:
        found.append(Finding(f"below their caps: {', '.join(rest)}", "ok"))
    looks = len(look.facts.looks)
    apart = (
        f"{looks} looks over {look.facts.span_ms / 1000:.0f} s"
        if looks > 1
        else "one look only: a spike looks the same"
    )
    return (*found, Finding(apart, "plain" if looks > 1 else "unknown"))


async def cause(look: Look) -> tuple[Finding, ...]:
    """Capacity, upstream, or neither of them (playbook F, action 1)."""
    signal = look.signal("F")
    return (Finding(queue_cause(signal, look.now), "bad" if signal.fired else "ok"),)


CHECKS: Mapping[str, Callable[[Look], Awaitable[tuple[Finding, ...]]]] = {
    "callers": callers,
    "queue-cause": cause,
    "cached-answers": cached_answers,
    "failover": failover,
    "pool": pool,
    "provider-status": provider_status,
    "regressions": regressions,
    "sender-retries": sender_retries,
    "sentry-warnings": sentry_warnings,
    "slots": slots,
    "upstream-healthy": upstream_healthy,
}
"""By name; a test holds it against the closed set of the pages."""
