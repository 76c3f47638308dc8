"""``gameday``: a rehearsal under load whose findings count, and its action items (runbook, "Game-Day Procedure")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.asking import target_field
from bot.card import Field, Form
from bot.command import EXIT, Args, Command, Outcome
from bot.config import Config
from bot.drill.flags import VARIABLES
from bot.gameday.flags import GameDayArgs

if TYPE_CHECKING:
    from bot.card import Attachment
    from bot.gameday.day import GameDay
    from bot.run import Run
    from bot.store.gameday import Item, Verb


async def _run(run: Run, args: GameDayArgs) -> Outcome:
    from bot.gameday.day import GameDay
    from bot.gameday.judged import conclude
    from bot.gameday.shown import day_card

    rehearsal = GameDay(run, args)
    await rehearsal.prepare()
    try:
        day = await rehearsal.measure()
    except Exception as error:
        # A fault of ours ends the day; what it had measured until then is evidence, and is kept.
        rehearsal.broke(type(error).__name__)
        await conclude(run, rehearsal.day)
        raise
    made = await conclude(run, day)
    more, lacking = await _dashboard(rehearsal)
    card = day_card(run, day, made, lacking=lacking, more=more)
    data: dict[str, Any] = {
        "verdict": made.verdict.value,
        "artifact": made.artifact,
        "original_rule": made.judged.judgement.original_rule,
        "fault": day.fault,
        "state": "stopped" if day.stopped else "done",
        "items": [_data(item) for item in made.items],
        "still_open": [_data(item) for item in made.still],
        "report": made.report.to_artifact(),
    }
    return Outcome(card=card, exit_status=EXIT[made.verdict], verdict=made.verdict, data=data)


async def _dashboard(rehearsal: GameDay) -> tuple[tuple[Attachment, ...], str]:
    """Step 3 of the procedure; a dashboard that cannot be made changes no verdict."""
    from bot.dashboard import shown
    from bot.dashboard.made import make
    from bot.errors import SendcatError
    from bot.gameday.day import DASHBOARD
    from bot.redact import inert

    try:
        async with rehearsal.course.step(DASHBOARD):
            board = await make(rehearsal.run)
    except SendcatError as error:
        return (), f"no dashboard: {inert(error.what, 120)}"
    return shown.attachments(board), board.left_out


class ItemsArgs(Args):
    all: bool = False
    """Also the ones that are done."""


async def _items(run: Run, args: ItemsArgs) -> Outcome:
    from bot.gameday.shown import items_card
    from bot.run import done
    from bot.store import gameday

    target = run.target.name
    items = await run.world.store.read(lambda conn: gameday.items(conn, target))
    shown = [item for item in items if args.all or item.open]
    return done(items_card(items, target, closed=args.all), items=[_data(item) for item in shown])


class AssignArgs(Args):
    item: str
    """The item, such as gi-3."""
    to: str
    """Who looks after it: me, a mention, a Slack member id, or a name in [people]."""


async def _assign(run: Run, args: AssignArgs) -> Outcome:
    from bot.incidents import words

    account = run.op.by.account if args.to == "me" else words.account(args.to, run.world.config)
    return await _mark(run, args.item, "assign", account)


class DoneArgs(Args):
    item: str
    """The item, such as gi-3."""
    note: str = ""
    """What was done about it."""


async def _done(run: Run, args: DoneArgs) -> Outcome:
    from bot.errors import Unknown
    from bot.incidents import words

    note = words.said(args.note, run.world.masker, run.world.scrubber)
    if not note:
        raise Unknown(
            "What was done about it?",
            rule="the next game day must be able to tell why it is gone",
            then=f"/sendcat gameday done {args.item[:20]} raised the cap in c-41",
            fields={"note": "a few words"},
        )
    return await _mark(run, args.item, "done", note)


class ReopenArgs(Args):
    item: str
    """The item, such as gi-3."""


async def _reopen(run: Run, args: ReopenArgs) -> Outcome:
    return await _mark(run, args.item, "reopen", "")


async def _mark(run: Run, item_id: str, verb: Verb, value: str) -> Outcome:
    """Write it down, once: of two people who end an item at the same time the second learns who was first."""
    from bot.card import Card, Tone, when
    from bot.card import who as mention
    from bot.errors import Refused, Unknown
    from bot.gameday.shown import holder
    from bot.redact import inert
    from bot.run import done
    from bot.store import gameday

    def write(tx: Any) -> Item:
        item = gameday.get(tx.db, item_id)
        if item is None:
            raise Unknown(f"There is no action item {inert(item_id, 20)}.", then="/sendcat gameday items")
        ended = item.done
        if ended is not None and verb != "reopen":
            raise Refused(
                f"{item.id} is done already: {ended.value}",
                rule=f"an item is ended once; this one by {mention(ended.by)} {when(ended.at_ms)}",
                then=f"/sendcat gameday reopen {item.id}",
            )
        if ended is None and verb == "reopen":
            raise Refused(
                f"{item.id} is open.", rule="only what is done is taken up again", then="/sendcat gameday items"
            )
        return gameday.mark(tx, item.id, verb, by=run.op.by.account, person=run.who.person, op=run.op.id, value=value)

    item = await run.world.store.write(write)
    titles = {"assign": "Handed over", "done": "Done", "reopen": "Open again"}
    said = {"assign": f"{holder(item)} looks after it.", "done": value, "reopen": f"{holder(item)} looks after it."}
    mark = item.marks[-1]
    card = Card(
        title=f"{titles[verb]}: {item.id}",
        tone=Tone.OK,
        lead=said[verb],
        sections=(item.words,),
        footer=f"by {mention(mark.by)} · {when(mark.at_ms)}",
    )
    return done(card, item=_data(item))


def _data(item: Item) -> dict[str, Any]:
    ended = item.done
    return {
        "id": item.id,
        "target": item.target,
        "finding": item.finding,
        "last_found": item.words,
        "owner": item.owner,
        "secondary": item.secondary,
        "holder": item.holder,
        "open": item.open,
        "times": item.times,
        "made_ms": item.made_ms,
        "done": {"by": ended.by, "at_ms": ended.at_ms, "note": ended.value} if ended else None,
    }


def _form(config: Config) -> Form:
    return Form(
        title="Game day",
        fields=(
            Field(flag="profiles", label="Drill profiles, one after the other", value="burst,soak"),
            target_field(config),
            Field(flag="weave", label="A fault to find (practice only)", hint="F:caps", optional=True),
        ),
        submit="Begin",
        note="Burst and soak take about 11 minutes. It opens with what earlier game days left open.",
    )


COMMANDS = (
    Command(
        name="gameday",
        summary="Game day: probe, drills, findings with owners, dashboard; findings move the verdict.",
        action="gameday",
        args=GameDayArgs,
        run=_run,
        examples=(
            "gameday --profiles=burst,soak",
            "gameday --profiles=quick --weave=F:caps --target=practice",
        ),
        group="Release",
        effects=True,
        single=True,
        form=_form,
        variables=VARIABLES,
    ),
    Command(
        name="gameday items",
        summary="What game days found and nobody has ended yet; the next one opens with it.",
        action="read",
        args=ItemsArgs,
        run=_items,
        examples=("gameday items", "gameday items --all=true"),
        group="Release",
        quiet=True,
    ),
    Command(
        name="gameday assign",
        summary="Hand an action item to somebody.",
        action="gameday",
        args=AssignArgs,
        run=_assign,
        positional=("item", "to"),
        examples=("gameday assign gi-3 me", "gameday assign gi-3 relmgr"),
        group="Release",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="gameday done",
        summary="End an action item, saying what was done.",
        action="gameday",
        args=DoneArgs,
        run=_done,
        positional=("item",),
        prose="note",
        examples=("gameday done gi-3 raised TOOL_JOB_RUNMAX_WEB in c-41",),
        group="Release",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="gameday reopen",
        summary="Take up again an action item that was ended.",
        action="gameday",
        args=ReopenArgs,
        run=_reopen,
        positional=("item",),
        examples=("gameday reopen gi-3",),
        group="Release",
        quiet=True,
        targeted=False,
    ),
)
