"""The dashboard as a picture for a channel; runs in the child of `bot.pictures`, where matplotlib may be loaded."""

from __future__ import annotations

import io
from typing import Any

from bot.dashboard.charts import beyond, ticks
from bot.dashboard.wanted import short
from slo.dashboard import Dashboard, Trend
from slo.scenarios import CHAT

INK, SOFT, LINE, SECOND, BAD = "#1a1f26", "#56606c", "#1f5fbf", "#a0522d", "#b42318"


def data_of(board: Dashboard, target: str) -> dict[str, Any] | None:
    """What the child needs; None when there is no drill to draw."""
    rows = [_row(trend) for trend in board.trends if trend.points]
    return {"kind": "trends", "title": f"Sendcat reliability: {target}", "rows": rows} if rows else None


def _row(trend: Trend) -> dict[str, Any]:
    slo, points = trend.slo, trend.points
    panels: list[dict[str, Any]] = [
        {
            "title": "p95 to the end, ms" if trend.scenario == CHAT else "p95, ms",
            "values": [p.p95_ms for p in points],
            "limit": slo.max_p95_ms if slo else None,
            "log": True,
        },
        {
            "title": "5xx (line) and network errors (dotted), %",
            "values": [_percent(p.five_xx_rate) for p in points],
            "limit": _percent(slo.max_five_xx_rate) if slo else None,
            "dotted": {
                "values": [_percent(p.network_error_rate) for p in points],
                "limit": _percent(slo.max_network_error_rate) if slo else None,
            },
        },
    ]
    if any(p.stream_success_rate is not None for p in points):
        least = {"limit": _percent(slo.min_two_xx_rate) if slo else None, "at_least": True}
        values = [_percent(p.stream_success_rate) for p in points]
        panels.append({"title": "streams that ended well, %", "values": values, **least})
    else:
        panels.append({"title": "threshold burn, ×", "values": [p.burn for p in points], "limit": 1.0})
    return {"endpoint": trend.endpoint, "ticks": [short(p.started_ms) for p in points], "panels": panels}


def _percent(rate: float | None) -> float | None:
    return None if rate is None else rate * 100


def draw(data: dict[str, Any]) -> bytes:
    """The PNG: an endpoint in each row; latency, errors, and streams or burn beside each other."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = data["rows"]
    figure, axes = pyplot.subplots(len(rows), 3, figsize=(12.6, 2.55 * len(rows) + 0.5), squeeze=False)
    for across, row in zip(axes, rows, strict=True):
        for axis, panel in zip(across, row["panels"], strict=True):
            _panel(axis, panel, row["ticks"])
        across[0].set_ylabel(row["endpoint"], fontsize=10, fontweight="bold", color=INK)
    figure.suptitle(data["title"], fontsize=13, fontweight="bold", color=INK, x=0.01, ha="left")
    figure.tight_layout(rect=(0, 0, 1, 0.99))
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


def _panel(axis: Any, panel: dict[str, Any], labels: list[str]) -> None:
    dotted = panel.get("dotted") or {"values": [], "limit": None}
    values, limit = (
        [*panel["values"], *dotted["values"]],
        max((each for each in (panel["limit"], dotted["limit"]) if each is not None), default=None),
    )
    at_least = bool(panel.get("at_least"))
    _line(axis, panel["values"], panel["limit"], LINE, at_least=at_least)
    if dotted["values"]:
        _line(axis, dotted["values"], dotted["limit"], SECOND, dotted=True)
    limits = dict.fromkeys(each for each in (panel["limit"], dotted["limit"]) if each is not None)
    for each in limits:
        named = "" if len(limits) == 1 else " of 5xx" if each == panel["limit"] else " of network errors"
        axis.axhline(each, color=BAD, linestyle="--", linewidth=1.2)
        axis.annotate(
            f"{'at least' if at_least else 'limit'}{named} {each:g}",
            (0.995, each),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=BAD,
        )
    known = [value for value in [*values, limit] if value is not None]
    if panel.get("log"):
        axis.set_yscale("log")
        low, high = max(1.0, min(known, default=1.0)) / 1.8, max(known, default=10.0) * 1.8
        axis.set_ylim(low, high)
        places = ticks(low, high, "log")
        axis.set_yticks(places, [f"{place:,.0f}" for place in places])
        axis.minorticks_off()
    elif panel.get("at_least"):
        axis.set_ylim(min(90.0, min(known, default=90.0) - 4), 101.5)
    else:
        axis.set_ylim(0, (max(known, default=1.0) * 1.3) or 1.0)
    step = max(1, -(-len(labels) // 4))
    kept = list(reversed(range(len(labels) - 1, -1, -step)))
    axis.set_xticks(kept, [labels[at] for at in kept], fontsize=7.5, color=SOFT)
    axis.set_xlim(-0.6, len(labels) - 0.4)
    axis.tick_params(axis="y", labelsize=7.5, colors=SOFT)
    axis.set_title(panel["title"], fontsize=9, loc="left", color=SOFT)
    axis.grid(visible=True, axis="y", alpha=0.25)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _line(
    axis: Any,
    values: list[float | None],
    limit: float | None,
    color: str,
    *,
    at_least: bool = False,
    dotted: bool = False,
) -> None:
    """One line with its points; those beyond its own limit are red diamonds."""
    floats = [float("nan") if value is None else value for value in values]
    style, mark = (":", "s") if dotted else ("-", "o")
    axis.plot(range(len(values)), floats, color=color, marker=mark, markersize=4.5, linewidth=1.8, linestyle=style)
    red = [at for at, value in enumerate(values) if beyond(value, limit, at_least)]
    axis.plot(red, [values[at] for at in red], color=BAD, marker="D", markersize=7, linestyle="none")
