"""Every catalogue entry declares its doors, and the declared doors work (INTERFACES.md, section 6).

Each command's own examples are given to the desk through every door, by somebody who has every role: what is declared
is accepted (or asks by its form), what is not is refused by name. Nothing is carried out: the worker rests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.authority import TABLE, Standing
from bot.command import Actor, Ask, Command, Door, Place
from bot.commands import ALL
from bot.config import Config, Person, Roles
from bot.main import Bot

ACCOUNTS = {Door.SLACK: "slack:U0EVERY", Door.TERMINAL: "os:every"}


class Workspace:
    """A workspace in which everybody is a member."""

    team = "T0PRACTICE"

    async def standing(self, account: str) -> Standing:
        return Standing(known=True, kind="member")


@pytest.fixture
async def desk_only(config: Config) -> AsyncIterator[Bot]:
    """A bot that accepts and carries nothing out, and a person with every role."""
    roles = Roles(responder=("every",), release_manager=("every",), manager=("every",), admin=("every",))
    people = {**config.people, "every": Person(slack=("U0EVERY",), os=("every",))}
    led = await Bot.lead(config.model_copy(update={"people": people, "roles": roles}), rests=False)
    await led.worker.stop(0)
    led.world.directory = Workspace()
    yield led
    await led.close(grace_s=0.1)


def asked(command: Command[Any], line: str, door: Door) -> Ask:
    place = Place(kind="channel", channel="C0INC") if door is Door.SLACK else Place(kind="terminal")
    actor = Actor(door=door, account=ACCOUNTS[door], team="T0PRACTICE" if door is Door.SLACK else None)
    return Ask(line=line, by=actor, place=place, key=f"{door}:{command.name}:{line}", modal=door is Door.SLACK)


def works(command: Command[Any], action: str, door: Door) -> bool:
    """Declared, and not kept to Slack by the table of authority: decisions are (INTERFACES.md, section 3)."""
    return door in command.doors and not (TABLE[action].slack_only and door is Door.TERMINAL)


async def test_what_is_declared_works_and_what_is_not_is_refused_by_name(desk_only: Bot) -> None:
    desk = desk_only.desk
    for command in ALL:
        assert command.doors, command.name
        assert command.doors <= {Door.SLACK, Door.TERMINAL}, "the timer keeps its own lines"
        assert command.examples, f"{command.name} has no example"
        for line in command.examples:
            for door in ACCOUNTS:
                reply = await desk.accept(asked(command, line, door))
                said = reply.card.model_dump_json() if reply.card else ""
                action = desk.catalog.plan(line, desk_only.world.config).action
                if works(command, action, door):
                    # A stop is carried out at the door itself: it has no operation (R19).
                    assert reply.op or reply.opening or command.name == "stop", f"{door}: {line}: {said}"
                    assert reply.exit_status == 0, f"{door}: {line}: {said}"
                else:
                    assert reply.op is None, f"{door}: {line} went through"
                    assert reply.exit_status == 4, f"{door}: {line}: {said}"
                    assert "only" in said, f"{door}: {line}: {said}"
                if command.single and reply.op:  # so that the next example is not answered with this one
                    await desk_only.world.store.write(lambda tx: tx.db.execute("UPDATE ops SET state = 'done'"))
