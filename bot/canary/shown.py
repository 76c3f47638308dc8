"""The canary's card: control, candidate and difference of what matters most; every delta stands in the thread.

(ux.md, sketch 2: "the canary card is the same, with control / candidate / difference columns".)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Cell, Table, Tone
from bot.redact import inert
from bot.views import duration, number, red_owners, verdict_tone
from slo.canary import Delta
from slo.canary_power import SEEN_SHARE, SEEN_SURELY
from slo.compare import CanaryStatistics, Interval
from slo.drill import SCENARIO_RAN
from slo.promotion import NEAR
from slo.scenarios import CHAT, GMAIL, WHATSAPP
from slo.verdict import Check, Verdict

if TYPE_CHECKING:
    from bot.canary.comparing import Gathered
    from bot.canary.flags import CanaryArgs, Pair
    from bot.canary.made import Made
    from bot.run import Run

ROWS = 10
MOST_TOLD = 3
"""Figures that are told in words above the table."""
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
        to_read=tuple(inert(text, 160) for text in made.warnings[:10]),
        sections=lines,
        code="\n".join(found.by_hand),
        next=_then(found, verdict, made),
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
    """Why: the figures that decide, or what is missing; and the original's word where it differs."""
    verdict = made.judged.verdict
    if found.stopped and found.halted is not None:
        done = f"{len(found.rounds)} of {len(found.planned)} rounds ran"
        return f"{inert(found.halted.detail, 200)}; {done}, and nothing is decided by them."
    said = []
    if verdict is Verdict.FAIL:
        said.append(_red(found, made))
    elif verdict is Verdict.INCOMPLETE:
        said += [
            f"{SHORT.get(name, name)} did not run on both sides{_why_not(name, made)}." for name in made.gaps.waivable
        ]
    elif made.deltas:
        said.append(_holds(made.deltas))
    if made.judged.original_rule is not (verdict is Verdict.PASS):
        word = "passes" if made.judged.original_rule else "fails"
        said.append(f"The original rule {word} this canary; ours decides.")
    return " ".join(part for part in said if part)


def _why_not(scenario: str, made: Made) -> str:
    """What the drills say of a scenario that they left out."""
    drills = [seen.drill for seen in made.seen.values() if seen.drill is not None and seen.drill.honest is not None]
    ours = [drill.honest.scenario(scenario) for drill in drills if drill.honest is not None]
    why = next((inert(item.reason, 140) for item in ours if item is not None and item.reason), "")
    return f": {why.removesuffix('.')}" if why else ""


def _red(found: Gathered, made: Made) -> str:
    """``chat p95 12.8 s, limit 4723 ms; gmail 5xx 3.2 % (+3.2 points, limit +2 points); 4 more.``"""
    repeats = _repeats(made.deltas)
    red = [delta for delta in made.deltas if delta.verdict is Verdict.FAIL and not repeats(delta)]
    told = [_told(delta) for delta in red[:MOST_TOLD]]
    if len(red) > len(told):
        told.append(f"{len(red) - len(told)} more")
    if not told:
        own = [check for check in made.judged.failed if check.name in ("candidate_probe", "candidate_drill")]
        told = [_side(check) for check in own]
    if found.halted is not None:
        told.insert(0, inert(found.halted.detail, 200))
    return f"{'; '.join(told)}." if told else ""


def _told(delta: Delta) -> str:
    value = f"{label(delta)} {number(delta.candidate, delta.unit)}"
    if delta.unit == "ms":
        return f"{value}, limit {number(delta.limit, 'ms')}"
    return f"{value} ({change(delta)}, limit {limit(delta)})"


def _holds(deltas: Sequence[Delta]) -> str:
    """How many comparisons hold, and which one has the least room left."""
    timed = [delta for delta in deltas if delta.unit == "ms" and delta.limit and delta.candidate is not None]
    held = f"All {len(deltas)} comparisons hold"
    if not timed:
        return f"{held}."
    least = max(timed, key=lambda delta: (delta.candidate or 0) / (delta.limit or 1))
    return f"{held}; least room: {label(least)} {number(least.candidate, 'ms')} of {number(least.limit, 'ms')}."


