"""Making backups: by the clock and on a wish; each is anchored, looked at, and told of in the record (R39, R40)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from bot.store import audit, backups, schedule
from bot.store.audit import AuditRecord
from bot.store.backups import Backup

if TYPE_CHECKING:
    from bot.clock import Clock
    from bot.config import Config
    from bot.notary import Notary
    from bot.store.database import Store

SLOT = "backup"
HOUR_MS = 3_600_000


async def make(
    store: Store,
    notary: Notary | None,
    clock: Clock,
    config: Config,
    *,
    actor: str = "system",
    door: Literal["slack", "terminal", "timer", "system"] = "system",
    person: str | None = None,
    op: str | None = None,
) -> tuple[Backup, tuple[str, ...]]:
    """Anchor, copy, look, record; returns the backup and the names of older ones that were removed.

    The checkpoint comes first, so all that the backup holds is anchored, but for what is written in between.
    """
    if notary is not None:
        await notary.anchor("before a backup")
    made = await asyncio.to_thread(backups.make, config.state_dir, clock.now_ms())
    gone = await asyncio.to_thread(backups.prune, config.state_dir, config.backup.keep)
    sha256 = await asyncio.to_thread(backups.digest, made.path)
    record = AuditRecord(
        phase="system",
        action="backup",
        actor=actor,
        person=person,
        door=door,
        object=made.name,
        op=op,
        outcome="made",
        detail={"sha256": sha256, "bytes": made.size, "records": made.records, "head": made.head},
    )
    await store.write(lambda tx: audit.append(tx, record))
    return made, gone


async def tick(store: Store, notary: Notary | None, clock: Clock, config: Config) -> Backup | None:
    """The clock's: one backup in each slot of some hours, whatever restarts or jumps happen (R30)."""
    every_ms = config.backup.every_hours * HOUR_MS
    if every_ms == 0 or store.damage is not None:
        return None
    slot_ms = clock.now_ms() - clock.now_ms() % every_ms
    if not await store.write(lambda tx: schedule.claim(tx, SLOT, slot_ms)):
        return None
    made, _ = await make(store, notary, clock, config, door="timer")
    return made
