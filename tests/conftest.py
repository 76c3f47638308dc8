"""The stage of the tests: a practice Sendcat, a practice Slack, and the whole bot between them, in process.

Nothing of ours is patched. What stands in for the world is the practice product, which refuses what the real one
refuses; only addresses, tokens and rests differ from production.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock, token
from bot.command import Actor, Ask, Door, Place, Reply
from bot.commands import ALL
from bot.config import Config
from bot.main import Bot
from bot.practice.house import Deployment, Elsewhere, RunFile, Workspace, practice_config
from bot.practice.outside import Outside
from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import Ack, PracticeSlack
from bot.slack.door import SlackDoor
from bot.slack.manifest import manifest

gc.set_threshold(50_000, 20, 20)
"""Every test leaves a whole product behind; to look for garbage as often as a server should costs a tenth of the time."""

INCIDENTS, RANDOM = "C0INC", "C0RAND"
ONCALL, RELMGR, LEAD, VISITOR, GUEST, STRANGER = (
    "U0ONCALL",
    "U0RELMGR",
    "U0LEAD",
    "U0VISITOR",
    "U0GUEST",
    "U0STRANGER",
)


@dataclass
class Stage:
    """One product under test. ``restart`` ends the bot and leads anew on the same state, as after a crash or deploy."""

    sendcat: PracticeSendcat
    slack: PracticeSlack
    config: Config
    bot: Bot | None = None
    door: SlackDoor | None = None
    _open: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    async def lead(self) -> Bot:
        """Start the bot with its Slack door over HTTP, delivered in process."""
        self.bot = await Bot.lead(self.config, rests=False)
        self.door = SlackDoor(self.bot.world.config, self.bot.desk, self.bot.world.store, self.bot.world.clock)
        self.bot.world.directory, self.bot.world.messages = self.door.directory, self.door.messages
        await self.door.open()
        self.slack.deliver_http(app=self.door.asgi_app)
        return self.bot

    async def leave(self) -> None:
        """End the bot in good order; what still runs is not waited for."""
        if self.door is not None:
            await self.door.stop(flush_s=0.5)
        if self.bot is not None:
            await self.bot.close(grace_s=0.5)
        self.bot = self.door = None

    async def restart(self) -> Bot:
        await self.leave()
        return await self.lead()

    async def type(self, text: str, *, user: str = ONCALL, channel: str = INCIDENTS) -> Ack:
        """Somebody types ``/sendcat <text>``."""
        return await self.slack.hands.command(user, channel, f"/sendcat {text}".strip())

    def cards(self, channel: str = INCIDENTS) -> list[dict[str, Any]]:
        """The bot's messages in a channel (not in threads), oldest first."""
        return [m for m in self.slack.messages(channel) if m.get("blocks") and not _in_thread(m)]

    def whispers(self, user: str = ONCALL) -> list[str]:
        """Everything that only this person saw, as text."""
        return [text_of(m) for m in self.slack.ephemerals(user)]

    async def begun(self, channel: str = INCIDENTS) -> None:
        """What was typed runs and shows it; its end is not waited for (a quick drill takes six seconds)."""
        await until(lambda: bool(self.cards(channel)) and "RUNNING" in text_of(self.cards(channel)[-1]))

    async def final(self, channel: str = INCIDENTS, within_s: float = 30.0) -> str:
        """The newest card of a channel as text, once what it shows is over."""
        await until(lambda: bool(self.cards(channel)) and not _on_its_way(self.cards(channel)[-1]), within_s)
        return text_of(self.cards(channel)[-1])

    async def in_time(self, line: str, channel: str = INCIDENTS) -> str:
        """The final card of this line, just typed, once its load generator kept time.

        On a crowded machine it does not, and the product rightly says INCOMPLETE: one runs it again, as a person would.
        """
        card = await self.final(channel)
        for _ in range(3):
            if "the load generator" not in card:
                break
            before = len(self.cards(channel))
            await self.type(line, channel=channel)
            await until(lambda before=before: len(self.cards(channel)) > before)  # type: ignore[misc]
            card = await self.final(channel)
        return card


def _on_its_way(message: dict[str, Any]) -> bool:
    """Whether a card shows something accepted or running; what runs without effects has no button to stop it."""
    title = text_of(message).split("\n", 1)[0]
    return "ACCEPTED" in title or "RUNNING" in title or "run.stop" in json.dumps(message)


def _in_thread(message: dict[str, Any]) -> bool:
    return message.get("thread_ts") not in (None, message.get("ts"))


def text_of(message: dict[str, Any]) -> str:
    """Every text of a message, one a line, in reading order."""
    from bot.practice.demo import lines_of

    return "\n".join(lines_of(message.get("blocks") or [])) or str(message.get("text", ""))


