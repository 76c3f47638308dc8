"""``drill``: a load drill against a target (runbook, "Core Operator Commands"); the load runs in child processes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.card import Button, Card
from bot.command import EXIT, Command, Outcome
from bot.course import Course
from bot.drill.flags import VARIABLES, DrillArgs
from bot.redact import inert
from slo.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from bot.measure import Drilled
    from bot.run import Run


def _action(args: DrillArgs) -> str:
    return "drill.quick" if args.chosen == "quick" else "drill"


async def _run(run: Run, args: DrillArgs) -> Outcome:
    from bot import measure, pictures
    from bot.drill import ceiling
    from bot.views import follow

    course = Course(run, "Drill", ("Drill",))
    approved = await ceiling.approved(run, args)
    async with course.step("Drill"), follow(course) as progress:
        with ceiling.asking(run):
            drilled = await measure.drill(
                run,
                profile=args.profile,
                scenarios=args.chosen_scenarios,
                pool_file=args.pool_file(run.world.config),
                approved=approved,
                on_progress=progress.see,
                waiting=course.note,
                quick=args.quick,
                **args.options(),
            )
    outcome = _answer(run, args, drilled)
    return replace(outcome, card=await pictures.beside(run, outcome.card, drilled))


def _answer(run: Run, args: DrillArgs, drilled: Drilled) -> Outcome:
    from bot.drill.shown import drill_facts, drill_notes, stages_attachment
    from bot.views import drill_table, red_owners, red_text, verdict_tone

    report, judgement = drilled.report, drilled.judgement
    closed = ", closed loop" if args.mode == "closed" else ""
    owners = red_owners(judgement)
    sections = [f"*Owners of what is red:* {'; '.join(owners)}"] if owners else []
    sections += ["\n".join(notes)] if (notes := drill_notes(report, judgement)) else []
    card = Card(
        title=f"{judgement.verdict}: {args.chosen} drill of {run.target.name}{closed}",
        tone=verdict_tone(judgement.verdict),
        context=run.context,
        lead=". ".join(part for part in (judgement.reason, red_text(judgement)) if part) or _not_measured(judgement),
        facts=drill_facts(report),
        table=drill_table(report, judgement),
        sections=tuple(sections),
        next=f"again, or by hand: sendcat {run.op.line}" if judgement.verdict is Verdict.INCOMPLETE else "",
        buttons=(Button(label="Run again", line=run.op.line, name="drill.rerun"),),
        footer=f"saved as `{drilled.artifact}`",
        attachments=(stages_attachment(report),),
        final=True,
    )
    data = {
        "verdict": judgement.verdict.value,
        "artifact": drilled.artifact,
        "judgement": judgement.model_dump(mode="json"),
        "report": report.to_artifact(),
    }
    return Outcome(card=card, exit_status=EXIT[judgement.verdict], verdict=judgement.verdict, data=data)


def _not_measured(judgement: Judgement) -> str:
    """Why a drill decides nothing although nothing is red: the first check that could not be made."""
    left = judgement.undecided
    if not left:
        return ""
    more = f", and {len(left) - 1} more" if len(left) > 1 else ""
    return inert(f"{left[0].scope}: {left[0].reason or f'{left[0].name} not measured'}{more}", 300)


COMMAND = Command(
    name="drill",
    summary="Load drill of the three endpoints, judged against the baseline.",
    action="drill.quick",
    further_actions=("drill",),
    action_for=_action,
    args=DrillArgs,
    run=_run,
    examples=(
        "drill --quick=true",
        "drill --profile=burst",
        "drill --profile=soak --scenarios=gmail_push_webhook,whatsapp_webhook",
        "drill --profile=m1_1k --original-scale=true",
    ),
    group="Check",
    effects=True,
    single=True,
    variables=VARIABLES,
)
