"""How measurements look on a card: pure helpers from judged values to facts, tables and tones.

Numbers for people: units always, milliseconds up to 10 s and then seconds, percents with the counts behind them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from bot.card import Cell, Fact, Table, Tone
from bot.redact import inert
from slo.promotion import near
from slo.reports import DrillReport, ProbeReport
from slo.scenarios import ENDPOINTS
from slo.snapshot import Snapshot
from slo.verdict import Check, Judgement, Unit, Verdict

if TYPE_CHECKING:
    from bot.course import Course
    from bot.sendcat.load.plan import DrillProgress
    from playbooks.book import Book
    from playbooks.diagnosis import Diagnosis
    from playbooks.signals import Reading

_TONES = {Verdict.PASS: Tone.OK, Verdict.FAIL: Tone.BAD, Verdict.INCOMPLETE: Tone.UNKNOWN}


def verdict_tone(verdict: Verdict) -> Tone:
    return _TONES[verdict]


def number(value: float | None, unit: Unit) -> str:
    """A value with its unit: ``840 ms``, ``14.3 s``, ``3.1 %``, ``12``; ``not measured`` when there is none."""
    if value is None:
        return "not measured"
    if unit == "ms":
        return duration(value)
    if unit == "rate":
        percent = value * 100
        if 0 < percent < 0.05:
            return "<0.1 %"
        # What is not all of it is never rounded up to 100 %.
        return f"{percent:.0f} %" if percent in (0, 100) or 10 <= percent < 99.5 else f"{percent:.1f} %"
    return f"{value:g}" if float(value).is_integer() else f"{value:.2f}"


def beside(value: float | None, limit: float | None, unit: Unit) -> str:
    """A value as it stands beside its limit: with more digits where both would read the same and are not."""
    shown = number(value, unit)
    if value is None or limit is None or value == limit or shown != number(limit, unit):
        return shown
    if unit == "rate":
        return f"{value * 100:.3f} %"
    return (
        f"{value:.1f} ms"
        if unit == "ms" and abs(value) < 10_000
        else f"{value / 1000:.3f} s"
        if unit == "ms"
        else shown
    )


def duration(ms: float) -> str:
    """Milliseconds up to 10 s, then seconds, then minutes: ``840 ms``, ``14.3 s``, ``6 min``."""
    if abs(ms) < 10_000:
        return f"{ms:.0f} ms"
    if abs(ms) < 120_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms / 60_000:.0f} min"


def checks_table(judgement: Judgement, *, only_red: bool = False) -> Table:
    """Checks with value, limit and verdict; the owner stands beside what is red."""
    rows = []
    for check in judgement.checks:
        if only_red and check.verdict is Verdict.PASS:
            continue
        owner = check.owner.owner if check.owner and check.verdict is Verdict.FAIL else ""
        rows.append(
            (
                Cell(text=check.name.replace("_", " ")),
                Cell(text=number(check.value, check.unit), tone=verdict_tone(check.verdict)),
                Cell(text=f"{check.comparison} {number(check.limit, check.unit)}" if check.limit is not None else "–"),
                Cell(text=owner or "–"),
            )
        )
    return Table(columns=("Check", "Value", "Limit", "Owner"), rows=tuple(rows))


def posture_facts(snapshot: Snapshot) -> tuple[Fact, ...]:
    """The four numbers of triage: circuits, bulkheads, rate limit, tool queue."""
    refusing = len(snapshot.circuits_counted_open)
    stale = len(snapshot.circuits_stale_open)
    circuits = f"{refusing} open of {len(snapshot.circuit_breakers.recent)}"
    if stale:
        circuits += f", {stale} waiting for a test call"
    peak, provider = max(
        ((snapshot.bulkhead_utilization(name) or 0.0, name) for name in snapshot.config.bulkheads), default=(0.0, "")
    )
    bulkheads = f"peak {peak * 100:.0f} % ({inert(provider, 40)})" if peak else "idle"
    outcomes = snapshot.rate_limit_pressure.by_bucket_outcome
    refused = sum(count for key, count in outcomes.items() if not key.endswith(":allowed"))
    minutes = f"{snapshot.window_minutes:g} min"
    jobs = snapshot.tool_jobs
    queue = f"{jobs.by_status.queued} queued, oldest {duration(snapshot.oldest_queued_age_ms)}"
    region = snapshot.config.region_topology
    return (
        Fact(label="Circuits", value=circuits),
        Fact(label="Bulkheads", value=bulkheads),
        Fact(label="Rate limit", value=f"{refused} refusal events in {minutes}"),
        Fact(label="Tool queue", value=queue),
        Fact(label="Region", value=inert(f"{region.topology_mode} ({region.region_id})", 60)),
        Fact(label="Replays", value=f"{snapshot.replay_protection.duplicate_hits_in_window} in {minutes}"),
    )


def probe_rows(report: ProbeReport) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (
            Cell(text=probe.name),
            Cell(text=str(probe.status) if probe.status is not None else inert(probe.details, 40)),
            Cell(text=duration(probe.latency_ms)),
            Cell(
                text="PASS" if probe.passed else "FAIL" if probe.status is not None else "no answer",
                tone=Tone.OK if probe.passed else Tone.BAD if probe.status is not None else Tone.UNKNOWN,
            ),
        )
        for probe in report.probes
    )


_COLUMNS = (
    ("p95_latency", "p95"),
    ("5xx_rate", "5xx"),
    ("network_error_rate", "network"),
    ("unknown_status_rate", "unknown"),
    ("stream_success_rate", "streams"),
)


def drill_table(report: DrillReport, judgement: Judgement) -> Table:
    """The three endpoints against the baseline: five short columns."""
    by_scope: dict[str, dict[str, Check]] = {}
    for check in judgement.checks:
        by_scope.setdefault(check.scope, {})[check.name] = check
    rows = []
    for path in ENDPOINTS.values():
        checks = by_scope.get(path, {})
        if not any(name in checks for name, _ in _COLUMNS):
            reason = next((c.reason for c in checks.values() if c.reason), "not run")
            blank = [Cell(text="–")] * (len(_COLUMNS) - 1)
            rows.append((Cell(text=path), Cell(text=f"not run: {inert(reason, 60)}", tone=Tone.UNKNOWN), *blank))
            continue
        cells = [Cell(text=path)]
        for name, _ in _COLUMNS:
            found = checks.get(name)
            if found is None:
                cells.append(Cell(text="–"))
            else:
                tone = Tone.WARN if near(found) else verdict_tone(found.verdict)
                cells.append(Cell(text=beside(found.value, found.limit, found.unit), tone=tone))
        rows.append(tuple(cells))
    return Table(columns=("Endpoint", *(label for _, label in _COLUMNS)), rows=tuple(rows))


def red_text(judgement: Judgement, most: int = 3) -> str:
    """What is red, with its limit: ``p95 latency of /api/chat 14.3 s, limit 12.0 s``; empty when nothing is."""
    found = [
        f"{check.name.replace('_', ' ')} of {check.scope} {beside(check.value, check.limit, check.unit)},"
        f" {'at least' if check.comparison == '>=' else 'limit'} {number(check.limit, check.unit)}"
        for check in judgement.failed
    ]
    more = f"; {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + more


def red_owners(*judgements: Judgement | None) -> tuple[str, ...]:
    """Owners of what is red, each once: ``chat-runtime (5xx rate of /api/chat)``."""
    owners: dict[str, list[str]] = {}
    for judgement in judgements:
        for check in judgement.checks if judgement else ():
            if check.verdict is Verdict.FAIL and check.owner is not None:
                owners.setdefault(check.owner.owner, []).append(f"{check.name.replace('_', ' ')} of {check.scope}")
    return tuple(f"{owner} ({', '.join(what[:2])}{', …' if len(what) > 2 else ''})" for owner, what in owners.items())


def reading_text(reading: Reading) -> str:
    """One reading with its limit and age: ``oldest queued 240 s, limit 60 s (12 s old, sampled)``."""
    unit = "" if reading.unit in reading.name.split() else reading.unit
    text = f"{inert(reading.name, 80)} {_measure(reading.value, unit)}"
    if reading.limit is not None and not isinstance(reading.value, str):
        text += f", limit {_measure(reading.limit, unit)}"
    about = [f"{duration(reading.age_ms)} old"] if reading.age_ms else []
    about += ["sampled"] if reading.sampled else []
    if about:
        text += f" ({', '.join(about)})"
    return text + (f" · {reading.note}" if reading.note else "")


def _measure(value: float | str, unit: str) -> str:
    if isinstance(value, str):
        return inert(value, 80)
    if unit in ("ms", "rate", "count"):
        return number(value, unit)  # type: ignore[arg-type]
    return f"{value:g} {unit}".rstrip()


def suggestion_text(book: Book, diagnosis: Diagnosis, letter: str) -> str:
    """``playbook F`` on a line of its own, then its title, the reason, and the readings that fired."""
    signal = diagnosis.signal(letter)
    lines = [f"playbook {letter}", f"*{book.playbook(letter).title}*"]
    if len(diagnosis.suggestions) > 1:
        lines[1] += f" · {signal.why}"
    lines += [f"• {reading_text(reading)}" for reading in signal.readings if reading.fired][:4]
    lines += [f"• missing: {gap}" for gap in signal.missing[:2]]
    return "\n".join(lines)


def why_text(diagnosis: Diagnosis) -> str:
    """Every signal with its readings, also those that did not fire, so that a person can disagree."""
    blocks = []
    for signal in diagnosis.signals:
        variant = f" ({signal.variant})" if signal.variant else ""
        lines = [f"{signal.letter}: {signal.state}{variant} - {signal.why}"]
        lines += [f"  {'*' if reading.fired else ' '} {reading_text(reading)}" for reading in signal.readings]
        lines += [f"    missing: {gap}" for gap in signal.missing]
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


class _Progress:
    """The newest progress of a drill, drawn at most once a second."""

    def __init__(self) -> None:
        self.newest: DrillProgress | None = None

    def see(self, progress: DrillProgress) -> None:
        self.newest = progress


def progress_text(progress: DrillProgress) -> str:
    """``gmail_push_webhook quick · 12 of 63 requests · 20/s · 1 error · p95 12 ms · 4 s left``."""
    where = f"{progress.scenario} {progress.stage}".strip() or "starting"
    parts = [f"{where} · {progress.done} of {progress.planned} requests · {progress.rate:.0f}/s"]
    if progress.open_streams:
        parts.append(f"{progress.in_flight} streams open")
    if progress.errors:
        parts.append(f"{progress.errors} error{'' if progress.errors == 1 else 's'}")
    if progress.p95_ms is not None:
        parts.append(f"p95 {duration(progress.p95_ms)}")
    left_s = progress.remaining_s
    parts.append(f"{left_s:.0f} s left" if left_s < 120 else f"{left_s / 60:.0f} min left")
    return " · ".join(parts)


@asynccontextmanager
async def follow(course: Course, every_s: float = 1.0, *, lead: str = "") -> AsyncIterator[_Progress]:
    """Draw a drill's progress on the course's running step while the block runs; ``lead`` says which one it is."""
    progress = _Progress()

    async def draw() -> None:
        shown: DrillProgress | None = None
        while True:
            await asyncio.sleep(every_s)
            if progress.newest is not None and progress.newest is not shown:
                shown = progress.newest
                await course.note(" · ".join(part for part in (lead, progress_text(shown)) if part))

    task = asyncio.create_task(draw())
    try:
        yield progress
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if progress.newest is not None:
            course.say(f"{progress.newest.done} requests")
