"""Run every bench, print one table, write bench.json."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import statistics
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from tests.bench import acks, audit, drills, whole
from tests.bench.figure import Figure


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def draw(figures: list[Figure]) -> Table:
    table = Table(title="Figures")
    for column in ("figure", "unit", "min", "median", "max", "goal", "met", "peer (median)", "ratio"):
        table.add_column(column)
    for f in figures:
        sign = ">=" if f.least else "<="
        peer = f"{f.peer} ({shown(statistics.median(f.peer_values))})" if f.peer_values else "–"
        table.add_row(
            f.name,
            f.unit,
            shown(min(f.values)),
            shown(statistics.median(f.values)),
            shown(max(f.values)),
            f"{f.of} {sign} {shown(f.goal)}",
            "yes" if f.met else "NO",
            peer,
            f"{f.ratio:.2f}" if f.ratio else "–",
        )
    return table


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures = [*asyncio.run(acks.measure()), *asyncio.run(acks.appends())]
    figures += audit.measure()
    figures += asyncio.run(drills.measure())
    figures += [*whole.start_up(), *asyncio.run(whole.measure())]
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()}
    Path("bench.json").write_text(json.dumps({"machine": machine, "figures": [f.to_json() for f in figures]}, indent=2))
    Console(width=150).print(draw(figures))


if __name__ == "__main__":
    main()
