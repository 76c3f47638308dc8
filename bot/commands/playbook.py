"""``playbook``: a page of the runbook; by letter it is walked through, live, with the channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Attachment, Card
from bot.command import Args, Command, Outcome
from bot.errors import Unknown

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.tx import Tx
    from bot.store.walks import Walk
    from playbooks.page import Page

SECOND_LOOK_S = 6.0
"""Between two looks, when nobody looked in the last minutes (Runbook, playbook C, action 1: sustained, not a spike)."""


class PlaybookArgs(Args):
    name: str | None = None
    """A letter A to H to walk through, or a page such as triage or tuning-rules; without it the table of contents."""
    text: bool = False
    """The words of the page only: nothing is read from the deployment."""


def _walked(args: PlaybookArgs) -> bool:
    return args.name is not None and len(args.name) == 1 and not args.text


def _entry(text: str, notes: tuple[str, ...]) -> str:
    return text + "".join(f"\n> {note}" for note in notes)


def page_card(page: Page) -> Card:
    """A page as a card: signals, then the numbered actions with what is true beside them."""
    sections = []
    if page.signals:
        sections.append("*Signal*\n" + "\n".join(f"• {_entry(s.text, s.notes)}" for s in page.signals))
    sections += [f"*{step.number}. {step.kind}:* {_entry(step.text, step.notes)}" for step in page.steps]
    if page.rules:
        sections.append("\n".join(f"• {_entry(rule.text, rule.notes)}" for rule in page.rules))
    title = f"Playbook {page.letter}: {page.title}" if page.letter else page.title
    return Card(title=title, sections=tuple(sections), footer=f"runbook page `{page.name}`", final=True)


async def _run(run: Run, args: PlaybookArgs) -> Outcome:
    from playbooks.book import UnknownPage

    book = run.world.book
    if args.name is None:
        lines = [f"`playbook {p.letter}`  {p.title}" for p in book.playbooks]
        lines += [f"`playbook {p.name}`  {p.title}" for p in book.procedures]
        card = Card(title="The runbook, page by page", sections=("\n".join(lines),), final=True)
        return Outcome(card=card, exit_status=0, data={"pages": list(book.pages)})
    try:
        page = book.page(args.name)
    except UnknownPage as error:
        raise Unknown(f"{error.what}.", then=f"playbook {error.near}" if error.near else "playbook") from None
    if page.letter is None or not _walked(args):
        return Outcome(card=page_card(page), exit_status=0, data={"page": page.name, "text": page.text})
    return await _walk(run, page)


async def _walk(run: Run, page: Page) -> Outcome:
    """Begin a walk, or bring the one that is open here down to this card; then look, twice where once says little."""
    from dataclasses import replace

    from bot.walk import card, course
    from bot.walk.look import look
    from playbooks.signals import OVER_TIME

    walk, old = await run.world.store.write(lambda tx: _begin(tx, run, page))
    try:
        made = await look(run, page)
        walk = await course.observe(run, walk, made)
        if len(made.facts.looks) < 2 and page.letter in OVER_TIME and made.signal().state != "quiet":
            await run.show(_again(walk, page))
            await run.world.clock.sleep(SECOND_LOOK_S)
            made = await look(run, page, made.facts.looks)
            walk = await course.observe(run, walk, made)
    except BaseException:
        if old is None and not walk.seen:
            await run.world.store.write(lambda tx: _undo(tx, walk.id, run.op.by.account))
        raise
    done = course.outcome(walk, page)
    attached = () if old else (Attachment(title=f"Playbook {page.letter} in full", text=page.text),)
    shown = card.card(walk, page).model_copy(update={"attachments": attached, "final": True})
    return replace(done, card=shown, silent=False)


def _begin(tx: Tx, run: Run, page: Page) -> tuple[Walk, str | None]:
    from bot.run import put_card
    from bot.store import ops, walks
    from bot.walk.card import moved
    from bot.walk.course import put_list

    channel = run.op.place.channel
    known = walks.under_way(tx.db, page.name, target=run.target.name, channel=channel)
    if known is None:
        by = run.op.by.account
        return walks.start(tx, page.name, target=run.target.name, channel=channel, op=run.op.id, by=by), None
    walks.move(tx, known.id, run.op.id)
    shower = ops.get(tx.db, known.card_op)
    if shower is not None and not shower.open:
        gone, its_list = moved(known, page)
        ops.redraw(tx, shower.id, put_card(tx, shower, gone))
        if known.seen:
            put_list(tx, known, its_list)
    found = walks.get(tx.db, known.id)
    assert found is not None
    return found, known.card_op


def _undo(tx: Tx, walk: str, by: str) -> None:
    from bot.store import walks

    walks.leave(tx, walk, by)


def _again(walk: Walk, page: Page) -> Card:
    from bot.walk.card import card

    shown = card(walk, page)
    note = f"Looking a second time in {SECOND_LOOK_S:.0f} s: one look does not tell a spike from a fault."
    return shown.model_copy(update={"next": note, "final": False})


COMMAND = Command(
    name="playbook",
    summary="A playbook, live: its signal, and its actions step by step.",
    action="read",
    args=PlaybookArgs,
    run=_run,
    positional=("name",),
    examples=("playbook F", "playbook tuning-rules", "playbook B --text=true"),
    group="First",
    quiet_for=lambda args: not _walked(args),
)
