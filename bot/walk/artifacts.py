"""Reports that a page points to: the newest of each kind, with its age, its verdict and its digest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.redact import inert
from bot.store import artifacts as stored
from bot.store.artifacts import Artifact
from playbooks.findings import Finding
from slo.stamps import kind_of

if TYPE_CHECKING:
    from bot.run import Run
    from bot.walk.look import Look


async def newest(made: Look, pattern: str) -> tuple[Finding, ...]:
    """The report that a path of a page means, "latest" by when it was started."""
    name = pattern.rsplit("/", 1)[-1]
    kind = kind_of(name)
    if kind is None:
        return ()
    found = await latest(made.run, kind)
    if found is None:
        return (Finding(f"{name}: there is none yet", "unknown"),)
    more = made.gate.lines() if kind == "milestone" and made.gate is not None else ()
    return (Finding(f"{found.name}: {_verdict(made.run, found)}, sha256 {found.sha256[:12]}"), *more)


async def latest(run: Run, kind: str) -> Artifact | None:
    """The newest report of a kind on this target."""
    target = run.on.name if run.on else None
    return await run.world.store.read(lambda conn: stored.latest(conn, kind, target))


def content(run: Run, artifact: Artifact) -> dict[str, Any] | None:
    """A report as JSON; None when its file is gone or damaged."""
    try:
        found = json.loads((run.world.config.artifact_dir / artifact.name).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _verdict(run: Run, artifact: Artifact) -> str:
    """In words: our own verdict where it stands, else what the original wrote (``passed``, ``pass``)."""
    report = content(run, artifact)
    if report is None:
        return "its file is gone or damaged"
    decision = report.get("decision")
    if isinstance(decision, dict) and "activateMultiRegionProgram" in decision:
        return _region(report, decision["activateMultiRegionProgram"] is True)
    honest = report.get("honest")
    word = honest.get("verdict") if isinstance(honest, dict) else None
    if isinstance(word, str):
        return inert(word, 20)
    for key in ("passed", "pass", "allPassed"):
        if isinstance(report.get(key), bool):
            return "PASS" if report[key] else "FAIL"
    return "without a verdict"


def _region(report: dict[str, Any], theirs: bool) -> str:
    """Ours decides; the original's own field beside it, in the page's words."""
    honest = report.get("honest")
    ours = honest.get("verdict") if isinstance(honest, dict) else None
    word = {"FAIL": "TRIGGERED", "PASS": "NOT_TRIGGERED", "INCOMPLETE": "INCOMPLETE"}.get(str(ours), "")
    said = f"activateMultiRegionProgram={str(theirs).lower()}"
    streams = report.get("expectedPeakStreams")
    forecast = f" at {streams:,} streams" if isinstance(streams, int) and streams else ""
    return f"{word or ('TRIGGERED' if theirs else 'NOT_TRIGGERED')}{forecast}, the original's {said}"
