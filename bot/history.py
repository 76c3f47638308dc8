"""Reports of the past, read back from their files: only those that are as they were written count.

"Latest" is by when a report was started, never by file name (operator-commands.md section 12, 25).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

from bot.errors import Broken, Unknown
from bot.store import artifacts
from bot.store.artifacts import Artifact
from bot.world import World
from slo.artifacts import FileRef, MilestoneReport
from slo.errors import SloError
from slo.gate_report import GateReport
from slo.reports import DrillReport

T = TypeVar("T")


def read(folder: Path, name: str, sha256: str) -> dict[str, Any]:
    """A kept report as JSON. Raises `Broken` when it is gone, damaged or changed. Blocks on the disk."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise Broken(f"{name} cannot be read: {error.strerror}.", then="measure again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Broken(f"{name} is not as it was written.", then="move it away and measure again")
    found: dict[str, Any] = json.loads(content)
    return found


@overload
def beside(path: Path, ref: FileRef, parse: Callable[[dict[str, Any]], T]) -> T: ...
@overload
def beside(path: Path, ref: FileRef | None, parse: Callable[[dict[str, Any]], T]) -> T | None: ...
def beside(path: Path, ref: FileRef | None, parse: Callable[[dict[str, Any]], T]) -> T | None:
    """The evidence that an artifact names, which lies beside it; None when it names none. Raises as `read`."""
    return None if ref is None else parse(read(path.parent, ref.name, ref.sha256))


def unproved(path: Path) -> dict[str, Any]:
    """A report of whose making nothing is known, as JSON. Raises `Unknown` when it is none. Blocks on the disk."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unknown(f"{path.name} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise Unknown(f"{path.name} is not JSON.") from None
    if not isinstance(found, dict):
        raise Unknown(f"{path.name} holds no report.")
    return found


async def kept(world: World, name: str) -> Artifact | None:
    """The row of a kept report."""
    return await world.store.read(lambda conn: artifacts.named(conn, name))


async def drills(world: World, target: str, profile: str, most: int) -> tuple[tuple[Artifact, DrillReport], ...]:
    """The last drills of one profile on a target, oldest first; what is unreadable is left out, as there."""
    found = await _newest(world, "drill", target, 200, DrillReport.parse)
    fit = [item for item in found if item[1].profile == profile]
    return tuple(reversed(fit[:most]))


async def gates(world: World, target: str, most: int = 20) -> tuple[tuple[Artifact, GateReport], ...]:
    """The last gates of a target, newest first."""
    return await _newest(world, "gate", target, most, GateReport.parse)


async def milestones(world: World, target: str, most: int = 20) -> tuple[tuple[Artifact, MilestoneReport], ...]:
    """The last milestone gates of a target, newest first."""
    return await _newest(world, "milestone", target, most, MilestoneReport.parse)


async def _newest(
    world: World, kind: str, target: str, most: int, parse: Callable[[dict[str, Any]], T]
) -> tuple[tuple[Artifact, T], ...]:
    rows = await world.store.read(lambda conn: artifacts.listing(conn, kind, target, limit=most))

    def read_all() -> tuple[tuple[Artifact, T], ...]:
        found: list[tuple[Artifact, T]] = []
        for row in rows:
            report = _readable(world.config.artifact_dir, row, parse)
            if report is not None:
                found.append((row, report))
        return tuple(found)

    return await asyncio.to_thread(read_all)


def _readable(folder: Path, row: Artifact, parse: Callable[[dict[str, Any]], T]) -> T | None:
    try:
        return parse(read(folder, row.name, row.sha256))
    except (Broken, SloError, ValueError):
        return None
