"""The release gate's card: checks with value, limit, the last release, evidence or owner (ux.md, sketch 2).

At most ten rows stand on the card, what is red or not shown first; every check stands in the thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bot.card import Cell, Table, Tone
from bot.redact import inert
from bot.views import beside, number, verdict_tone
from slo.gate import GateJudgement
from slo.gate_report import GateReport
from slo.promotion import near
from slo.scenarios import ENDPOINTS
from slo.verdict import SNAPSHOT, Check, Verdict

ROWS = 10
_ALWAYS = ("p95_latency", "stream_success_rate", "open_circuits", "bulkhead_active_leases")
"""Checks that are shown on every card, also when all is well."""


@dataclass(frozen=True)
class Row:
    """One check, with the value that the last release had (None: unknown)."""

    step: str
    check: Check
    last: float | None

    @property
    def label(self) -> str:
        """``chat p95``, ``gmail 5xx``, ``circuits``: short enough for a phone."""
        name = _SHORT.get(self.check.name, self.check.name.replace("_", " "))
        if self.check.scope == SNAPSHOT:
            return name
        return f"{_ENDPOINT.get(self.check.scope, self.check.scope)} {name}"


_ENDPOINT = {"/api/chat": "chat", "/api/gmail/push": "gmail", "/api/whatsapp/webhook": "whatsapp"}
_SHORT = {
    "p95_latency": "p95",
    "5xx_rate": "5xx",
    "network_error_rate": "network",
    "unknown_status_rate": "unknown",
    "2xx_success_rate": "2xx",
    "stream_success_rate": "streams done",
    "scenario_ran": "ran",
    "open_circuits": "circuits open",
    "bulkhead_active_leases": "bulkheads full",
    "rate_limit_alerts_window": "limit alerts",
    "tool_jobs_queued": "jobs queued",
    "tool_jobs_failed": "jobs failed",
    "tool_jobs_oldest_queued_age": "oldest queued",
    "tool_jobs_oldest_running_age": "oldest running",
    "threshold_burn": "threshold burn",
    "p95_completion_latency": "p95 completion",
    "p95_first_token_latency": "p95 first token",
    "429_rate": "429",
    "open_streams": "streams open",
    "chat_auth_pool_size": "pool size",
    "chat_pool_unique_coverage": "pool used",
    "chat_pool_fresh": "pool tokens",
    "sustained_open_circuits": "circuits held open",
    "oldest_queued_job_age": "oldest queued",
    "oldest_running_job_age": "oldest running",
    "chat_options_cors": "CORS",
    "chat_requires_auth": "needs login",
}


def rows(made: GateJudgement, last: GateReport | None) -> tuple[Row, ...]:
    """Every check of the four steps, in their order."""
    before = _values(last)
    return tuple(
        Row(name, check, before.get((name, check.name, check.scope)))
        for name, step in made.steps
        for check in step.checks
    )


def _values(last: GateReport | None) -> Mapping[tuple[str, str, str], float | None]:
    steps = last.honest.steps if last is not None and last.honest is not None else ()
    return {(step.name, check.name, check.scope): check.value for step in steps for check in step.judgement.checks}


def table(every: tuple[Row, ...], last: str | None) -> Table:
    """The rows that matter most: red, then not shown, then near a limit, then those that are always shown."""
    order = list(ENDPOINTS.values())

    def weight(row: Row) -> tuple[int, int]:
        check = row.check
        rank = {Verdict.FAIL: 0, Verdict.INCOMPLETE: 1, Verdict.PASS: 4}[check.verdict]
        rank = 2 if near(check) else 3 if rank == 4 and check.name in _ALWAYS else rank
        return rank, order.index(check.scope) if check.scope in order else len(order)

    chosen = sorted((row for row in every if weight(row)[0] < 4), key=weight)[:ROWS]
    left = len(every) - len(chosen)
    caption = f"{left} more check{'' if left == 1 else 's'} in the thread" if left else ""
    return Table(
        columns=("Check", "Value", "Limit", f"Against {inert(last, 20)}" if last else "Last", "Evidence"),
        rows=tuple(cells(row) for row in chosen),
        caption=caption,
    )


def cells(row: Row) -> tuple[Cell, ...]:
    """One row of the table."""
    check = row.check
    tone = Tone.WARN if near(check) else verdict_tone(check.verdict)
    return (
        Cell(text=row.label),
        Cell(text=_value(check), tone=tone),
        Cell(text=_limit(check)),
        Cell(text=against(row)),
        Cell(text=_evidence(check)),
    )


def _value(check: Check) -> str:
    if check.name == "scenario_ran":
        return "not run"
    if check.unit == "count" and check.limit == 1 and check.comparison == ">=":
        return (
            {1: "as expected", 0: "not as expected"}.get(int(check.value or 0), "") if check.value is not None else "–"
        )
    return beside(check.value, check.limit, check.unit)


def _limit(check: Check) -> str:
    return "–" if check.limit is None else f"{check.comparison} {number(check.limit, check.unit)}"


def against(row: Row) -> str:
    """The difference to the last release: ``+0.7 s``, ``−0.2 %``, ``same``; a dash where one is unknown."""
    value, last = row.check.value, row.last
    if value is None or last is None:
        return "–"
    change = value - last
    shown = number(abs(change), row.check.unit)
    if not change or shown in ("0 %", "0 ms", "0", "0.0 %"):
        return "same"
    return f"{'+' if change > 0 else '−'}{shown}"


def _evidence(check: Check) -> str:
    """Who is asked about what is red; else how much the figure proves."""
    if check.verdict is Verdict.FAIL and check.owner is not None:
        return check.owner.owner
    if check.evidence is not None:
        bad, n = check.evidence.bad, check.evidence.n
        return f"{bad} of {n}: up to {number(check.evidence.upper_bound, 'rate')}"
    return check.owner.owner if check.verdict is Verdict.INCOMPLETE and check.owner is not None else "–"


def every_check(every: tuple[Row, ...]) -> str:
    """All checks as lines, for the thread: value, limit, last, owner, evidence, reason."""
    return "\n".join(_lines(every))


def _lines(every: tuple[Row, ...]) -> Iterator[str]:
    step = ""
    for row in every:
        if row.step != step:
            step = row.step
            yield f"{step.replace('_', ' ')}"
        check = row.check
        owner = f"{check.owner.owner}, then {check.owner.secondary}" if check.owner is not None else "–"
        parts = [
            f"  {check.verdict}  {row.label}: {_value(check)} (limit {_limit(check)}, last {against(row)}; {owner})"
        ]
        if check.evidence is not None:
            more = check.evidence.more_needed
            parts.append(f"{_evidence_text(check)}" + (f", {more} more needed to prove it" if more else ""))
        if check.original is not None and check.original is not (check.verdict is Verdict.PASS):
            parts.append(f"original: {'pass' if check.original else 'fail'}")
        if check.reason:
            parts.append(inert(check.reason, 200))
        yield " · ".join(parts)


def _evidence_text(check: Check) -> str:
    assert check.evidence is not None
    return (
        f"{check.evidence.bad} bad of {check.evidence.n}, up to {number(check.evidence.upper_bound, 'rate')} possible"
    )


PLAYBOOKS: Mapping[str, str] = {
    "open_circuits": "B",
    "rate_limit_alerts_window": "A",
    "bulkhead_active_leases": "C",
    "tool_jobs_queued": "F",
    "tool_jobs_failed": "F",
    "tool_jobs_oldest_queued_age": "F",
    "tool_jobs_oldest_running_age": "F",
}
"""Which playbook a red snapshot check leads to; a red endpoint is diagnosed by its signals (runbook, triage)."""


def playbook_of(made: GateJudgement) -> str | None:
    """The playbook of the first red snapshot check."""
    return next((PLAYBOOKS[c.name] for c in made.step("snapshot_gate").failed if c.name in PLAYBOOKS), None)
