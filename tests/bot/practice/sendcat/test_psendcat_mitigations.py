"""Every fault of the catalogue clears by the right mitigation, and by no wrong one: the whole table, both directions."""

from __future__ import annotations

import pytest

from bot.practice.sendcat.faults.shelf import ALL
from tests.bot.practice.sendcat.fault_table import ROWS, Row
from tests.bot.practice.sendcat.psendcat_kit import Deployment, deployed

RIGHT = [pytest.param(row, name, id=f"{row.label}: {name}") for row in ROWS for name in row.right]
WRONG = [pytest.param(row, name, id=f"{row.label}: {name}") for row in ROWS for name in row.wrong]


def test_every_fault_has_what_clears_it_and_what_does_not() -> None:
    faults = {f"{fault.letter}:{fault.variant}" for fault in ALL}

    assert {row.fault for row in ROWS if row.right} == faults
    assert {row.fault for row in ROWS if row.wrong} == faults
    assert {letter for letter, _ in (fault.split(":") for fault in faults)} == set("ABCDEFGH")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
async def test_a_fault_can_be_seen_and_a_healthy_deployment_shows_none(row: Row) -> None:
    async with deployed() as on:
        assert not row.seen or not await row.ill(on)
        _put_in(on, row)
        assert await row.ill(on)


@pytest.mark.parametrize(("row", "name"), RIGHT)
async def test_the_right_mitigation_clears(row: Row, name: str) -> None:
    async with deployed() as on:
        _put_in(on, row)
        await row.right[name](on)
        assert not await row.ill(on)


@pytest.mark.parametrize(("row", "name"), WRONG)
async def test_a_wrong_mitigation_does_not(row: Row, name: str) -> None:
    async with deployed() as on:
        _put_in(on, row)
        await row.wrong[name](on)
        assert await row.ill(on)
        assert on.practice.counters.processed_twice == 0


def _put_in(on: Deployment, row: Row) -> None:
    letter, variant = row.fault.split(":")
    on.practice.inject(letter, variant=variant, **row.options)
