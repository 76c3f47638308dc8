"""One look for a page: snapshots, the signal, and every read that its steps name - each once, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.errors import SendcatError
from bot.redact import inert
from playbooks.facts import CachedAnswer, Facts
from playbooks.findings import Finding, circuits, of_answer, of_span
from playbooks.functions import PROVIDERS
from playbooks.page import Page, Step, StepKind
from playbooks.signals import Signal, judge_signals
from playbooks.spans import CheckRef, ConvexLine, FunctionRef, KnobRef, PathRef, Span, Term
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.run import Run
    from bot.walk.milestone import Gate

EARLIER_MS = (5_000, 15 * 60_000)
"""An earlier look counts as the first of two when its age is between these (Runbook, playbook C, action 1)."""
FLAPPING_LOOKS = 12
"""Looks of the last 15 min from which flapping is told (Runbook, playbook B, action 4)."""


@dataclass
class Look:
    """What is known about the deployment now, and what each step of the page found.

    ``answers`` holds Convex reads, masked and inert, by function and arguments.
    """

    run: Run
    page: Page
    facts: Facts
    signals: tuple[Signal, ...]
    artifact: str
    gate: Gate | None = None
    """Playbook H: the milestone that is next."""
    answers: dict[str, Any] = field(default_factory=dict)
    found: dict[int, tuple[Finding, ...]] = field(default_factory=dict)

    @property
    def now(self) -> Snapshot:
        assert self.facts.now is not None
        return self.facts.now

    def signal(self, letter: str | None = None) -> Signal:
        """The signal of the page's own letter, or of another."""
        wanted = letter or self.page.letter or ""
        unjudged = Signal(wanted, "not judged", "no rule judges this page yet: its steps say what was read")
        return next((signal for signal in self.signals if signal.letter == wanted), unjudged)

    async def read(self, function: str, args: Mapping[str, object]) -> Any:
        """A Convex read of this look, asked once; raises `Unreachable`."""
        from bot.sendcat.mask import Mask

        key = f"{function} {sorted(args.items())}"
        if key not in self.answers:
            raw = await self.run.convex.query(function, args)
            self.answers[key] = harmless(Mask(self.run.world.masker).result(function, raw))
        return self.answers[key]


async def look(run: Run, page: Page, earlier: tuple[Snapshot, ...] = ()) -> Look:
    """Take a look for a page. Raises `Unreachable` when there is no snapshot; any other gap is a finding."""
    from bot import measure

    before = earlier or await _before(run, page)
    looked = await measure.snapshot(run, minutes=_minutes(page))
    probe, drill = await measure.fresh_reports(run)
    facts = await measure.facts(run, (*before, looked.snapshot), probe, drill)
    if page.letter == "G":
        facts = await _with_demand(run, facts)
    gate = None
    if page.letter == "H":
        from bot.walk.milestone import gate_of

        gate = await gate_of(run)
        facts = replace(facts, milestone=gate.wish)
    made = Look(
        run=run,
        page=page,
        facts=facts,
        signals=judge_signals(facts, run.world.book),
        artifact=looked.artifact,
        gate=gate,
    )
    found = await asyncio.gather(*(_step(made, step) for step in page.steps))
    made.found = {step.number: lines for step, lines in zip(page.steps, found, strict=True)}
    if made.facts.cached is not None:
        made.signals = judge_signals(made.facts, run.world.book)
    return made


def cached(made: Look, answers: tuple[CachedAnswer, ...]) -> None:
    """What a comparison of answers gave; the signal of E is judged with it."""
    made.facts = replace(made.facts, cached=answers)


def _minutes(page: Page) -> int | None:
    """G's triggers look back as far as the region policy says; every other page as far as the server does."""
    if page.letter != "G":
        return None
    from slo.policy import RegionPolicy, load

    return load(RegionPolicy).ops_snapshot.window_minutes


async def _before(run: Run, page: Page) -> tuple[Snapshot, ...]:
    """Earlier looks of this target: the last one, and for a circuit, whose course is what counts, some before it."""
    from bot import measure

    wanted = FLAPPING_LOOKS if page.letter == "B" else 1
    now_ms = run.world.clock.now_ms()
    found = await measure.recent_snapshots(run, wanted, since_ms=now_ms - EARLIER_MS[1])
    return tuple(look for look in found if now_ms - look.generated_at >= EARLIER_MS[0])


async def _with_demand(run: Run, facts: Facts) -> Facts:
    """G is judged with the forecast of the newest readiness report and the latest drills, as far as there are any."""
    from bot.region import sources
    from slo.policy import RegionPolicy, load

    reports = await sources.drills(run, load(RegionPolicy).load_pressure.lookback_reports)
    drills = tuple(item.report for item in reports.ours)
    return replace(facts, drills=drills or None, expected_peak_streams=await sources.last_forecast(run))


async def _step(made: Look, step: Step) -> tuple[Finding, ...]:
    """Everything that the live pieces of one step say now, each line once."""
    spans = [s for s in step.spans if step.kind is not StepKind.CHANGE or not isinstance(s, KnobRef)]  # see `proposals`
    spans.sort(key=lambda span: not isinstance(span, CheckRef))  # a check judges: its answer comes first
    named = tuple(dict.fromkeys(s.text for s in spans if isinstance(s, Term) and s.text in PROVIDERS))
    parts = await asyncio.gather(*(_span(made, s) for s in spans if not (isinstance(s, Term) and s.text in PROVIDERS)))
    return tuple(dict.fromkeys(line for part in (*parts, circuits(named, made.now)) for line in part))


async def _span(made: Look, span: Span) -> tuple[Finding, ...]:
    from bot.walk import artifacts
    from bot.walk.checks import CHECKS

    try:
        match span:
            case ConvexLine() if span.function.reads:
                return of_answer(
                    span.function.name, span.args, await made.read(span.function.name, span.args), made.now
                )
            case FunctionRef() if span.function.reads and not any(arg.required for arg in span.function.args):
                return of_answer(span.function.name, {}, await made.read(span.function.name, {}), made.now)
            case CheckRef():
                return await CHECKS[span.name](made)
            case PathRef() if "*" in span.text or "<" in span.text:
                return await artifacts.newest(made, span.text)
    except SendcatError as error:
        return (Finding(f"{span.text.partition(' ')[0]}: not known. {inert(error.what, 160)}", "unknown"),)
    return of_span(span, made.now)


def harmless(value: Any) -> Any:
    """Every text of an answer made inert, keys too (safety.md, R34)."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, dict):
        return {inert(key, 120): harmless(item) for key, item in value.items()}
    if isinstance(value, list):
        return [harmless(item) for item in value]
    return value
