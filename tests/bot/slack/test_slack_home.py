"""Homes are drawn for who looks: fresh at once, few calls, nothing lost while Slack fails, bounded in people and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from slack_kit import NoPace
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.command import Actor, Door
from bot.errors import Unreachable
from bot.home.parts import Line, Part
from bot.home.tab import Home
from bot.practice.slack import PracticeSlack
from bot.practice.slack.faults import SERVER_ERROR, ApiFault
from bot.practice.slack.people import Person, practice_people
from bot.slack.home import LOOKING_S, MOST, HomeTab
from bot.slack.manifest import manifest
from bot.store.database import Store
from tests.conftest import SLOW, until

CROWD = MOST + 10


@dataclass
class Lobby:
    """Shows a number; broken when told so."""

    number: int = 0
    broken: bool = False
    looks: list[str] = field(default_factory=list)

    async def home(self, actor: Actor) -> Home:
        self.looks.append(actor.account)
        if self.broken:
            raise Unreachable("the database does not answer")
        return Home(parts=(Part("Nothing waits for you", (Line(f"number {self.number}"),)),))


class Later(SystemClock):
    """A clock that can be put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture
async def slack() -> AsyncIterator[PracticeSlack]:
    crowd = [Person(f"U0CROWD{number}", f"crowd{number}", f"Crowd {number}") for number in range(CROWD)]
    async with PracticeSlack(manifest=manifest(()), tiers="off", people=[*practice_people(), *crowd]) as running:
        yield running


@pytest.fixture
def lobby() -> Lobby:
    return Lobby()


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
async def homes(lobby: Lobby, web: AsyncWebClient, store: Store, clock: Later) -> AsyncIterator[HomeTab]:
    tab = HomeTab(lobby, web, store, clock, pace=NoPace(clock), debounce_s=0.05, again_s=0.02)
    tab.start()
    yield tab
    await tab.stop()


def actor(user: str = "U0ONCALL") -> Actor:
    return Actor(door=Door.SLACK, account=f"slack:{user}", team="T0PRACTICE")


def shows(slack: PracticeSlack, number: int, user: str = "U0ONCALL") -> bool:
    return f"number {number}" in str(slack.home(user))


def _tried(slack: PracticeSlack, user: str) -> int:
    return sum(call.method == "views.publish" and call.args.get("user_id") == user for call in slack.calls)


async def changed(store: Store, lobby: Lobby, number: int) -> None:
    lobby.number = number
    await store.write(lambda tx: tx.touch("ops"))


