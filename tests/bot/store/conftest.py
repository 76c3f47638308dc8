"""A store in a temporary folder, a clock held by hand, and a transaction to try functions in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from store_kit import MORNING_MS, HandClock

from bot.command import Actor, Ask, Door, Place
from bot.store import connection, epochs, migrations
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.store.tx import Tx


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def leadership(state_dir: Path) -> Iterator[Leadership]:
    held = Leadership.acquire(state_dir)
    yield held
    held.release()


@pytest.fixture
async def store(leadership: Leadership, clock: HandClock) -> AsyncIterator[Store]:
    opened = Store.open(leadership, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    """A transaction in autocommit mode on a new database, in epoch 1."""
    db = connection.writer(tmp_path / "alone.db")
    db.execute("PRAGMA synchronous = OFF")
    migrations.apply(db)
    first = Tx(db, MORNING_MS, 1)
    epochs.begin(first)
    yield first
    db.close()


@pytest.fixture
def ask() -> Callable[..., Ask]:
    def make(key: str = "k1", *, account: str = "slack:U0ONCALL", channel: str = "C0INC", **more: object) -> Ask:
        return Ask.model_validate(
            {
                "line": "triage",
                "by": Actor(door=Door.SLACK, account=account, team="T0", app="A0"),
                "place": Place(kind="channel", channel=channel),
                "key": key,
                **more,
            }
        )

    return make
