"""The fixed scene: one moment, one deployment, the same people; a real `World` on it, without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.authority import Standing, Who, resolve
from bot.card import Button, Card
from bot.command import Actor, Ask, Door, Place
from bot.commands import catalog
from bot.config import Config
from bot.errors import SendcatError
from bot.incidents.keeper import Keeper
from bot.pages import read_book
from bot.practice.house import Deployment, RunFile, practice_config
from bot.redact import Masker, Scrubber
from bot.run import Run
from bot.sendcat.brake import Stops
from bot.store import ops
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.worker import error_outcome
from bot.world import World

DATA = Path(__file__).parents[1] / "data"
T0 = 1_795_419_420_000
"""14 s after the sample snapshots were taken: 2026-11-23 07:37 UTC."""
MINUTE, HOUR = 60_000, 3_600_000
ONCALL, RELMGR, LEAD, VISITOR = (f"slack:U0{name}" for name in ("ONCALL", "RELMGR", "LEAD", "VISITOR"))
CHANNEL = "C0INC"
SHA = "3f0d" * 16


@dataclass
class Still:
    """Time stands still, so that a picture is the same on every day."""

    at_ms: int = T0

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.at_ms += int(seconds * 1000)


Shown = Card | dict[str, Any]
"""A card, which is drawn as a message; or a view (``type`` home or modal) as it is sent."""


@dataclass(frozen=True)
class Scene:
    """What the areas draw from."""

    world: World

    @property
    def config(self) -> Config:
        return self.world.config

    def who(self, account: str = ONCALL, kind: Any = "member") -> Who:
        actor = Actor(door=Door.SLACK, account=account, team="T0PRACTICE")
        return resolve(self.config, actor, Standing(known=True, kind=kind))

    async def run(self, line: str, *, by: str = ONCALL) -> Run:
        """An operation of this line that has just begun; its artifacts go to the scene's own folder."""
        plan = catalog().plan(line, self.config)
        ask = Ask(line=line, by=self.who(by).actor, place=Place(kind="channel", channel=CHANNEL), key=line + str(by))
        target = plan.target.name if plan.target else None
        op = await self.world.store.write(
            lambda tx: ops.start(tx, ops.new(tx, ask, plan.command.name, plan.line, target).id)
        )
        return Run(self.world, op, self.who(by), self.world.stops.brake(op.id), plan.target)

    async def say(self, line: str, *, by: str = ONCALL) -> Card:
        """What the asker is told when this line is carried out."""
        run = await self.run(line, by=by)
        plan = catalog().plan(line, self.config)
        try:
            outcome = await plan.command.run(run, plan.args)
        except SendcatError as error:
            outcome = error_outcome(error, run.op, None)
        return outcome.card


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """The scene in the working directory, so that no path differs between machines."""
    place = Deployment(
        api_url="http://127.0.0.1:1",
        site_url="http://127.0.0.1:2",
        deploy_key="practice-otter-1|0000",
        control_key="0000",
        gmail_token="0000",
        whatsapp_secret="0000",
        pool_file=Path("pool.json"),
    )
    config = practice_config(RunFile(pid=1, deployments={"practice": place}), Path("state"))
    clock = Still()
    leadership = Leadership.acquire(config.state_dir)
    store = Store.open(leadership, clock=clock)
    wall = catalog()
    world = World(
        config=config,
        clock=clock,
        store=store,
        book=read_book(wall.names),
        stops=Stops(config.state_dir, clock),
        scrubber=Scrubber(config.secrets()),
        masker=Masker(b"golden"),
        keeper=Keeper(
            store,
            clock,
            commands=[command.name for command in wall.commands if not command.quiet],
            artifact_dir=config.artifact_dir,
            runbook_dir=config.runbook_dir,
        ),
    )
    try:
        yield Scene(world)
    finally:
        await world.close()
        await store.close()
        leadership.release()


def sample(path: str) -> Any:
    return json.loads((DATA / path).read_text())


def minted(card: Card) -> Card:
    """Every button with an offer, counted instead of drawn by lot."""
    return card.model_copy(update={"buttons": tuple(_minted(b, n) for n, b in enumerate(card.buttons, 1))})


def _minted(button: Button, number: int) -> Button:
    return button.model_copy(update={"offer": f"{number:032x}"})
