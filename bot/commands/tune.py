"""``tune``: bounded changes of reliability knobs, approved, retested, undone by itself when worse (tuning rules)."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from bot.card import Card
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.change import Change
    from bot.tuning.draft import Draft

WAITING = 5
"""Exit status of a run that waits for a decision (INTERFACES.md, section 4)."""


class TuneArgs(Args):
    wishes: tuple[str, ...] = ()
    """Knobs and values: KNOB +20%, KNOB +2, KNOB 14, or several as KNOB=3 OTHER=3."""
    set: str = ""
    """The same in one text, as a form sends it."""
    why: str = ""
    """The reason, shown on the proposal and kept on the record."""
    replace: str | None = None
    """A proposal of yours that this one takes the place of, such as c-41."""
    wait: bool = False
    """Stay until the change is decided and its story has ended."""

    @field_validator("set")
    @classmethod
    def _readable(cls, text: str) -> str:
        """A form marks what cannot be read before it closes (ux.md, rule 8)."""
        from playbooks.knobs import UnknownKnob
        from playbooks.wishes import parse_wishes

        if text.strip():
            try:
                parse_wishes(text.replace(",", " ").split())
            except UnknownKnob as error:
                raise ValueError(error.what) from None
        return text

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.wishes, *self.set.replace(",", " ").split())


class ChangeArgs(Args):
    change: str
    """The change, such as c-41."""


class WhyArgs(ChangeArgs):
    why: str = ""
    """The reason."""


class UndoArgs(WhyArgs):
    ours: bool = False
    """Put back only what is still ours, and leave a stranger's values as they are."""


async def _tune(run: Run, args: TuneArgs) -> Outcome:
    from bot.tuning.draft import draft

    if not args.words:
        return await _overview(run)
    made = await draft(run, args.words, args.why)
    change = await _propose(run, args, made)
    if args.wait:
        return await _until_ended(run, change.id)
    return await shown(run, change)


async def _propose(run: Run, args: TuneArgs, made: Draft) -> Change:
    from bot.store.tx import Tx
    from bot.tuning import wishes
    from bot.tuning.hand import draw

    def write(tx: Tx) -> Change:
        change = wishes.propose(
            tx,
            run.world.config,
            made,
            op=run.op.id,
            who=run.who,
            target=run.target.name,
            replaces=args.replace,
        )
        draw(tx, run.world.config, change)
        return change

    return await run.world.store.write(write)


async def _overview(run: Run) -> Outcome:
    from bot.run import done
    from bot.store import changes, grants
    from bot.tuning.overview import overview_card

    stored = await run.convex.environment()
    snapshot = await _snapshot(run)
    name, now = run.target.name, run.world.clock.now_ms()
    held = await run.world.store.read(partial(changes.open_on, target=name))
    recent = await run.world.store.read(partial(changes.recent, target=name, limit=8))
    unreviewed = await run.world.store.read(grants.unreviewed)
    card, data = overview_card(held, recent, stored, snapshot, unreviewed, now_ms=now, context=run.context)
    return done(card, **data)


async def _snapshot(run: Run) -> Any:
    from bot.sendcat.snapshot import read_snapshot

    return (await read_snapshot(run.convex, run.world.masker, run.world.clock)).snapshot


async def _show(run: Run, args: ChangeArgs) -> Outcome:
    return await shown(run, await _get(run, args.change))


async def _approve(run: Run, args: ChangeArgs) -> Outcome:
    from bot.errors import Refused
    from bot.store.tx import Tx
    from bot.tuning import wishes
    from bot.tuning.hand import draw

    def write(tx: Tx) -> Change | Refused:
        try:
            return wishes.approve(tx, run.world.config, args.change, who=run.who)
        except Refused as refused:
            # The pressed button is used up; the card gets a new one for those who may press it.
            draw(tx, run.world.config, wishes.find(tx, args.change))
            return refused

    decided = await run.world.store.write(write)
    if isinstance(decided, Refused):
        raise decided
    _wake(run, decided.id)
    return _said(f"Approved: {decided.words}", "It is applied and retested now; its card shows the course.", decided)


async def _reject(run: Run, args: WhyArgs) -> Outcome:
    from bot.tuning import wishes

    change = await run.world.store.write(
        lambda tx: wishes.withdraw(tx, run.world.config, args.change, who=run.who, why=args.why)
    )
    _wake(run, change.id)
    return _said(f"Withdrawn: {change.words}", "Nothing was changed.", change)


async def _retest(run: Run, args: ChangeArgs) -> Outcome:
    from bot.tuning import wishes

    change = await run.world.store.write(lambda tx: wishes.retest(tx, run.world.config, args.change, who=run.who))
    _wake(run, change.id)
    return await _settled(run, change.id)


async def _keep(run: Run, args: WhyArgs) -> Outcome:
    from bot.tuning import wishes

    change = await run.world.store.write(
        lambda tx: wishes.keep(tx, run.world.config, args.change, who=run.who, why=args.why)
    )
    _wake(run, change.id)
    return await shown(run, change)


async def _undo(run: Run, args: UndoArgs) -> Outcome:
    from bot.tuning import wishes
    from bot.tuning.seen import see

    leave: tuple[str, ...] | None = None
    if args.ours:
        change = await _get(run, args.change)
        leave = see(
            change, await run.world.convex(run.world.config.target_named(change.target)).environment()
        ).with_fate("a stranger's")
    change = await run.world.store.write(
        lambda tx: wishes.undo(tx, run.world.config, args.change, who=run.who, why=args.why, leave=leave)
    )
    _wake(run, change.id)
    return await _settled(run, change.id)


