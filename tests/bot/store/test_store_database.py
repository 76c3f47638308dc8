"""Opening, writing in groups, reading beside the writer, closing (safety.md, decision 2; R4, R6, R33, R38)."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import stat
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from store_kit import HandClock

from bot.command import Ask
from bot.errors import Broken, Busy, Refused
from bot.store import audit, epochs, inbox, migrations, ops, settings
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.store.tx import Tx
from bot.store.writer import GROUP
from tests.conftest import SLOW


def remember(name: str, value: object = 1) -> Callable[[Tx], str]:
    def step(tx: Tx) -> str:
        settings.put(tx, name, value)
        return name

    return step


async def test_the_promises_of_the_writing_connection(store: Store, state_dir: Path) -> None:
    def look(tx: Tx) -> list[object]:
        wanted = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "recursive_triggers")
        return [tx.db.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted]

    assert await store.write(look) == ["wal", 2, 1, 5000, 1]
    for path in state_dir.glob("sendcat.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_every_table_of_ours_is_strict(store: Store) -> None:
    rows = await store.read(lambda db: db.execute("SELECT name, strict FROM pragma_table_list").fetchall())
    loose = {name for name, strict in rows if not strict}
    assert loose == {"sqlite_schema", "sqlite_temp_schema", "sqlite_sequence"}


async def test_migrations_are_applied_once_and_only_added(leadership: Leadership, clock: HandClock) -> None:
    for expected in (1, 2, 3):
        store = Store.open(leadership, clock=clock)
        assert store.epoch == expected
        names = await store.read(
            lambda db: [row[0] for row in db.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
        )
        assert names == [step.__name__ for step in migrations.ALL]
        await store.close()


async def test_a_first_start_that_was_cut_short_is_simply_started_again(
    state_dir: Path, leadership: Leadership, clock: HandClock
) -> None:
    sqlite3.connect(state_dir / "sendcat.db").execute("PRAGMA journal_mode = wal").connection.close()
    store = Store.open(leadership, clock=clock)
    assert store.damage is None
    await store.close()


async def test_a_file_without_bytes_is_a_new_database(
    state_dir: Path, leadership: Leadership, clock: HandClock
) -> None:
    (state_dir / "sendcat.db").touch()
    store = Store.open(leadership, clock=clock)
    assert store.damage is None
    await store.close()


async def test_steps_share_commits_and_one_that_fails_leaves_its_neighbours_alone(store: Store) -> None:
    """The writer is held in a first step while many wait; then they go in groups, the bad ones alone are undone."""
    hold = threading.Event()
    first = asyncio.create_task(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.05)

    commits: list[int] = []
    store.on_commit("note", lambda: commits.append(1))

    def good(tx: Tx, n: int) -> None:
        settings.put(tx, f"n{n}", 1)
        tx.touch("note")

    def bad(tx: Tx) -> None:
        settings.put(tx, "undone", 1)
        raise Refused("no")

    waits = [store.write(bad if n % 7 == 0 else partial(good, n=n)) for n in range(200)]
    results = asyncio.gather(*waits, return_exceptions=True)
    await asyncio.sleep(0.05)
    hold.set()
    outcome = await results
    await first

    assert [isinstance(one, Refused) for one in outcome] == [n % 7 == 0 for n in range(200)]
    names = await store.read(lambda db: {row[0] for row in db.execute("SELECT name FROM settings")})
    assert names == {f"n{n}" for n in range(200) if n % 7}
    assert len(commits) == math.ceil(200 / GROUP)


async def test_R4_nothing_is_answered_before_it_is_committed(store: Store, state_dir: Path) -> None:
    """After each answer, another process sees the row."""
    for n in range(20):
        await store.write(remember(f"n{n}"))
        other = sqlite3.connect(f"file:{state_dir / 'sendcat.db'}?mode=ro", uri=True)
        assert other.execute("SELECT 1 FROM settings WHERE name = ?", (f"n{n}",)).fetchone()
        other.close()


async def test_the_urgent_lane_goes_first(store: Store) -> None:
    hold, order = threading.Event(), []
    first = asyncio.create_task(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.05)
    usual = [asyncio.create_task(store.write(lambda tx, n=n: order.append(n))) for n in range(200)]  # type: ignore[misc]
    await asyncio.sleep(0)
    urgent = asyncio.create_task(store.write(lambda tx: order.append("stop"), urgent=True))
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(first, urgent, *usual)

    assert order[0] == "stop"
    assert order[1:] == list(range(200))


async def test_R6_over_the_limit_is_a_clear_busy(leadership: Leadership, clock: HandClock) -> None:
    store = Store.open(leadership, clock=clock, queue_limit=10)
    hold = threading.Event()
    first = asyncio.create_task(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.05)
    waits = [asyncio.create_task(store.write(remember(f"n{n}"))) for n in range(15)]
    await asyncio.sleep(0)
    assert store.waiting == 10
    stop = asyncio.create_task(store.write(remember("stop"), urgent=True))
    await asyncio.sleep(0)
    hold.set()
    outcome = await asyncio.gather(*waits, return_exceptions=True)

    assert [isinstance(one, Busy) for one in outcome] == [False] * 10 + [True] * 5
    assert await stop == "stop"
    await first
    await store.close()


async def test_R3_R4_a_thousand_at_once_and_none_is_lost(store: Store, ask: Callable[..., Ask]) -> None:
    """1,000 accepts, each delivered three times at the same moment: 1,000 operations, 2,000 duplicates."""

    def accept(wish: Ask) -> Callable[[Tx], inbox.Delivery]:
        def step(tx: Tx) -> inbox.Delivery:
            if known := inbox.seen(tx.db, wish.key):
                return known
            return inbox.accept(tx, wish, ops.new(tx, wish, "triage", wish.line, None).id)

        return step

    wishes = [ask(f"key {n}") for n in range(1000)]
    deliveries = await asyncio.gather(*(store.write(accept(wish)) for wish in wishes * 3))

    assert sum(not delivery.duplicate for delivery in deliveries) == 1000
    assert len({delivery.op for delivery in deliveries}) == 1000
    assert await store.read(lambda db: len(ops.open_ops(db))) == 1000


async def test_R33_watchers_hear_of_commits_and_of_nothing_else(store: Store) -> None:
    bell = store.watch("outbox")
    calls: list[int] = []
    forget = store.on_commit("ops", lambda: calls.append(1))

    def undone(tx: Tx) -> None:
        tx.touch("outbox")
        raise Refused("no")

    with pytest.raises(Refused):
        await store.write(undone)
    await asyncio.sleep(0)
    assert not bell.is_set()

    await store.write(lambda tx: (tx.touch("outbox"), tx.touch("ops")))
    await asyncio.sleep(0)
    assert bell.is_set()
    assert calls == [1]

    forget()
    forget()
    await store.write(lambda tx: tx.touch("ops"))
    await asyncio.sleep(0)
    assert calls == [1]


async def test_a_reader_sees_one_snapshot_and_cannot_write(store: Store, state_dir: Path) -> None:
    await store.write(remember("a"))
    with pytest.raises(Broken, match="may not be written"):
        await store.read(lambda db: db.execute("DELETE FROM settings"))

    beside = Store.open_reader(state_dir)
    assert beside.epoch == store.epoch
    assert await beside.read(lambda db: settings.get(db, "a")) == 1
    with pytest.raises(Busy, match="only reads"):
        await beside.write(remember("b"))
    await beside.close()


async def test_there_is_nothing_to_read_before_the_first_start(state_dir: Path) -> None:
    with pytest.raises(Broken, match="no database"):
        Store.open_reader(state_dir)
    assert not state_dir.exists()


async def test_reads_run_beside_a_held_writer(store: Store) -> None:
    hold = threading.Event()
    held = asyncio.create_task(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.05)
    assert await asyncio.wait_for(store.read(lambda db: settings.get(db, "nothing")), 1 * SLOW) is None
    hold.set()
    await held


async def test_R38_a_full_disk_is_told_and_what_was_told_is_true(store: Store) -> None:
    """With no page left every answer is either a stored row or a refusal; room again, and all goes on."""
    pages = await store.write(lambda tx: tx.db.execute("PRAGMA page_count").fetchone()[0])
    await store.write(lambda tx: tx.db.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone())
    outcome = await asyncio.gather(
        *(store.write(remember(f"n{n}", "x" * 2000)) for n in range(100)), return_exceptions=True
    )
    stored = await store.read(lambda db: {row[0] for row in db.execute("SELECT name FROM settings")})

    told = {one for one in outcome if isinstance(one, str)}
    refused = [one for one in outcome if isinstance(one, Broken)]
    assert told == stored
    assert len(told) + len(refused) == 100
    assert "disk is full" in str(refused[0])
    assert store.damage is None

    await store.write(lambda tx: tx.db.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert await store.write(remember("room")) == "room"


async def test_R38_a_database_that_may_not_be_written_is_told(store: Store) -> None:
    await store.write(lambda tx: tx.db.execute("PRAGMA query_only = 1"))
    with pytest.raises(Broken, match="may not be written"):
        await store.write(remember("a"))


async def test_R38_after_an_error_of_the_disk_nothing_more_is_written(store: Store) -> None:
    """What a failed sync lost is unknown, so the store is read only from then on."""

    def torn(tx: Tx) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    with pytest.raises(Broken, match="disk reports an error"):
        await store.write(torn)
    assert store.damage
    with pytest.raises(Broken, match="in doubt"):
        await store.write(remember("a"))
    assert await store.read(lambda db: settings.get(db, "a")) is None


async def test_a_step_that_ends_the_transaction_undoes_itself_and_says_so(store: Store) -> None:
    with pytest.raises(RuntimeError, match="ended the transaction"):
        await store.write(lambda tx: tx.db.execute("COMMIT"))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await store.write(lambda tx: next(iter(())))
    assert await store.write(remember("goes on")) == "goes on"


async def test_a_waiter_that_gives_up_does_not_undo_its_step(store: Store) -> None:
    hold = threading.Event()
    held = asyncio.create_task(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.05)
    leaver = asyncio.create_task(store.write(remember("left")))
    await asyncio.sleep(0)
    leaver.cancel()
    hold.set()
    await held
    await store.write(remember("after"))
    assert await store.read(lambda db: settings.get(db, "left")) == 1


async def test_R32_closing_writes_what_waits_and_admits_nothing(
    leadership: Leadership, state_dir: Path, clock: HandClock
) -> None:
    store = Store.open(leadership, clock=clock)
    waits = [asyncio.create_task(store.write(remember(f"n{n}"))) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*waits) == [f"n{n}" for n in range(300)]
    with pytest.raises(Busy, match="ending"):
        await store.write(remember("late"))
    with pytest.raises(Busy, match="ending"):
        await store.read(lambda db: None)
    await store.close()

    reader = Store.open_reader(state_dir)
    last = await reader.read(lambda db: epochs.get(db, store.epoch))
    assert last is not None
    assert last.clean
    await reader.close()
    assert not (state_dir / "sendcat.db-wal").exists() or (state_dir / "sendcat.db-wal").stat().st_size == 0


async def test_R32_closing_is_bounded_and_tells_those_who_were_not_written(
    leadership: Leadership, state_dir: Path, clock: HandClock
) -> None:
    store = Store.open(leadership, clock=clock)
    hold = threading.Event()
    held = asyncio.create_task(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.05)
    late = asyncio.create_task(store.write(remember("late")))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.2, hold.set)
    await store.close(timeout_s=0.1)
    await held
    with pytest.raises(Busy, match="ending"):
        await late
    last = await (reader := Store.open_reader(state_dir)).read(lambda db: epochs.get(db, store.epoch))
    assert last is not None
    assert not last.clean
    await reader.close()


async def test_a_sign_of_life_is_kept_and_an_unclean_end_is_seen(
    leadership: Leadership, clock: HandClock, store: Store
) -> None:
    clock.at_ms += 5_000
    await store.write(epochs.beat)
    now = await store.read(lambda db: epochs.get(db, store.epoch))
    assert now is not None
    assert (now.seen_ms - now.started_ms, now.ended_ms, now.clean) == (5_000, None, False)
    assert await store.read(lambda db: epochs.get(db, 99)) is None


async def test_facts_are_kept_and_forgotten(store: Store) -> None:
    await store.write(remember("pause", {"by": "slack:U0", "why": "Übung"}))
    assert await store.read(lambda db: settings.get(db, "pause")) == {"by": "slack:U0", "why": "Übung"}
    await store.write(remember("pause", False))
    assert await store.read(lambda db: settings.get(db, "pause")) is False
    await store.write(remember("pause", None))
    assert await store.read(lambda db: settings.get(db, "pause")) is None


async def test_R28_a_step_is_one_transaction(store: Store, ask: Callable[..., Ask]) -> None:
    """When the last part of a step fails, its operation, delivery and audit record are all not there."""

    def step(tx: Tx) -> None:
        op = ops.new(tx, ask(), "triage", "triage", None)
        inbox.accept(tx, ask(), op.id)
        audit.append(tx, audit.AuditRecord(phase="intent", action="triage", actor="slack:U0", door="slack"))
        raise Refused("at the very end")

    with pytest.raises(Refused):
        await store.write(step)
    counts = await store.read(
        lambda db: [db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("ops", "inbox", "audit")]
    )
    assert counts == [0, 0, 0]
