"""The notary: signs how the audit trail stands, and takes the statement off this machine (safety.md, R39, R40).

A checkpoint is anchored before and after each change and decision, and within ten minutes of any new record
(VERDICTS.md, "Checkpoints"): a row, a synced line of the anchor file, and a message in the anchor channel, which goes
through the outbox and so needs no Slack at that moment. What is newer than the last one is "not yet anchored".
"""

from __future__ import annotations

import asyncio

import structlog

from bot.card import Card, Tone
from bot.clock import Clock
from bot.config import Config
from bot.errors import SendcatError
from bot.redact import inert
from bot.store import checkpoints, outbox
from bot.store.checkpoints import Checkpoint, Fact
from bot.store.database import Store
from bot.store.signing import Signer
from bot.store.tx import Tx

log = structlog.get_logger("notary")

EVERY_MS = 10 * 60_000
GATHER_S = 0.2
"""What is decided within this time of each other shares a checkpoint afterwards."""

CHANGES = frozenset(
    {"mutate", "tune", "undo", "pause", "resume", "break-glass", "break-glass.review", "restore", "pool"}
)
"""Actions that change something for others; besides these every decision counts."""


SOOTHING = frozenset({"undo", "pause"})
"""What makes things safe again."""
ON_THE_WAY = frozenset({"taken", "confirmed", "settling", "retested", "expired", "void"})
"""Steps of a change after which it is neither written nor ended."""


def weighty(action: str) -> bool:
    """Whether an action is a change or a decision, so that a checkpoint is anchored before and after it."""
    return action in CHANGES or action.endswith((".decide", ".approve"))


class Notary:
    """One per leader. `anchor` may be called by anybody who is about to change something."""

    def __init__(self, store: Store, clock: Clock, config: Config) -> None:
        self._store = store
        self._clock = clock
        self._state_dir = config.state_dir
        self._channel = config.slack.anchor_channel
        self._signer: Signer | None = None
        self._filed = 0
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Anchor what an earlier start left, and from now on after each change and decision."""
        self._task = asyncio.create_task(self._follow(), name="notary")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def anchor(self, why: str) -> Checkpoint | None:
        """Sign, file and post how the trail stands now; None when it was anchored just so before.

        Raises `Broken` when the key or the anchor file cannot be used: then nothing may be changed (R38).
        """
        async with self._turn:
            signer = self._signer or await self._load()
            made = await self._store.write(lambda tx: self._make(tx, signer, why))
            lines = await self._store.read(lambda conn: checkpoints.lines_after(conn, self._filed))
            if lines:
                await asyncio.to_thread(checkpoints.append, self._state_dir, tuple(line for _, line in lines))
                self._filed = lines[-1][0]
            return made

    async def before(self, what: str, *, must: bool = True) -> None:
        """Anchor what was, before something is changed or decided. Raises as `anchor`, unless it need not be.

        What makes things safe again (an undo, a pause) does not wait for a mended disk.
        """
        try:
            await self.anchor(f"before {what}")
        except SendcatError as error:
            if must:
                raise
            log.error("not anchored", error=error.what)

    async def tick(self) -> bool:
        """The timer's ten minutes: whether there was something to anchor that is as old."""
        now_ms = self._clock.now_ms()
        oldest = await self._store.read(checkpoints.oldest_fresh_ms)
        if oldest is None or now_ms - oldest < EVERY_MS // 2:
            return False
        return await self.anchor("ten minutes") is not None

    async def _load(self) -> Signer:
        last = await self._store.read(checkpoints.latest)
        lines = await asyncio.to_thread(checkpoints.filed, self._state_dir)
        self._signer = await asyncio.to_thread(Signer.load, self._state_dir, fresh=last is None and not lines)
        newest = lines[-1] if lines else ""
        self._filed = await self._store.read(lambda conn: checkpoints.number_of(conn, newest))
        return self._signer

    def _make(self, tx: Tx, signer: Signer, why: str) -> Checkpoint | None:
        made = checkpoints.make(tx, signer, why)
        if made is not None and self._channel is not None:
            outbox.put(
                tx, f"anchor:{made.n}", channel=self._channel, kind="card", card=anchor_card(made, signer), final=True
            )
        return made

    async def _follow(self) -> None:
        news = self._store.watch("audit")
        try:
            await self.tick()
        except SendcatError as error:
            log.error("not anchored", error=error.what)
        while True:
            await news.wait()
            await asyncio.sleep(GATHER_S)
            news.clear()
            try:
                why = _reason(await self._store.read(checkpoints.fresh))
                if why is not None:
                    await self.anchor(why)
            except SendcatError as error:
                log.error("not anchored", error=error.what)


def anchor_card(made: Checkpoint, signer: Signer) -> Card:
    """What the anchor channel shows: the line itself, and with the first one the public key."""
    return Card(
        title=f"Audit trail anchored at record {made.size}",
        tone=Tone.PLAIN,
        context=inert(made.why, 200),
        code=made.line if made.n > 1 else f"{signer.card}\n{made.line}",
        footer="keep these lines where nobody can change them · `python -m bot.verify --anchors` takes them",
        final=True,
    )


def _reason(news: tuple[Fact, ...]) -> str | None:
    """Why the records since the last checkpoint ask for one, or None: they can wait for the timer."""
    for fact in news:
        changed = fact.phase == "result" and weighty(fact.action) and fact.outcome not in ON_THE_WAY
        if fact.phase == "decision" or changed:
            return f"after {fact.action} {fact.subject}".strip()
    return None
