"""The dashboard as one HTML file: inline drawings, no scripts, nothing fetched, light and dark.

Every text goes through the template's own escaping, and what we did not write ourselves through `inert` before that
(safety.md, R34).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, StrictUndefined

from bot.dashboard.charts import Chart
from bot.dashboard.files import shown
from bot.dashboard.wanted import moment, of_burn, of_endpoint, share
from slo.dashboard import Dashboard, Mark, Trend
from slo.policy import GatePolicy
from slo.verdict import Verdict

SIGN = {Verdict.PASS: "✓", Verdict.FAIL: "✕", Verdict.INCOMPLETE: "?"}
MOST_NAMED = 50


@dataclass(frozen=True)
class Strip:
    """The runs of one command in a row: passed, failed, undecided."""

    id: str
    title: str
    marks: tuple[tuple[str, str, str, str], ...]
    """Verdict, sign, moment, file."""
    rate: str
    said: str


@dataclass(frozen=True)
class Section:
    endpoint: str
    scenario: str
    runs: int
    charts: tuple[Chart, ...]


def strip(id: str, title: str, marks: tuple[Mark, ...], board: Dashboard) -> Strip:
    """A row of verdicts, oldest first."""
    passed = sum(mark.verdict is Verdict.PASS for mark in marks)
    said = f"{passed} of {len(marks)} passed" if marks else "none in the folder"
    drawn = tuple((mark.verdict.value, SIGN[mark.verdict], moment(mark.started_ms), shown(mark.file)) for mark in marks)
    return Strip(id, title, drawn, share(board.pass_rate(marks)), said)


def page(board: Dashboard, policy: GatePolicy, *, target: str, environment: str, generated_ms: int, others: int) -> str:
    """The whole page. ``others`` is how many reports of other targets were left out."""
    environment_of = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment_of.from_string((resources.files("bot.dashboard") / "page.html.j2").read_text("utf-8"))
    return template.render(
        target=target,
        environment=environment,
        generated=moment(generated_ms),
        strips=(
            strip("gates", "Release gates", board.gates, board),
            strip("drills", "Load drills", board.drills, board),
            strip("probes", "Synthetic probes", board.probes, board),
        ),
        sections=tuple(_section(trend) for trend in board.trends),
        burn=of_burn(board),
        short=f"{policy.burn_rate.short_window_max_burn_rate:g}×",
        long=f"{policy.burn_rate.long_window_max_burn_rate:g}×",
        unreadable=tuple(shown(name) for name in board.unreadable[:MOST_NAMED]),
        unnamed=max(0, len(board.unreadable) - MOST_NAMED),
        others=others,
    )


def _section(trend: Trend) -> Section:
    return Section(trend.endpoint, trend.scenario, len(trend.points), of_endpoint(trend))
