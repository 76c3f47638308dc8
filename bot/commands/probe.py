"""``probe``: the five synthetic checks of the endpoints' guards (runbook, First 5 Minutes, step 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card, Table
from bot.command import EXIT, Args, Command, Outcome
from bot.course import Course
from bot.drill.flags import BASE_URL

if TYPE_CHECKING:
    from bot.run import Run


class ProbeArgs(Args):
    pass


async def _run(run: Run, args: ProbeArgs) -> Outcome:
    from bot import measure
    from bot.views import probe_rows, verdict_tone

    course = Course(run, "Probe", ("Probe",))
    async with course.step("Probe"):
        probed = await measure.probe(run)
    verdict = probed.judgement.verdict
    card = Card(
        title=f"{verdict}: probe of {run.target.name}",
        tone=verdict_tone(verdict),
        context=run.context,
        lead=probed.judgement.reason,
        table=Table(columns=("Probe", "Status", "Latency", "Verdict"), rows=probe_rows(probed.report)),
        footer=f"saved as `{probed.artifact}`",
        final=True,
    )
    data = {"verdict": verdict.value, "artifact": probed.artifact, "report": probed.report.to_artifact()}
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=data)


COMMAND = Command(
    name="probe",
    summary="Five synthetic requests that try the endpoints' guards.",
    action="triage",
    args=ProbeArgs,
    run=_run,
    examples=("probe",),
    group="Check",
    effects=True,
    single=True,
    variables={"base-url": BASE_URL},
)
