"""The canary's card: control, candidate and difference of what matters most; every delta stands in the thread.

(ux.md, sketch 2: "the canary card is the same, with control / candidate / difference columns".)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Cell, Table, Tone
from bot.redact import inert
from bot.views import duration, number, red_owners, verdict_tone
from slo.canary import SEEN_SHARE, Delta
from slo.compare import CanaryStatistics, Interval
from slo.promotion import NEAR
from slo.scenarios import CHAT, GMAIL, WHATSAPP
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.canary.comparing import Gathered
    from bot.canary.flags import CanaryArgs, Pair
    from bot.canary.made import Made
    from bot.run import Run

ROWS = 10
SHORT = {GMAIL: "gmail", WHATSAPP: "whatsapp", CHAT: "chat"}
_ALWAYS = frozenset({"p95", "5xx", "streams done"})
"""Shown on every card, also when all is well."""


def card(run: Run, args: CanaryArgs, pair: Pair, found: Gathered, made: Made) -> Card:
    """The card of the run, without a decision."""
    verdict = made.judged.verdict
    lines = tuple(_lines(args, pair, found, made))
    stopped = "STOPPED, " if found.stopped else ""
    reports = [("Canary report", made.kept.name)]
    deltas = delta_lines(made.deltas)
    statistics = statistic_lines(made.honest.statistics)
    footer = (
        f"took {duration(run.elapsed_s * 1000)}",
        f"`{made.kept.name}`",
        f"sha256 {made.kept.sha256[:8]}",
        f"left out: {made.left_out}" if made.left_out else "",
    )
    return Card(
        title=f"{stopped}{verdict}: canary of {pair.candidate.name} beside {pair.control.name}"[:140],
        tone=verdict_tone(verdict),
        context=run.context,
        lead=_lead(found, made),
        table=table(made.deltas) if made.deltas else None,
        sections=lines,
        code="\n".join(found.by_hand),
        next=_then(verdict, made),
        buttons=_buttons(run, verdict),
        footer=" · ".join(part for part in footer if part),
        attachments=(
            *((Attachment(title="Every delta", text="\n".join(deltas)),) if deltas else ()),
            *((Attachment(title="Statistics, as evidence", text="\n".join(statistics)),) if statistics else ()),
            *((Attachment(title="Control against candidate", file=made.picture),) if made.picture else ()),
            *(Attachment(title=title, file=file) for title, file in reports),
        ),
        final=True,
    )


def _lead(found: Gathered, made: Made) -> str:
    verdict = made.judged.verdict
    said = []
    if found.halted is not None:
        said.append(inert(found.halted.detail, 200))
    elif made.judged.reason:
        said.append(inert(made.judged.reason, 200))
    if made.judged.original_rule is not (verdict is Verdict.PASS):
        word = "passes" if made.judged.original_rule else "fails"
        said.append(f"The original rule {word} this canary; ours decides.")
    return " · ".join(said)


def _lines(args: CanaryArgs, pair: Pair, found: Gathered, made: Made) -> Iterator[str]:
    about = f"*Control* {pair.control.name} · *candidate* {pair.candidate.name}"
    if args.name:
        about += f" · *release* {inert(args.name, 80)}" + (f" (`{args.commit}`)" if args.commit else "")
    yield f"{about} · *{args.profile}*, {len(found.rounds)} of {len(found.planned)} rounds in turns"
    if made.warnings:
        yield "⚠️ *To read:* " + "; ".join(inert(text, 160) for text in made.warnings[:5])
    lacking = [*found.not_done, *([made.gaps.blocked] if made.gaps.blocked else [])]
    if lacking:
        yield f"*Not known:* {inert('; '.join(dict.fromkeys(lacking)), 600)}"
    sides = [check for check in made.judged.checks if check.name.endswith(("_probe", "_drill"))]
    red = [check for check in sides if check.verdict is not Verdict.PASS and check.value is not None]
    if red:
        told = (f"{check.name.replace('_', ' ')}: {inert(check.reason, 140)}" for check in red)
        yield "*By themselves:* " + "; ".join(told)
    owners = red_owners(made.judged)
    if owners:
        yield f"*Owners of what is red:* {'; '.join(owners[:4])}"
    short = brief(made.honest.statistics)
    if short:
        yield f"*As evidence:* {short}"
    power = made.honest.power
    if power is not None:
        yield f"*Sees:* {SEEN_SHARE:.0%} broken chats would be seen in {power:.0%} of such canaries"


def _then(verdict: Verdict, made: Made) -> str:
    if verdict is Verdict.FAIL:
        return "hold or roll back the candidate's traffic, inspect the deltas in the thread, tune, then run it again"
    if verdict is Verdict.INCOMPLETE and not made.gaps.waivable:
        return "mend what is not known, then run it again"
    return ""


def _buttons(run: Run, verdict: Verdict) -> tuple[Button, ...]:
    again = Button(label="Run again", line=run.op.line, name="canary.rerun")
    page = Button(label="Canary page", line="playbook canary", name="playbook.open")
    return (again,) if verdict is Verdict.PASS else (page, again)


def table(deltas: Sequence[Delta]) -> Table:
    """What is red, then not measured, then near its limit, then what is always shown."""

    def weight(delta: Delta) -> int:
        if delta.verdict is not Verdict.PASS:
            return 0 if delta.verdict is Verdict.FAIL else 1
        return 2 if is_near(delta) else 3 if delta.metric in _ALWAYS else 4

    chosen = sorted((delta for delta in deltas if weight(delta) < 4), key=weight)[:ROWS]
    left = len(deltas) - len(chosen)
    return Table(
        columns=("Check", "Control", "Candidate", "Difference", "Limit"),
        rows=tuple(_cells(delta) for delta in chosen),
        caption=f"{left} more in the thread" if left else "",
    )


def is_near(delta: Delta) -> bool:
    """Whether a passing difference used up most of what it may (within 20% of the limit)."""
    if delta.verdict is not Verdict.PASS or delta.difference is None or delta.limit is None:
        return False
    if delta.unit == "ms":
        room = delta.limit - (delta.control or 0)
        return room > 0 and delta.difference >= NEAR * room
    return delta.limit > 0 and _worse(delta) >= NEAR * delta.limit


def _worse(delta: Delta) -> float:
    """The change for the worse, as it is limited: a drop of what is good, a rise of what is bad."""
    change = delta.difference or 0.0
    return -change if delta.metric in ("2xx", "streams done") else change


def _cells(delta: Delta) -> tuple[Cell, ...]:
    tone = Tone.WARN if is_near(delta) else verdict_tone(delta.verdict)
    return (
        Cell(text=label(delta)),
        Cell(text=number(delta.control, delta.unit)),
        Cell(text=number(delta.candidate, delta.unit), tone=tone),
        Cell(text=change(delta)),
        Cell(text=limit(delta)),
    )


def label(delta: Delta) -> str:
    """``chat p95``, ``gmail 5xx``: short enough for a phone."""
    return f"{SHORT[delta.scenario]} {delta.metric}"


def change(delta: Delta) -> str:
    """``+120 ms``, ``−1.2 points``, ``same``; a dash where one side is unknown."""
    value = delta.difference
    if value is None:
        return "–"
    shown = number(abs(value), "ms") if delta.unit == "ms" else f"{abs(value) * 100:.1f} points"
    if not value or shown in ("0 ms", "0.0 points"):
        return "same"
    return f"{'+' if value > 0 else '−'}{shown}"


def limit(delta: Delta) -> str:
    """What the candidate may be (p95), or how much worse it may be (rates)."""
    if delta.limit is None:
        return "–"
    if delta.unit == "ms":
        return f"<= {number(delta.limit, 'ms')}"
    sign = "−" if delta.metric in ("2xx", "streams done") else "+"
    return f"{sign}{delta.limit * 100:g} points"


def delta_lines(deltas: Sequence[Delta]) -> tuple[str, ...]:
    """Every delta, for the thread: verdict, both sides, difference, limit, owner, reason."""
    found, scenario = [], ""
    for delta in deltas:
        if delta.scenario != scenario:
            scenario = delta.scenario
            found.append(scenario)
        owner = f" · {delta.owner.owner}" if delta.owner is not None and delta.verdict is not Verdict.PASS else ""
        why = f" · {inert(delta.reason, 160)}" if delta.reason else ""
        found.append(
            f"  {delta.verdict}  {delta.metric}: control {number(delta.control, delta.unit)}, candidate "
            f"{number(delta.candidate, delta.unit)}, {change(delta)} (limit {limit(delta)}){why}{owner}"
        )
    return tuple(found)


def brief(statistics: CanaryStatistics | None) -> str:
    """One clause for each scenario: the ratio of the p95 and the shift, with their 95% intervals."""
    if statistics is None:
        return ""
    parts = []
    for item in statistics.scenarios:
        said = []
        if item.p95_ratio is not None:
            said.append(f"p95 × {_range(item.p95_ratio, '{:.2f}')}")
        if item.latency is not None:
            said.append(f"shift {_range(item.latency.shift_ms, '{:+.1f}')} ms")
        sure = [rate for rate in item.rates if rate.sure and rate.difference.value > 0]
        said += [f"more {rate.metric} for sure" for rate in sure[:2]]
        if said:
            parts.append(f"{SHORT[item.scenario]} {', '.join(said)}")
    return "; ".join(parts)


def _range(interval: Interval, form: str) -> str:
    return f"{form.format(interval.value)} ({form.format(interval.low)} to {form.format(interval.high)})"


def statistic_lines(statistics: CanaryStatistics | None) -> tuple[str, ...]:
    """All of it for the thread, with the counts behind each rate."""
    if statistics is None:
        return ()
    found = [f"two-sided {statistics.confidence:.0%} intervals; they inform and do not decide"]
    for item in statistics.scenarios:
        found.append(item.scenario)
        for rate in item.rates:
            span = rate.difference
            found.append(
                f"  {rate.metric}: control {rate.control_bad} of {rate.control_n}, candidate {rate.candidate_bad} of "
                f"{rate.candidate_n}: {span.value * 100:+.2f} points ({span.low * 100:+.2f} to {span.high * 100:+.2f})"
                + (" - not by chance" if rate.sure else "")
            )
        if item.latency is not None:
            shift = _range(item.latency.shift_ms, "{:+.1f}")
            found.append(f"  latency: shift {shift} ms, Mann-Whitney p = {item.latency.p_value:.3g}")
        if item.p95_ratio is not None:
            found.append(f"  p95 ratio: {_range(item.p95_ratio, '{:.3f}')}, bootstrap")
    if statistics.left_out:
        found.append(f"left out: {statistics.left_out}")
    return tuple(found)
