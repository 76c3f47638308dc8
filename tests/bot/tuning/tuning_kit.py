"""A bench for changes: the bot without Slack, a practice Sendcat in process, a clock that jumps, a drill that is ready."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bot import measure
from bot.authority import Standing
from bot.clock import token
from bot.command import Actor, Ask, Door, Place, Reply
from bot.errors import Unreachable
from bot.main import Bot
from bot.measure import Drilled
from bot.practice.sendcat import PracticeSendcat
from bot.run import Run
from bot.store import audit, changes
from bot.store.change import Change
from bot.tuning.failpoints import PLAIN, Seams
from slo.reports import DrillReport
from tests.stories.tuning_stage import JumpClock

DATA = Path(__file__).parents[2] / "data" / "tuning" / "quick.json"
CHAT = "BULKHEAD_OR_PRI_MAX_CONCURRENT"
LIMIT = "RATE_LIMIT_GMAIL_PUSH_MAX"
ACCOUNTS = {"oncall": "U0ONCALL", "relmgr": "U0RELMGR", "lead": "U0LEAD", "visitor": "U0VISITOR"}


class Everybody:
    """A workspace in which every account is a plain member."""

    team: str | None = None

    async def standing(self, account: str) -> Standing:
        return Standing(known=True, kind="member")


def report(*, failing: bool = False) -> DrillReport:
    """A quick drill as it was once measured; ``failing``: every chat answers 503."""
    raw: dict[str, Any] = json.loads(DATA.read_text())
    if failing:
        raw = copy.deepcopy(raw)
        for scenario in raw["honest"]["scenarios"]:
            if scenario["name"] == "chat_stream_http":
                for part in (scenario["pooled"], *scenario["stages"]):
                    part |= {"statuses": {"503": part["sent"]}, "succeeded": 0}
    return DrillReport.parse(raw)


@dataclass
class Drills:
    """The drill of the bench: ready at once; what it finds is chosen by hand."""

    failing: bool = False
    made: int = 0
    broken: bool = False
    slow_s: float = 0.0

    async def __call__(self, run: Run) -> Drilled:
        self.made += 1
        await asyncio.sleep(self.slow_s)
        if self.broken:
            raise Unreachable("the drill could not be run")
        found = report(failing=self.failing)
        kept = await run.keep("drill", found.to_artifact(), "quick")
        return Drilled(judgement=measure.judge_drill(found), artifact=kept.name, report=found)


@dataclass
class Bench:
    """One bot at a time on one state folder; ``say`` speaks for a person at the terminal or in the incident channel."""

    bot: Bot
    sendcat: PracticeSendcat
    clock: JumpClock
    drills: Drills = field(default_factory=Drills)
    trail: list[dict[str, Any]] = field(default_factory=list)
    """The audit trail as far as it was read; record n stands at n - 1."""

    async def say(self, line: str, *, by: str = "oncall", slack: bool = False, key: str | None = None) -> Said:
        """Say a line and wait for its end."""
        actor = Actor(door=Door.SLACK, account=f"slack:{ACCOUNTS[by]}") if slack else None
        wish = Ask(
            line=line,
            by=actor or Actor(door=Door.TERMINAL, account=f"os:{by}"),
            place=Place(kind="channel", channel="C0INC") if slack else Place(kind="terminal"),
            key=key or token(),
        )
        reply = await self.bot.desk.accept(wish)
        if reply.op is None or reply.duplicate:
            return Said(reply, reply.exit_status, {}, reply.card.title if reply.card else "")
        async for card, outcome in self.bot.world.feed.follow(reply.op):
            if outcome is not None:
                words = "\n".join(filter(None, (card.title, card.lead, *card.sections, card.next)))
                press = tuple(button.line for button in card.buttons)
                return Said(reply, outcome.exit_status, dict(outcome.data), words, press)
        raise AssertionError("unreachable")

    async def approve(self, change: str = "c-1", *, by: str = "relmgr") -> Said:
        return await self.say(f"tune approve {change}", by=by, slack=True)

    async def change(self, change_id: str = "c-1") -> Change:
        found = await self.bot.world.store.read(partial(changes.get, change_id=change_id))
        assert found is not None
        return found

    async def reaches(self, *states: str, change_id: str = "c-1", within_s: float = 10.0) -> Change:
        found = await self.change(change_id)
        for _ in range(int(within_s / 0.01)):
            found = await self.change(change_id)
            if found.state in states:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"{change_id} is {found.state}, not {states}: {found.note}")

    async def waits(self, by: str) -> list[str]:
        """The break-glass reviews on this person's Home tab."""
        actor = Actor(door=Door.SLACK, account=f"slack:{ACCOUNTS[by]}")
        home = await self.bot.desk.home(actor)
        return [line.text for part in home.parts for line in part.lines if "Break-glass" in line.text]

    def stored(self, knob: str = CHAT) -> str | None:
        return self.sendcat.deployment.environment.get(knob)

    def set(self, knob: str, text: str | None) -> None:
        """A stranger changes a variable by hand."""
        self.sendcat.deployment.environment.set(knob, text)

    def writes(self, knob: str = CHAT) -> int:
        """How often the variable was set or removed over the wire."""
        return self.sendcat.counters.variable_changes[knob]

    async def records(self, change_id: str = "c-1") -> list[Mapping[str, Any]]:
        """What the audit trail says of a change, in order."""
        known = len(self.trail)
        rows = await self.bot.world.store.read(lambda conn: audit.rows(conn, known, 10_000))
        self.trail += [json.loads(row.body) for row in rows]
        return [body for body in self.trail if body.get("detail", {}).get("change") == change_id]

    async def path(self, change_id: str = "c-1") -> list[str]:
        """The states that the audit trail has of a change."""
        return [body["detail"]["to"] for body in await self.records(change_id)]


@dataclass(frozen=True)
class Said:
    """What came of a line: exit status, data, and the card as text."""

    reply: Reply
    status: int
    data: dict[str, Any]
    text: str
    press: tuple[str, ...] = ()


async def lead(config: Any, clock: JumpClock, drills: Drills, seams: Seams = PLAIN) -> Bot:
    """Lead with a ready drill."""
    bot = await Bot.lead(config, clock=clock, rests=False, seams=Seams(seams.failpoints, drills))
    bot.world.directory = Everybody()
    return bot
