"""After a drill: the wait until the leases that it took have ended, so that they are not counted as trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.run import Run
    from bot.sendcat.snapshot import SnapshotRead

LEASES_S = 30.0
LOOK_EVERY_S = 2.0


async def own_leases_end(run: Run, before: SnapshotRead) -> str:
    """Wait up to 30 s until there are no more leases than before the drill; says how it went (VERDICTS, "Gate")."""
    from bot.sendcat.snapshot import read_snapshot

    clock, had = run.world.clock, before.snapshot.bulkheads.active_lease_count
    asked = (before.requested_minutes, before.requested_limit)
    until = clock.monotonic() + LEASES_S
    while True:
        seen = await read_snapshot(run.convex, run.world.masker, clock, *asked)
        left = seen.snapshot.bulkheads.active_lease_count
        if left <= had:
            return "no leases of our own"
        if clock.monotonic() >= until or run.brake.halted is not None:
            return f"{left - had} leases of our own are left after {LEASES_S:.0f} s"
        await clock.sleep(LOOK_EVERY_S)
