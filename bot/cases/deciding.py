"""A person decides a case: the one path from a word to a row, a record and a card (safety.md, R3, R9-R11).

Commands of each kind (gate, canary, ...) bring their own last look, which may make the case void; everything else is
the same for all: judged, looked at once more, judged again on the fresh rows, written together with its audit record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from bot.authority import LOCAL, Who, resolve
from bot.card import Card, Tone, who
from bot.cases.decided import decision_line, put_case
from bot.cases.decisions import DONE, MANNERS, Denied, may, were_read
from bot.command import Actor, Door, Outcome
from bot.config import Config
from bot.errors import Refused, SendcatError, Unknown
from bot.refusing import wrong_human
from bot.run import Run, card_key
from bot.store import cases, ops, outbox
from bot.store.case import YES, Case, Kind, Verb
from bot.store.tx import Tx
from bot.world import World

LastLook = Callable[[Run, Case], Awaitable[str | None]]
"""One fresh, cheap look before a yes: None when everything still holds, else a sentence that makes the case void."""


async def decide_case(
    run: Run,
    kind: Kind,
    case_id: str,
    verb: Verb,
    *,
    reason: str = "",
    read: str = "",
    scenario: str | None = None,
    last_look: LastLook | None = None,
) -> Outcome:
    """Carry a decision out. Raises `Refused` with the rule, after the card was drawn again as it stands."""
    world = run.world
    case = await _case(world, kind, case_id)
    starter = starter_of(world.config, case)
    await _judged(run, case, verb, starter, reason, read, scenario)
    if verb in YES and last_look is not None:
        await world.store.write(lambda tx: put_case(tx, case, world.config, checking=run.op.by.account))
        try:
            changed = await last_look(run, case)
        except SendcatError:
            await redraw(world, case.id)
            raise
        if changed is not None:
            await world.store.write(lambda tx: _void(tx, case.id, changed, world.config))
            raise Refused(
                f"{case.id} is void: {changed}.",
                rule="an approval is bound to what it was judged on (R10)",
                then=f"/sendcat {MANNERS[kind].command}",
            )

    def write(tx: Tx) -> Case | Denied:
        seen = cases.look(tx.db, case.id)
        assert seen is not None
        denied = may(seen, verb, run.who, starter, tx.now_ms, reason=reason, read=read, scenario=scenario)
        if denied is not None:
            put_case(tx, seen, world.config)
            return denied
        after = cases.decide(
            tx,
            seen,
            verb,
            by=run.op.by.account,
            person=run.who.person,
            reason=reason.strip(),
            read=were_read(seen, read) if verb in YES else (),
            scenario=scenario,
            until_ms=tx.now_ms + MANNERS[kind].holds_ms if verb in YES else None,
        )
        put_case(tx, after, world.config)
        _tell(tx, after, world.config)
        return after

    written = await world.store.write(write)
    if isinstance(written, Denied):
        raise wrong_human(written, case, verb, run.who, world.config)
    decision = written.decisions[-1]
    state = written.standing(world.clock.now_ms())
    called = MANNERS[kind].called(state)
    card = Card(
        title=f"{DONE[verb]}: {MANNERS[kind].noun} {case.id}, decision {decision.id}",
        tone=Tone.OK if verb in YES or verb == "waive" else Tone.REFUSED,
        lead=f"{case.subject} on {case.target} is {called}. It stands on the card and in the audit trail.",
        final=True,
    )
    data = {"case": case.id, "decision": decision.id, "verb": verb, "state": state.value, "digest": case.digest}
    return Outcome(card=card, exit_status=0, data=data)


async def _judged(run: Run, case: Case, verb: Verb, starter: Who, reason: str, read: str, scenario: str | None) -> None:
    """Refuse early what cannot be decided; the button that was pressed for it stands on the card again."""
    now_ms = run.world.clock.now_ms()
    denied = may(case, verb, run.who, starter, now_ms, reason=reason, read=read, scenario=scenario)
    if denied is not None:
        await redraw(run.world, case.id)
        raise wrong_human(denied, case, verb, run.who, run.world.config)


async def _case(world: World, kind: Kind, case_id: str) -> Case:
    found = await world.store.read(lambda conn: cases.look(conn, case_id.strip().lower()))
    if found is not None and found.kind == kind:
        return found
    recent = await world.store.read(lambda conn: cases.recent(conn, kind, 3))
    near = ", ".join(case.id for case in recent) or "none yet"
    raise Unknown(f"There is no {MANNERS[kind].noun} {case_id[:40]!r}. The last ones: {near}.", then="/sendcat status")


def starter_of(config: Config, case: Case) -> Who:
    """Who started the case, by what the configuration says today; `may` counts what was recorded then, too."""
    door = Door.SLACK if case.starter.startswith("slack:") else Door.TERMINAL
    return resolve(config, Actor(door=door, account=case.starter), LOCAL)


def _void(tx: Tx, case_id: str, reason: str, config: Config) -> None:
    put_case(tx, cases.void(tx, case_id, reason), config)


async def void(world: World, case_id: str, reason: str) -> None:
    """What the case rested on has changed: out of date from now on, on the record and on its card."""
    await world.store.write(lambda tx: _void(tx, case_id, reason, world.config))


async def redraw(world: World, case_id: str) -> None:
    """Draw the case's card as it stands, with fresh buttons in place of pressed ones."""

    def write(tx: Tx) -> None:
        case = cases.look(tx.db, case_id)
        if case is not None:
            put_case(tx, case, world.config)

    await world.store.write(write)


