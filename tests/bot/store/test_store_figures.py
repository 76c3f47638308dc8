"""How fast it is: loose bounds that hold on a busy machine (`make bench` measures)."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from bot.clock import SystemClock
from bot.store import audit
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.store.tx import Tx
from tests.conftest import SLOW


def tick(tx: Tx) -> int:
    return audit.append(tx, audit.AuditRecord(phase="system", action="tick", actor="system", door="system"))


@pytest.mark.parametrize("slow", [SLOW, pytest.param(1.0, marks=pytest.mark.prove)])
async def test_durable_appends_in_groups_and_one_at_a_time(leadership: Leadership, slow: float) -> None:
    """At least 1,000 records a second in groups; one alone takes about one synced commit."""
    store = Store.open(leadership, clock=SystemClock())
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        await asyncio.gather(*(store.write(tick) for _ in range(1000)))
        rates.append(1000 / (time.perf_counter() - started))
    singles = []
    for _ in range(100):
        started = time.perf_counter()
        await store.write(tick)
        singles.append(time.perf_counter() - started)
    await store.close()

    assert max(rates) >= 1000 / slow
    assert statistics.median(singles) < 0.025 * slow


async def test_a_hundred_thousand_letters_of_history_do_not_slow_the_queue(tx: Tx) -> None:
    """What was sent long ago costs nothing when the poster asks what is due."""
    from bot.store import outbox

    tx.db.execute("BEGIN")
    outbox.put(tx, "parent", channel="C1", kind="card", text="x")
    tx.db.execute(
        """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        INSERT INTO outbox (key, channel, kind, text, urgent, final, state, due_ms, created_ms)
        SELECT 'old ' || i, 'C1', 'card', 'x', 0, 0, 'sent', 0, 0 FROM n
        """
    )
    tx.db.execute("COMMIT")
    started = time.perf_counter()
    for _ in range(20):
        assert len(outbox.due(tx.db, tx.now_ms)) == 1
    assert (time.perf_counter() - started) / 20 < 0.02 * SLOW
