"""The timer door: what happens by the clock. A tick only writes down; the database decides (safety.md, R30).

Each slot has at most one effect, whatever restarts or clock jumps happen: a slot is claimed in the transaction of its
effect; what is late by more than a minute is left to the next slot. Housekeeping comes once an hour, a backup every
few hours; once a minute the deadman looks for changes that nobody looked after, and the reminders of incidents are due.
"""

from __future__ import annotations

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.clock import Clock
from bot.config import Config
from bot.errors import SendcatError
from bot.incidents import remind
from bot.incidents.keeper import Keeper
from bot.notary import Notary
from bot.store import inbox, reminders, schedule
from bot.store.backups import Backup
from bot.store.database import Store
from bot.store.tx import Tx

log = structlog.get_logger("watch")

HOUR_MS = 3_600_000
HOUSEKEEPING = "housekeeping"
DEADMAN = "deadman"
BACKUP = "backup"
BACKUP_LOOK_MIN = 5
"""How often it is looked whether the slot of a backup has begun."""
REMINDERS = "reminders"
REMIND_S = 60


class Watch:
    """Schedules of one leader, declared again at each start; nothing of them is stored but the slots."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        config: Config | None = None,
        *,
        keeper: Keeper | None = None,
        notary: Notary | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._keeper = keeper
        self._notary = notary
        self._escalation = config.slack.alert_channel if config is not None else None
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def start(self) -> None:
        """Begin to tick, on the running loop."""
        self._scheduler.add_job(
            self.housekeeping,
            "interval",
            hours=1,
            id=HOUSEKEEPING,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=60,
        )
        if self._config is not None:
            self._scheduler.add_job(
                self.deadman, "interval", minutes=1, id=DEADMAN, coalesce=True, max_instances=1, misfire_grace_time=60
            )
            self._scheduler.add_job(
                self.backup,
                "interval",
                minutes=BACKUP_LOOK_MIN,
                id=BACKUP,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=60,
            )
        self._scheduler.add_job(
            self.reminders,
            "interval",
            seconds=REMIND_S,
            id=REMINDERS,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=60,
        )
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def deadman(self) -> tuple[str, ...]:
        """Raise changes without a finished retest after 15 minutes, let old proposals expire (R27)."""
        from bot.tuning import deadman

        config = self._config
        if config is None:
            return ()
        found = await self._store.write(lambda tx: deadman.look(tx, config))
        if found:
            log.warning("overdue", changes=found)
        return found

    async def backup(self) -> Backup | None:
        """One backup in each slot; None when this slot's was made before. A failure is told in the log and by the next
        slot's gap: nothing of the bot waits for it."""
        from bot.audit import backing

        if self._config is None:
            return None
        try:
            made = await backing.tick(self._store, self._notary, self._clock, self._config)
        except SendcatError as error:
            log.error("no backup", error=error.what)
            return None
        if made is not None:
            log.info("backup", name=made.name, records=made.records)
        return made

    async def housekeeping(self) -> bool:
        """Forget deliveries older than a day, once an hour; False when this hour's slot was taken before."""
        now_ms = self._clock.now_ms()

        def tidy(tx: Tx) -> bool:
            if not schedule.claim(tx, HOUSEKEEPING, now_ms - now_ms % HOUR_MS):
                return False
            inbox.forget(tx, now_ms - inbox.KEEP_MS)
            schedule.forget(tx)
            return True

        done = await self._store.write(tidy)
        log.info("housekeeping", done=done)
        return done

    async def reminders(self) -> int:
        """Say what is due, each slot once, and let the cards of incidents show how old things are; returns how many."""
        due = await self._store.read(lambda conn: reminders.due(conn, self._clock.now_ms()))
        said = await self._store.write(lambda tx: remind.tick(tx, self._escalation)) if due else 0
        if self._keeper is not None:
            self._keeper.wake()
        return said
