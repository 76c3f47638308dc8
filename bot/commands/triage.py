"""``triage``: the first five minutes - snapshot, probe, quick drill, cause (runbook, "First 5 Minutes (Triage)")."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bot.card import Attachment, Button, Card, Table, Tone, clipped
from bot.command import EXIT, Args, Command, Outcome
from bot.course import Course
from bot.errors import SendcatError
from bot.redact import inert
from slo.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from bot.measure import Drilled, Looked, Probed
    from bot.run import Run
    from bot.store.incidents import Incident
    from playbooks.diagnosis import Diagnosis

SNAPSHOT, PROBE, DRILL, CAUSE = "Snapshot", "Probe", "Quick drill", "Cause check"


class TriageArgs(Args):
    pass


@dataclass
class Evidence:
    """What triage has gathered so far; ``missing`` says what could not be, by step, and why."""

    looks: list[Looked] = field(default_factory=list)
    probed: Probed | None = None
    drilled: Drilled | None = None
    missing: dict[str, str] = field(default_factory=dict)
    by_hand: list[str] = field(default_factory=list)

    @property
    def gaps(self) -> list[str]:
        return [f"{step} ({why})" for step, why in self.missing.items()]

    @property
    def posture(self) -> Judgement | None:
        return self.looks[-1].judgement if self.looks else None


async def _run(run: Run, args: TriageArgs) -> Outcome:
    from bot import measure
    from bot.sendcat.brake import Why
    from bot.views import follow
    from playbooks.diagnosis import diagnose

    course = Course(run, "Triage", (SNAPSHOT, PROBE, DRILL, CAUSE))
    await run.pin()
    found = Evidence()

    async def attempt(label: str, line: str, work: Any) -> None:
        """One step; when it cannot be done, the way by hand is kept and the course goes on."""
        if run.brake.halted is not None:
            found.missing[label.lower()] = "stopped"
            return
        try:
            async with course.step(label):
                await work()
        except SendcatError as error:
            found.missing[label.lower()] = inert(error.what, 200)
            found.by_hand.append(line)

    async def look() -> None:
        looked = await measure.snapshot(run)
        found.looks.append(looked)
        await course.note(f"saved as `{looked.artifact}`")

    async def probe() -> None:
        found.probed = await measure.probe(run)
        judged = found.probed.judgement
        passed = sum(check.verdict is Verdict.PASS for check in judged.checks)
        tone = {Verdict.FAIL: Tone.BAD, Verdict.INCOMPLETE: Tone.UNKNOWN}.get(judged.verdict, Tone.OK)
        await course.note(f"{passed} of {len(judged.checks)} as expected", tone)

    async def drill() -> None:
        if found.probed is not None and all(p.status is None for p in found.probed.report.probes):
            found.by_hand.append("npm run reliability:drill -- --quick=true")
            found.missing[DRILL.lower()] = "no endpoint answered the probe"
            await course.note("not run: no endpoint answered the probe", Tone.UNKNOWN)
            return
        async with follow(course) as progress:
            found.drilled = await measure.drill(run, on_progress=progress.see, waiting=course.note)
        judged = found.drilled.judgement
        tone = {Verdict.FAIL: Tone.BAD, Verdict.INCOMPLETE: Tone.UNKNOWN}.get(judged.verdict, Tone.OK)
        await course.note(inert(judged.reason, 160) or str(judged.verdict), tone)

    await attempt(SNAPSHOT, "npm run reliability:snapshot", look)
    await attempt(PROBE, "npm run reliability:probe", probe)
    await attempt(DRILL, "npm run reliability:drill -- --quick=true", drill)

    if run.brake.halted is None and found.looks:
        await attempt(CAUSE, "npm run reliability:snapshot", look)
    halted = run.brake.halted
    if halted is not None and halted.reason is not Why.ABORTED:
        return _stopped(run, course, found, halted.detail)
    facts = await measure.facts(
        run,
        [looked.snapshot for looked in found.looks],
        found.probed.report if found.probed else None,
        found.drilled.report if found.drilled else None,
    )
    diagnosis = diagnose(
        facts,
        found.drilled.judgement if found.drilled else None,
        found.probed.judgement if found.probed else None,
        found.posture,
        run.world.book,
        found.missing,
    )
    course.mark(CAUSE, Tone.OK if found.looks else Tone.UNKNOWN, diagnosis.cause)
    return await _answer(run, course, found, diagnosis)


def _stopped(run: Run, course: Course, found: Evidence, detail: str) -> Outcome:
    left = [step.label for step in course.steps if step.tone in (Tone.PLAIN, Tone.RUNNING)]
    steps = tuple(
        step.model_copy(update={"tone": Tone.UNKNOWN, "detail": step.detail or "stopped"})
        if step.tone is Tone.RUNNING
        else step
        for step in course.steps
    )
    card = Card(
        title="STOPPED: triage decides nothing",
        tone=Tone.UNKNOWN,
        context=run.context,
        lead=detail,
        steps=steps,
        sections=(f"Not done: {', '.join(left).lower()}.",) if left else (),
        buttons=(Button(label="Run again", line="triage", name="triage.rerun", style="primary"),),
        final=True,
    )
    data = {"verdict": "INCOMPLETE", "state": "stopped", "missing": found.gaps}
    return Outcome(card=card, exit_status=EXIT[Verdict.INCOMPLETE], verdict=Verdict.INCOMPLETE, data=data)


async def _answer(run: Run, course: Course, found: Evidence, diagnosis: Diagnosis) -> Outcome:
    from bot.views import drill_table, posture_facts, red_owners, suggestion_text, verdict_tone, why_text

    verdict = diagnosis.verdict
    table: Table | None = None
    if found.drilled is not None:
        table = drill_table(found.drilled.report, found.drilled.judgement)
    sections = [suggestion_text(run.world.book, diagnosis, letter) for letter in diagnosis.suggestions[:3]]
    owners = red_owners(
        found.drilled.judgement if found.drilled else None,
        found.probed.judgement if found.probed else None,
        found.posture,
    )
    if owners:
        sections.append(f"*Owners of what is red:* {'; '.join(owners)}")
    missing = list(diagnosis.missing)
    if found.looks and (why := found.missing.get(CAUSE.lower())):
        missing.append(f"a second look: {why}")
    if missing:
        sections.append(f"*Not known:* {'; '.join(missing)}")
    saved = [artifact.name for artifact in run.saved]
    payload = {
        "run": run.op.id,
        "target": run.target.name,
        "verdict": verdict.value,
        "cause": diagnosis.cause,
        "headline": diagnosis.headline,
        "suggestions": list(diagnosis.suggestions),
        "signals": [asdict(signal) for signal in diagnosis.signals],
        "region": diagnosis.region,
        "missing": missing,
        "artifacts": saved,
    }
    kept = await run.keep("triage", payload)
    buttons = []
    if diagnosis.suggestions:
        first = diagnosis.suggestions[0]
        buttons.append(
            Button(label=f"Open playbook {first}", line=f"playbook {first}", name="playbook.open", style="primary")
        )
    incident = await _incident(run)
    if incident is None and verdict is not Verdict.PASS and run.op.place.channel is not None:
        line = f"incident open --run={run.op.id} --target={run.target.name}"
        buttons.append(Button(label="Open an incident", line=line, name="incident.open"))
    buttons.append(Button(label="Run again", line="triage", name="triage.rerun"))
    buttons += [
        Button(label=f"Open playbook {letter}", line=f"playbook {letter}", name=f"playbook.open-{letter.lower()}")
        for letter in diagnosis.suggestions[1:3]
    ]
    buttons.append(Button(label="Tuning rules", line="playbook tuning-rules", name="playbook.rules"))
    checklist = "playbook post-incident" if incident is None else f"checklist {incident.id}"
    buttons.append(Button(label="Post-incident checklist", line=checklist, name="playbook.post-incident"))
    card = Card(
        title=clipped(diagnosis.headline),
        tone=verdict_tone(verdict),
        context=run.context,
        lead=diagnosis.reason[:600] if len(diagnosis.suggestions) < 2 else "",
        facts=posture_facts(found.looks[-1].snapshot) if found.looks else (),
        table=table,
        sections=tuple(sections),
        code="\n".join(found.by_hand),
        next=diagnosis.next_step,
        buttons=tuple(buttons),
        footer=f"took {course.run.elapsed_s:.0f} s · `{kept.name}`",
        attachments=(
            Attachment(title="Why, signal by signal", text=why_text(diagnosis)),
            Attachment(title="Triage report", file=kept.name),
        ),
        final=True,
    )
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data={**payload, "artifact": kept.name})


async def _incident(run: Run) -> Incident | None:
    """The open incident of this channel."""
    from bot.store import incidents

    channel = run.op.place.channel
    return await run.world.store.read(lambda conn: incidents.open_in(conn, channel) if channel else None)


COMMAND = Command(
    name="triage",
    summary="First 5 minutes: snapshot, probe, quick drill, cause, playbook.",
    action="triage",
    args=TriageArgs,
    run=_run,
    examples=("triage",),
    group="First",
    effects=True,
    single=True,
)
