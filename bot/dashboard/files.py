"""The reports that a dashboard is made of, read from the artifact folder (operator-commands.md section 8).

The folder may hold files of the original toolchain, of other targets, and damaged ones. The original's two files are
made of all of them by its own rule; ours of those that belong to the target and are as they were written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bot.redact import inert
from bot.target import Target, origin_of
from slo import drill as drill_judge
from slo import probe as probe_judge
from slo.dashboard import FiledDrill, FiledGate, FiledProbe
from slo.errors import SloError
from slo.gate_report import GateReport
from slo.policy import Baseline, Ownership
from slo.reports import DrillReport, ProbeReport, ms_of_iso
from slo.verdict import Verdict

MAX_BYTES = 32 * 1024 * 1024
"""No report of ours comes near this; a larger file is left out by name."""
READ_AT_LEAST = 50
READ_FOR_EACH = 5
"""Files of a kind that are read for each one shown: a stamp says when a run ended, the report when it began."""

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z)\.json$")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
Filed = TypeVar("Filed", FiledDrill, FiledProbe, FiledGate)


@dataclass(frozen=True)
class Row:
    """What is on record of a file: whose it is, and what it held when it was written."""

    target: str | None
    sha256: str


@dataclass(frozen=True)
class Folder:
    """The reports, twice: ``ours`` of one target, ``every`` one as the original sees them. ``others`` counts what is
    sound but of another target."""

    ours: tuple[tuple[FiledDrill, ...], tuple[FiledProbe, ...], tuple[FiledGate, ...]]
    every: tuple[tuple[FiledDrill, ...], tuple[FiledProbe, ...], tuple[FiledGate, ...]]
    others: int


def shown(name: str) -> str:
    """A file name for people: as it is when it is plain, else made harmless (R34)."""
    return name if _PLAIN.fullmatch(name) else inert(name, 120)


def read(
    folder: Path,
    target: Target,
    rows: Mapping[str, Row],
    baseline: Baseline,
    ownership: Ownership,
    *,
    max_reports: int,
) -> Folder:
    """Read the newest reports of the folder; nothing raises because of a file. Blocks on the disk."""
    names = _names(folder)

    def probe(name: str, raw: dict[str, Any]) -> tuple[FiledProbe, str]:
        report = ProbeReport.parse(raw)
        ms_of_iso(report.started_at)
        return FiledProbe(name, report, probe_judge.judge(report, ownership).verdict), report.base_url

    kept = _Reader(folder, target, rows, max_reports)
    drills = kept.drills(names, baseline, ownership)
    probes = kept.kind(names, "synthetic-probes-", probe, lambda name: FiledProbe(name, None))
    gates = kept.kind(names, "release-gate-", _gate, lambda name: FiledGate(name, None))
    return Folder(ours=(drills[0], probes[0], gates[0]), every=(drills[1], probes[1], gates[1]), others=kept.others)


def drills(
    folder: Path,
    target: Target,
    rows: Mapping[str, Row],
    baseline: Baseline,
    ownership: Ownership,
    *,
    max_reports: int,
) -> tuple[tuple[FiledDrill, ...], tuple[FiledDrill, ...]]:
    """The newest drills alone: ours of the target, and every one that the original sees. Blocks on the disk."""
    return _Reader(folder, target, rows, max_reports).drills(_names(folder), baseline, ownership)


def _gate(name: str, raw: dict[str, Any]) -> tuple[FiledGate, str]:
    """A gate of any age: its own word, and our verdict where it is one of ours."""
    passed, base_url = raw.get("passed"), raw.get("baseUrl")
    if not isinstance(passed, bool) or not isinstance(base_url, str):
        raise ValueError("no release gate")
    verdict: Verdict | None = None
    if "honest" in raw:
        honest = GateReport.parse(raw).honest
        verdict = honest.verdict if honest is not None else None
    return FiledGate(name, passed, ms_of_iso(str(raw.get("startedAt"))), verdict), base_url


@dataclass
class _Reader:
    folder: Path
    target: Target
    rows: Mapping[str, Row]
    max_reports: int
    others: int = 0

    def drills(
        self, names: Iterable[str], baseline: Baseline, ownership: Ownership
    ) -> tuple[tuple[FiledDrill, ...], tuple[FiledDrill, ...]]:
        def drill(name: str, raw: dict[str, Any]) -> tuple[FiledDrill, str]:
            report = DrillReport.parse(raw)
            ms_of_iso(report.started_at)
            verdict = None
            if report.honest is not None:
                verdict = drill_judge.judge(report, baseline, ownership).verdict
            return FiledDrill(name, report, verdict), report.base_url

        return self.kind(names, "load-drill-", drill, lambda name: FiledDrill(name, None))

    def kind(
        self,
        names: Iterable[str],
        prefix: str,
        parse: Callable[[str, dict[str, Any]], tuple[Filed, str]],
        unread: Callable[[str], Filed],
    ) -> tuple[tuple[Filed, ...], tuple[Filed, ...]]:
        """Ours and every one of a kind, each as far as they may be shown."""
        named = sorted(name for name in names if name.startswith(prefix) and name.endswith(".json"))
        last_by_name = set(named[-self.max_reports :]) if self.max_reports else set()
        ours, every = [], []
        for name in last_by_name | set(_newest(named, max(READ_AT_LEAST, READ_FOR_EACH * self.max_reports))):
            row = self.rows.get(name)
            try:
                content = _content(self.folder / name)
                filed, base_url = parse(name, _json(content))
            except (OSError, SloError, ValueError, RecursionError):
                every.append(unread(name))
                ours += [unread(name)] if row is None or row.target in (None, self.target.name) else []
                continue
            every.append(filed)
            if not (_origin(base_url) == self.target.site_url if row is None else row.target == self.target.name):
                self.others += 1
            elif row is not None and hashlib.sha256(content).hexdigest() != row.sha256:
                ours.append(unread(name))  # somebody altered it: it is named, and counts for nothing
            else:
                ours.append(filed)
        return tuple(ours), tuple(item for item in every if item.file in last_by_name)


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _newest(names: list[str], most: int) -> list[str]:
    """The newest by the stamp in their names; those without one come first, so that they are named."""

    def at(name: str) -> str:
        found = _STAMP.search(name)
        return found[1] if found else "~"

    return sorted(names, key=at)[-most:]


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError("too large")
    return content


def _json(content: bytes) -> dict[str, Any]:
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("no report")
    return found


def _origin(url: str) -> str | None:
    try:
        return origin_of(url.rstrip("/"))
    except ValueError:
        return None
