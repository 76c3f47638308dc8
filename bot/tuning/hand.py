"""What every step of a change needs: move it and draw it in one transaction, measure for it, wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from bot import measure
from bot.authority import LOCAL, TABLE, resolve
from bot.card import Card
from bot.config import Config
from bot.measure import Drilled
from bot.redact import inert
from bot.run import Run, card_key, put_card
from bot.sendcat.brake import Brake
from bot.sendcat.convex import ConvexClient
from bot.store import changes, grants, offers, ops, outbox, pauses
from bot.store.change import BOT, By, Change, State
from bot.store.tx import Tx
from bot.target import Target
from bot.tuning import identity
from bot.tuning.cards import change_card
from bot.tuning.failpoints import Seams
from bot.tuning.proposal import by as named
from bot.world import World
from playbooks.knobs import effective, knob
from slo.snapshot import Snapshot


class Hand:
    """The world, held for changes. One for each leader; it keeps no state of its own but the brakes."""

    def __init__(self, world: World, seams: Seams) -> None:
        self.world = world
        self.seams = seams
        self.brakes: dict[str, Brake] = {}

    @property
    def now_ms(self) -> int:
        return self.world.clock.now_ms()

    def target(self, change: Change) -> Target:
        return self.world.config.target_named(change.target)

    def convex(self, change: Change) -> ConvexClient:
        return self.world.convex(self.target(change))

    async def get(self, change_id: str) -> Change | None:
        return await self.world.store.read(partial(changes.get, change_id=change_id))

    async def move(self, change: Change, to: State, *, by: By = BOT, tell: str = "", **columns: Any) -> Change:
        """One step from exactly this state: row, audit record, card and, with ``tell``, a message in its thread."""

        def step(tx: Tx) -> Change:
            moved = changes.move(tx, change.id, to, by=by, frm=(change.state,), **columns)
            draw(tx, self.world.config, moved)
            if tell:
                raise_in_thread(tx, self.world.config, moved, tell)
            return moved

        return await self.world.store.write(step)

    async def defer(self, change: Change, due_ms: int) -> None:
        await self.world.store.write(lambda tx: changes.defer(tx, change.id, due_ms))

    async def wait(self, change: Change) -> None:
        """Until the change is due."""
        if change.due_ms is not None and (left := change.due_ms - self.now_ms) > 0:
            await self.world.clock.sleep(left / 1000)

    def brake(self, change: Change) -> Brake:
        """The brake of this change: its Stop button, `stop` and the kill switch act on it."""
        if change.op not in self.brakes:
            self.brakes[change.op] = self.world.stops.brake(change.op)
        return self.brakes[change.op]

    def let_go(self, change: Change) -> None:
        """The story has ended: nothing is left to stop."""
        if self.brakes.pop(change.op, None) is not None:
            self.world.stops.done(change.op)

    async def run(self, change: Change) -> Run:
        """A run in the name of the proposal, for measurements and artifacts; it draws no card of its own."""
        op = await self.world.store.read(lambda conn: ops.get(conn, change.op))
        assert op is not None
        who = resolve(self.world.config, change.proposer.actor, LOCAL)
        return Run(self.world, op, who, self.brake(change), self.target(change), quiet=True, effects=True)

    async def drill(self, run: Run) -> Drilled:
        """A quick drill, with nobody watching its progress."""
        if self.seams.drill is not None:
            return await self.seams.drill(run)

        async def waiting(_: str) -> None:
            await asyncio.sleep(0)

        return await measure.drill(run, on_progress=lambda _: None, waiting=waiting)

    async def stored(self, change: Change) -> dict[str, str]:
        """The stored texts of the listed knobs, read now."""
        return await self.convex(change).environment()

    async def hindered(self, change: Change) -> tuple[State, str] | None:
        """Why this change may not be written now, and what becomes of it; None when it may.

        Asked when it begins and again directly before the write (R9, R10): the pause, the kill switch, the time that
        the approval or the break-glass holds, the deployment, and the rules it was approved under.
        """
        if pause := await self.world.store.read(pauses.paused):
            return "void", f"everything is paused ({pause.why or 'no reason given'}); propose it anew afterwards"
        if halted := self.brake(change).look():
            return "rejected", halted.detail
        if self.now_ms > change.expires_ms:
            return "expired", "its time was over before it could be written"
        grant_id = change.break_glass
        if grant_id is not None:
            grant = await self.world.store.read(lambda conn: grants.get(conn, grant_id))
            if grant is None or self.now_ms > grant.until_ms:
                return "expired", f"break-glass {grant_id} has lapsed"
        if not await self._may_still_approve(change):
            return "void", "who approved it may not approve it any more"
        if identity.policy() != change.policy:
            return "void", "the tuning rules or the baseline have changed since it was proposed"
        moved = await self.elsewhere(change)
        return ("void", moved) if moved else None

    async def elsewhere(self, change: Change) -> str:
        """Why this change's target is not the deployment that it was made for; empty when it is (R10, R25)."""
        if change.target not in self.world.config.target:
            return f"the target {change.target} is not configured any more"
        found = await identity.deployment(self.convex(change), self.target(change))
        if found == change.deployment:
            return ""
        return f"{change.target} is another deployment now: {inert(found)}, not {inert(change.deployment)}"

    async def _may_still_approve(self, change: Change) -> bool:
        """Authority counts at the moment of the effect (R9); what Slack cannot say now was said at the approval.

        Four eyes too: the configuration may have learned meanwhile that both accounts belong to one human (R10).
        """
        approver, alone = change.approver, change.break_glass is not None
        assert approver is not None
        standing = LOCAL if approver.door != "slack" else await self.world.directory.standing(approver.account)
        who = resolve(self.world.config, approver.actor, standing)
        if not alone and who.same_human(resolve(self.world.config, change.proposer.actor, LOCAL)):
            return False
        return not standing.known or bool(who.roles & TABLE["break-glass" if alone else "tune.approve"].roles)

    async def anchored(self, change: Change, *, must: bool = True) -> None:
        """Anchor the audit trail with this intent in it, before the write (R40); raises `Broken` where it must be."""
        if self.world.notary is not None:
            await self.world.notary.before(f"{change.id} on {change.target}", must=must)

    async def began(self, change: Change, failpoint: str) -> None:
        await self.seams.failpoints.at(failpoint, change.id)


