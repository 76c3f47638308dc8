"""Standing is Slack's word, at most a minute old; what cannot be learned is unknown."""

from __future__ import annotations

import asyncio
import time

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.config import Config, Roles
from bot.practice.slack import PracticeSlack
from bot.slack.people import FRESH_S, UNKNOWN, Directory
from tests.conftest import SLOW

CONFIG = Config(roles=Roles(responder=("S0ONCALL",), release_manager=("S0RELMGR", "S0MISSING")))


class MovedClock(SystemClock):
    """The machine's clock, moved forward by hand."""

    moved_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.moved_s


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def directory(web: AsyncWebClient, clock: MovedClock) -> Directory:
    return Directory(web, CONFIG, clock)


@pytest.mark.parametrize(
    ("user", "kind", "groups"),
    [
        ("U0ONCALL", "member", {"S0ONCALL"}),
        ("U0RELMGR", "member", {"S0RELMGR"}),
        ("U0VISITOR", "member", set()),
        ("U0GUEST", "guest", set()),
        ("U0STRANGER", "stranger", set()),
        ("U0SENDCAT", "bot", set()),
    ],
)
async def test_R8_standing_of_everybody(directory: Directory, user: str, kind: str, groups: set[str]) -> None:
    standing = await directory.standing(f"slack:{user}")

    assert (standing.known, standing.kind, standing.groups) == (True, kind, groups)


async def test_R8_a_deactivated_person_is_no_member_whatever_the_groups_say(
    directory: Directory, slack: PracticeSlack
) -> None:
    slack.workspace.people["U0ONCALL"].deleted = True
    standing = await directory.standing("slack:U0ONCALL")

    assert (standing.kind, standing.groups) == ("deactivated", frozenset())


@pytest.mark.parametrize("account", ["slack:U0NOBODY", "slack:", "os:oncall", "U0ONCALL", "timer:x"])
async def test_R7_who_is_not_known_is_unknown(directory: Directory, account: str) -> None:
    assert await directory.standing(account) == UNKNOWN


async def test_R7_slack_down_nobody_is_known(directory: Directory, slack: PracticeSlack) -> None:
    await slack.set_down(True)

    assert await directory.standing("slack:U0ONCALL") == UNKNOWN


async def test_R7_a_slow_slack_is_not_waited_for(web: AsyncWebClient, slack: PracticeSlack) -> None:
    directory = Directory(web, CONFIG, SystemClock(), within_s=0.1)
    slack.faults.slow_s = 1.0
    began = time.monotonic()

    assert await directory.standing("slack:U0ONCALL") == UNKNOWN
    assert time.monotonic() - began < 0.6 * SLOW


async def test_two_hundred_questions_are_one_call(directory: Directory, slack: PracticeSlack) -> None:
    answers = await asyncio.gather(*(directory.standing("slack:U0ONCALL") for _ in range(200)))

    assert len(set(answers)) == 1
    assert slack.count("users.info") == 1


async def test_membership_is_at_most_a_minute_old(
    directory: Directory, slack: PracticeSlack, clock: MovedClock
) -> None:
    before = await directory.standing("slack:U0ONCALL")
    slack.workspace.groups["S0ONCALL"].users.clear()
    within = await directory.standing("slack:U0ONCALL")
    clock.moved_s += FRESH_S + 1
    after = await directory.standing("slack:U0ONCALL")

    assert [bool(standing.groups) for standing in (before, within, after)] == [True, True, False]


async def test_a_failure_is_not_remembered(directory: Directory, slack: PracticeSlack) -> None:
    slack.faults.error_500("users.info")
    first = await directory.standing("slack:U0ONCALL")

    assert not first.known
    assert (await directory.standing("slack:U0ONCALL")).known


async def test_R7_a_group_that_cannot_be_read_has_no_members(directory: Directory, slack: PracticeSlack) -> None:
    slack.faults.error_500("usergroups.users.list", times=5)
    standing = await directory.standing("slack:U0ONCALL")

    assert (standing.known, standing.kind, standing.groups) == (True, "member", frozenset())
