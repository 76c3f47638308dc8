"""``inspect``: any Convex read of the runbook, also pasted as its own ``npx convex run ...`` line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.card import Attachment, Card, Tone
from bot.catalog import nearest
from bot.command import Args, Command, Door, Outcome
from bot.errors import Refused, Unknown
from playbooks.functions import FUNCTIONS, FunctionError, function
from playbooks.sampling import sampled

if TYPE_CHECKING:
    from bot.run import Run
    from playbooks.book import Book

SHOWN_LINES = 16


class InspectArgs(Args):
    function: str | None = None
    """A read of Sendcat, for example circuitBreaker:listStatuses; without it the list of them."""
    arguments: str = "{}"
    """Its arguments as JSON, for example {"limit":20}."""


def _listing() -> Outcome:
    lines = [f"`{f.name}`  {f.summary} · takes {f.takes}" for f in FUNCTIONS.values() if f.reads]
    card = Card(
        title=f"{len(lines)} Convex reads",
        sections=("\n".join(lines),),
        next="/sendcat inspect <function> '{...}'",
        final=True,
    )
    return Outcome(card=card, exit_status=0, data={"functions": [f.name for f in FUNCTIONS.values() if f.reads]})


def _changes_at(book: Book, name: str, arguments: str) -> str:
    """Where the runbook lets this be done: the walk through its page, and the line of the step there."""
    from playbooks.page import StepKind
    from playbooks.spans import FunctionRef

    for page in book.playbooks:
        for step in page.steps:
            named = any(ref.function.name == name for ref in step.all(FunctionRef))
            if step.kind is StepKind.MUTATE and named:
                line = f"walk mutate w-N {step.number} {name} {arguments} --yes=true"
                return f"/sendcat playbook {page.letter}, then press it there, or type: {line}"
    return "no playbook names it; it is left to Sendcat's own timer"


async def _run(run: Run, args: InspectArgs) -> Outcome:
    from bot.sendcat.mask import Mask

    if args.function is None:
        return _listing()
    try:
        found = function(args.function)
    except FunctionError as error:
        near = nearest(args.function, [f.name for f in FUNCTIONS.values() if f.reads])
        raise Unknown(f"{error}.", then=f"inspect {near}" if near else "inspect") from None
    if found.mutates:
        raise Refused(
            f"`{found.name}` changes something; inspect only reads.",
            rule="a change is a step of its playbook: confirmed, and recorded with before and after (R21)",
            then=_changes_at(run.world.book, found.name, args.arguments),
        )
    try:
        given = json.loads(args.arguments)
        if not isinstance(given, dict):
            raise FunctionError('the arguments are a JSON object, such as {"limit":20}')
        checked = found.check(given)
    except (ValueError, RecursionError) as error:
        raise Unknown(f"{found.name}: {error}.", then=f"it takes {found.takes}") from None
    value = Mask(run.world.masker).result(found.name, await run.convex.query(found.name, checked))
    text = json.dumps(value, indent=2, ensure_ascii=False)
    lines = text.splitlines()
    rest: tuple[Attachment, ...] = ()
    shown = text
    if len(lines) > SHOWN_LINES and run.op.by.door is not Door.TERMINAL:  # which has no thread, and room for all of it
        rest = (Attachment(title=found.name, text=text),)
        shown = "\n".join([*lines[:SHOWN_LINES], "… the rest is in the thread"])
    left_out = sampled(found.name, checked, value)
    card = Card(
        title=f"{found.name}: {_size(value)}{', sampled' if left_out else ''}",
        tone=Tone.WARN if left_out else Tone.OK,
        context=run.context,
        lead=f"{found.summary}. Sampled: {left_out}." if left_out else found.summary,
        code=shown,
        footer=f"`npx convex run {found.name} '{json.dumps(checked, separators=(',', ':'))}'` · customer data masked",
        attachments=rest,
        final=True,
    )
    return Outcome(
        card=card, exit_status=0, data={"function": found.name, "args": checked, "sampled": left_out, "value": value}
    )


def _size(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} row{'' if len(value) == 1 else 's'}"
    if isinstance(value, dict):
        return f"{len(value)} fields"
    return "answered"


COMMAND = Command(
    name="inspect",
    summary="One Convex read of the runbook, as typed there.",
    action="read",
    args=InspectArgs,
    run=_run,
    positional=("function", "arguments"),
    examples=(
        "inspect circuitBreaker:listStatuses '{\"limit\":20}'",
        "inspect rateLimit:getEventSummary '{\"minutes\":15}'",
    ),
    group="Look",
)
