"""Which charts a dashboard has: p95, errors and streams of each endpoint against their limits, and the burn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from bot.dashboard.charts import Chart, Scale, Series, Wanted, draw
from bot.redact import inert
from bot.views import number
from slo.dashboard import Dashboard, Point, Trend
from slo.scenarios import CHAT

AT_LIMIT = 1.0
"""A threshold burn of 1 is a figure that stands at its own limit."""


def moment(ms: int) -> str:
    """``2026-11-23 07:47`` in UTC; an unknown moment is a dash."""
    return f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%d %H:%M}" if ms > 0 else "–"


def short(ms: int) -> str:
    """``11-23 07:47`` for below an axis."""
    return moment(ms)[5:]


def ms(value: float | None) -> str:
    return number(value, "ms") if value is not None else "–"


def share(value: float | None) -> str:
    """A rate in percent, small ones with two decimals."""
    if value is None:
        return "–"
    percent = value * 100
    if percent == 0 or percent >= 99.995:
        return f"{percent:.0f} %"
    return f"{percent:.2g} %" if percent < 1 else f"{percent:.1f}".removesuffix(".0") + " %"


def times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".") + "×"


def of_endpoint(trend: Trend) -> tuple[Chart, ...]:
    """The charts of one endpoint, without those that nothing was measured for."""
    slo, points = trend.slo, trend.points
    key = trend.scenario
    p95_limit = slo.max_p95_ms if slo else None
    broken = slo.max_five_xx_rate if slo else None
    lost = slo.max_network_error_rate if slo else None
    together = broken if broken == lost else None
    apart = (("limit of 5xx", broken), ("of network errors", lost)) if together is None else ()
    until = "p95 to the end of the stream" if trend.scenario == CHAT else "p95 latency"
    latency = [Series(until, tuple(p.p95_ms for p in points), p95_limit)]
    if any(p.first_token_p95_ms is not None for p in points):
        latency.append(Series("p95 first token", tuple(p.first_token_p95_ms for p in points)))
    errors = [
        Series("5xx", tuple(p.five_xx_rate for p in points), broken),
        Series("network errors", tuple(p.network_error_rate for p in points), lost),
    ]
    if any(p.refused_rate for p in points):
        errors.append(Series("refused (429)", tuple(p.refused_rate for p in points), drawn=False))
    wanted = [
        _chart(f"{key}-p95", "Latency, p95", points, tuple(latency), p95_limit, ms, scale="log"),
        _chart(
            f"{key}-errors",
            "Error rates",
            points,
            tuple(errors),
            together,
            share,
            limits=tuple((name, limit) for name, limit in apart if limit is not None),
        ),
    ]
    if any(p.stream_success_rate is not None for p in points):
        least = slo.min_two_xx_rate if slo else None
        series = (Series("streams that ended well", tuple(p.stream_success_rate for p in points), least),)
        wanted.append(
            _chart(
                f"{key}-streams",
                "Stream success",
                points,
                series,
                least,
                share,
                scale="share",
                at_least=True,
                limit_word="at least",
            )
        )
    return tuple(draw(item) for item in wanted if item.labels)


def of_burn(board: Dashboard) -> Chart | None:
    """The threshold burn of every drill, by endpoint: 1 is a figure at its limit (operator-commands section 5)."""
    runs: dict[str, Point] = {}
    for trend in board.trends:
        for point in trend.points:
            runs.setdefault(point.file, point)
    ordered = sorted(runs.values(), key=lambda p: (p.started_ms, p.file))
    series = []
    for trend in board.trends:
        by_file = {point.file: point.burn for point in trend.points}
        line = tuple(by_file.get(point.file) for point in ordered)
        if any(value is not None for value in line):
            series.append(Series(trend.scenario.partition("_")[0], line, AT_LIMIT))
    if not series:
        return None
    return draw(_chart("burn", "Threshold burn", tuple(ordered), tuple(series), AT_LIMIT, times))


def _chart(
    id: str,
    title: str,
    points: tuple[Point, ...],
    series: tuple[Series, ...],
    limit: float | None,
    say: Callable[[float | None], str],
    scale: Scale = "linear",
    at_least: bool = False,
    limit_word: str = "limit",
    limits: tuple[tuple[str, float], ...] = (),
) -> Wanted:
    return Wanted(
        id=id,
        title=title,
        series=series,
        labels=tuple(moment(p.started_ms) for p in points),
        ticks=tuple(short(p.started_ms) for p in points),
        notes=tuple(inert(p.profile, 24) + ("" if p.honest else " (original)") for p in points),
        limit=limit,
        say=say,
        scale=scale,
        at_least=at_least,
        limit_word=limit_word,
        limits=limits,
    )
