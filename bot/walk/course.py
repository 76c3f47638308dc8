"""A walk's course: look, take a step, settle it, and redraw the one card - the same way for every step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bot.card import Attachment, Card, when, who
from bot.command import Outcome
from bot.errors import Refused, SendcatError, Unknown, Unreachable
from bot.redact import inert
from bot.run import card_key, put_card
from bot.store import audit, ops, outbox, walks
from bot.store.audit import AuditRecord
from bot.store.tx import Tx
from bot.store.walks import State, Taken, Walk
from bot.walk.card import card as draw
from bot.walk.card import listed, whole
from bot.walk.picture import picture
from playbooks.book import UnknownPage
from playbooks.findings import Finding, Tone
from playbooks.page import Page, StepKind
from playbooks.page import Step as Action
from slo.snapshot import Snapshot
from slo.verdict import Judgement

if TYPE_CHECKING:
    from bot.run import Run
    from bot.sendcat.load.plan import DrillProgress
    from bot.store.change import Change
    from bot.walk.look import Look
    from bot.world import World

DRAW_EVERY_S = 2.0


async def found(run: Run, walk: str) -> tuple[Walk, Page]:
    """A walk by id, with its page; raises `Unknown`, or `Refused` on another target than its own."""
    known = await run.world.store.read(lambda conn: walks.get(conn, walk))
    if known is None:
        raise Unknown(f"There is no walk {walk[:20]!r}.", then="/sendcat playbook")
    if run.on is not None and run.on.name != known.target:
        raise Refused(
            f"Walk {known.id} is about target {known.target}, not {run.on.name}.",
            rule="a walk stays on its target (R14)",
            then=f"{run.op.line} --target={known.target}",
        )
    return known, run.world.book.page(known.page)


def action_of(walk: Walk, page: Page, number: int, *kinds: StepKind) -> Action:
    """The action of that number, when it is of one of these kinds; raises `Unknown`."""
    try:
        action = page.step(number)
    except KeyError:
        raise Unknown(f"Playbook {page.letter} has {len(page.steps)} steps.", then=f"walk look {walk.id}") from None
    if kinds and action.kind not in kinds:
        raise Unknown(f"Step {number} of playbook {page.letter} is a {action.kind} step.", then=f"walk look {walk.id}")
    return action


async def observe(run: Run, walk: Walk, made: Look, *, watched_until_ms: int | None = None) -> Walk:
    """Note what a look found, and redraw; with ``watched_until_ms`` this operation goes on looking until then."""
    seen = await picture(made)
    if watched_until_ms is not None:
        seen["watch"] = {"op": run.op.id, "until_ms": watched_until_ms}

    def write(tx: Tx) -> Walk:
        walks.looked(tx, walk.id, Finding(f"looked again {when(made.now.generated_at)}: {_as_it_is(made.now)}", "warn"))
        known = walks.get(tx.db, walk.id)
        found = {key: seen[key] for key in ("state", "variant", "why")}
        seen["first"] = known.seen.get("first", found) if known is not None and known.steps else found
        noted = walks.observe(tx, walk.id, seen, made.artifact)
        redraw(tx, noted, made.page)
        return noted

    return await run.world.store.write(write)


def _as_it_is(now: Snapshot) -> str:
    """The numbers that the four changes move, for whoever decides whether an unclear one happened."""
    jobs = now.tool_jobs.by_status
    spaces = ", ".join(f"{name} {count}" for name, count in now.tool_cache.by_namespace.items()) or "none"
    return f"{jobs.queued} queued, {jobs.dead_letter} dead letters; cached entries: {inert(spaces, 120)}"


async def mend(world: World) -> None:
    """After a restart: the cards of walks with an interrupted step say so, instead of running for ever (R28)."""
    left = await world.store.read(walks.interrupted)
    for walk in left:
        try:
            page = world.book.page(walk.page)
        except UnknownPage:  # its page is gone since
            continue
        await world.store.write(partial(redraw, walk=walk, page=page))


def redraw(tx: Tx, walk: Walk, page: Page) -> Card:
    """The walk's card into the outbox, under the operation that shows it; in a channel the whole list follows it."""
    shower = ops.get(tx.db, walk.card_op)
    shown = draw(walk, page)
    if shower is None:
        return shown
    minted = put_card(tx, shower, shown)
    if walk.seen:
        put_list(tx, walk, listed(walk, page))
    (ops.progress if shower.open else ops.redraw)(tx, shower.id, minted)
    return minted


