"""The sender of the outbox: every message once, in order, as fast as Slack allows and no faster (safety.md, R33).

A letter is claimed in the database before it is sent and settled afterwards. Between the two lies everything that can
go wrong; `bot.slack.courier` names it, and here stands what follows from it. A card never fails a run: the record is
the truth, the message is a side effect that comes later, once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from bot.card import Attachment, Card
from bot.clock import Clock
from bot.slack.blocks import Message, render, render_attachment
from bot.slack.courier import Courier, Outcome
from bot.slack.hang import IDLE_S, Hanger
from bot.slack.pace import RESERVE, Pace
from bot.store import outbox, pins
from bot.store.artifacts import holds_secrets
from bot.store.database import Store
from bot.store.outbox import Letter
from bot.store.tx import Tx

EDIT_EVERY_S = 3.0
"""A running card is edited at most this often; slower with more cards, and after its first minute (ux.md, 9)."""
LOOK_AFTER_S = 1.5
"""An unclear message is looked for after this long: Slack's history lags behind its answers."""
BACKOFF_MAX_S = 60.0
AT_ONCE = 8

log = structlog.get_logger("post")


class Poster:
    """Sends what is due until it is stopped."""

    def __init__(
        self,
        store: Store,
        courier: Courier,
        clock: Clock,
        *,
        artifact_dir: Path,
        edit_every_s: float = EDIT_EVERY_S,
        look_after_s: float = LOOK_AFTER_S,
        backoff_s: float = 1.0,
        pace: Pace | None = None,
    ) -> None:
        self._store = store
        self._courier = courier
        self._clock = clock
        self._artifacts = artifact_dir
        self._edit_every_s = edit_every_s
        self._look_after_s = look_after_s
        self._backoff_s = backoff_s
        self._pace = pace or Pace(clock)
        self._wake = asyncio.Event()
        self._hanger = Hanger(store, courier, clock, self._pace, self._wake.set)
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._whispers: set[asyncio.Task[None]] = set()
        self._edited: dict[int, float] = {}
        self._moved: dict[int, str] = {}
        self._plain_tables = False
        self._hurry = False
        self._loop: asyncio.Task[None] | None = None
        self._forget: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to send; letters whose answer was unclear before a restart are looked for first."""
        if self._loop is None:
            self._forget = self._store.on_commit("outbox", self._wake.set)
            self._loop = asyncio.create_task(self._run(), name="poster")

    async def stop(self) -> None:
        """Send no more; what is on its way is finished, so that nothing is left unclear without need."""
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None
        under_way = {*self._busy.values(), *self._whispers, *self._hanger.under_way}
        if under_way:
            await asyncio.wait(under_way, timeout=10)
        for task in under_way:
            task.cancel()

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything due was sent, edits without their pauses; False when time ran out."""
        self._hurry = True
        self._wake.set()
        end = self._clock.monotonic() + timeout_s
        try:
            while self._clock.monotonic() < end:
                left = await self._store.read(outbox.counts)
                if not any(left.get(state) for state in ("due", "sending", "unclear")) and not self._busy:
                    return True
                await self._clock.sleep(0.05)
            return False
        finally:
            self._hurry = False

    def whisper(self, card: Card, *, channel: str | None, user: str, thread_ts: str | None) -> None:
        """Tell one person at once, without the outbox: it must work while the database does not."""
        task = asyncio.create_task(self._whisper(card, channel or user, user, thread_ts))
        self._whispers.add(task)
        task.add_done_callback(self._whispers.discard)

    def state(self) -> dict[str, int]:
        """For health: how much is on its way."""
        return {"sending": len(self._busy), "whispers": len(self._whispers), "pins": len(self._hanger.under_way)}

    # -- the loop -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait_s = await self._round()
            except Exception as error:
                log.error("outbox not readable", error=type(error).__name__)
                wait_s = 5.0
            await self._pause(wait_s)

    async def _round(self) -> float:
        """Start what may be started; returns the seconds until something more may be."""
        now_ms = self._clock.now_ms()
        letters, hanging, *soon = await self._store.read(
            lambda conn: (
                outbox.due(conn, now_ms, 200),
                pins.due(conn, now_ms, 1),
                outbox.next_due_ms(conn, now_ms),
                pins.next_due_ms(conn, now_ms),
            )
        )
        next_ms = min((at for at in soon if at is not None), default=None)
        wait_s = IDLE_S if next_ms is None else max(0.01, (next_ms - now_ms) / 1000)
        for letter in letters:
            if letter.id in self._busy:
                continue
            if len(self._busy) >= AT_ONCE:
                break  # the end of one of them wakes the loop
            patience = self._patience_s(letter)
            if patience > 0:
                wait_s = min(wait_s, patience)
                continue
            self._pace.take(_method(letter), letter.channel)
            task = asyncio.create_task(self._handle(letter), name=f"letter {letter.id}")
            self._busy[letter.id] = task
            task.add_done_callback(partial(self._done, letter.id))
        return min(wait_s, self._hanger.hang(hanging[0])) if hanging else wait_s

    def _done(self, letter_id: int, _: asyncio.Task[None]) -> None:
        self._busy.pop(letter_id, None)
        self._wake.set()

    def _patience_s(self, letter: Letter) -> float:
        """Seconds this letter must wait still: the method's pace, and between two edits of a running card."""
        running = letter.ts is not None and not letter.final and not letter.urgent
        wait = self._pace.wait_s(_method(letter), letter.channel, reserve=RESERVE if running else 0.0)
        last = self._edited.get(letter.id)
        if not running or last is None or self._hurry:
            return wait
        now = self._clock.monotonic()
        self._edited = {key: at for key, at in self._edited.items() if now - at < 60}
        cards = len(self._edited)
        pause = max(self._edit_every_s, 1.5 * (cards - 1)) if self._edit_every_s else 0.0
        if self._clock.now_ms() - letter.created_ms > 60_000:
            pause = max(pause, self._edit_every_s * 5 / 3)
        return max(wait, last + pause - now)

    async def _pause(self, seconds: float) -> None:
        """Until something is written, something ends, or the time has come."""
        waits = {
            asyncio.ensure_future(self._wake.wait()),
            asyncio.ensure_future(self._clock.sleep(min(seconds, IDLE_S))),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # -- one letter -----------------------------------------------------------------------------------------------

    async def _handle(self, letter: Letter) -> None:
        try:
            if letter.state == "unclear":
                await self._look(letter)
                return
            claimed = await self._store.write(lambda tx: outbox.claim(tx, letter.id))
            if claimed is not None:
                await self._send(claimed)
        except Exception as error:
            log.error("letter not settled", key=letter.key, error=type(error).__name__)
            await self._unsettled(letter)

    async def _unsettled(self, letter: Letter) -> None:
        """What came of a letter could not be written down: it counts as unclear, and is looked for."""
        for wait_s in (0.2, 1.0, 5.0, 30.0):
            await self._clock.sleep(wait_s)
            with contextlib.suppress(Exception):  # as long as the database refuses; the next start finds it too
                await self._store.write(lambda tx: outbox.unclear(tx, letter.id, reason="not written down"))
                return

    async def _send(self, letter: Letter) -> None:
        message = self._drawn(letter)
        if letter.ts is not None:
            self._edited[letter.id] = self._clock.monotonic()
        outcome = await self._call(letter, message)
        if outcome.how == "undrawable" and letter.card is not None and letter.card.table is not None:
            self._plain_tables = True
            message = self._drawn(letter)
            outcome = await self._call(letter, message)
        if outcome.how == "undrawable":
            log.error("Slack refuses these blocks, sent as text", key=letter.key, error=outcome.error)
            bare: list[dict[str, object]] = []
            outcome = await self._call(letter, Message(message.text, bare, message.overflow))
        if outcome.how == "unwritable" and letter.user and letter.kind in ("card", "reply"):
            direct = await self._courier.direct(letter.user)
            if direct is not None and self._channel(letter) != direct:
                self._moved[letter.id] = direct
                outcome = await self._call(letter, message)
        await self._settle(letter, outcome, message)

    async def _call(self, letter: Letter, message: Message) -> Outcome:
        channel = self._channel(letter)
        if channel.startswith(("U", "W")) and letter.kind != "ephemeral":
            direct = await self._courier.direct(channel)
            if direct is None:
                return Outcome("unreachable", error="no direct conversation")
            self._moved[letter.id] = channel = direct
        if letter.kind == "file" and letter.file is not None:
            path = self._artifact(letter.file)
            if path is None:
                return Outcome("refused", error="not a name in the artifact directory")
            return await self._courier.upload(channel, path, letter.text or path.name, letter.thread_ts)
        if letter.kind == "ephemeral" and letter.user is not None:
            return await self._courier.whisper(channel, letter.user, message, letter.thread_ts)
        if letter.ts is not None:
            return await self._courier.edit(channel, letter.ts, message, letter.mark)
        return await self._courier.post(channel, message, letter.mark, letter.thread_ts)

    async def _settle(self, letter: Letter, outcome: Outcome, message: Message) -> None:
        """Write down what came of it."""
        now_ms = self._clock.now_ms()
        match outcome.how:
            case "sent":
                if letter.ts is None:
                    self._edited[letter.id] = self._clock.monotonic()
                await self._store.write(lambda tx: self._sent(tx, letter, outcome, message))
            case "rate_limited":
                self._pace.hold(_method(letter), outcome.retry_s)
                due = now_ms + int(outcome.retry_s * 1000)
                await self._store.write(lambda tx: outbox.later(tx, letter.id, due, outcome.error))
            case "unreachable":
                due = now_ms + int(max(outcome.retry_s, self._backoff(letter)) * 1000)
                log.warning("Slack not reached, the message comes later", key=letter.key, error=outcome.error)
                await self._store.write(lambda tx: outbox.later(tx, letter.id, due, outcome.error))
            case "unclear":
                log.warning("answer lost, looking before sending again", key=letter.key, error=outcome.error)
                if letter.kind == "ephemeral":
                    due = now_ms + int(self._backoff(letter) * 1000)
                    await self._store.write(lambda tx: outbox.later(tx, letter.id, due, outcome.error))
                else:
                    due = now_ms + int(self._look_after_s * 1000)
                    await self._store.write(lambda tx: outbox.unclear(tx, letter.id, due, outcome.error))
            case "gone" if letter.ts is not None:
                log.warning("the message cannot be edited, posting anew", key=letter.key, error=outcome.error)
                await self._store.write(lambda tx: outbox.replace(tx, letter.id))
            case _:
                log.error("message given up", key=letter.key, channel=letter.channel, error=outcome.error)
                await self._store.write(lambda tx: outbox.failed(tx, letter.id, outcome.error or outcome.how))

    def _sent(self, tx: Tx, letter: Letter, outcome: Outcome, message: Message) -> None:
        """Sent, and in the same step what did not fit goes into the thread, once the text is final.

        A whisper has no thread: what did not fit is whispered after it.
        """
        outbox.sent(tx, letter.id, letter.revision, outcome.ts or letter.ts)
        if letter.kind == "card" and not letter.final:
            return
        if letter.kind == "ephemeral":
            for number, rest in enumerate(message.overflow, 1):
                outbox.put(
                    tx,
                    f"{letter.key}:rest:{number}",
                    channel=letter.channel,
                    kind="ephemeral",
                    text=f"{rest.title}\n{rest.text}",
                    user=letter.user,
                    thread_ts=letter.thread_ts,
                    op=letter.op,
                    final=True,
                )
            return
        in_thread = letter.kind == "reply" or letter.thread_ts is not None
        for number, rest in enumerate(message.overflow, 1):
            outbox.put(
                tx,
                f"{letter.key}:rest:{number}",
                channel=letter.channel,
                kind="reply",
                text=f"{rest.title}\n{rest.text}",
                thread_of=letter.thread_of if in_thread else letter.key,
                thread_ts=letter.thread_ts if in_thread and letter.thread_of is None else None,
                op=letter.op,
                final=letter.final,
            )

    async def _look(self, letter: Letter) -> None:
        """An unclear message: found, it stands and is edited when newer; certainly not there, it is sent again."""
        outcome = await self._courier.find(
            self._channel(letter),
            letter.mark,
            since_ms=letter.created_ms,
            thread_ts=letter.thread_ts,
            file=letter.file and Path(letter.file).name,
        )
        now_ms = self._clock.now_ms()
        if outcome.how == "sent":
            await self._store.write(lambda tx: outbox.sent(tx, letter.id, 0, outcome.ts))
        elif outcome.how in ("gone", "refused"):
            if outcome.how == "refused":
                log.warning("may not look for a message, sending it again", key=letter.key, error=outcome.error)
            await self._store.write(lambda tx: outbox.later(tx, letter.id, now_ms, "looked for, not there"))
        else:
            if outcome.how == "rate_limited":
                self._pace.hold(_method(letter), outcome.retry_s)
            due = now_ms + int(max(outcome.retry_s, self._backoff(letter)) * 1000)
            await self._store.write(lambda tx: outbox.unclear(tx, letter.id, due, outcome.error))

    async def _whisper(self, card: Card, channel: str, user: str, thread_ts: str | None) -> None:
        message = render(card, table_fallback=self._plain_tables)
        for attempt in range(3):
            outcome = await self._courier.whisper(channel, user, message, thread_ts)
            if outcome.how not in ("rate_limited", "unreachable"):
                break
            await self._clock.sleep(min(30.0, outcome.retry_s or self._backoff_s * 2**attempt))
        if outcome.how != "sent":
            log.warning("could not tell a person", error=outcome.error)

    # -- small things ---------------------------------------------------------------------------------------------

    def _drawn(self, letter: Letter) -> Message:
        if letter.card is not None:
            return render(letter.card, table_fallback=self._plain_tables, whispered=letter.kind == "ephemeral")
        title, _, text = letter.text.partition("\n")
        return render_attachment(Attachment(title=title, text=text))

    def _channel(self, letter: Letter) -> str:
        return self._moved.get(letter.id, letter.channel)

    def _backoff(self, letter: Letter) -> float:
        return float(min(BACKOFF_MAX_S, self._backoff_s * 2.0 ** min(10, max(0, letter.attempts - 1))))

    def _artifact(self, name: str) -> Path | None:
        """A file inside the artifact directory, or None: names come from cards, never paths; pools stay here (R36)."""
        path = (self._artifacts / name).resolve()
        inside = path.is_relative_to(self._artifacts.resolve()) and not holds_secrets(path.name)
        return path if inside and path.is_file() else None


def _method(letter: Letter) -> str:
    """The Web API method that this letter needs next."""
    if letter.state == "unclear":
        return "conversations.replies" if letter.thread_ts else "conversations.history"
    if letter.kind == "ephemeral":
        return "chat.postEphemeral"
    if letter.kind == "file":
        return "files.completeUploadExternal"
    return "chat.postMessage" if letter.ts is None else "chat.update"
