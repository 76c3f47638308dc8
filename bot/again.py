"""Saved reports judged again by our rules, from the files alone (INTERFACES.md, `judge`): what every kind shares.

Each kind that names its evidence (gate, canary, milestone, region) has an ``again`` module of its own, which reads the
files that lie beside its report; what needs nothing but itself is judged here. The same files always give the same
answer: data as ``judge --json`` prints it, with ``verdict``, and ``recorded`` where the report tells its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from slo import drill as drills
from slo import posture
from slo import probe as probes
from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.reports import DrillReport, ProbeReport
from slo.snapshot import Snapshot
from slo.verdict import Judgement, Verdict

Files = Sequence[tuple[Path, dict[str, Any]]]
"""Each file with what it holds; the last one counts where one is enough."""

Again = Callable[[Files], dict[str, Any]]
"""Judges files again. Raises `SloError` or `Unknown` for what they are not, `Broken` for evidence gone or changed."""


def data(made: Judgement) -> dict[str, Any]:
    return made.model_dump(mode="json")


def unnamed(original_rule: bool | None) -> dict[str, Any]:
    """The answer for a report of the original, which decides nothing: it does not say what it rests on."""
    return {
        "verdict": Verdict.INCOMPLETE.value,
        "original_rule": original_rule,
        "reason": "a report of the original names no evidence to judge again",
    }


def snapshot(files: Files) -> dict[str, Any]:
    """Posture of the newest snapshot at the moment it was taken, with the one before it when there are two."""
    looks = sorted((Snapshot.parse(raw) for _, raw in files), key=lambda look: look.generated_at)
    before = looks[-2] if len(looks) > 1 else None
    now = looks[-1]
    return data(posture.judge(now, load(GatePolicy), load(Ownership), before=before, now_ms=now.generated_at))


def probe(files: Files) -> dict[str, Any]:
    return data(probes.judge(ProbeReport.parse(files[-1][1]), load(Ownership)))


def drill(files: Files) -> dict[str, Any]:
    return data(drills.judge(DrillReport.parse(files[-1][1]), load(Baseline), load(Ownership)))
