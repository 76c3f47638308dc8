"""The checks that pages name (`playbooks.checks.CHECKS`): each looks and says what it found; none changes anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from bot.errors import Unreachable
from bot.redact import inert
from playbooks.facts import CachedAnswer
from playbooks.findings import Finding, circuit
from playbooks.judges.f_tool_queue import CIRCUIT_OF, busiest
from playbooks.regressions import between_drills
from slo.verdict import Judgement

if TYPE_CHECKING:
    from bot.walk.look import Look

PRIMARY, SECONDARY, GMAIL = "openrouter_chat_primary", "openrouter_chat_secondary", "gmail_oauth"
ACK_MS = 2_000
"""Slower acknowledgements than this make senders of webhooks try again (Runbook, playbook D, action 3)."""


async def callers(look: Look) -> tuple[Finding, ...]:
    """Abuse or legitimate use, with the reason (Runbook, playbook A, action 1)."""
    signal = look.signal("A")
    if not signal.fired:
        return (Finding(f"nobody in particular: {signal.why}", "ok" if signal.state == "quiet" else "unknown"),)
    return (Finding(f"{signal.variant}: {signal.why}", "warn"),)


async def cached_answers(look: Look) -> tuple[Finding, ...]:
    """Fresh searches beside the cached ones, for the queries of the configuration (playbook E, signal)."""
    from bot.outside import providers
    from bot.walk.look import cached

    provider = look.run.world.config.providers.get("serper")
    if provider is None or provider.key is None or not provider.queries:
        hint = "set key_env and queries under [providers.serper] in sendcat.toml"
        return (Finding(f"fresh answers were not compared with cached ones: {hint}", "unknown"),)
    namespace = look.now.config.tool_cache_namespaces.web_search
    answers: list[CachedAnswer] = []
    for query in provider.queries[:5]:
        held = await look.run.convex.query("toolCache:get", {"namespace": namespace, "key": query.strip().lower()})
        if isinstance(held, str):
            fresh = await providers.search(provider, query)
            answers.append(CachedAnswer(namespace, not set(titles(held)) & set(fresh)))
    if not answers:
        return (Finding(f"none of the configured queries is cached in {namespace}", "unknown"),)
    cached(look, tuple(answers))
    stale = sum(answer.differs for answer in answers)
    words = f"{stale} of {len(answers)} cached answers in {namespace} share nothing with fresh ones"
    return (Finding(words, "bad" if stale else "ok"), Finding("the search provider answers", "ok"))


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
            found.append(Finding(f"{name}: acknowledgements were not measured lately; a quick drill tells", "unknown"))
            continue
        p95 = pooled.latency.p95_ms
        failed = pooled.answered - pooled.succeeded
        slow = p95 is not None and p95 > ACK_MS
        words = f"p95 {p95:.0f} ms" if p95 is not None else "no latency"
        found.append(
            Finding(
                f"{name}: acknowledged in {words}, {failed} of {pooled.answered} not with success",
                "bad" if slow or failed else "ok",
            )
        )
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
    return tuple(Finding(f"Sentry: {i.title}, {i.count} times, last {i.last_seen}", "warn") for i in issues[:3])


async def upstream_healthy(look: Look) -> tuple[Finding, ...]:
    """Whether the upstream of the dead letters works: its circuit, and the provider itself where configured."""
    provider = upstream(look)
    if provider is None:
        return (Finding("no tool has dead letters", "ok"),)
    row = next((row for row in look.now.circuit_breakers.recent if row.provider == provider), None)
    found = [circuit(row, look.now) if row else Finding(f"circuit {provider}: never called", "ok")]
    return (*found, *(await _own_status(look, provider)))


def upstream(look: Look) -> str | None:
    """The provider behind the tool with the most waiting or dead jobs."""
    tool = busiest(look.now)
    counts = look.now.tool_jobs.by_tool.get(tool)
    return CIRCUIT_OF.get(tool) if counts is not None and (counts.queued or counts.dead_letter) else None


async def _own_status(look: Look, circuit_name: str) -> tuple[Finding, ...]:
    from bot.outside import providers

    name = providers.OF.get(circuit_name, "")
    entry = look.run.world.config.providers.get(name)
    if entry is None:
        return ()
    found = [await providers.status(name, entry)]
    if name == "serper" and entry.key is not None:
        try:
            await providers.search(entry, entry.queries[0] if entry.queries else "sendcat")
            found.append(providers.Health("serper search", "ok", "answers a fresh search"))
        except Unreachable as error:
            found.append(providers.Health("serper search", "bad", error.what))
    return tuple(Finding(f"{h.what}: {h.words}", h.state) for h in found)


CHECKS: Mapping[str, Callable[[Look], Awaitable[tuple[Finding, ...]]]] = {
    "callers": callers,
    "cached-answers": cached_answers,
    "failover": failover,
    "pool": pool,
    "provider-status": provider_status,
    "regressions": regressions,
    "sender-retries": sender_retries,
    "sentry-warnings": sentry_warnings,
    "upstream-healthy": upstream_healthy,
}
"""By name; a test holds it against the closed set of the pages."""
