"""``gate``: may this release be promoted? Snapshot, probe, drill, snapshot, one verdict (runbook, "Release gate").

What is named is judged for a person to decide on: the card waits for a release manager who is not the starter. A gate
without ``--release`` is judged and shown, and nothing can be approved on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field as Limit
from pydantic import field_validator, model_validator

from bot.asking import ReleaseArgs, target_field
from bot.card import Card, Field, Form
from bot.command import EXIT, Command, Outcome
from bot.config import Config
from bot.drill.flags import BASE_URL, Scenarios, chosen, no_milestone

if TYPE_CHECKING:
    from bot.course import Course
    from bot.gate.made import Gathered
    from bot.run import Run

BEFORE, PROBE, DRILL, LEASES, AFTER = "Snapshot before", "Probe", "Drill", "Own leases end", "Snapshot after"
HIGH = {"profile": "standard", "minutes": 20, "limit": 150}
"""A high-risk release (runbook, "Release gate", step 2)."""


class GateArgs(ReleaseArgs):
    release: str | None = None
    """The release, NAME or NAME@COMMIT; without it there is nothing to approve."""
    risk: Literal["normal", "high"] = "normal"
    """high runs standard, 20 minutes, limit 150."""
    profile: str = "quick"
    """Drill profile: quick, standard, burst, soak."""
    minutes: int = Limit(default=15, ge=1, le=1440)
    """Window of the snapshots in minutes."""
    limit: int = Limit(default=100, ge=1, le=1000)
    """Rows of each snapshot section; the server cuts it to 50."""
    scenarios: Scenarios = None
    """Comma list; what the target requires and is left out here must be waived."""
    skip_probes: bool = False
    """Leave the probes out; the gate is then INCOMPLETE."""
    skip_drill: bool = False
    """Leave the drill out; the gate is then INCOMPLETE."""
    policy: str | None = None
    """Another release-gate policy; a file name in the artifact directory."""
    ownership: str | None = None
    """Another ownership matrix; likewise."""
    slo_baseline: str | None = None
    """Another baseline; likewise."""

    @model_validator(mode="before")
    @classmethod
    def _high(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("risk") != "high":
            return values
        if str(values.get("profile", HIGH["profile"])) == "quick":
            raise ValueError("a high-risk release runs the standard profile (runbook), not quick")
        return {**HIGH, **values}

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str) -> str:
        return no_milestone(value, "gate")


@dataclass
class _Steps:
    """What could not be done, and the lines to do it by hand."""

    missing: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


async def _run(run: Run, args: GateArgs) -> Outcome:
    import asyncio

    from bot.command import Door
    from bot.course import Course
    from bot.gate import made
    from bot.gate.policies import Policies
    from bot.sendcat.brake import Why

    files = {"gate": args.policy, "ownership": args.ownership, "baseline": args.slo_baseline}
    local = run.op.by.door is Door.TERMINAL
    policies = await asyncio.to_thread(lambda: Policies(run.world.config, files, anywhere=local))
    labels = [BEFORE, *([] if args.skip_probes else [PROBE]), *([] if args.skip_drill else [DRILL, LEASES]), AFTER]
    course = Course(run, f"Gate of {args.name}" if args.name else "Gate", labels)
    gathered = made.Gathered(started_ms=run.world.clock.now_ms())
    steps = _Steps()
    await _measure(run, args, course, gathered, steps)
    halted = run.brake.halted
    if halted is not None and halted.reason in (Why.STOPPED, Why.CONTROL_LOST):
        return _stopped(run, course, halted.detail)
    return await made.conclude(run, made.Asked.of(args), policies, gathered, steps.missing, steps.by_hand)


async def _measure(run: Run, args: GateArgs, course: Course, gathered: Gathered, steps: _Steps) -> None:
    """Snapshot before, probe, drill, wait for own leases, snapshot after (VERDICTS, "Gate")."""
    from bot import measure
    from bot.errors import Unreachable
    from bot.gate.leases import own_leases_end
    from bot.redact import inert
    from bot.views import follow

    scenarios = chosen(args.scenarios)
    if not args.skip_drill:
        # A drill that may not be, or whose pool cannot be used, is said before anything is sent.
        measure.plan(run, args.profile, scenarios)
    async with course.step(BEFORE):
        # Without a look beforehand nothing can be judged: Unreachable ends the gate before any load is sent.
        gathered.before = await measure.snapshot(run, minutes=args.minutes, limit=args.limit)
    if not args.skip_probes and run.brake.halted is None:
        try:
            async with course.step(PROBE):
                gathered.probed = await measure.probe(run)
        except Unreachable as error:
            steps.missing.append(f"probe ({inert(error.what, 160)})")
            steps.by_hand.append("npm run reliability:probe")
    if not args.skip_drill and run.brake.halted is None:
        try:
            async with course.step(DRILL), follow(course) as progress:
                gathered.drilled = await measure.drill(
                    run, profile=args.profile, scenarios=scenarios, on_progress=progress.see, waiting=course.note
                )
        except Unreachable as error:
            steps.missing.append(f"drill ({inert(error.what, 160)})")
            steps.by_hand.append(f"npm run reliability:drill -- --profile={args.profile}")
    if gathered.drilled is not None and run.brake.halted is None:
        try:
            async with course.step(LEASES):
                await course.note(await own_leases_end(run, gathered.before.read))
        except Unreachable as error:
            steps.missing.append(f"whether our own leases ended ({inert(error.what, 160)})")
    try:
        async with course.step(AFTER):
            gathered.after = await measure.snapshot(run, minutes=args.minutes, limit=args.limit)
    except Unreachable as error:
        steps.missing.append(f"snapshot after ({inert(error.what, 160)})")
        steps.by_hand.append(error.then or "npm run reliability:snapshot")


def _stopped(run: Run, course: Course, detail: str) -> Outcome:
    from bot.card import Button, Tone
    from slo.verdict import Verdict

    left = [step.label.lower() for step in course.steps if step.tone in (Tone.PLAIN, Tone.RUNNING)]
    card = Card(
        title="STOPPED: the gate decides nothing",
        tone=Tone.UNKNOWN,
        context=run.context,
        lead=detail,
        sections=(f"Not done: {', '.join(left)}.",) if left else (),
        buttons=(Button(label="Run again", line=run.op.line, name="gate.rerun", style="primary"),),
        final=True,
    )
    data = {"verdict": "INCOMPLETE", "state": "stopped"}
    return Outcome(card=card, exit_status=EXIT[Verdict.INCOMPLETE], verdict=Verdict.INCOMPLETE, data=data)


def _form(config: Config) -> Form:
    return Form(
        title="Release gate",
        fields=(
            Field(flag="release", label="Release, NAME or NAME@COMMIT", hint="2026.11.23-2@4c1e9ab"),
            Field(
                flag="risk",
                label="Risk",
                kind="choice",
                options=(("normal", "normal: quick, 15 minutes"), ("high", "high: standard, 20 minutes, limit 150")),
                value="normal",
            ),
            target_field(config),
        ),
        submit="Run the gate",
        note="A release manager other than you decides on the card.",
    )


COMMAND = Command(
    name="gate",
    summary="Release gate: snapshot, probe, drill, snapshot; a release manager decides on the card.",
    action="gate",
    args=GateArgs,
    run=_run,
    examples=("gate --release=2026.11.23-2@4c1e9ab --risk=high", "gate --profile=quick"),
    group="Release",
    effects=True,
    single=True,
    form=_form,
    variables={"base-url": BASE_URL},
)
