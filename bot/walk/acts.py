"""The four functions that playbooks E and F may call to change something: typed, bounded, never repeated blindly.

Each reads before and after. A write whose answer is lost ends here with what is known, and nobody tries it again
before somebody has looked (safety.md, R21, R26).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bot.errors import Refused, Unknown
from bot.redact import inert
from playbooks.advice import drains_in_vain, upstreams_failing
from playbooks.findings import Finding
from playbooks.functions import FunctionError, function
from playbooks.judges.f_tool_queue import CIRCUIT_OF
from playbooks.knobs import effective, knob
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.run import Run

BATCH = 500
"""Entries removed in one call: values may be 64 KiB, and a transaction is one (Runbook, playbook E, action 1)."""
MOST_CALLS = 40
QUEUE_CAP_OF = {
    "search_web": "TOOL_JOB_QMAX_WEB",
    "search_products": "TOOL_JOB_QMAX_PROD",
    "search_global": "TOOL_JOB_QMAX_GLOB",
}
MOST_REQUEUED = 50
"""Dead letters that one line puts back, one call each."""


class Teller(Protocol):
    """Where an act tells how it goes; what ``began`` has, the audit trail keeps even when the answer is lost."""

    def began(self, before: Mapping[str, int]) -> None: ...

    async def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Act:
    """What was done: lines for the card, and the numbers before and after for the audit trail."""

    lines: tuple[Finding, ...]
    before: Mapping[str, int]
    after: Mapping[str, int]


async def act(run: Run, name: str, args: Mapping[str, Any], now: Snapshot, tell: Teller, most: int = 1) -> Act:
    """Do it. Raises `Refused` for what the runbook does not want now, `Unreachable` with ``ambiguous`` when unclear.

    ``most`` is how many dead letters are put back where ``args`` names none.
    """
    known = _ACTS.get(name)
    if known is None:
        raise Refused(f"`{name[:60]}` is no change that a playbook names.", rule="a closed set of functions (R21)")
    if known is _requeue and not args:
        return await _requeue_some(run, most, now, tell)
    try:
        checked = function(name).check(args)
    except FunctionError as error:
        raise Unknown(f"{error}.", then=f"it takes {function(name).takes}") from None
    return await known(run, checked, now, tell)


async def _clear(run: Run, args: Mapping[str, Any], now: Snapshot, tell: Teller) -> Act:
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
    tell.began({"entries": before})
    deleted, calls, more = 0, 0, True
    while more and calls < MOST_CALLS:
        if run.brake.halted is not None:
            break
        answer = await run.convex.mutate("toolCache:clearNamespace", {"namespace": namespace, "maxDeletes": BATCH})
        calls += 1
        deleted += int(answer.get("deleted", 0))
        more = answer.get("hasMore") is True
        await tell.say(f"{deleted} entries of {namespace} removed in {calls} calls")
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


async def _requeue(run: Run, args: Mapping[str, Any], now: Snapshot, tell: Teller) -> Act:
    """`toolJobs:requeueDeadLetter` of one job, only after its upstream works again (Runbook, playbook F, action 6)."""
    letters = await run.convex.query("toolJobs:listDeadLetters", {"limit": 500})
    job = next((row for row in letters if row.get("_id") == args["jobId"]), None)
    if job is None:
        raise Refused("This job is no dead letter any more.", then="look again, then choose another")
    return await _put_back(run, [job], now, tell)


async def _requeue_some(run: Run, most: int, now: Snapshot, tell: Teller) -> Act:
    """The newest dead letters, one call each: of tools whose upstream works, and as many as their queues have room for.

    `requeueDeadLetter` checks no queue cap, so it is kept here.
    """
    letters = await run.convex.query("toolJobs:listDeadLetters", {"limit": 500})
    room: dict[str, int] = {}
    chosen: list[Mapping[str, Any]] = []
    for row in letters:
        tool = str(row.get("toolName"))
        if row.get("_id") is None or len(chosen) >= min(max(most, 1), MOST_REQUEUED):
            continue
        if room.setdefault(tool, _room(tool, now)) > 0:
            room[tool] -= 1
            chosen.append(row)
    if not chosen:
        why = "Their queues are full." if letters else "There are no dead letters."
        raise Refused(f"Nothing is requeued. {why}", then="drain the queue, then look again")
    return await _put_back(run, chosen, now, tell)


def _room(tool: str, now: Snapshot) -> int:
    """Jobs that a tool's queue takes before its cap."""
    counts = now.tool_jobs.by_tool.get(tool)
    cap = effective(now, knob(QUEUE_CAP_OF[tool])) if tool in QUEUE_CAP_OF else None
    return cap - (counts.queued if counts else 0) if isinstance(cap, int) else MOST_REQUEUED