UNDO_WAIT_S = 20.0
"""How long an undo stays to tell how it ended; it goes on afterwards all the same."""


async def _settled(run: Run, change_id: str) -> Outcome:
    """Stay a while, so that whoever asked sees the end."""
    import asyncio

    for _ in range(int(UNDO_WAIT_S / 0.05)):
        change = await _get(run, change_id)
        if not change.open or change.state in ("unknown", "doubtful", "proposed"):
            break
        await asyncio.sleep(0.05)
    return await shown(run, await _get(run, change_id))


async def _until_ended(run: Run, change_id: str) -> Outcome:
    """Wait with the person who asked until the change is decided and its story has ended."""
    while (change := await _get(run, change_id)).open:
        if change.state == "proposed" and run.world.clock.now_ms() > change.expires_ms:
            break
        await run.world.clock.sleep(1.0)
    return await shown(run, change)


async def _get(run: Run, change_id: str) -> Change:
    from bot.errors import Unknown
    from bot.store import changes

    found = await run.world.store.read(partial(changes.get, change_id=change_id))
    if found is None:
        raise Unknown(f"There is no change {change_id[:20]!r}.", then="/sendcat tune")
    return found


def _wake(run: Run, change_id: str) -> None:
    if run.world.carrier is not None:
        run.world.carrier.wake(change_id)


async def shown(run: Run, change: Change) -> Outcome:
    """The change as it stands, with the exit status that a pipeline understands."""
    from bot.tuning.cards import change_card

    status = {
        "proposed": WAITING,
        "kept": {"WORSE": 1, "INCOMPLETE": 3}.get(change.verdict or "INCOMPLETE", 0),
        "undone": 0,
        "rejected": 0,
        "expired": 4,
        "void": 4,
        "failed": 3,
    }.get(change.state, 3 if change.state == "unknown" else WAITING)
    card = change_card(change)
    return Outcome(card=card.model_copy(update={"final": True}), exit_status=status, data=data_of(change))


def data_of(change: Change) -> dict[str, Any]:
    """What ``--json`` prints of a change."""
    return {
        "change": change.id,
        "state": change.state,
        "target": change.target,
        "line": change.line,
        "steps": [asdict(step) for step in change.steps],
        "notes": list(change.notes),
        "needsSecond": list(change.second),
        "verdict": change.verdict.value if change.verdict else None,
        "note": change.note,
        "before": change.before.model_dump() if change.before else None,
        "after": change.after.model_dump() if change.after else None,
        "expiresMs": change.expires_ms,
        "dueMs": change.due_ms,
    }


def _said(title: str, lead: str, change: Change) -> Outcome:
    return Outcome(card=Card(title=title[:140], lead=lead, final=True), exit_status=0, data=data_of(change))


def _action(args: TuneArgs) -> str:
    return "tune" if args.words else "read"


COMMANDS = (
    Command(
        name="tune",
        summary="Propose a bounded change of knobs; alone: open and recent changes, knobs off their default.",
        action="tune",
        further_actions=("read",),
        action_for=_action,
        args=TuneArgs,
        run=_tune,
        rest="wishes",
        examples=(
            "tune BULKHEAD_OR_PRI_MAX_CONCURRENT +20%",
            "tune TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3",
            "tune",
        ),
        group="Tune",
    ),
    Command(
        name="tune show",
        summary="One change: how it stands, with both sides of its retest.",
        action="read",
        args=ChangeArgs,
        run=_show,
        positional=("change",),
        examples=("tune show c-41",),
        group="Tune",
        targeted=False,
        quiet=True,
    ),
    Command(
        name="tune approve",
        summary="Approve exactly this change, as another person than its proposer; it is applied at once.",
        action="tune.approve",
        args=ChangeArgs,
        run=_approve,
        positional=("change",),
        examples=("tune approve c-41",),
        group="Tune",
        targeted=False,
        effects=True,
        quiet=True,
    ),
    Command(
        name="tune reject",
        summary="Withdraw or reject a change before it is written.",
        action="undo",
        args=WhyArgs,
        run=_reject,
        positional=("change",),
        examples=("tune reject c-41", 'tune reject c-41 --why="the traffic is abuse"'),
        group="Tune",
        targeted=False,
        quiet=True,
    ),
    Command(
        name="tune retest",
        summary="Judge a kept change once more against the measurement before it.",
        action="drill.quick",
        args=ChangeArgs,
        run=_retest,
        positional=("change",),
        examples=("tune retest c-41",),
        group="Tune",
        targeted=False,
        effects=True,
        quiet=True,
    ),
    Command(
        name="tune keep",
        summary="End a change that the bot cannot end: all values stay as they are.",
        action="tune",
        args=WhyArgs,
        run=_keep,
        positional=("change",),
        examples=('tune keep c-41 --why="the new value was set by hand on purpose"',),
        group="Tune",
        targeted=False,
        quiet=True,
    ),
    Command(
        name="undo",
        summary="Put back what was there before a change: needs nobody, also with Slack down.",
        action="undo",
        args=UndoArgs,
        run=_undo,
        positional=("change",),
        examples=("undo c-41", "undo c-41 --ours=true"),
        group="Tune",
        targeted=False,
        quiet=True,
    ),
)
