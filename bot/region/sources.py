"""What region readiness is judged from: the folder's chat drills, a snapshot, the policy (operator-commands.md, 9).

"Latest" is by start and of this target; a damaged file is left out by name, where the original stops (section 12, 25
and 30). A saved snapshot is taken only as it was written, and only for its own target.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import history
from bot.cases.bound import policy_file
from bot.dashboard import files
from bot.dashboard.files import Row
from bot.errors import Broken, Refused, Unknown
from bot.redact import inert
from bot.store import artifacts
from slo.artifacts import FileRef, RegionReport
from slo.errors import BadPolicy, BadSnapshot, SloError
from slo.policy import FILES, Baseline, Ownership, RegionPolicy, load
from slo.region import Filed, latest_first
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.config import Config
    from bot.run import Run

OWN = FILES[RegionPolicy]


@dataclass(frozen=True)
class Drills:
    """``ours`` of this target, ``every`` as the original sees them (last by name), each only what can be read.

    ``unread`` are damaged or altered files of ours; ``stops_at`` is the file at which the original would stop, or "".
    ``latest`` names those that were judged, newest first.
    """

    ours: tuple[Filed, ...]
    every: tuple[Filed, ...]
    unread: tuple[str, ...]
    stops_at: str
    latest: tuple[FileRef, ...]


async def drills(run: Run, lookback: int) -> Drills:
    """The drill reports of the artifact folder. Nothing raises because of a file."""
    world = run.world
    known = await world.store.read(lambda conn: artifacts.owners(conn, ("drill",)))
    rows = {name: Row(*row) for name, row in known.items()}
    return await asyncio.to_thread(_drills, world.config.artifact_dir, run, rows, lookback)


def _drills(folder: Path, run: Run, rows: Mapping[str, Row], lookback: int) -> Drills:
    found, seen = files.drills(folder, run.target, rows, load(Baseline), load(Ownership), max_reports=lookback)
    ours = tuple(Filed(item.file, item.report) for item in found if item.report is not None)
    stops_at = next((item.file for item in sorted(seen, key=lambda item: item.file) if item.report is None), "")
    return Drills(
        ours=ours,
        every=tuple(Filed(item.file, item.report) for item in seen if item.report is not None),
        unread=tuple(sorted(files.shown(item.file) for item in found if item.report is None)),
        stops_at=files.shown(stops_at) if stops_at else "",
        latest=tuple(_refs(folder, (item.file for item in latest_first(ours)[:lookback]), rows)),
    )


def _refs(folder: Path, names: Iterable[str], rows: Mapping[str, Row]) -> Iterator[FileRef]:
    for name in names:
        row = rows.get(name)
        with contextlib.suppress(OSError):  # gone since it was read: judged, but not there to be judged again
            sha256 = row.sha256 if row is not None else hashlib.sha256((folder / name).read_bytes()).hexdigest()
            yield FileRef(name=name, sha256=sha256)


async def last_forecast(run: Run) -> int | None:
    """The forecast that the newest sound readiness report of this target was made with."""
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, "region", run.target.name, limit=5))
    for row in rows:
        try:
            raw = await asyncio.to_thread(history.read, run.world.config.artifact_dir, row.name, row.sha256)
            report = RegionReport.parse(raw)
        except (Broken, SloError, ValueError):
            continue
        given = report.honest.forecast_given if report.honest else report.expected_peak_streams > 0
        return int(report.expected_peak_streams) if given else None
    return None


async def saved_snapshot(run: Run, name: str, *, anywhere: bool) -> tuple[FileRef, Snapshot]:
    """A snapshot that was saved. Raises `Refused`, `Unknown` (unreadable, no snapshot) or `Broken` (altered)."""
    path = _file(run.world.config, name, anywhere=anywhere)
    row = await run.world.store.read(lambda conn: artifacts.named(conn, path.name))
    ours = row if path.parent == run.world.config.artifact_dir.resolve() else None
    if ours is not None and ours.target not in (None, run.target.name):
        raise Refused(
            f"{path.name} is a snapshot of target {ours.target}, not of {run.target.name}.",
            rule="a verdict is about one target (R14)",
            then=f"region-readiness --target={ours.target} --snapshot-file={path.name}",
        )
    content = await asyncio.to_thread(_content, path)
    sha256 = hashlib.sha256(content).hexdigest()
    if ours is not None and ours.sha256 != sha256:
        raise Broken(f"{path.name} is not as it was written.", then="move it away and take another snapshot")
    try:
        raw: Any = json.loads(content)
        held = raw.get("snapshot", raw) if isinstance(raw, dict) else raw
        return FileRef(name=path.name, sha256=sha256), Snapshot.parse(held)
    except (ValueError, RecursionError, BadSnapshot) as error:
        what = f"lacks {'; '.join(error.paths[:3])}" if isinstance(error, BadSnapshot) else "is not JSON"
        raise Unknown(
            f"{inert(path.name, 80)} is no reliability snapshot: it {what}.",
            then="npm run reliability:snapshot, then --snapshot-file=reliability-snapshot-….json",
            fields={"snapshot-file": "no reliability snapshot"},
        ) from None


def _file(config: Config, name: str, *, anywhere: bool) -> Path:
    """A file flag, with or without the artifact directory before it; raises `Refused` outside of it."""
    folder = config.artifact_dir.resolve()
    found = Path(name).resolve()
    return found if found.parent == folder and found.is_file() else policy_file(config, name, anywhere=anywhere)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(files.MAX_BYTES + 1)
    except OSError as error:
        raise Unknown(f"{inert(path.name, 80)} cannot be read: {error.strerror}.") from None
    if len(content) > files.MAX_BYTES:
        raise Unknown(f"{inert(path.name, 80)} is too long to be a snapshot.")
    return content


def policy(config: Config, name: str | None, *, anywhere: bool) -> tuple[RegionPolicy, str]:
    """Sendcat's own policy, or another one, and the path as the artifact names it. Blocks on the disk."""
    if name is None:
        return load(RegionPolicy), f"slo/policies/{OWN}"
    path = _file(config, name, anywhere=anywhere)
    try:
        return load(RegionPolicy, path.read_text(encoding="utf-8")), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise Unknown(f"The policy file {inert(path.name, 80)} cannot be read: {type(error).__name__}.") from None
    except BadPolicy as error:
        raise Broken(f"The policy is wrong: {error}", rule="no verdict without a known policy (R42)") from None


def with_lookback(policy: RegionPolicy, reports: int | None) -> RegionPolicy:
    """The policy with another number of reports to look back at, for one check."""
    if reports is None:
        return policy
    load_pressure = policy.load_pressure.model_copy(update={"lookback_reports": reports})
    return policy.model_copy(update={"load_pressure": load_pressure})
