"""What a single person is told: refusals of the desk, dead buttons, help, a form that did not open, a pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from sqlite3 import Connection
from types import SimpleNamespace

from slack_sdk.errors import SlackApiError

from bot.authority import Standing
from bot.card import Card
from bot.command import Actor, Ask, Door, Place
from bot.commands import catalog
from bot.desk import Desk
from bot.run import with_banner
from bot.slack.app import not_accepted, not_opened
from bot.slack.asks import ELSEWHERE, OUT_OF_DATE
from bot.slack.messages import _explained
from bot.store import outbox, pauses
from bot.store.outbox import Letter
from bot.store.pauses import Pause
from bot.store.tx import Tx
from bot.worker import error_outcome
from tests.golden.stage import CHANNEL, LEAD, ONCALL, T0, VISITOR, Scene, Shown

GUEST, STRANGER = "slack:U0GUEST", "slack:U0STRANGER"


@dataclass
class Workspace:
    """Says of everybody what kind of person they are; of whom it does not know, nothing."""

    team: str | None = "T0PRACTICE"
    kinds: dict[str, str] = field(default_factory=lambda: {GUEST: "guest", STRANGER: "stranger"})

    async def standing(self, account: str) -> Standing:
        if account == "slack:U0UNKNOWN":
            return Standing(known=False, kind="unknown")
        return Standing(known=True, kind=self.kinds.get(account, "member"))  # type: ignore[arg-type]


ASKED: dict[str, tuple[str, str, str]] = {
    "not-allowed": ("triage", VISITOR, CHANNEL),
    "not-a-release-manager": ("gate approve g-1 --reason=go", ONCALL, "C0REL"),
    "not-here": ("triage", ONCALL, "C0RANDOM"),
    "guest": ("triage", GUEST, CHANNEL),
    "stranger": ("incident note hello", STRANGER, CHANNEL),
    "membership-not-learned": ("triage", "slack:U0UNKNOWN", CHANNEL),
    "unknown-command": ("triag", ONCALL, CHANNEL),
    "unknown-flag": ("drill --profil=burst", ONCALL, CHANNEL),
    "unknown-target": ("triage --target=prod", ONCALL, CHANNEL),
    "foreign-address": ("drill --base-url=https://evil.example", ONCALL, CHANNEL),
    "foreign-text": ("<!channel> *bold* <https://evil.example|ok>", ONCALL, CHANNEL),
    "stop-nothing": ("stop", VISITOR, CHANNEL),
}
"""Name: what is typed, by whom, where."""


async def cards(scene: Scene) -> dict[str, Shown]:
    scene.world.directory = Workspace()
    desk = Desk(scene.world, catalog())
    found: dict[str, Shown] = {
        f"answer.{name}": await _said(desk, name, line, account, channel)
        for name, (line, account, channel) in ASKED.items()
    }
    scene.world.stops.release()
    found["answer.dead-button"] = await _said(desk, "dead", "", ONCALL, CHANNEL, offer="f" * 32)
    found["answer.button-of-another-age"] = OUT_OF_DATE
    found["answer.another-app"] = ELSEWHERE
    found["answer.not-accepted"] = not_accepted("5f2c01aa")
    found["answer.form-not-opened"] = not_opened("gate --release=...")
    found["answer.help-triage"] = await scene.say("help triage")
    found["answer.my-rights"] = await scene.say("rights", by=VISITOR)
    found["answer.asked-for-them"] = await scene.say("ask gate.decide gate approve g-77")
    found["answer.asked-for-them-already"] = await scene.say("ask gate.decide gate approve g-77", by=VISITOR)
    letter = await scene.world.store.read(_mention)
    assert letter.card is not None
    found["answer.the-mention"] = letter.card
    found["answer.owners"] = await scene.say("owners")
    found["answer.bot-not-in-the-channel"] = error_outcome(
        _explained(SlackApiError("", SimpleNamespace(data={"error": "not_in_channel"}))),
        (await scene.run("timeline")).op,
        None,
    ).card
    pause = Pause(LEAD, "lead", T0, "freeze until the provider is back")

    def paused(tx: Tx) -> Card:
        pauses.put(tx, pause)
        return with_banner(tx, Card(title="PASS: healthy", lead="Nothing is out of its limits."))

    found["answer.banner-while-paused"] = await scene.world.store.write(paused)
    found["answer.refused-while-paused"] = await _said(
        desk, "paused", "tune --set=TOOL_JOB_QMAX_WEB=28", ONCALL, CHANNEL
    )
    await scene.world.store.write(lambda tx: pauses.put(tx, None))
    return found


def _mention(conn: Connection) -> Letter:
    """The one public message of two questions."""
    [key] = [row[0] for row in conn.execute("SELECT key FROM outbox WHERE key LIKE 'ask:%'")]
    letter = outbox.by_key(conn, key)
    assert letter is not None
    return letter


async def _said(desk: Desk, key: str, line: str, account: str, channel: str, offer: str | None = None) -> Card:
    actor = Actor(door=Door.SLACK, account=account, team="T0PRACTICE")
    ask = Ask(line=line, by=actor, place=Place(kind="channel", channel=channel), key=f"golden:{key}", offer=offer)
    reply = await desk.accept(ask)
    assert reply.card is not None, key
    return reply.card
