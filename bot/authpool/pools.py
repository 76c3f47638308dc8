"""Which pools a target has: its own, and those that were made for it; and for what each is enough."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.authpool.entries import looked_at
from bot.store import artifacts
from slo.authpool import PoolFacts
from slo.policy import MilestonePolicy, load
from slo.profiles import MILESTONES

if TYPE_CHECKING:
    from bot.run import Run

NEWEST = 5


@dataclass(frozen=True)
class Listed:
    """One pool: what it is called, its facts or what is wrong with it; ``made`` by `pool`, else the target's own."""

    name: str
    facts: PoolFacts | str
    made: bool = True


async def of_target(run: Run) -> list[Listed]:
    """The target's own pool first, then what was made for it and is still there, the newest first."""
    config, target = run.world.config, run.target
    pools: list[Listed] = []
    own = target.chat_pool_file
    mine = await asyncio.to_thread(looked_at, target, None)
    if mine is not None:
        name = mine.name if isinstance(mine, PoolFacts) else own.name if own is not None else "the pool of its variable"
        pools.append(Listed(name, mine, made=False))
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, "pool", target.name, limit=NEWEST))
    for row in rows:
        file = config.artifact_dir / row.name
        if file.is_file() and not _same(file, own):
            found = await asyncio.to_thread(looked_at, target, file)
            if found is not None:
                pools.append(Listed(row.name, found))
    return pools


def _same(file: Path, other: Path | None) -> bool:
    return other is not None and file.resolve() == other.resolve()


def enough_for(fresh: int) -> tuple[str, ...]:
    """Milestones for which so many users, whose tokens hold, are enough."""
    policy = load(MilestonePolicy)
    return tuple(
        name
        for name in MILESTONES
        if name in policy.milestones and fresh >= policy.milestone(name).pool.min_auth_pool_size
    )
