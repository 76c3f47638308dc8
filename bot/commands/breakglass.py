"""``break-glass``: the lone on-call approves their own change: reasoned, announced, for review (safety.md, R12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.card import Button, Card, Field, Form, Tone, when
from bot.command import Args, Command, Door, Outcome

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.change import Change
    from bot.store.grants import Grant


class BreakGlassArgs(Args):
    change: str
    """The proposal to approve alone, such as c-41."""
    why: str = ""
    """What is burning, and why nobody else can be reached."""


class ReviewArgs(Args):
    grant: str | None = None
    """The use of break-glass to review, such as b-3; all that are open without it."""
    finding: str = ""
    """What the review found."""


async def _break_glass(run: Run, args: BreakGlassArgs) -> Outcome:
    from bot.redact import inert
    from bot.run import done
    from bot.store import offers, outbox
    from bot.store.tx import Tx
    from bot.tuning import wishes

    def write(tx: Tx) -> tuple[Change, Grant, Card]:
        change, grant = wishes.break_glass(tx, run.world.config, args.change, who=run.who, why=args.why, op=run.op.id)
        card = Card(
            title=f"BREAK-GLASS {grant.id}: {change.id} is applied without a second person"[:140],
            tone=Tone.BAD,
            context=f"{change.target} · by {run.who.name} {when(grant.at_ms)} · lapses {when(grant.until_ms)}",
            lead=f"*Why:* {inert(grant.why, 300)}",
            sections=(inert(", ".join(f"{s.knob} {s.change}" for s in change.steps), 400),),
            next=f"an admin reviews it: /sendcat break-glass review {grant.id}",
            buttons=(
                Button(label="Review…", line=f"break-glass review {grant.id}", name="breakglass.review", form=_FORM),
            ),
            final=True,
        )
        slack = run.world.config.slack
        for channel in dict.fromkeys(c for c in (slack.alert_channel, *slack.incident_channels[:1]) if c):
            if channel != run.op.place.channel:
                minted = offers.mint(tx, card, run.op, channel)
                outbox.put(
                    tx, f"{grant.id}:{channel}", channel=channel, kind="card", card=minted, op=run.op.id, urgent=True
                )
        return change, grant, card

    change, grant, card = await run.world.store.write(write)
    if run.world.carrier is not None:
        run.world.carrier.wake(change.id)
        if run.who.actor.door is Door.TERMINAL:
            await run.world.carrier.ended(change.id)
    return done(card, change=change.id, breakGlass=grant.id)


_FORM = Form(
    title="Review break-glass",
    fields=(Field(flag="finding", label="What did you find?", kind="long"),),
    submit="Close the review",
)


async def _review(run: Run, args: ReviewArgs) -> Outcome:
    from bot.errors import Refused, Unknown
    from bot.redact import inert
    from bot.run import done
    from bot.store import changes, grants
    from bot.store.tx import Tx
    from bot.tuning import wishes
    from bot.tuning.proposal import by

    if args.grant is None:
        found = await run.world.store.read(grants.unreviewed)
        lines = [f"• {g.id} for {g.change}, by {by(g.by)} {when(g.at_ms)}: {inert(g.why, 200)}" for g in found]
        title = f"{len(found)} to review" if found else "No break-glass is open for review"
        then = "/sendcat break-glass review ID --finding=..." if found else ""
        return done(Card(title=title, sections=tuple(lines[:10]), next=then), open=[g.id for g in found])
    grant_id = args.grant

    def write(tx: Tx) -> Grant:
        grant = grants.get(tx.db, grant_id)
        if grant is None:
            raise Unknown(f"There is no break-glass {grant_id[:20]!r}.", then="/sendcat break-glass review")
        if wishes.same_human(run.world.config, run.who, grant.by):
            raise Refused(
                "You broke the glass yourself.",
                rule="somebody else reviews it (R10, R12)",
                then="ask another admin",
            )
        if len(args.finding.strip()) < wishes.LEAST_WHY:
            raise Unknown(
                "A review says what it found.", then=f'/sendcat break-glass review {grant_id} --finding="..."'
            )
        change = changes.get(tx.db, grant.change)
        return grants.review(
            tx,
            grant_id,
            by=wishes.by_of(run.who),
            finding=inert(args.finding, 600),
            target=change.target if change else None,
            op=run.op.id,
        )

    closed = await run.world.store.write(write)
    lead = f"{closed.finding}"
    data: dict[str, Any] = {"breakGlass": closed.id, "change": closed.change}
    return done(Card(title=f"Reviewed: {closed.id} for {closed.change}", tone=Tone.OK, lead=lead), **data)


COMMANDS = (
    Command(
        name="break-glass",
        summary="Approve a change alone, when nobody else can be reached: announced, for 15 minutes, reviewed later.",
        action="break-glass",
        args=BreakGlassArgs,
        run=_break_glass,
        positional=("change",),
        examples=('break-glass c-41 --why="chat is down, second on-call does not answer"',),
        group="Tune",
        targeted=False,
        effects=True,
    ),
    Command(
        name="break-glass review",
        summary="Close the review of a break-glass; alone: those that are open.",
        action="break-glass.review",
        args=ReviewArgs,
        run=_review,
        positional=("grant",),
        examples=("break-glass review", 'break-glass review b-3 --finding="right: the queue was full, retest better"'),
        group="Tune",
        targeted=False,
        quiet=True,
    ),
)