def drifted(change: Change, stored: Mapping[str, str], now: Snapshot) -> str:
    """What is not as it was when the change was proposed: stored and effective values (R10, R25); empty when all is."""
    for step in change.steps:
        text = stored.get(step.knob)
        if text != step.stored:
            return f"{step.knob} is stored as {_said(text)}, not {_said(step.stored)} as when this was proposed"
        value = effective(now, knob(step.knob))
        if value != step.before:
            shown = inert(value, 60)
            return f"the effective {step.knob} is {shown}, not {inert(step.before, 60)} as when this was proposed"
    return ""


def _said(text: str | None) -> str:
    return "unset" if text is None else inert(repr(text[:60]), 80)


def channel_of(config: Config) -> str | None:
    """Where changes that were not asked for in a channel are shown: they must be seen by those who may approve."""
    slack = config.slack
    return slack.incident_channels[0] if slack.incident_channels else slack.alert_channel


def draw(tx: Tx, config: Config, change: Change) -> Card:
    """Put the newest card of a change in the place of the one it was proposed with."""
    op = ops.get(tx.db, change.op)
    assert op is not None
    card = change_card(change)
    channel = channel_of(config)
    if op.place.channel is None and channel is not None:
        minted = offers.mint(tx, card, op, channel)
        outbox.put(tx, _key(change), channel=channel, kind="card", card=minted, op=op.id)
    else:
        minted = put_card(tx, op, card)
    if op.state == "running":
        ops.progress(tx, op.id, minted)
    elif not op.open:
        ops.redraw(tx, op.id, minted)
    return minted


def raise_in_thread(tx: Tx, config: Config, change: Change, text: str) -> None:
    """Say it in the card's thread, mentioning who proposed and who approved: edits notify nobody (ux.md, rule 9)."""
    op = ops.get(tx.db, change.op)
    assert op is not None
    channel = op.place.channel or channel_of(config)
    if channel is None:
        return
    parent = card_key(op.id) if op.place.channel is not None else _key(change)
    people = dict.fromkeys(named(one) for one in (change.proposer, change.approver) if one is not None)
    outbox.put(
        tx,
        f"tell:{change.id}:{change.state}:{tx.now_ms}",
        channel=channel,
        kind="reply",
        text=f"{' '.join(people)} {text}",
        thread_of=parent,
        op=op.id,
        urgent=True,
    )


def _key(change: Change) -> str:
    return f"change:{change.id}"