async def test_a_burst_of_changes_is_few_calls_and_ends_with_the_last(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    homes.opened(actor())
    await until(lambda: shows(slack, 0))
    for number in range(1, 201):
        await changed(store, lobby, number)
    await until(lambda: shows(slack, 200))

    assert slack.count("views.publish", applied=None) < 40


async def test_the_same_picture_is_not_sent_twice(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    homes.opened(actor())
    await until(lambda: shows(slack, 0))
    before = len(lobby.looks)
    await changed(store, lobby, 0)
    await until(lambda: len(lobby.looks) > before)
    await asyncio.sleep(0.1)

    assert slack.count("views.publish", applied=None) == 1


async def test_R33_slack_fails_goes_down_and_rate_limits_and_the_tab_catches_up(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    homes.opened(actor())
    await until(lambda: shows(slack, 0))
    slack.faults.fail_share(0.5, seed=3)
    slack.faults.rate_limit("views.publish", retry_after_s=1)
    await changed(store, lobby, 1)
    await until(lambda: shows(slack, 1), 10)
    slack.faults.clear()
    await slack.set_down(True)
    await changed(store, lobby, 2)
    await asyncio.sleep(0.15)
    assert shows(slack, 1)
    await slack.set_down(False)

    await until(lambda: shows(slack, 2))


async def test_nobody_draws_before_the_time_that_slack_has_named(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    homes.opened(actor())
    await until(lambda: shows(slack, 0))
    slack.faults.rate_limit("views.publish", retry_after_s=2)
    await changed(store, lobby, 1)
    await until(lambda: slack.count("views.publish", applied=None) == 2)
    for number in range(2, 12):
        await changed(store, lobby, number)
        await asyncio.sleep(0.03)

    assert slack.count("views.publish", applied=None) == 2
    await until(lambda: shows(slack, 11))


async def test_at_most_fifty_people_are_kept_up_to_date_and_only_for_a_while(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab, clock: Later
) -> None:
    """Everybody is drawn when they open it; who opened it longest ago is no longer redrawn."""
    for number in range(CROWD):
        homes.opened(actor(f"U0CROWD{number}"))
        if number % 20 == 19:
            await until(lambda n=number: shows(slack, 0, f"U0CROWD{n}"))  # type: ignore[misc]
    await until(lambda: shows(slack, 0, f"U0CROWD{CROWD - 1}"))
    await changed(store, lobby, 1)
    await until(lambda: shows(slack, 1, f"U0CROWD{CROWD - 1}"))
    newer = [shows(slack, 1, f"U0CROWD{number}") for number in range(CROWD)]
    assert newer == [False] * 10 + [True] * MOST

    clock.ahead_s = LOOKING_S + 1
    calls = slack.count("views.publish", applied=None)
    await changed(store, lobby, 2)
    await asyncio.sleep(0.15)
    assert slack.count("views.publish", applied=None) == calls


async def test_who_slack_does_not_know_is_given_up_at_once_until_they_open_it_again(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    homes.opened(actor("U0NOBODY"))
    homes.opened(actor())
    await until(lambda: shows(slack, 0))
    await until(lambda: _tried(slack, "U0NOBODY") == 1)
    for number in range(1, 6):
        await changed(store, lobby, number)
        await until(lambda n=number: shows(slack, n))  # type: ignore[misc]
    assert _tried(slack, "U0NOBODY") == 1

    homes.opened(actor("U0NOBODY"))
    await until(lambda: _tried(slack, "U0NOBODY") == 2)


async def test_a_picture_that_slack_refuses_is_not_sent_again_but_the_next_one_is(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    homes.opened(actor())
    await until(lambda: shows(slack, 0))
    slack.faults.fail("views.publish", ApiFault(apply=False, status=200, error="invalid_blocks"))
    await changed(store, lobby, 1)
    await until(lambda: slack.count("views.publish", applied=None) == 2)
    looks = len(lobby.looks)
    await changed(store, lobby, 1)
    await until(lambda: len(lobby.looks) > looks)
    assert slack.count("views.publish", applied=None) == 2

    await changed(store, lobby, 2)
    await until(lambda: shows(slack, 2))


async def test_while_slack_fails_it_is_asked_ever_more_seldom_and_changes_do_not_hurry_it(
    slack: PracticeSlack, store: Store, lobby: Lobby, web: AsyncWebClient, clock: Later
) -> None:
    tab = HomeTab(lobby, web, store, clock, pace=NoPace(clock), debounce_s=0.0, again_s=30.0)
    tab.start()
    slack.faults.fail_share(1.0, kinds=(SERVER_ERROR,))
    tab.opened(actor())
    for step in range(300):
        clock.ahead_s += 2
        await changed(store, lobby, step)
    assert slack.count("views.publish", applied=None) <= 8  # in ten minutes: after 30, 60, 120, 120, ... seconds

    slack.faults.clear()
    for _ in range(800):  # at most two minutes later by its clock, whenever the last failure was noticed
        if shows(slack, 999):
            break
        clock.ahead_s += 2
        await changed(store, lobby, 999)
        await asyncio.sleep(0.01)
    await tab.stop()
    assert shows(slack, 999)


async def test_it_ends_at_once_in_the_very_moment_of_a_change(
    store: Store, lobby: Lobby, web: AsyncWebClient, clock: Later
) -> None:
    """A cancellation that comes together with news is not lost."""
    for turns in range(6):
        tab = HomeTab(lobby, web, store, clock, pace=NoPace(clock), debounce_s=5.0)
        tab.start()
        await asyncio.sleep(0.01)
        tab.opened(actor("U0NOBODY"))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(2 * SLOW):
            await tab.stop()


async def test_what_breaks_for_one_look_does_not_end_the_tab(
    slack: PracticeSlack, store: Store, lobby: Lobby, homes: HomeTab
) -> None:
    lobby.broken = True
    homes.opened(actor())
    await until(lambda: len(lobby.looks) > 0)
    lobby.broken = False
    await changed(store, lobby, 5)

    await until(lambda: shows(slack, 5))