def put_list(tx: Tx, walk: Walk, card: Card) -> None:
    """The list of every step, one message in the thread of the walk's card that is edited as the card is."""
    if walk.channel is not None:
        outbox.put(
            tx,
            f"steps:{walk.card_op}",
            channel=walk.channel,
            kind="reply",
            card=card,
            thread_of=card_key(walk.card_op),
            op=walk.card_op,
        )


@asynccontextmanager
async def step(run: Run, walk: str, number: int, *, again: bool = False, effect: str = "") -> AsyncIterator[Taking]:
    """Take a step for the time of the block; what it settles is drawn, and an error is its end too.

    ``effect`` is what the step does to the deployment, as the audit trail names it: then also an end by an error is on
    the trail, with the numbers from before.
    """
    known, page = await found(run, walk)

    def begin(tx: Tx) -> Walk:
        nonlocal known
        known = walks.get(tx.db, walk) or known
        taken = walks.take(tx, known.id, number, op=run.op.id, by=run.op.by.account, again=again, effect=bool(effect))
        redraw(tx, taken, page)
        return taken

    taking = Taking(run, await run.world.store.write(begin), page, number)
    try:
        yield taking
    except Refused:
        if taking.before:
            await taking.settle("failed", (Finding("refused in the middle", "bad"),))
        else:
            await taking.give_back(known.step(number))
        raise
    except SendcatError as error:
        unclear = isinstance(error, Unreachable) and error.ambiguous
        lines = [Finding(error.what, "unknown" if unclear else "bad")]
        lines += [Finding(f"before: {_numbers(taking.before)}")] if taking.before else []
        note = Note("mutate", effect, {"before": taking.before, "after": None}) if effect and taking.before else None
        await taking.settle("unclear" if unclear else "failed", lines, note=note)
        raise
    if not taking.settled:
        await taking.settle("failed", (Finding("stopped before it was done", "unknown"),))


