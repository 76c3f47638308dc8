"""``drill``: a load drill against a target (runbook, "Core Operator Commands"); the load runs in a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import field_validator

from bot.card import Card
from bot.command import EXIT, Args, Command, Outcome
from bot.course import Course

if TYPE_CHECKING:
    from bot.run import Run


class DrillArgs(Args):
    quick: bool = False
    """The quick profile: 30 requests for each webhook, 3 chats."""
    profile: str = "quick"
    """Which profile; quick is the one that exists without further approval."""
    scenarios: str | None = None
    """Comma list of gmail_push_webhook, whatsapp_webhook, chat_stream_http; all without it."""

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str) -> str:
        from slo.profiles import profile as find_profile

        find_profile(value)
        return value

    @property
    def chosen(self) -> str:
        """``--quick`` wins over the profile, as in the original."""
        return "quick" if self.quick else self.profile


def _action(args: DrillArgs) -> str:
    return "drill.quick" if args.chosen == "quick" else "drill"


async def _run(run: Run, args: DrillArgs) -> Outcome:
    from bot import measure
    from bot.views import drill_table, follow, verdict_tone

    course = Course(run, "Drill", ("Drill",))
    scenarios = measure.scenario_list(args.scenarios)
    async with course.step("Drill"), follow(course) as progress:
        drilled = await measure.drill(
            run, profile=args.chosen, scenarios=scenarios, on_progress=progress.see, waiting=course.note
        )
    judgement = drilled.judgement
    card = Card(
        title=f"{judgement.verdict}: {args.chosen} drill of {run.target.name}",
        tone=verdict_tone(judgement.verdict),
        context=run.context,
        lead=judgement.reason,
        table=drill_table(drilled.report, judgement),
        footer=f"saved as `{drilled.artifact}`",
        final=True,
    )
    data = {
        "verdict": judgement.verdict.value,
        "artifact": drilled.artifact,
        "judgement": judgement.model_dump(mode="json"),
        "report": drilled.report.to_artifact(),
    }
    return Outcome(card=card, exit_status=EXIT[judgement.verdict], verdict=judgement.verdict, data=data)


COMMAND = Command(
    name="drill",
    summary="Load drill of the three endpoints, judged against the baseline.",
    action="drill.quick",
    further_actions=("drill",),
    action_for=_action,
    args=DrillArgs,
    run=_run,
    examples=("drill --quick=true", "drill --quick=true --scenarios=gmail_push_webhook,whatsapp_webhook"),
    group="Check",
    effects=True,
    single=True,
)
