"""Pictures for the thread, drawn in a child process: matplotlib is optional, slow to load, and not for the event loop.

``python -m bot.pictures`` reads ``{"kind": ..., ...}`` and answers with a PNG (`bot.children`).
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from bot import children
from bot.card import Attachment, Card

if TYPE_CHECKING:
    from bot.measure import Drilled
    from bot.run import Run
    from slo.reports import DrillReport

WITHIN_S = 30.0
PERCENTILES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 97.5, 99, 99.5, 99.9)
LEFT_OUT = "no picture: install the extra `reports` (pip install 'sendcat-chatops[reports]')"


async def render(data: dict[str, Any]) -> bytes | str:
    """The PNG, or a sentence that says why there is none. Never raises for a picture's sake."""
    try:
        return await children.ask("bot.pictures", data, WITHIN_S)
    except children.NotInstalled:
        return LEFT_OUT
    except children.NotDone as why:
        return f"no picture: {why}"


def latency(report: DrillReport) -> dict[str, Any] | None:
    """What the picture of a drill's latencies needs: a curve for each stage, and the limit of its endpoint."""
    from slo.policy import Baseline, load
    from slo.scenarios import endpoint

    if report.honest is None:
        return None
    baseline, panels = load(Baseline), []
    for scenario in report.honest.scenarios:
        slo = baseline.endpoint(endpoint(scenario.name))
        stages = [
            {"name": stage.name, "histogram": stage.latency.histogram, "n": stage.latency.n}
            for stage in scenario.stages
            if stage.latency.histogram and stage.latency.n
        ]
        if stages:
            panels.append(
                {"title": endpoint(scenario.name), "limit_ms": slo.max_p95_ms if slo else None, "stages": stages}
            )
    return {"kind": "latency", "title": f"{report.profile} drill", "panels": panels} if panels else None


async def beside(run: Run, card: Card, drilled: Drilled) -> Card:
    """The card with its drill's picture for the thread, drawn and kept; else the footer says what is left out.

    A quick drill has too few answers for a picture.
    """
    data = latency(drilled.report) if drilled.report.profile != "quick" else None
    if data is None:
        return card
    picture, left_out = await keep(run, await render(data), drilled.artifact)
    footer = " · ".join(part for part in (card.footer, left_out) if part)
    return card.model_copy(update={"attachments": (*card.attachments, *_attached(picture)), "footer": footer})


async def keep(run: Run, drawn: bytes | str, artifact: str) -> tuple[str | None, str]:
    """Keep a picture beside the artifact it belongs to: its name, or None and the sentence why there is none."""
    from bot.store import artifacts

    if isinstance(drawn, str):
        return None, drawn
    name = f"{artifact.removesuffix('.json')}.png"
    kept = await asyncio.to_thread(
        artifacts.write_file,
        run.world.config.artifact_dir,
        name,
        drawn,
        kind="picture",
        started_ms=run.world.clock.now_ms(),
        target=run.on.name if run.on else None,
        op=run.op.id,
    )
    await run.world.store.write(lambda tx: artifacts.register(tx, kept))
    return kept.name, ""


def _attached(name: str | None) -> tuple[Attachment, ...]:
    """The picture for the thread, when there is one."""
    return (Attachment(title="Latency by stage, with the limit", file=name),) if name else ()


def _draw(data: dict[str, Any]) -> bytes:
    if data["kind"] == "trends":
        from bot.dashboard.drawn import draw

        return draw(data)
    return _latency(data)


def _latency(data: dict[str, Any]) -> bytes:
    import io

    import matplotlib

    matplotlib.use("Agg")
    from hdrh.histogram import HdrHistogram
    from matplotlib import pyplot

    panels = data["panels"]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.6), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        for stage in panel["stages"]:
            held = HdrHistogram.decode(stage["histogram"])
            curve = [held.get_value_at_percentile(p) / 1000 for p in PERCENTILES]
            axis.plot(PERCENTILES, curve, marker=".", label=f"{stage['name']} (n={stage['n']})")
        if panel["limit_ms"] is not None:
            axis.axhline(
                panel["limit_ms"], color="#c0392b", linestyle="--", label=f"p95 limit {panel['limit_ms']:g} ms"
            )
            axis.axvline(95, color="#999999", linewidth=0.8)
        axis.set_yscale("log")
        axis.set_title(panel["title"], fontsize=10)
        axis.set_xlabel("percentile")
        axis.set_ylabel("latency, ms")
        axis.grid(visible=True, which="both", alpha=0.25)
        axis.legend(fontsize=7)
    figure.suptitle(data["title"], fontsize=11)
    figure.tight_layout()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


def main() -> int:
    """The child: stdin to stdout."""
    return children.serve(_draw)


if __name__ == "__main__":
    sys.exit(main())
