"""Circuits while load is on: one that opens ends the drill, one that was open before does not (R18)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bot.clock import SystemClock
from bot.sendcat.brake import Brake, Why
from bot.sendcat.circuits import CircuitWatch
from bot.sendcat.convex import ConvexClient
from tests.bot.sendcat.drill_kit import plan_of, run_here, stage
from tests.bot.sendcat.wild import Wild, always, healthy, in_turn, value

Build = Callable[..., Awaitable[tuple[ConvexClient, Wild]]]


def rows(**states: str) -> Any:
    return value([{"provider": name, "state": state, "failureCount": 1} for name, state in states.items()])


async def watched(client: ConvexClient, seconds: float = 0.3) -> tuple[CircuitWatch, Brake]:
    brake = Brake(SystemClock())
    async with CircuitWatch(client, brake, SystemClock(), every_s=0.02) as watch:
        for _ in range(int(seconds / 0.02)):
            if brake.halted is not None:
                break
            await asyncio.sleep(0.02)
    return watch, brake


async def test_R18_a_circuit_that_opens_during_the_drill_ends_it(convex: Build) -> None:
    calm, later = rows(gmail_oauth="open", serper_search="half_open"), rows(gmail_oauth="open", serper_search="open")
    client, server = await convex(in_turn(calm, calm, later))
    watch, brake = await watched(client)
    assert watch.opened == ("serper_search",)
    assert brake.halted is not None
    assert (brake.halted.reason, brake.halted.detail) == (Why.ABORTED, "circuit serper_search opened during the drill")
    assert len(server.seen) == 3, "seen within two looks, each every two seconds in the product"


async def test_R18_open_before_and_circuits_of_tests_do_not_count(convex: Build) -> None:
    client, _ = await convex(in_turn(rows(gmail_oauth="open"), rows(gmail_oauth="open", phase_x="open")))
    watch, brake = await watched(client, 0.15)
    assert (watch.opened, brake.halted) == ((), None)


async def test_what_was_seen_of_the_circuits_stands_in_the_report(
    convex: Build, wild: Callable[..., Awaitable[Wild]]
) -> None:
    client, _ = await convex(rows())
    target = await wild(healthy())
    report = await run_here(plan_of(target.url, stage(3)))
    assert report.honest is not None
    assert report.honest.circuits_opened is None
    noted = (await watched(client, 0.05))[0].noted(report)
    assert noted.honest is not None
    assert noted.honest.circuits_opened == ()
    assert '"circuitsOpened": []' in noted.to_json()


async def test_circuits_that_cannot_be_read_are_told_as_not_watched(
    convex: Build, wild: Callable[..., Awaitable[Wild]]
) -> None:
    client, _ = await convex(always(401, b"no"))
    target = await wild(healthy())
    report = await run_here(plan_of(target.url, stage(3)))
    watch, brake = await watched(client, 0.05)
    assert brake.halted is None
    assert watch.noted(report) == report
