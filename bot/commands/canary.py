"""``canary``: may this candidate be promoted? Both deployments drilled in turns, compared, and decided on by a person.

Runbook, "Canary Promotion Procedure"; operator-commands.md section 6. The verbs write the decision down; moving traffic
is the deploy pipeline's, which asks ``canary status``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.asking import targets
from bot.canary.flags import VARIABLES, CanaryArgs
from bot.card import Card, Field, Form, Tone, when
from bot.cases.asking import decisions, status
from bot.command import Args, Command, Outcome
from bot.config import Config

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.case import Case


async def _run(run: Run, args: CanaryArgs) -> Outcome:
    import asyncio
    from dataclasses import replace

    from bot.canary.comparing import Comparison
    from bot.canary.flags import pair
    from bot.canary.made import conclude
    from bot.canary.policies import Policies
    from bot.command import Door

    both = pair(run.world.config, args, run.target)
    run = replace(run, on=both.control)
    local = run.op.by.door is Door.TERMINAL
    policies = await asyncio.to_thread(lambda: Policies(run.world.config, {"canary": args.policy}, anywhere=local))
    comparison = Comparison(run, args, both)
    comparison.prepare()
    try:
        found = await comparison.measure()
    except Exception as error:
        # A fault of ours ends it; what was measured until then is evidence, and is kept.
        from bot.canary.made import make

        comparison.broke(type(error).__name__)
        await make(run, args, both, policies, comparison.found)
        raise
    return await conclude(run, args, both, policies, found)


class StatusArgs(Args):
    candidate: str = "candidate"
    """The target that was to be promoted."""
    control: str | None = None
    """The target that it was compared with; the default target without it."""
    release: str | None = None
    """What the promotion must be about, NAME or NAME@COMMIT."""
    wait: bool = False
    """Wait until somebody has decided, or the decision has expired."""


async def _last_look(run: Run, case: Case) -> str | None:
    from bot.canary import policies

    return await policies.changed(run, case, circuits=True)


async def _status(run: Run, args: StatusArgs) -> Outcome:
    """Exit 0 only for a promotion that still holds: both deployments are looked at once more."""
    from dataclasses import replace
    from functools import partial

    from bot.canary import policies
    from bot.cases.standing import said, standing

    control = run.world.config.target_named(args.control) if args.control else run.target
    candidate = run.world.config.target_named(args.candidate)
    name, _, commit = (args.release or "").partition("@")

    def other_release(case: Case) -> str | None:
        if name and case.binding.get("release") != name:
            return f"The canary {case.id} was about {case.binding.get('release') or 'no named release'}."
        return None

    answer = await standing(
        run,
        "canary",
        control.name,
        candidate.name,
        commit=commit,
        wait=args.wait,
        changed=partial(policies.changed, circuits=False),
        unfit=other_release,
    )
    case = answer.case
    if answer.exit_status or case is None or case.answer is None:
        made = said(run, answer, f"run the canary: `/sendcat canary --candidate={candidate.name}`")
        title = f"{made.card.title}: {candidate.name} beside {control.name}"[:140]
        return replace(made, card=made.card.model_copy(update={"title": title}))
    decision = case.answer
    card = Card(
        title=f"PROMOTED: {candidate.name} beside {control.name}",
        tone=Tone.OK,
        context=run.context,
        lead=(
            f"{case.id} is promoted until {when(decision.until_ms or 0)} (decision {decision.id}); "
            "what it rests on has not changed. Moving traffic is the pipeline's."
        ),
        final=True,
    )
    data = {
        "state": answer.word,
        "case": case.id,
        "decision": decision.id,
        "until_ms": decision.until_ms,
        "digest": case.digest,
        "release": case.binding.get("release"),
        "commit": case.commit,
    }
    return Outcome(card=card, exit_status=0, data=data)


def _form(config: Config) -> Form:
    choices = targets(config)
    others = [name for name, _ in choices if name != config.default_target]
    likely = "candidate" if "candidate" in others else others[0] if others else ""
    return Form(
        title="Canary",
        fields=(
            Field(
                flag="control",
                label="Control: serves traffic now",
                kind="choice",
                options=choices,
                value=config.default_target or "",
            ),
            Field(flag="candidate", label="Candidate: may be promoted", kind="choice", options=choices, value=likely),
            Field(
                flag="profile",
                label="Profile",
                kind="choice",
                options=(
                    ("quick", "quick: about half a minute, sees little of chats"),
                    ("standard", "standard: about ten minutes, sees 5% broken chats"),
                    ("burst", "burst: about four minutes"),
                ),
                value="quick",
            ),
            Field(
                flag="release",
                label="What runs on the candidate, NAME or NAME@COMMIT",
                hint="2026.11.23-2@4c1e9ab",
                optional=True,
            ),
        ),
        submit="Run the canary",
        note="A release manager other than you presses Promote or Roll back on the card.",
    )


COMMANDS: tuple[Command[Any], ...] = (
    Command(
        name="canary",
        summary="Control and candidate drilled in turns and compared; a release manager promotes or rolls back.",
        action="canary",
        args=CanaryArgs,
        run=_run,
        examples=(
            "canary --control=production --candidate=candidate",
            "canary --control-url=https://a.convex.site --candidate-url=https://b.convex.site --profile=standard",
        ),
        group="Release",
        effects=True,
        single=True,
        form=_form,
        variables=VARIABLES,
    ),
    *decisions(
        "canary",
        "canary",
        {
            "promote": (
                "Promote the candidate; by a release manager who did not start the canary.",
                "cn-4 --reason='p95 near its limit since the import'",
            ),
            "roll-back": ("Roll the candidate back, with the reason.", "cn-4 --reason='chat p95 doubled'"),
            "revoke": ("Take a promotion back, with the reason.", "cn-4 --reason='errors since the switch'"),
            "waive": (
                "Let a named scenario stay untested for one promotion, with the reason.",
                "cn-4 --scenario=chat_stream_http --reason='tested by hand'",
            ),
        },
        action="canary.decide",
        last_look=_last_look,
    ),
    status(
        "canary",
        "Whether a candidate is promoted now; exit 0 only then.",
        StatusArgs,
        _status,
        example="--candidate=candidate",
    ),
)
