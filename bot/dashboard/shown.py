"""The dashboard on a card: a line for each endpoint, the newest drill first in words, and how runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.card import Attachment, Cell, Fact, Table, Tone
from bot.dashboard.charts import beyond
from bot.dashboard.files import shown
from bot.dashboard.made import HTML
from bot.dashboard.wanted import ms, share
from slo.dashboard import Mark, Trend
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.dashboard.made import Made

MOST_NAMED = 5


def table(made: Made) -> Table:
    """Endpoint, runs, newest p95 with its limit, the worst one, errors, streams."""
    return Table(
        columns=("Endpoint", "Runs", "p95 now", "worst", "Errors", "Streams"),
        rows=tuple(_row(trend) for trend in made.board.trends),
        caption="p95 now: the newest drill. The rest: the worst of all drills shown.",
    )


def _row(trend: Trend) -> tuple[Cell, ...]:
    points, slo = trend.points, trend.slo
    p95s = [p.p95_ms for p in points if p.p95_ms is not None]
    streams = [p.stream_success_rate for p in points if p.stream_success_rate is not None]
    limit = slo.max_p95_ms if slo else None
    now = points[-1].p95_ms if points else None
    return (
        Cell(text=trend.endpoint),
        Cell(text=str(len(points))),
        Cell(text=f"{ms(now)} of {ms(limit)}" if now is not None else "–", tone=_tone(now, limit)),
        Cell(text=ms(max(p95s)) if p95s else "–", tone=_tone(max(p95s, default=None), limit)),
        errors(trend),
        Cell(
            text=share(min(streams)) if streams else "–",
            tone=_tone(min(streams, default=None), slo.min_two_xx_rate if slo else None, at_least=True),
        ),
    )


def errors(trend: Trend) -> Cell:
    """The worst errors of all runs; 5xx and network errors have each their own limit, and what breaks it is named."""
    slo, points = trend.slo, trend.points
    kinds = (
        ("5xx", [p.five_xx_rate for p in points], slo.max_five_xx_rate if slo else None),
        ("network", [p.network_error_rate for p in points], slo.max_network_error_rate if slo else None),
    )
    broken = []
    for name, rates, limit in kinds:
        worst = max((rate for rate in rates if rate is not None), default=None)
        if beyond(worst, limit, at_least=False):
            broken.append(f"{name} {share(worst)} of {share(limit)}")
    known = [p.error_rate for p in points if p.error_rate is not None]
    if broken:
        return Cell(text=", ".join(broken), tone=Tone.BAD)
    return Cell(text=share(max(known)) if known else "–", tone=Tone.OK if known and slo else Tone.PLAIN)


def _tone(value: float | None, limit: float | None, *, at_least: bool = False) -> Tone:
    if value is None or limit is None:
        return Tone.PLAIN
    return Tone.BAD if beyond(value, limit, at_least) else Tone.OK


def facts(made: Made) -> tuple[Fact, ...]:
    """Gates, drills and probes that passed, the newest last."""
    board = made.board
    named = (("Release gates", board.gates), ("Load drills", board.drills), ("Probes", board.probes))
    return tuple(Fact(label=label, value=_marks(marks)) for label, marks in named)


def _marks(marks: Sequence[Mark]) -> str:
    if not marks:
        return "none yet"
    sign = {Verdict.PASS: "✓", Verdict.FAIL: "✕", Verdict.INCOMPLETE: "?"}
    passed = sum(mark.verdict is Verdict.PASS for mark in marks)
    return f"{passed} of {len(marks)} passed {''.join(sign[mark.verdict] for mark in marks[-20:])}"


def left_out(made: Made) -> str:
    """Damaged files by name, and how many belong to other targets; empty when nothing was left out."""
    names, parts = made.board.unreadable, []
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        named = ", ".join(f"`{shown(name)}`" for name in names[:MOST_NAMED])
        parts.append(f"*Damaged, left out:* {named}{more}")
    if made.others:
        parts.append(f"{made.others} of other targets left out")
    return " · ".join(parts)


def attachments(made: Made) -> tuple[Attachment, ...]:
    """The picture, when there is one, and the page."""
    picture = (Attachment(title="Trends against their limits", file=made.picture),) if made.picture else ()
    return (*picture, Attachment(title="Dashboard, to open in a browser", file=HTML))