def ticked(view: dict[str, Any]) -> dict[str, Any]:
    """Every box of an open form, ticked: what a person sends with the rest of the answers."""
    boxes = [block for block in view["blocks"] if block.get("element", {}).get("type") == "checkboxes"]
    return {b["block_id"]: {b["block_id"]: [box["value"] for box in b["element"]["options"]]} for b in boxes}


def told(stage: Stage, at: int = -1) -> str:
    """What a card says; after that of a walk, the list of every step in its thread."""
    card = stage.cards()[at]
    steps = (m for m in stage.slack.thread(INCIDENTS, card["ts"]) if "every step" in m.get("text", ""))
    return "\n".join(text_of(m) for m in (card, *steps))


SLOW = 3.0
"""A machine may be so many times slower than a quiet one before what takes long counts as what never comes."""


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something holds; fails when it does not within the time of a quiet machine times `SLOW`.

    Looks seldom once it has waited a while: to read every card fifty times a second would slow what is waited for.
    """
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        if waited > within_s * SLOW:
            pytest.fail(f"did not hold within {within_s * SLOW:g} s")
        await asyncio.sleep(min(0.02 + waited / 10, 0.1))


@pytest.fixture
async def sendcat() -> AsyncIterator[PracticeSendcat]:
    """A healthy practice Sendcat on loopback."""
    practice = PracticeSendcat(seed=1)
    await practice.start()
    yield practice
    await practice.stop()


@pytest.fixture
async def slack() -> AsyncIterator[PracticeSlack]:
    """A practice Slack with our manifest."""
    practice = PracticeSlack(manifest=manifest(ALL))
    await practice.start()
    yield practice
    await practice.stop()


def config_for(
    folder: Path, sendcat: PracticeSendcat, slack: PracticeSlack | None = None, outside: Outside | None = None
) -> Config:
    """The practice configuration, with all state in a temporary folder."""
    pool = folder / "pool.json"
    pool.write_text(json.dumps(sendcat.pool))
    place = Deployment(
        api_url=sendcat.api_url,
        site_url=sendcat.site_url,
        deploy_key=sendcat.deploy_key,
        control_key=sendcat.control_key,
        gmail_token=sendcat.gmail_token,
        whatsapp_secret=sendcat.whatsapp_secret,
        pool_file=pool,
        app_url=sendcat.app_url,
        loadtest_password=sendcat.loadtest_password,
    )
    workspace = None
    if slack is not None:
        workspace = Workspace(
            url=slack.url,
            api_url=slack.api_url,
            bot_token=slack.bot_token,
            app_token=slack.app_token,
            signing_secret=slack.signing_secret,
            team_id=slack.team_id,
        )
    elsewhere = Elsewhere(url=outside.url, key=outside.key) if outside is not None else None
    run = RunFile(pid=1, deployments={"practice": place}, workspace=workspace, outside=elsewhere)
    return practice_config(run, folder / "state")


@pytest.fixture
def config(tmp_path: Path, sendcat: PracticeSendcat) -> Config:
    return config_for(tmp_path, sendcat)


@pytest.fixture
async def stage(tmp_path: Path, sendcat: PracticeSendcat, slack: PracticeSlack) -> AsyncIterator[Stage]:
    """The whole product, led and connected."""
    whole = Stage(sendcat, slack, config_for(tmp_path, sendcat, slack))
    await whole.lead()
    yield whole
    await whole.leave()


@pytest.fixture
async def outside(sendcat: PracticeSendcat) -> AsyncIterator[Outside]:
    """Stand-ins for providers, Sentry and GitHub."""
    practice = Outside(sendcat)
    await practice.start()
    yield practice
    await practice.stop()


@pytest.fixture
async def bot(config: Config) -> AsyncIterator[Bot]:
    """The bot without Slack, as a terminal command leads it."""
    led = await Bot.lead(config, clock=SystemClock(), rests=False)
    yield led
    await led.close(grace_s=0.5)


def ask(line: str, *, by: str = "oncall", key: str | None = None, target: str | None = None) -> Ask:
    """A line typed in a terminal by a login."""
    return Ask(
        line=line,
        by=Actor(door=Door.TERMINAL, account=f"os:{by}"),
        place=Place(kind="terminal"),
        key=key or token(),
        target=target,
    )


async def carry_out(bot: Bot, line: str, *, by: str = "oncall") -> tuple[Reply, dict[str, Any] | None]:
    """Carry a line out to its end: the reply, and the outcome when something ran."""
    from bot.terminal.socket import carry_out as course

    reply, outcome = None, None
    async for message in course(bot.desk, ask(line, by=by)):
        if "reply" in message:
            reply = Reply.model_validate(message["reply"])
        outcome = message.get("outcome", outcome)
    assert reply is not None
    return reply, outcome