def _numbers(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{NAMES.get(name, name)} {count}" for name, count in numbers.items())


NAMES = {"deadLetter": "dead letters", "entries": "entries"}


@asynccontextmanager
async def drawn(taking: Taking) -> AsyncIterator[Callable[[DrillProgress], None]]:
    """Give a drill something to tell its progress to; the newest is drawn on the step every two seconds."""
    from bot.views import progress_text

    newest: list[str] = []

    async def draw() -> None:
        while True:
            await asyncio.sleep(DRAW_EVERY_S)
            if newest:
                await taking.say(newest.pop())

    def tell(progress: DrillProgress) -> None:
        newest[:] = [progress_text(progress)]

    task = asyncio.create_task(draw())
    try:
        yield tell
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def drill_line(judged: Judgement) -> Finding:
    """The verdict of a retest's drill, and what was red or not decided."""
    red = [f"{check.scope} {check.name.replace('_', ' ')}" for check in (*judged.failed, *judged.undecided)]
    more = f", and {len(red) - 3} more" if len(red) > 3 else ""
    why = ", ".join(red[:3]) + more or judged.reason or "every check is within its limit"
    tone: Tone = "ok" if judged.verdict == "PASS" else "bad" if judged.verdict == "FAIL" else "unknown"
    return Finding(f"quick drill {judged.verdict}: {why}", tone)


@dataclass(frozen=True)
class Note:
    """What the audit trail keeps of a step: row of authority, what was acted on, numbers before and after."""

    action: str
    object: str
    detail: dict[str, Any]


class Taking:
    """A step while it runs."""

    def __init__(self, run: Run, walk: Walk, page: Page, number: int) -> None:
        self.run, self.walk, self.page, self.number = run, walk, page, number
        self.settled = False
        self.card: Card | None = None
        self.before: dict[str, int] = {}
        self._drawn = run.world.clock.monotonic()

    def began(self, before: Mapping[str, int]) -> None:
        """The numbers from before an effect, for the record however it ends."""
        self.before = dict(before)

    async def say(self, text: str) -> None:
        """Progress on the step, drawn every two seconds at most."""
        now = self.run.world.clock.monotonic()
        if now - self._drawn >= DRAW_EVERY_S:
            self._drawn = now
            await self._put("running", (Finding(text),), None)

    async def settle(self, state: State, lines: Sequence[Finding], *, note: Note | None = None) -> Card:
        """How it ended; with ``note`` also on the audit trail by itself, in the same step."""
        self.settled = True
        self.card = await self._put(state, lines, note)
        return self.card

    async def give_back(self, before: Taken) -> None:
        """Refused before anything was done: the step stands as it stood."""
        self.settled = True

        def write(tx: Tx) -> Card:
            self.walk = walks.give_back(tx, self.walk.id, before)
            return redraw(tx, self.walk, self.page)

        self.run.world.feed.publish(self.run.op.id, await self.run.world.store.write(write))

    async def _put(self, state: State, lines: Sequence[Finding], note: Note | None) -> Card:
        by = self.run.op.by.account

        def write(tx: Tx) -> Card:
            settled = walks.settle(tx, self.walk.id, self.number, state, lines, by=by, op=self.run.op.id)
            if note is not None:
                audit.append(tx, self._record(state, note))
            self.walk = settled
            return redraw(tx, settled, self.page)

        shown = await self.run.world.store.write(write)
        self.run.world.feed.publish(self.run.op.id, shown)
        return shown

    def _record(self, state: State, note: Note) -> AuditRecord:
        return AuditRecord(
            phase="result",
            action=note.action,
            actor=self.run.op.by.account,
            person=self.run.who.person,
            door=self.run.op.by.door.value,
            object=note.object,
            target=self.walk.target,
            op=self.run.op.id,
            outcome=state,
            detail=note.detail,
        )

    async def snapshot(self) -> Snapshot:
        """A fresh look, only to decide by."""
        from bot import measure

        return (await measure.snapshot(self.run)).snapshot


def outcome(walk: Walk, page: Page, shown: Card | None = None) -> Outcome:
    """The walk as an answer, with every step; in Slack its card stands there already."""
    drawn = whole(walk, page) if shown is None or walk.channel is not None else shown
    steps = {str(n): {"state": taken.state, "by": taken.by} for n, taken in walk.steps.items()}
    seen = {key: walk.seen.get(key) for key in ("state", "variant", "why", "found")}
    data = {"walk": walk.id, "page": walk.page, **seen, "steps": steps}
    final = drawn.model_copy(update={"final": True})
    return Outcome(card=final, exit_status=0, data=data, silent=walk.channel is not None)


def into_thread(tx: Tx, run: Run, walk: Walk, notes: Sequence[Attachment]) -> None:
    """Details below the walk's card; in a terminal there is no thread, and the card carries them."""
    if walk.channel is None:
        return
    for number, note in enumerate(notes, 1):
        outbox.put(
            tx,
            f"note:{run.op.id}:{number}",
            channel=walk.channel,
            kind="file" if note.file else "reply",
            text=note.title if note.file else f"{note.title}\n{note.text}",
            file=note.file,
            thread_of=card_key(walk.card_op),
            op=run.op.id,
        )


def summary(walk: Walk, page: Page, moved: Sequence[Finding], changed: Sequence[Change] = ()) -> Attachment:
    """What was found, done by whom, and what changed in the numbers: for the thread, at the end of a walk.

    ``changed`` are the changes of knobs on its target that were proposed meanwhile, whoever proposed them.
    """
    first = walk.seen.get("first", walk.seen)
    lines = [f"Found: {first.get('state', 'not looked')}. {first.get('why', '')}"]
    if first.get("why") != walk.seen.get("why"):
        lines.append(f"Now: {walk.seen.get('state', 'not looked')}. {walk.seen.get('why', '')}")
    for action in page.steps:
        taken = walk.step(action.number)
        if taken.state != "open":
            words = "".join(f"; {line.text}" for line in taken.lines[:2])
            lines.append(f"Step {action.number} ({action.kind}): {taken.state} by {who(taken.by or '')}{words}")
    against = walk.seen.get("not_now", {})
    for action in page.steps:
        if action.kind is not StepKind.READ and walk.step(action.number).state == "open":
            reason = against.get(str(action.number))
            lines.append(f"Step {action.number} ({action.kind}): not done{f', {reason}' if reason else ''}")
    for change in reversed(changed):
        by = f"proposed by {who(change.proposer.account)}"
        by += f", approved by {who(change.approver.account)}" if change.approver else ""
        lines.append(f"Change {change.words}: {change.state}{f', {change.verdict}' if change.verdict else ''}, {by}")
    numbers = "; ".join(line.text for line in moved) or "nothing moved since the first look"
    lines.append(f"Numbers: {numbers}.")
    return Attachment(title=f"Playbook {page.letter}, walk {walk.id}: summary", text="\n".join(lines))