def _side(check: Check) -> str:
    """A probe or drill of one side in words: ``candidate probe: chat_requires_auth of /api/chat``."""
    return f"{check.name.replace('_', ' ')}: {inert(check.reason, 140).replace('_', ' ')}"


def _lines(args: CanaryArgs, pair: Pair, found: Gathered, made: Made) -> Iterator[str]:
    verdict = made.judged.verdict
    about = f"*control* {pair.control.name}, *candidate* {pair.candidate.name}"
    if args.name:
        about = f"*release* {inert(args.name, 80)}" + (f" (`{args.commit}`)" if args.commit else "") + f" · {about}"
    yield f"{about} · *{args.profile}*, {len(found.rounds)} of {len(found.planned)} rounds in turns"
    if found.not_done and not found.stopped:
        yield f"*Not done:* {inert('; '.join(dict.fromkeys(found.not_done)), 600)}"
    own = [_side(check) for check in made.judged.checks if _untold(check, made)]
    if own:
        yield f"*By themselves:* {'; '.join(own)}"
    owners = red_owners(made.judged)
    if owners and verdict is Verdict.FAIL:
        yield f"*Owners:* {'; '.join(owner.partition(' (')[0] for owner in owners[:4])}"
    short = brief(made.honest.statistics)
    if short:
        yield f"*As evidence:* {short}"
    power = made.honest.power
    if power is not None and verdict is Verdict.PASS and power < SEEN_SURELY:
        share = f"{SEEN_SHARE * 100:g} %"
        yield f"*Few chats:* {share} broken ones would be noticed in {power * 100:.0f} % of such canaries"


def _untold(check: Check, made: Made) -> bool:
    """Whether a side's own probe or drill says what no line of the comparison says."""
    if check.verdict is Verdict.PASS or check.value is None or not check.name.endswith(("_probe", "_drill")):
        return False
    if SCENARIO_RAN in check.reason and made.gaps.waivable:
        return False
    return check.name != "candidate_drill" or not any(delta.verdict is Verdict.FAIL for delta in made.deltas)


def _then(found: Gathered, verdict: Verdict, made: Made) -> str:
    if found.stopped:
        return "run it again; a stopped run is never gone on with (R18)"
    if verdict is Verdict.FAIL:
        return "inspect the deltas in the thread, tune, and run it again"
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

    repeats = _repeats(deltas)
    ordered = sorted(deltas, key=weight)
    chosen = [delta for delta in ordered if weight(delta) < 4 and not repeats(delta)][:ROWS]
    left = len(deltas) - len(chosen)
    return Table(
        columns=("Check", "Control", "Candidate", "Difference", "Limit"),
        rows=tuple(_cells(delta) for delta in chosen),
        caption=f"{left} more in the thread" if left else "",
    )


def _repeats(deltas: Sequence[Delta]) -> Callable[[Delta], bool]:
    """Whether a delta only says once more what its scenario's 5xx, which are no 2xx and often not allowed, say."""
    risen = {delta.scenario: delta.difference for delta in deltas if delta.metric == "5xx" and delta.difference}

    def repeats(delta: Delta) -> bool:
        rise = risen.get(delta.scenario)
        if rise is None or delta.difference is None or delta.metric not in ("unknown", "2xx"):
            return False
        return abs(abs(delta.difference) - rise) < 0.001

    return repeats


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
    """The p95's ratio with its interval, and what is no chance: ``p95 gmail × 1.02 (0.97 to 1.08)``."""
    if statistics is None:
        return ""
    ratios, sure = [], []
    for item in statistics.scenarios:
        name = SHORT[item.scenario]
        if item.p95_ratio is not None:
            ratios.append(f"{name} × {_range(item.p95_ratio, '{:.2f}')}")
        worse = [rate.metric for rate in item.rates if rate.sure and rate.difference.value > 0]
        # What is 5xx is not 2xx either.
        sure += [f"{name} {metric}" for metric in worse[:2] if metric != "not 2xx" or "5xx" not in worse]
    said = [f"p95 {', '.join(ratios)}"] if ratios else []
    said += [f"more, and not by chance: {', '.join(sure)}"] if sure else []
    return "; ".join(said)


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