async def settle(world: World) -> int:
    """Repair every card that shows something else than how its case stands; how many were drawn.

    Expired since, void, or left in the middle of a decision by a crash (ux.md, rule 12).
    """
    now_ms, epoch = world.clock.now_ms(), world.store.epoch
    found = await world.store.read(lambda conn: cases.unsettled(conn, now_ms))
    drawn = 0
    for case in found:
        op = await world.store.read(partial(ops.get, op_id=case.op))
        if op is None or op.open or (case.drawn == "CHECKING" and op.epoch == epoch and await _deciding(world, case)):
            continue
        await redraw(world, case.id)
        drawn += 1
    return drawn


async def _deciding(world: World, case: Case) -> bool:
    """Whether somebody's decision on this case is still on its way."""
    running = await world.store.read(ops.open_ops)
    return any(case.id in op.line.split() for op in running)


def _tell(tx: Tx, case: Case, config: Config) -> None:
    """One line in the card's thread that mentions the starter, since edits notify nobody (ux.md, rule 9)."""
    decision = case.decisions[-1]
    op = ops.get(tx.db, case.op)
    channel = (op.place.channel if op is not None else None) or config.slack.release_channel
    if op is None or channel is None:
        return
    word = f"{decision.scenario} WAIVED" if decision.verb == "waive" else DONE[decision.verb]
    said = f"{who(case.starter)}: {case.subject} · {decision_line(decision, word)}"
    text = f"{word}: {MANNERS[case.kind].noun} {case.id}\n{said}"
    outbox.put(
        tx, f"decision:{decision.id}", channel=channel, kind="reply", text=text, thread_of=card_key(op.id), op=op.id
    )
    release = config.slack.release_channel
    if MANNERS[case.kind].announced and decision.verb != "waive" and release not in (None, channel):
        card = Card(
            title=f"{word}: {case.subject} beside {case.target}",
            tone=Tone.OK if decision.verb in YES else Tone.REFUSED,
            lead=decision_line(decision, word),
            footer=f"{case.kind} {case.id} · evidence {case.digest[:8]} · moving traffic is the pipeline's",
            final=True,
        )
        outbox.put(tx, f"announced:{decision.id}", channel=release, kind="card", card=card, op=op.id)
