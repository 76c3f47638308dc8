"""``walk ...``: the steps of a playbook under way. People press them as buttons; every one is a line as well."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.card import Attachment, when
from bot.command import EXIT, Args, Command, Outcome
from bot.errors import Refused, Unknown

if TYPE_CHECKING:
    from bot.run import Run
    from slo.snapshot import Snapshot

WATCH_MINUTES = 10
WATCH_EVERY_S = 60.0
QUIET_LOOKS = 2
"""A watch ends by itself after so many quiet looks."""


class WalkArgs(Args):
    walk: str
    """Id of the walk, such as w-12."""


class StepArgs(WalkArgs):
    step: int
    """Number of the action on the page."""


class ConfirmArgs(StepArgs):
    answer: str | None = None
    """What was found or decided; it is recorded."""


class SkipArgs(StepArgs):
    because: str | None = None
    """Why the step is not needed."""


class MutateArgs(StepArgs):
    function: str
    """One of the four functions that playbooks E and F name, such as toolJobs:processQueue."""
    arguments: str = "{}"
    """Its arguments as JSON, for example {"namespace":"search_web_v1"}."""
    most: int = 1
    """How many dead letters go back to the queue, one call each, where the arguments name none; at most 50."""
    yes: bool = False
    """Must be true: this changes the deployment."""


class WatchArgs(WalkArgs):
    minutes: int = WATCH_MINUTES
    """How long, at most 60."""


async def _look(run: Run, args: WalkArgs) -> Outcome:
    from bot.walk import course
    from bot.walk.look import look

    walk, page = await course.found(run, args.walk)
    walk = await course.observe(run, walk, await look(run, page))
    return course.outcome(walk, page)


async def _confirm(run: Run, args: ConfirmArgs) -> Outcome:
    from bot.redact import inert
    from bot.walk import course
    from bot.walk.course import Note
    from playbooks.findings import Finding
    from playbooks.page import StepKind

    walk, page = await course.found(run, args.walk)
    kinds = [kind for kind in StepKind if kind is not StepKind.READ]
    course.action_of(walk, page, args.step, *kinds)
    async with course.step(run, walk.id, args.step) as taking:
        what = f"{walk.id} step {args.step}"
        said = (Finding(inert(args.answer)),) if args.answer else ()
        shown = await taking.settle("done", said, note=Note("walk", what, {"answer": args.answer}))
    return course.outcome(taking.walk, page, shown)


async def _skip(run: Run, args: SkipArgs) -> Outcome:
    from bot.redact import inert
    from bot.walk import course
    from playbooks.findings import Finding

    walk, page = await course.found(run, args.walk)
    course.action_of(walk, page, args.step)
    async with course.step(run, walk.id, args.step) as taking:
        said = (Finding(f"not needed: {inert(args.because)}"),) if args.because else ()
        shown = await taking.settle("skipped", said)
    return course.outcome(taking.walk, page, shown)


async def _mutate(run: Run, args: MutateArgs) -> Outcome:
    from bot.walk import course
    from bot.walk.acts import act
    from bot.walk.course import Note
    from bot.walk.look import look
    from playbooks.page import StepKind
    from playbooks.spans import FunctionRef

    walk, page = await course.found(run, args.walk)
    if run.target.name != walk.target:
        raise Refused(f"Walk {walk.id} is about {walk.target}.", then=f"add --target={walk.target}")
    action = course.action_of(walk, page, args.step, StepKind.MUTATE)
    named = {ref.function.name for ref in action.all(FunctionRef) if ref.function.mutates}
    if args.function not in named:
        raise Refused(
            f"Step {args.step} of playbook {page.letter} does not name `{args.function[:60]}`.",
            rule="what may be done is what the page names (R21)",
            then=f"one of: {', '.join(sorted(named))}",
        )
    given = _object(args.arguments)
    if not args.yes:
        raise Refused(
            f"{args.function} changes {run.target.name} ({run.target.environment.value}).",
            rule="a change is confirmed by who asks for it",
            then=f"the same line with --yes=true, or the button on the card of {walk.id}",
        )
    what = f"{args.function} {json.dumps(given, separators=(',', ':'))}"
    if args.most > 1:
        what += f" --most={args.most}"
    async with course.step(run, walk.id, args.step, again=True, effect=what) as taking:
        done = await act(run, args.function, given, await taking.snapshot(), taking, args.most)
        numbers = {"before": dict(done.before), "after": dict(done.after)}
        await taking.settle("done", done.lines, note=Note("mutate", what, numbers))
    walk = await course.observe(run, taking.walk, await look(run, page))
    return course.outcome(walk, page)


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unknown("The arguments are a JSON object.", then='{"namespace":"search_web_v1"}')
    return found


async def _retest(run: Run, args: StepArgs) -> Outcome:
    """Quick drill and snapshot, compared with before; regressions named."""
    from bot import measure
    from bot.walk import course
    from bot.walk.look import look
    from playbooks.page import StepKind
    from playbooks.regressions import between_drills, between_looks
    from slo.reports import ms_of_iso

    walk, page = await course.found(run, args.walk)
    course.action_of(walk, page, args.step, StepKind.RETEST)
    earlier = [report for report in await measure.recent_drills(run, 10) if report.profile == "quick"][:1]
    async with course.step(run, walk.id, args.step, again=True) as taking:
        async with course.drawn(taking) as progress:
            drilled = await measure.drill(run, on_progress=progress, waiting=taking.say)
        before = await measure.named_snapshot(run, walk.before)
        now = await taking.snapshot()
        judged = drilled.judgement
        lines = [
            course.drill_line(judged),
            *between_drills(
                measure.judge_drill(earlier[0]) if earlier else None,
                judged,
                when(ms_of_iso(earlier[0].started_at)) if earlier else "",
            ),
            *(between_looks(before, now) if before else ()),
        ]
        await taking.settle("done", lines)
    walk = await course.observe(run, taking.walk, await look(run, page))
    return replace(course.outcome(walk, page), exit_status=EXIT[judged.verdict], verdict=judged.verdict)


async def _ticket(run: Run, args: StepArgs) -> Outcome:
    """The multi-region ticket, with the newest reports by digest (Runbook, playbook G, action 3)."""
    from bot.walk import course, ticket
    from bot.walk.course import Note
    from playbooks.page import StepKind

    walk, page = await course.found(run, args.walk)
    course.action_of(walk, page, args.step, StepKind.LINK)
    async with course.step(run, walk.id, args.step) as taking:
        opened = await ticket.open_for(run)
        shown = await taking.settle("done", opened.lines, note=Note("walk", "multi-region ticket", opened.detail))
    await run.world.store.write(lambda tx: course.into_thread(tx, run, taking.walk, opened.attachments))
    return course.outcome(taking.walk, page, shown)


async def _watch(run: Run, args: WatchArgs) -> Outcome:
    """Look once a minute for a while; it ends by itself when the signal stays quiet, and can be stopped."""
    from bot.walk import course
    from bot.walk.look import FLAPPING_LOOKS, look

    minutes = min(max(args.minutes, 1), 60)
    quiet = 0
    earlier: tuple[Snapshot, ...] = ()
    walk, page = await course.found(run, args.walk)
    for at in range(minutes):
        made = await look(run, page, earlier)
        earlier = made.facts.looks[-FLAPPING_LOOKS:] if page.letter == "B" else made.facts.looks[-1:]
        walk = await course.observe(run, walk, made)
        quiet = quiet + 1 if walk.seen.get("state") == "quiet" else 0
        current, _ = await course.found(run, walk.id)
        if quiet >= QUIET_LOOKS or run.brake.halted is not None or current.ended_ms is not None or at == minutes - 1:
            break
        await run.world.clock.sleep(WATCH_EVERY_S)
    return course.outcome(walk, page)


async def _leave(run: Run, args: WalkArgs) -> Outcome:
    """End the walk; the summary goes into the thread of its card."""
    from bot import measure
    from bot.errors import SendcatError
    from bot.store import changes, walks
    from bot.store.tx import Tx
    from bot.store.walks import Walk
    from bot.walk import course
    from bot.walk.look import look
    from playbooks.findings import Finding
    from playbooks.regressions import between_looks

    walk, page = await course.found(run, args.walk)
    before = await measure.named_snapshot(run, walk.before)
    moved: tuple[Finding, ...] = ()
    try:
        made = await look(run, page)
        walk = await course.observe(run, walk, made)
        moved = between_looks(before, made.now) if before else ()
    except SendcatError:
        pass  # a walk can be left when Sendcat does not answer; the summary then tells the last look

    def write(tx: Tx) -> tuple[Walk, Attachment]:
        left = walks.leave(tx, walk.id, run.op.by.account)
        made = [c for c in changes.recent(tx.db, left.target, limit=20) if c.created_ms >= left.started_ms]
        told = course.summary(left, page, moved, made)
        course.redraw(tx, left, page)
        course.into_thread(tx, run, left, (told,))
        return left, told

    left, told = await run.world.store.write(write)
    ended = course.outcome(left, page)
    card = ended.card.model_copy(update={"sections": (*ended.card.sections, told.text)})
    return replace(ended, card=card, data=ended.data | {"summary": told.text})


_STEP = ("walk", "step")

COMMANDS = (
    Command(
        name="walk look",
        summary="Look again: the signal and every read of the page, anew.",
        action="read",
        args=WalkArgs,
        run=_look,
        positional=("walk",),
        examples=("walk look w-12",),
        group="Walk",
        quiet=True,
    ),
    Command(
        name="walk confirm",
        summary="Record that a step is done or confirmed, with an answer where it asks for one.",
        action="walk",
        args=ConfirmArgs,
        run=_confirm,
        positional=_STEP,
        examples=("walk confirm w-12 2 --answer='abuse of one address; limits stay'",),
        group="Walk",
        quiet=True,
    ),
    Command(
        name="walk skip",
        summary="Record that a step is not needed.",
        action="walk",
        args=SkipArgs,
        run=_skip,
        positional=_STEP,
        examples=("walk skip w-12 5 --because='nothing times out'",),
        group="Walk",
        quiet=True,
    ),
    Command(
        name="walk mutate",
        summary="Call one of the four functions that a playbook names to change something.",
        action="mutate",
        args=MutateArgs,
        run=_mutate,
        positional=(*_STEP, "function", "arguments"),
        examples=(
            "walk mutate w-12 6 toolJobs:processQueue --yes=true",
            'walk mutate w-9 1 toolCache:clearNamespace {"namespace":"search_web_v1"} --yes=true',
        ),
        group="Walk",
        quiet=True,
        effects=True,
    ),
    Command(
        name="walk retest",
        summary="Quick drill and snapshot, compared with before.",
        action="drill.quick",
        args=StepArgs,
        run=_retest,
        positional=_STEP,
        examples=("walk retest w-12 7",),
        group="Walk",
        quiet=True,
        effects=True,
    ),
    Command(
        name="walk ticket",
        summary="Open the multi-region ticket of playbook G with the newest reports.",
        action="walk",
        args=StepArgs,
        run=_ticket,
        positional=_STEP,
        examples=("walk ticket w-12 3",),
        group="Walk",
        quiet=True,
    ),
    Command(
        name="walk watch",
        summary="Look once a minute for a while; ends by itself when the signal stays quiet.",
        action="read",
        args=WatchArgs,
        run=_watch,
        positional=("walk",),
        examples=("walk watch w-12 --minutes=20",),
        group="Walk",
        quiet=True,
        effects=True,
    ),
    Command(
        name="walk leave",
        summary="End the walk; its summary goes into the thread.",
        action="walk",
        args=WalkArgs,
        run=_leave,
        positional=("walk",),
        examples=("walk leave w-12",),
        group="Walk",
        quiet=True,
    ),
)
