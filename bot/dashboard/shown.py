"""The dashboard on a card: a line for each endpoint, the newest drill first in words, and how runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Cell, Fact, Table, Tone
from bot.dashboard.charts import beyond
from bot.dashboard.files import shown
from bot.dashboard.made import HTML, JSON, MARKDOWN
from bot.dashboard.wanted import ms, share
from slo.dashboard import Mark, Trend
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.dashboard.made import Made
    from bot.run import Run

MOST_NAMED, MOST_BROKEN = 5, 3


def card(run: Run, made: Made) -> Card:
    """What became of the last runs, first in words: which limits the newest drill breaks, and how many runs passed."""
    runs = len(made.board.drills) + len(made.board.probes) + len(made.board.gates)
    out = left_out(made)
    return Card(
        title=f"Dashboard of {run.target.name}: {_verdict(made) if runs else 'no report yet'}"[:140],
        tone=_feel(made),
        context=run.context,
        lead=_now(made) if runs else "There is no report of this target yet.",
        facts=facts(made) if runs else (),
        table=table(made) if runs else None,
        sections=(out,) if out else (),
        next="" if runs else "`/sendcat drill --quick=true`",
        buttons=(Button(label="Draw again", line=run.op.line, name="dashboard.rerun"),),
        footer=" · ".join(part for part in (f"saved as `{JSON}`, `{MARKDOWN}`, `{HTML}`", made.left_out) if part),
        attachments=attachments(made),
        final=True,
    )


def _verdict(made: Made) -> str:
    """How the newest drill ended."""
    drills = made.board.drills
    if not drills:
        return "no drill yet"
    return f"the newest drill is {drills[-1].verdict.value}"


def _feel(made: Made) -> Tone:
    tones = {Verdict.PASS: Tone.OK, Verdict.FAIL: Tone.BAD, Verdict.INCOMPLETE: Tone.UNKNOWN}
    return tones[made.board.drills[-1].verdict] if made.board.drills else Tone.PLAIN


def _now(made: Made) -> str:
    """What of the newest drill is over its limit: ``/api/chat p95 14.3 s of 12.0 s``."""
    broken = []
    for trend in made.board.trends:
        point = trend.points[-1] if trend.points else None
        slo = trend.slo
        if point is None or slo is None:
            continue
        if beyond(point.p95_ms, slo.max_p95_ms, at_least=False):
            broken.append(f"{trend.endpoint} p95 {ms(point.p95_ms)} of {ms(slo.max_p95_ms)}")
        if beyond(point.five_xx_rate, slo.max_five_xx_rate, at_least=False):
            broken.append(f"{trend.endpoint} 5xx {share(point.five_xx_rate)} of {share(slo.max_five_xx_rate)}")
        if beyond(point.network_error_rate, slo.max_network_error_rate, at_least=False):
            worst = f"{share(point.network_error_rate)} of {share(slo.max_network_error_rate)}"
            broken.append(f"{trend.endpoint} network errors {worst}")
        if beyond(point.stream_success_rate, slo.min_two_xx_rate, at_least=True):
            least = f"{share(point.stream_success_rate)}, at least {share(slo.min_two_xx_rate)}"
            broken.append(f"{trend.endpoint} streams {least}")
    if not made.board.drills:
        return ""
    return (
        f"Over its limit now: {'; '.join(broken[:4])}."
        if broken
        else "Nothing that was drilled last is over its limit."
    )


def table(made: Made) -> Table:
    """Endpoint, newest p95 with its limit, the worst one, errors, streams, runs."""
    return Table(
        columns=("Endpoint", "p95 now", "worst", "Errors", "Streams", "Runs"),
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
        Cell(text=f"{ms(now)} of {ms(limit)}" if now is not None else "–", tone=_tone(now, limit)),
        Cell(text=ms(max(p95s)) if p95s else "–", tone=_tone(max(p95s, default=None), limit)),
        errors(trend),
        Cell(
            text=share(min(streams)) if streams else "–",
            tone=_tone(min(streams, default=None), slo.min_two_xx_rate if slo else None, at_least=True),
        ),
        Cell(text=str(len(points))),
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
