"""What stands beside the verdict of a canary: statistics and a picture, both made in a child process.

Without the extra ``reports`` the differences of rates are still there; the rest is left out, and the card says so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bot import children
from slo import compare
from slo.compare import CanaryStatistics, Interval, LatencyShift
from slo.policy import Baseline
from slo.reports import DrillReport
from slo.scenarios import SCENARIOS, endpoint

WITHIN_S = 60.0
LEFT_OUT = "rank test, shift and bootstrap: install the extra `reports` (pip install 'sendcat-chatops[reports]')"


async def statistics(control: DrillReport, candidate: DrillReport) -> CanaryStatistics:
    """Intervals, rank test and bootstrap of every scenario; what is missing is named in ``left_out``. Never raises."""
    found, measured = await asyncio.to_thread(
        lambda: (compare.rates(control, candidate), compare.latencies(control, candidate))
    )
    if not measured:
        return found
    try:
        said = json.loads(await children.ask("bot.canary.evidence", {"latencies": measured}, WITHIN_S))
    except children.NotInstalled:
        return found.model_copy(update={"left_out": LEFT_OUT})
    except (children.NotDone, ValueError) as why:
        return found.model_copy(update={"left_out": f"rank test, shift and bootstrap: {why}"})
    scenarios = []
    for item in found.scenarios:
        mine = said.get(item.scenario, {})
        shift, ratio = mine.get("latency"), mine.get("p95Ratio")
        update = {
            "latency": LatencyShift.model_validate(shift) if shift else None,
            "p95_ratio": Interval.model_validate(ratio) if ratio else None,
        }
        scenarios.append(item.model_copy(update=update))
    return found.model_copy(update={"scenarios": tuple(scenarios)})


def _answer(data: dict[str, Any]) -> bytes:
    """The child: both sides' latencies by scenario in, their comparison out. Raises ImportError without the extra."""
    said: dict[str, Any] = {}
    for scenario, (here, there) in data["latencies"].items():
        said[scenario] = {"latency": compare.shift(here, there).model_dump(mode="json", by_alias=True)}
        if here[0] > 0:
            said[scenario]["p95Ratio"] = compare.p95_ratio(here, there).model_dump(mode="json", by_alias=True)
    return json.dumps(said).encode()


def picture(control: DrillReport, candidate: DrillReport, baseline: Baseline) -> dict[str, Any] | None:
    """What `bot.pictures` needs to draw control against candidate, one panel for each scenario; None for nothing."""
    panels = []
    for name in SCENARIOS:
        slo = baseline.endpoint(endpoint(name))
        curves = [
            {"name": side, "histogram": pool.latency.histogram, "n": pool.latency.n}
            for side, drill in (("control", control), ("candidate", candidate))
            if drill.honest is not None
            and (ours := drill.honest.scenario(name)) is not None
            and (pool := ours.pooled) is not None
            and pool.latency.histogram
            and pool.latency.n
        ]
        if curves:
            panels.append({"title": endpoint(name), "limit_ms": slo.max_p95_ms if slo else None, "stages": curves})
    if not panels:
        return None
    return {"kind": "latency", "title": f"Control against candidate, profile {candidate.profile}", "panels": panels}


if __name__ == "__main__":
    sys.exit(children.serve(_answer))