async def _put_back(run: Run, jobs: Sequence[Mapping[str, Any]], now: Snapshot, tell: Teller) -> Act:
    for tool in dict.fromkeys(str(job.get("toolName")) for job in jobs):
        await _upstream_works(run, tool, now)
    before = await _queue(run)
    tell.began(before)
    back, why = 0, ""
    for job in jobs:
        if run.brake.halted is not None:
            why = "stopped"
            break
        answer = await run.convex.mutate("toolJobs:requeueDeadLetter", {"jobId": str(job["_id"])})
        if answer.get("ok") is not True:
            why = f"{inert(str(job['_id']), 64)} was not requeued: {inert(answer.get('reason', 'no reason given'), 60)}"
            break
        back += 1
        await tell.say(f"{back} of {len(jobs)} dead letters requeued")
    after = await _queue(run)
    words = f"{back} of {len(jobs)} requeued; dead letters {before['deadLetter']} → {after['deadLetter']}"
    lines = [Finding(words, "ok" if back == len(jobs) else "warn")]
    lines += [Finding(why, "warn")] if why else []
    lines += [Finding("nothing runs them by itself: drain the queue next (processQueue)", "warn")] if back else []
    return Act(tuple(lines), before, after)


async def _upstream_works(run: Run, tool: str, now: Snapshot) -> None:
    """Raises `Refused` while the provider of a tool fails: by its circuit, or by what it says of itself.

    A circuit that is open with its cool-down over, after failures within the window, is not known to work: the
    provider's own answer decides where it is configured.
    """
    from bot.walk.checks import own_health

    provider = CIRCUIT_OF.get(tool)
    if provider is None:
        return
    rule = "requeue after the upstream is mitigated (Runbook, playbook F, action 6)"
    if any(row.provider == provider for row in now.circuits_refusing_now):
        raise Refused(
            f"The upstream {provider} refuses calls: the job would come straight back to the dead letters.",
            rule=rule,
            then="playbook B first",
        )
    own = await own_health(run, provider)
    sick = next((health for health in own if health.state == "bad"), None)
    if sick is not None:
        raise Refused(
            f"The upstream {provider} is not well: {sick.what}: {sick.words}.", rule=rule, then="playbook B first"
        )
    proven = any(health.state == "ok" for health in own)
    if provider in upstreams_failing(now) and not proven:
        raise Refused(
            f"Circuit {provider} is not closed since its last failure, so nobody knows whether the upstream works.",
            rule=rule,
            then="one call tests it: drain the queue, or ask a chat for a search; then look again",
        )


async def _drain(run: Run, args: Mapping[str, Any], now: Snapshot, tell: Teller) -> Act:
    """`toolJobs:processQueue`, repeated until nothing is queued or nothing moves."""
    if provider := drains_in_vain(now):
        raise Refused(
            f"Every queued job calls {provider}, which refuses: drained now, they end in the dead letters.",
            rule="the upstream first, then drain (Runbook, playbook F, action 6)",
            then="playbook B first",
        )
    before = await _queue(run)
    tell.began(before)
    done, calls, why = 0, 0, ""
    while calls < MOST_CALLS and run.brake.halted is None:
        answer = await run.convex.action("toolJobs:processQueue", dict(args))
        calls += 1
        processed = int(answer.get("processed", 0))
        done += processed
        if answer.get("skipped"):
            why = "every worker slot is taken (worker_saturated): wait a minute, or add one worker"
            break
        await tell.say(f"{done} jobs run in {calls} calls")
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


async def _monitor(run: Run, args: Mapping[str, Any], now: Snapshot, tell: Teller) -> Act:
    """`toolJobs:monitorQueueHealth`: it may store alerts and send warnings (Runbook, playbook F, action 4)."""
    before = await _queue(run)
    tell.began(before)
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


_ACTS: Mapping[str, Callable[[Run, Mapping[str, Any], Snapshot, Teller], Awaitable[Act]]] = {
    "toolCache:clearNamespace": _clear,
    "toolJobs:requeueDeadLetter": _requeue,
    "toolJobs:processQueue": _drain,
    "toolJobs:monitorQueueHealth": _monitor,
}
