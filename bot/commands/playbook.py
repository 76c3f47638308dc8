"""``playbook``: the runbook's pages, by letter or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card
from bot.command import Args, Command, Outcome
from bot.errors import Unknown

if TYPE_CHECKING:
    from bot.run import Run
    from playbooks.page import Page


class PlaybookArgs(Args):
    name: str | None = None
    """A letter A to H, or a page such as triage or tuning-rules; without it the table of contents."""


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
    return Outcome(card=page_card(page), exit_status=0, data={"page": page.name, "text": page.text})


COMMAND = Command(
    name="playbook",
    summary="A page of the runbook: signal, actions, and what is true beside them.",
    action="read",
    args=PlaybookArgs,
    run=_run,
    positional=("name",),
    examples=("playbook F", "playbook tuning-rules"),
    group="First",
    quiet=True,
    targeted=False,
)
