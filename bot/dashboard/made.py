"""A dashboard is made: the original's two files, the page, and the picture where it can be drawn.

Runbook, "Game-Day Procedure", step 3. Nothing is sent to Sendcat; the reports of the folder are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import pictures
from bot.dashboard import drawn, files
from bot.dashboard.files import Row
from bot.dashboard.page import page
from bot.redact import inert
from bot.store import artifacts
from bot.store.artifacts import Artifact
from slo import dashboard
from slo.artifacts import DashboardReport
from slo.dashboard import MAX_REPORTS, Dashboard
from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.reports import iso, stamp

if TYPE_CHECKING:
    from bot.run import Run

JSON, MARKDOWN, HTML = "slo-dashboard.json", "slo-dashboard.md", "slo-dashboard.html"


@dataclass(frozen=True)
class Made:
    """``report`` is the original's, ``board`` ours. ``picture`` is an artifact's name, ``left_out`` says why not."""

    board: Dashboard
    report: DashboardReport
    others: int
    picture: str | None
    left_out: str


Draw = Callable[[dict[str, Any]], Awaitable[bytes | str]]
"""What draws the picture from the data of a board: a PNG, or a sentence why there is none."""


async def make(run: Run, *, max_reports: int = MAX_REPORTS, draw: Draw = pictures.render) -> Made:
    """Read the folder and write `slo-dashboard.json`, `.md` and `.html`; raises `Broken` when the disk refuses."""
    world, target = run.world, run.target
    known = await world.store.read(lambda conn: artifacts.owners(conn, ("drill", "probe", "gate")))
    rows = {name: Row(*row) for name, row in known.items()}
    now_ms = world.clock.now_ms()
    baseline, policy = load(Baseline), load(GatePolicy)

    def build() -> tuple[Dashboard, DashboardReport, int, str, str]:
        folder = files.read(world.config.artifact_dir, target, rows, baseline, load(Ownership), max_reports=max_reports)
        board = dashboard.build(*folder.ours, baseline, max_reports=max_reports)
        original = dashboard.original(*folder.every, generated_at=iso(now_ms), max_reports=max_reports)
        text = page(
            board,
            policy,
            target=target.name,
            environment=target.environment.value,
            generated_ms=now_ms,
            others=folder.others,
        )
        return board, original, folder.others, text, dashboard.markdown(_harmless(original))

    board, original, others, html, markdown = await asyncio.to_thread(build)
    report = original.model_copy(update={"honest": _honest(board, target.name, others)})
    for name, payload in ((JSON, report.to_json()), (MARKDOWN, markdown), (HTML, html)):
        await _keep(run, name, payload, "dashboard", now_ms)
    picture, left_out = await _picture(run, board, now_ms, draw)
    return Made(board, report, others, picture, left_out)


def _harmless(report: DashboardReport) -> DashboardReport:
    """Names of scenarios stand in a Markdown table; ours stay as they are, foreign ones cannot leave their cell."""
    drills = report.load_drills
    named = tuple(row.model_copy(update={"name": inert(row.name, 80)}) for row in drills.scenarios)
    return report.model_copy(update={"load_drills": drills.model_copy(update={"scenarios": named})})


def _honest(board: Dashboard, target: str, others: int) -> dict[str, object]:
    """Ours beside the original's figures: by time, of one target, with what was left out."""
    return {
        "version": 1,
        "target": target,
        "passRates": {
            "drills": board.pass_rate(board.drills),
            "probes": board.pass_rate(board.probes),
            "gates": board.pass_rate(board.gates),
        },
        "trends": [
            {
                "endpoint": trend.endpoint,
                "maxP95Ms": trend.slo.max_p95_ms if trend.slo else None,
                "maxFiveXxRate": trend.slo.max_five_xx_rate if trend.slo else None,
                "maxNetworkErrorRate": trend.slo.max_network_error_rate if trend.slo else None,
                "points": [
                    {
                        "file": files.shown(point.file),
                        "startedAt": iso(point.started_ms),
                        "profile": inert(point.profile, 40),
                        "p95Ms": point.p95_ms,
                        "firstTokenP95Ms": point.first_token_p95_ms,
                        "errorRate": point.error_rate,
                        "fiveXxRate": point.five_xx_rate,
                        "networkErrorRate": point.network_error_rate,
                        "refusedRate": point.refused_rate,
                        "streamSuccessRate": point.stream_success_rate,
                        "burn": point.burn,
                        "honest": point.honest,
                    }
                    for point in trend.points
                ],
            }
            for trend in board.trends
        ],
        "unreadable": [files.shown(name) for name in board.unreadable],
        "ofOtherTargets": others,
    }


async def _picture(run: Run, board: Dashboard, now_ms: int, draw: Draw) -> tuple[str | None, str]:
    data = drawn.data_of(board, run.target.name)
    if data is None:
        return None, ""
    made = await draw(data)
    if isinstance(made, str):
        return None, made
    kept = await _keep(run, f"slo-dashboard-{stamp(now_ms)}-{run.op.id}.png", made, "picture", now_ms)
    return kept.name, ""


async def _keep(run: Run, name: str, payload: str | bytes, kind: str, now_ms: int) -> Artifact:
    kept = await asyncio.to_thread(
        artifacts.write_file,
        run.world.config.artifact_dir,
        name,
        payload,
        kind=kind,
        started_ms=now_ms,
        target=run.target.name,
        op=run.op.id,
    )
    await run.world.store.write(lambda tx: artifacts.register(tx, kept))
    return kept
