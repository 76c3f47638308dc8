"""``diagnose``: the cause from the snapshot and what was measured lately, without sending any load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, clipped
from bot.command import EXIT, Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run
    from slo.snapshot import Snapshot


class DiagnoseArgs(Args):
    pass


async def _run(run: Run, args: DiagnoseArgs) -> Outcome:
    from bot import measure
    from bot.views import posture_facts, suggestion_text, verdict_tone, why_text
    from playbooks.diagnosis import diagnose

    earlier = await measure.last_snapshot(run)
    looked = await measure.snapshot(run)
    probe, drill = await measure.fresh_reports(run)
    looks: tuple[Snapshot, ...] = (looked.snapshot,)
    if earlier is not None and looked.snapshot.age_ms(earlier[1].generated_at) <= measure.FRESH_MS:
        looks = (earlier[1], looked.snapshot)
    diagnosis = diagnose(
        await measure.facts(run, looks, probe, drill),
        measure.judge_drill(drill) if drill else None,
        measure.judge_probe(probe) if probe else None,
        looked.judgement,
        run.world.book,
        dict.fromkeys(("probe", "quick drill"), f"none in the last {measure.FRESH_MS // 60_000} min"),
    )
    verdict = diagnosis.verdict
    sections = [suggestion_text(run.world.book, diagnosis, letter) for letter in diagnosis.suggestions[:3]]
    if diagnosis.missing:
        sections.append(f"*Not known:* {'; '.join(diagnosis.missing)}")
    buttons = [Button(label="Run triage", line="triage", name="triage.run", style="primary")]
    buttons += [
        Button(label=f"Open playbook {letter}", line=f"playbook {letter}", name=f"playbook.open-{letter.lower()}")
        for letter in diagnosis.suggestions[:3]
    ]
    card = Card(
        title=clipped(diagnosis.headline),
        tone=verdict_tone(verdict),
        context=run.context,
        lead=diagnosis.reason[:600],
        facts=posture_facts(looked.snapshot),
        sections=tuple(sections),
        next=diagnosis.next_step,
        buttons=tuple(buttons),
        footer=f"no load was sent · saved as `{looked.artifact}`",
        attachments=(Attachment(title="Why, signal by signal", text=why_text(diagnosis)),),
        final=True,
    )
    data = {
        "verdict": verdict.value,
        "cause": diagnosis.cause,
        "suggestions": list(diagnosis.suggestions),
        "missing": list(diagnosis.missing),
        "artifact": looked.artifact,
    }
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=data)


COMMAND = Command(
    name="diagnose",
    summary="The cause from snapshot and recent results, without load.",
    action="read",
    args=DiagnoseArgs,
    run=_run,
    examples=("diagnose",),
    group="Look",
)
