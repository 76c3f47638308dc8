"""Waiting for an event: told or not in time, and never deaf to its own end; and for tasks that are to end."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bot.clock import let_end, rung
from tests.conftest import SLOW


async def test_it_says_whether_the_event_came() -> None:
    bell = asyncio.Event()
    assert not await rung(bell, 0.001)
    bell.set()
    assert await rung(bell, 0.001)
    assert await rung(bell, 0)


@pytest.mark.parametrize("turns", range(5))
async def test_a_cancellation_that_comes_with_the_event_gets_through(turns: int) -> None:
    bell = asyncio.Event()

    async def listen() -> None:
        while True:
            bell.clear()
            await rung(bell, 30)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.01)
    bell.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.timeout(2 * SLOW):
            await listening
    assert listening.cancelled()


async def test_tasks_end_by_themselves_or_are_cancelled_after_their_grace() -> None:
    bell = asyncio.Event()
    quick = asyncio.create_task(bell.wait())
    slow = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(bell.set)

    await let_end([quick, slow], 0.05, cancelled_s=5)

    assert quick.result()
    assert slow.cancelled()
    await let_end([], 60, cancelled_s=60)
