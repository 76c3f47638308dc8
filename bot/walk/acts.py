"""The four functions that playbooks E and F may call to change something: typed, bounded, never repeated blindly.

Each reads before and after. A write whose answer is lost ends here with what is known, and nobody tries it again
before somebody has looked (safety.md, R21, R26).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.errors import Refused, Unknown
from playbooks.findings import Finding
from playbooks.functions import FunctionError, function
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.run import Run

BATCH = 500
"""Entries removed in one call: values may be 64 KiB, and a transaction is one (Runbook, playbook E, action 1)."""
MOST_CALLS = 40
SayNow = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Act:
    """What was done: lines for the card, and the numbers before and after for the audit trail."""

    lines: tuple[Finding, ...]
    before: Mapping[str, int]
    after: Mapping[str, int]


async def act(run: Run, name: str, args: Mapping[str, Any], now: Snapshot, say: SayNow) -> Act:
    """Do it. Raises `Refused` for what the runbook does not want now, `Unreachable` with ``ambiguous`` when unclear."""
    known = _ACTS.get(name)
    if known is None:
        raise Refused(f"`{name[:60]}` is no change that a playbook names.", rule="a closed set of functions (R21)")
    try:
        checked = function(name).check(args)
    except FunctionError as error:
        raise Unknown(f"{error}.", then=f"it takes {function(name).takes}") from None
    return await known(run, checked, now, say)


async def _clear(run: Run, args: Mapping[str, Any], now: Snapshot, say: SayNow) -> Act:
    """`toolCache:clearNamespace` of exactly one namespace, repeated while there is more."""
    namespace = str(args["namespace"])
    spaces = now.config.tool_cache_namespaces
    counted = now.tool_cache.by_namespace
    if namespace not in (spaces.web_search, spaces.product_search) and namespace not in counted:
        known = ", ".join(dict.fromkeys((spaces.web_search, spaces.product_search, *counted)))
        raise Refused(
            f"There is no namespace {namespace}; a wrong name answers success and removes nothing.",
            rule="the name must be exact (Runbook, playbook E)",
            then=f"one of: {known}",
        )
    before = await _entries(run, namespace)
    deleted, calls, more = 0, 0, True
    while more and calls < MOST_CALLS:
        if run.brake.halted is not None:
            break
        answer = await run.convex.mutate("toolCache:clearNamespace", {"namespace": namespace, "maxDeletes": BATCH})
        calls += 1
        deleted += int(answer.get("deleted", 0))
        more = answer.get("hasMore") is True
        await say(f"{deleted} entries of {namespace} removed in {calls} calls")
    after = await _entries(run, namespace)
    lines = [
        Finding(f"{namespace}: {deleted} entries removed, {before} → {after} active", "ok" if not more else "warn")
    ]
    if more:
        lines.append(Finding("there are more: run it again", "warn"))
    return Act(tuple(lines), {"entries": before}, {"entries": after, "deleted": deleted})


async def _entries(run: Run, namespace: str) -> int:
    stats = await run.convex.query("toolCache:listNamespaceStats", {"limit": 20_000})
    return int(stats.get("byNamespace", {}).get(namespace, 0))


async def _requeue(run: Run, args: Mapping[str, Any], now: Snapshot, say: SayNow) -> Act:
    """`toolJobs:requeueDeadLetter`, only after the upstream works again (Runbook, playbook F, action 6)."""
    from playbooks.judges.f_tool_queue import CIRCUIT_OF

    letters = await run.convex.query("toolJobs:listDeadLetters", {"limit": 500})
    job = next((row for row in letters if row.get("_id") == args["jobId"]), None)
    if job is None:
        raise Refused("This job is no dead letter any more.", then="look again, then choose another")
    upstream = CIRCUIT_OF.get(str(job.get("toolName")))
    if any(row.provider == upstream for row in now.circuits_refusing_now):
        raise Refused(
            f"The upstream {upstream} refuses calls: the job would come straight back to the dead letters.",
            rule="requeue after the upstream is mitigated (Runbook, playbook F, action 6)",
            then="playbook B first",
        )
    before = await _queue(run)
    answer = await run.convex.mutate("toolJobs:requeueDeadLetter", dict(args))
    after = await _queue(run)
    if answer.get("ok") is not True:
        return Act((Finding(f"not requeued: {answer.get('reason', 'no reason given')}", "warn"),), before, after)
    return Act(
        (
            Finding(f"requeued; dead letters {before['deadLetter']} → {after['deadLetter']}", "ok"),
            Finding("nothing runs it by itself: drain the queue next", "warn"),
        ),
        before,
        after,
    )


async def _drain(run: Run, args: Mapping[str, Any], now: Snapshot, say: SayNow) -> Act:
    """`toolJobs:processQueue`, repeated until nothing is queued or nothing moves."""
    before = await _queue(run)
    done, calls, why = 0, 0, ""
    while calls < MOST_CALLS and run.brake.halted is None:
        answer = await run.convex.action("toolJobs:processQueue", dict(args))
        calls += 1
        processed = int(answer.get("processed", 0))
        done += processed
        if answer.get("skipped"):
            why = "every worker slot is taken (`worker_saturated`): wait a minute, or add one worker".replace("`", "")
            break
        await say(f"{done} jobs run in {calls} calls")
        if processed == 0:
            break
    after = await _queue(run)
    words = f"{done} jobs run in {calls} calls; queued {before['queued']} → {after['queued']}"
    lines = [Finding(words, "warn" if after["queued"] else "ok")]
    if why:
        lines.append(Finding(why, "bad"))
    elif after["queued"]:
        lines.append(Finding("what is left waits for its back-off, or is capped", "warn"))
    return Act(tuple(lines), before, after)


async def _monitor(run: Run, args: Mapping[str, Any], now: Snapshot, say: SayNow) -> Act:
    """`toolJobs:monitorQueueHealth`: it may store alerts and send warnings (Runbook, playbook F, action 4)."""
    before = await _queue(run)
    answer = await run.convex.action("toolJobs:monitorQueueHealth", {})
    if answer.get("enabled") is False:
        return Act((Finding("queue alerts are switched off (TOOL_QUEUE_ALERTS_ENABLED)", "warn"),), before, before)
    created, sent = int(answer.get("createdAlerts", 0)), int(answer.get("sentryAlerts", 0))
    alerts = await run.convex.query("toolJobs:listRecentQueueAlerts", {"limit": 5})
    names = ", ".join(str(row.get("kind", "?")) for row in alerts) or "none on record"
    words = f"{created} alerts stored, {sent} sent to Sentry; newest: {names}"
    return Act((Finding(words, "warn" if created else "ok"),), before, await _queue(run))


async def _queue(run: Run) -> dict[str, int]:
    stats = await run.convex.query("toolJobs:getQueueStats", {"limit": 20_000})
    status = stats.get("byStatus", {})
    return {key: int(status.get(key, 0)) for key in ("queued", "running", "deadLetter")}


_ACTS: Mapping[str, Callable[[Run, Mapping[str, Any], Snapshot, SayNow], Awaitable[Act]]] = {
    "toolCache:clearNamespace": _clear,
    "toolJobs:requeueDeadLetter": _requeue,
    "toolJobs:processQueue": _drain,
    "toolJobs:monitorQueueHealth": _monitor,
}
