"""What a pipeline asks: does a yes stand now? One way for every kind of case; exit 0 only for one that holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.asking import same_commit
from bot.card import Card, Tone, when
from bot.cases.deciding import void
from bot.cases.decisions import MANNERS
from bot.command import Door, Outcome
from bot.errors import Refused
from bot.run import Run
from bot.store import cases
from bot.store.case import Case, Kind, State

WAIT_LOOK_S = 2.0
NO, WAITING = 1, 5
_OPEN = (State.WAITING, State.WAIVED)


@dataclass(frozen=True)
class Answer:
    """``exit_status`` is 0 for a yes that holds, 5 while somebody may still decide, else 1; ``why`` says more."""

    case: Case | None
    word: str
    why: str = ""
    exit_status: int = 0


async def standing(
    run: Run,
    kind: Kind,
    target: str,
    subject: str,
    *,
    commit: str = "",
    wait: bool,
    changed: Callable[[Run, Case], Awaitable[str | None]],
    unfit: Callable[[Case], str | None] = lambda _: None,
) -> Answer:
    """How the newest case about a subject stands; with ``wait`` once somebody has decided, or it has expired.

    A case about another ``commit`` is no answer; ``unfit`` says of what else a case may not be. A yes is looked at once
    more through ``changed``, and becomes void when something changed. Raises `Unreachable` when that cannot be seen.
    """
    manner = MANNERS[kind]
    no = f"NOT {manner.done[manner.yes]}"
    if wait and run.op.by.door is not Door.TERMINAL:
        raise Refused("Only a terminal waits.", rule="in Slack the card tells who has decided", then="leave --wait out")
    while True:
        case = await run.world.store.read(lambda conn: cases.newest(conn, kind, target, subject))
        if case is None:
            return Answer(None, no, f"No {manner.noun} of {subject[:60]!r} was run on {target}.", NO)
        state = case.standing(run.world.clock.now_ms())
        if state not in _OPEN or not wait or run.brake.halted is not None:
            break
        await run.world.clock.sleep(WAIT_LOOK_S)
    wrong = unfit(case)
    if wrong is None and not same_commit(case.commit, commit):
        wrong = f"The {kind} {case.id} was about commit {case.commit or 'none'}."
    if wrong is not None:
        return Answer(case, no, wrong, NO)
    if state in _OPEN:
        why = f"{case.id} waits for a release manager until {when(case.expires_ms)}."
        return Answer(case, state.value, why, WAITING)
    if state is not State.APPROVED:
        return Answer(case, no, f"{case.id} is {manner.called(state)}.", NO)
    found = await changed(run, case)
    if found is not None:
        await void(run.world, case.id, found)
        return Answer(case, no, f"{case.id} is VOID: {found}.", NO)
    return Answer(case, manner.called(state))


def said(run: Run, answer: Answer, then: str) -> Outcome:
    """Everything but a yes as a card; ``then`` is what to run instead."""
    waits = answer.exit_status == WAITING
    card = Card(
        title=answer.word,
        tone=Tone.RUNNING if waits else Tone.REFUSED,
        context=run.context,
        lead=answer.why,
        next="" if waits else then,
        final=True,
    )
    data = {"state": answer.word, "case": answer.case.id if answer.case else None}
    return Outcome(card=card, exit_status=answer.exit_status, data=data)
