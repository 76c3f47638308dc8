"""``milestone-gate``: can the candidate carry 1,000, 5,000, 20,000 open streams? (playbook H); and its decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field as Match

from bot.asking import target_field
from bot.card import Card, Field, Form, Tone
from bot.cases.asking import decisions, status
from bot.command import Args, Command, Outcome
from bot.config import Config
from bot.drill.flags import VARIABLES
from bot.milestone.flags import MilestoneArgs

if TYPE_CHECKING:
    from bot.milestone.gathering import Asked
    from bot.run import Run
    from bot.store.case import Case


async def _run(run: Run, args: MilestoneArgs) -> Outcome:
    from bot.course import Course
    from bot.milestone import gathering
    from bot.milestone.gathering import AFTER, BEFORE, DRILL, LEASES, POOL, Gathered
    from bot.milestone.made import conclude

    wish = await _asked(run, args)
    found = Gathered(started_ms=run.world.clock.now_ms())
    course = Course(run, f"Milestone {args.milestone}", (POOL, BEFORE, DRILL, LEASES, AFTER))
    try:
        await gathering.gather(run, wish, course, found)
    except Exception as error:
        # An error of ours ends the gate; what it had measured until then is evidence, and is kept.
        found.not_run = found.not_run or f"the bot failed ({type(error).__name__})"
        await conclude(run, wish, found)
        raise
    return await conclude(run, wish, found)


async def _asked(run: Run, args: MilestoneArgs) -> Asked:
    """Everything that may refuse the gate, before anything is read or sent. Raises."""
    import asyncio

    from bot.command import Door
    from bot.errors import Unknown
    from bot.milestone import gathering
    from bot.milestone.flags import known_in
    from bot.milestone.policies import Policies

    local = run.op.by.door is Door.TERMINAL
    policies = await asyncio.to_thread(lambda: Policies(run.world.config, {"policy": args.policy}, anywhere=local))
    try:
        rules = known_in(policies.milestones, args.milestone)
    except ValueError as error:
        raise Unknown(f"--milestone: {error}.", then="/sendcat help milestone-gate") from None
    return await gathering.asked(run, args, policies, rules)


class StatusArgs(Args):
    milestone: str = Match(default="m1_1k", pattern=r"^\w{1,40}$")
    """m1_1k, m2_5k or m3_20k."""
    release: str | None = None
    """The release candidate, NAME or NAME@COMMIT, when the gate was about one."""
    wait: bool = False
    """Wait until somebody has decided, or the decision has expired."""


async def _last_look(run: Run, case: Case) -> str | None:
    from bot.milestone.policies import last_look

    return await last_look(run, case)


async def _status(run: Run, args: StatusArgs) -> Outcome:
    """Exit 0 only for an approval that still holds: what it rests on is looked at once more."""
    from dataclasses import replace
    from functools import partial

    from bot.cases.standing import said, standing
    from bot.milestone import ladder
    from bot.milestone.flags import subject
    from bot.milestone.policies import changed

    release, _, commit = (args.release or "").partition("@")

    name = subject(args.milestone, release or None)
    look = partial(changed, circuits=False)
    answer = await standing(run, "milestone", run.target.name, name, commit=commit, wait=args.wait, changed=look)
    now_ms = run.world.clock.now_ms()
    rungs = await run.world.store.read(lambda conn: ladder.rungs(conn, run.target.name, release or None, now_ms))
    more = {"ladder": dict(ladder.data(rungs)), "milestone": args.milestone}
    if answer.exit_status or answer.case is None:
        of = f" --release={args.release}" if args.release else ""
        made = said(run, answer, f"`/sendcat milestone-gate --milestone={args.milestone}{of}`")
        title = f"{made.card.title}: milestone {name} on {run.target.name}"[:140]
        card = made.card.model_copy(update={"title": title, "sections": (ladder.words(rungs),)})
        return replace(made, card=card, data=made.data | more)
    card = Card(
        title=f"APPROVED: milestone {name} on {run.target.name}",
        tone=Tone.OK,
        context=run.context,
        lead=f"{answer.case.id} stands; what it rests on has not changed.",
        sections=(ladder.words(rungs),),
        final=True,
    )
    return Outcome(card=card, exit_status=0, data={"state": "APPROVED", "case": answer.case.id, **more})


def _form(config: Config) -> Form:
    return Form(
        title="Milestone gate",
        fields=(
            Field(
                flag="milestone",
                label="Milestone",
                kind="choice",
                options=(
                    ("m1_1k", "m1_1k: 1,000 streams, 20 users"),
                    ("m2_5k", "m2_5k: 5,000 streams, 50 users"),
                    ("m3_20k", "m3_20k: 20,000 streams, 100 users"),
                ),
                value="m1_1k",
            ),
            Field(
                flag="chat-auth-pool-file",
                label="Pool file; the target's own without it",
                hint="chat-auth-pool-loadtest-20260310-1-20.json",
                optional=True,
            ),
            Field(flag="release", label="Release, NAME or NAME@COMMIT", hint="2026.11.23-2@4c1e9ab", optional=True),
            Field(
                flag="approval", label="Decision that allows the load, where one is needed", hint="d-12", optional=True
            ),
            target_field(config),
        ),
        submit="Run the gate",
        note="A release manager other than you decides on the card; promotion goes M1, M2, M3.",
    )


COMMANDS: tuple[Command[Any], ...] = (
    Command(
        name="milestone-gate",
        summary="Milestone gate: pool, snapshot, true open streams, snapshot; a release manager decides on the card.",
        action="milestone",
        args=MilestoneArgs,
        run=_run,
        examples=(
            "milestone-gate --milestone=m1_1k --chat-auth-pool-file=chat-auth-pool-loadtest-20260310-1-20.json",
            "milestone-gate --milestone=m1_1k --chat-load-scale=0.5 --chat-concurrency-scale=0.5",
        ),
        group="Release",
        effects=True,
        single=True,
        form=_form,
        variables=VARIABLES,
    ),
    *decisions(
        "milestone",
        "milestone-gate",
        {
            "approve": ("Approve a milestone on its gate; by a release manager who did not start it.", "ms-7"),
            "reject": (
                "Reject a milestone on its gate, with the reason.",
                "ms-7 --reason='first token too near its limit'",
            ),
            "revoke": ("Take the approval of a milestone back.", "ms-7 --reason='regression found'"),
        },
        action="milestone.decide",
        last_look=_last_look,
    ),
    status(
        "milestone-gate",
        "Whether a milestone is approved now, and which ones are; exit 0 only for an approval that holds.",
        StatusArgs,
        _status,
        example="--milestone=m1_1k",
    ),
)
