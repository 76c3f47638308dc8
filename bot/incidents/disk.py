"""What stands in files for an incident: read off the event loop, never believed without its digest."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.incidents.items import Disk
from bot.incidents.picture import Picture
from bot.redact import inert
from slo.diff import diff
from slo.errors import BadSnapshot
from slo.policy import Baseline, load
from slo.snapshot import Snapshot

PHASE_LOG = "reliability-phase-log.md"
MAX_BYTES = 4 * 1024 * 1024
MOST = 40


def baseline_now() -> dict[str, Any]:
    """The SLO baseline as it decides now, as plain JSON; remembered when an incident is opened."""
    return load(Baseline).model_dump(mode="json", by_alias=True, exclude_none=True)


def read(picture: Picture, artifact_dir: Path, runbook_dir: Path) -> Disk:
    """Look at every file that the checklist asks for. Blocks on the disk; a file that cannot be read is not there."""
    digests = {str(row["name"]): str(row["sha256"]) for row in picture.saved}
    sound = frozenset(name for name, digest in digests.items() if _digest(artifact_dir / name) == digest)
    before = picture.incident.before
    return Disk(
        sound=sound,
        phase_log=_text(runbook_dir / PHASE_LOG),
        baseline=tuple(_differences(before.get("baseline") or {}, baseline_now())),
        knobs=_knobs(picture, artifact_dir, sound),
    )


def _knobs(picture: Picture, folder: Path, sound: frozenset[str]) -> tuple[str, ...]:
    """Effective values that differ between the snapshot before the incident and the newest one of it."""
    mine = [str(row["name"]) for row in picture.saved if row["kind"] == "snapshot" and row["name"] in sound]
    first = picture.incident.before.get("snapshot")
    old, new = first if isinstance(first, str) else next(iter(mine), None), next(reversed(mine), None)
    if old is None or new is None or old == new:
        return ()
    try:
        earlier, later = (Snapshot.parse(json.loads(_text(folder / name) or "")) for name in (old, new))
    except (ValueError, BadSnapshot):
        return ()
    deltas = [delta for delta in diff(earlier, later) if delta.path.startswith("config.")]
    return tuple(inert(str(delta).removeprefix("config."), 160) for delta in deltas[:MOST])


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    if not old:
        return []
    before, after = dict(_flat(old)), dict(_flat(new))
    paths = [path for path in dict.fromkeys((*before, *after)) if before.get(path) != after.get(path)]
    return [inert(f"{path}: {before.get(path, 'absent')} to {after.get(path, 'absent')}", 160) for path in paths[:MOST]]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, json.dumps(value)


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


async def read_json(path: Path) -> dict[str, Any] | None:
    """A saved report as JSON; None when it is not there or is none."""
    text = await asyncio.to_thread(_text, path)
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
