"""A walk's course: look, take a step, settle it, and redraw the one card - the same way for every step."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.card import Attachment, Card, who
from bot.command import Outcome
from bot.errors import SendcatError, Unknown, Unreachable
from bot.redact import inert
from bot.run import card_key, put_card
from bot.store import audit, ops, outbox, walks
from bot.store.audit import AuditRecord
from bot.store.tx import Tx
from bot.store.walks import State, Walk
from bot.walk.card import card as draw
from playbooks.findings import Finding
from playbooks.functions import function
from playbooks.page import Page, StepKind
from playbooks.page import Step as Action
from playbooks.spans import FunctionRef
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.run import Run
    from bot.walk.look import Look
    from bot.walk.proposals import Offer

DRAW_EVERY_S = 2.0
DEAD_LETTERS = 3


async def found(run: Run, walk: str) -> tuple[Walk, Page]:
    """A walk by id, with its page; raises `Unknown`."""
    known = await run.world.store.read(lambda conn: walks.get(conn, walk))
    if known is None:
        raise Unknown(f"There is no walk {walk[:20]!r}.", then="/sendcat playbook")
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


async def observe(run: Run, walk: Walk, made: Look) -> Walk:
    """Note what a look found, and redraw."""
    seen = picture(made)

    def write(tx: Tx) -> Walk:
        walks.looked(tx, walk.id)
        noted = walks.observe(tx, walk.id, seen, made.artifact)
        redraw(tx, noted, made.page)
        return noted

    return await run.world.store.write(write)


def redraw(tx: Tx, walk: Walk, page: Page) -> Card:
    """The walk's card into the outbox, under the operation that shows it."""
    shower = ops.get(tx.db, walk.card_op)
    shown = draw(walk, page)
    if shower is None:
        return shown
    minted = put_card(tx, shower, shown)
    (ops.progress if shower.open else ops.redraw)(tx, shower.id, minted)
    return minted


def picture(made: Look) -> dict[str, Any]:
    """A look as the walk keeps it: everything that its card needs, as JSON."""
    from bot.views import reading_text
    from bot.walk import proposals

    signal = made.signal()
    found: dict[int, Any] = dict(made.found)
    offers: dict[int, list[Any]] = {}
    for action in made.page.steps:
        if action.kind is StepKind.CHANGE:
            ranges, proposed = proposals.of_step(action, signal, made.now)
            found[action.number] = (*found.get(action.number, ()), *ranges)
            offers[action.number] = [_kept(offer) for offer in proposed]
        elif action.kind is StepKind.MUTATE:
            offers[action.number] = list(_changes(made, action))
    return {
        "state": signal.state,
        "variant": signal.variant,
        "why": signal.why,
        "readings": [reading_text(reading) for reading in signal.readings][:6],
        "missing": list(signal.missing),
        "figures": [[fact.label, fact.value] for fact in made.posture],
        "found": {str(number): [[line.tone, line.text] for line in lines] for number, lines in found.items() if lines},
        "offers": {str(number): lines for number, lines in offers.items() if lines},
        "artifact": made.artifact,
        "at_ms": made.now.generated_at,
    }


def _kept(offer: Offer) -> dict[str, Any]:
    form = offer.form.model_dump(mode="json", exclude_defaults=True) if offer.form is not None else None
    return {"label": offer.label, "line": offer.line} | ({"form": form} if form is not None else {})


def _changes(made: Look, action: Action) -> list[dict[str, str]]:
    """A button for each thing that a mutate step may do now, with what it would do to what."""
    offered = []
    for ref in action.all(FunctionRef):
        if not ref.function.mutates:
            continue
        for words, args in _targets(made, ref.function.name):
            text = json.dumps(args, separators=(",", ":"))
            offered.append(
                {
                    "label": f"{ref.function.name.partition(':')[2]}{f' {words[0]}' if words[0] else ''}",
                    "line": f"walk mutate WALK {action.number} {ref.function.name} {text} --yes=true",
                    "confirm": f"On {made.run.target.name} ({made.run.target.environment.value}): {words[1]}",
                }
            )
    return offered


def _targets(made: Look, name: str) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    now = made.now
    match name:
        case "toolCache:clearNamespace":
            spaces = now.config.tool_cache_namespaces
            counts = [(s, now.tool_cache.by_namespace.get(s, 0)) for s in (spaces.web_search, spaces.product_search)]
            return [
                ((space, f"{count} entries of {space} → 0"), {"namespace": space}) for space, count in counts if count
            ]
        case "toolJobs:requeueDeadLetter":
            rows = now.tool_jobs.recent_dead_letters[:DEAD_LETTERS]
            jobs = [(inert(row.id, 64), inert(row.tool_name, 40)) for row in rows if row.id is not None]
            return [((job, f"dead letter {job} ({tool}) → queued"), {"jobId": job}) for job, tool in jobs]
        case "toolJobs:processQueue":
            queued = now.tool_jobs.by_status.queued
            return [(("", f"{queued} queued jobs are run, some at a time"), {})] if queued else []
    return [(("", f"{function(name).summary}"), {})]


@asynccontextmanager
async def step(run: Run, walk: str, number: int, *, again: bool = False) -> AsyncIterator[Taking]:
    """Take a step for the time of the block; what it settles is drawn, and an error is its end too."""
    known, page = await found(run, walk)

    def begin(tx: Tx) -> Walk:
        taken = walks.take(tx, known.id, number, op=run.op.id, by=run.op.by.account, again=again)
        redraw(tx, taken, page)
        return taken

    taking = Taking(run, await run.world.store.write(begin), page, number)
    try:
        yield taking
    except SendcatError as error:
        unclear = isinstance(error, Unreachable) and error.ambiguous
        await taking.settle("unclear" if unclear else "failed", (Finding(error.what, "unknown" if unclear else "bad"),))
        raise
    if not taking.settled:
        await taking.settle("failed", (Finding("stopped before it was done", "unknown"),))


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
        self._drawn = run.world.clock.monotonic()

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
    """The walk's card as an answer; in Slack it stands there already."""
    drawn = shown or draw(walk, page)
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


def summary(walk: Walk, page: Page, moved: Sequence[Finding]) -> Attachment:
    """What was found, done by whom, and what changed in the numbers: for the thread, at the end of a walk."""
    lines = [f"Found: {walk.seen.get('state', 'not looked')}. {walk.seen.get('why', '')}"]
    for action in page.steps:
        taken = walk.step(action.number)
        if taken.state != "open":
            words = "".join(f"; {line.text}" for line in taken.lines[:2])
            lines.append(f"Step {action.number} ({action.kind}): {taken.state} by {who(taken.by or '')}{words}")
    left = [str(a.number) for a in page.steps if a.kind is not StepKind.READ and walk.step(a.number).state == "open"]
    if left:
        lines.append(f"Not done: step {', '.join(left)}.")
    numbers = "; ".join(line.text for line in moved) or "nothing moved since the first look"
    lines.append(f"Numbers: {numbers}.")
    return Attachment(title=f"Playbook {page.letter}, walk {walk.id}: summary", text="\n".join(lines))
