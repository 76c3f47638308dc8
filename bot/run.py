"""One operation while it runs: what a command may do with the world (`Run`)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from bot.authority import Who
from bot.card import Card, Tone, when
from bot.command import Outcome
from bot.errors import Broken, Refused
from bot.sendcat.brake import Brake
from bot.sendcat.convex import ConvexClient
from bot.store import artifacts, offers, ops, outbox, pauses, pins
from bot.store.artifacts import Artifact
from bot.store.ops import Op
from bot.store.tx import Tx
from bot.target import Target
from bot.world import World
from slo.artifacts import FileRef
from slo.reports import artifact_name

PIN_AGAIN_MS = 12 * 60 * 60_000
"""A card that hangs longer than this belongs to yesterday's trouble; the next first one is pinned beside it."""


@dataclass
class Run:
    """The hand that a command gets: its operation, its target, and ways to show and to keep things."""

    world: World
    op: Op
    who: Who
    brake: Brake
    on: Target | None
    quiet: bool = False
    effects: bool = False
    started: float = field(init=False)
    saved: list[Artifact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.world.clock.monotonic()

    @property
    def target(self) -> Target:
        """The target of a targeted command."""
        if self.on is None:
            raise Broken(f"{self.op.command} has no target", then="/sendcat help")
        return self.on

    @property
    def convex(self) -> ConvexClient:
        return self.world.convex(self.target)

    @property
    def elapsed_s(self) -> float:
        return self.world.clock.monotonic() - self.started

    @property
    def context(self) -> str:
        """The grey line under every title: who, where, which run."""
        parts = [f"started by {self.who.name}", when(self.op.created_ms)]
        if self.on is not None:
            parts.append(f"{self.on.name} ({self.on.environment.value})" if self.on.name != "practice" else "practice")
        return " · ".join([*parts, f"run {self.op.id}"])

    async def show(self, card: Card) -> None:
        """Draw progress: recorded, put into the outbox in the same step, and shown to whoever watches here."""
        if self.quiet:
            self.world.feed.publish(self.op.id, card)
            return

        def write(tx: Tx) -> Card:
            minted = put_card(tx, self.op, card)
            ops.progress(tx, self.op.id, minted)
            return minted

        self.world.feed.publish(self.op.id, await self.world.store.write(write))

    async def pin(self) -> None:
        """Hang this run's card at the top of its incident channel, unless one of ours hangs there already."""
        channel = self.op.place.channel
        if channel not in self.world.config.slack.incident_channels or self.op.place.thread_ts is not None:
            return

        def write(tx: Tx) -> None:
            if not pins.wanted_in(tx.db, channel, tx.now_ms - PIN_AGAIN_MS):
                pins.pin(tx, card_key(self.op.id))

        await self.world.store.write(write)

    async def keep(self, kind: str, payload: dict[str, Any], profile: str | None = None) -> Artifact:
        """Write an artifact under its original name, and register it (INTERFACES.md, section 5).

        A name holds milliseconds; when two reports meet in one, the later one takes the next.
        """
        started_ms = self.world.clock.now_ms()
        while True:
            try:
                artifact = await asyncio.to_thread(
                    artifacts.write_file,
                    self.world.config.artifact_dir,
                    artifact_name(kind, started_ms, profile),
                    payload,
                    kind=kind,
                    started_ms=started_ms,
                    target=self.on.name if self.on else None,
                    op=self.op.id,
                )
                break
            except Refused:
                started_ms += 1
        await self.world.store.write(lambda tx: artifacts.register(tx, artifact))
        self.saved.append(artifact)
        return artifact

    def ref(self, name: str) -> FileRef:
        """What this run has kept under a name, as another artifact names it."""
        kept = next(artifact for artifact in self.saved if artifact.name == name)
        return FileRef(name=kept.name, sha256=kept.sha256)


def card_key(op: str) -> str:
    """The outbox key of an operation's one card."""
    return f"card:{op}"


def put_card(tx: Tx, op: Op, card: Card) -> Card:
    """Mint the buttons and put the operation's card into the outbox, if it has a place to be drawn."""
    minted = offers.mint(tx, with_banner(tx, card), op, op.place.channel)
    if op.place.channel is not None:
        outbox.put(
            tx,
            card_key(op.id),
            channel=op.place.channel,
            kind="card",
            card=minted,
            thread_ts=op.place.thread_ts,
            user=op.by.account.removeprefix("slack:"),
            op=op.id,
        )
    return minted


def with_banner(tx: Tx, card: Card) -> Card:
    """The card as it is drawn now: while the bot is paused, every one begins with that (ux.md, rule 12)."""
    pause = pauses.paused(tx.db)
    banner = pause.banner if pause else ""
    return card if card.banner == banner else card.model_copy(update={"banner": banner})


def refused_card(title: str, lead: str, then: str | None = None) -> Card:
    """A "no" that names the rule and what to type instead."""
    return Card(title=title, tone=Tone.REFUSED, lead=lead, next=then or "", final=True)


def done(card: Card, exit_status: int = 0, **data: Any) -> Outcome:
    """An outcome without a verdict: the thing was done."""
    return Outcome(card=card.model_copy(update={"final": True}), exit_status=exit_status, data=data)
