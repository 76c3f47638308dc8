"""One canary while it runs: looks at both, probes of both, drills in turns, a second look.

What cannot be done is noted and ends nothing but what depends on it: the artifact is written whatever happened, also
when a side was unreachable (operator-commands.md section 12, 24). Both origins are held from the first probe on, and
each request carries the credentials of its own target (R15, R17).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot import measure
from bot.canary.flags import LOOK_LIMIT, LOOK_MINUTES, CanaryArgs, Pair, within
from bot.card import Tone
from bot.course import Course
from bot.errors import SendcatError
from bot.redact import inert
from bot.sendcat.brake import Halt, Why
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.planning import DrillOptions, plan_drill
from bot.views import follow, verdict_tone
from slo.canary_power import blocks_for
from slo.profiles import Scale
from slo.rounds import CANDIDATE, CONTROL, Side, order

if TYPE_CHECKING:
    from bot.measure import Drilled, Looked, Probed
    from bot.run import Run

BEFORE, AFTER, DRILLS = "Look at both", "Look at both again", "Drill rounds"
SIDES: tuple[Side, ...] = (CONTROL, CANDIDATE)


def probe_label(side: Side) -> str:
    return f"Probe {side}"


@dataclass
class Gathered:
    """What was measured; each part is missing when it was not, and ``not_done`` says why."""

    started_ms: int
    planned: tuple[Side, ...]
    before: dict[Side, Looked] = field(default_factory=dict)
    probed: dict[Side, Probed] = field(default_factory=dict)
    rounds: list[tuple[Side, Drilled]] = field(default_factory=list)
    after: dict[Side, Looked] = field(default_factory=dict)
    not_done: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    halted: Halt | None = None

    @property
    def stopped(self) -> bool:
        """A person stopped it, or control was lost: it decides nothing."""
        return self.halted is not None and self.halted.reason is not Why.ABORTED

    def of(self, side: Side) -> list[Drilled]:
        return [drilled for which, drilled in self.rounds if which == side]


class Comparison:
    """Carries a canary out; `measure` never raises for what a Sendcat does."""

    def __init__(self, run: Run, args: CanaryArgs, pair: Pair) -> None:
        self.run, self.args, self.pair = run, args, pair
        turns = order(args.blocks or blocks_for(args.profile))
        self.found = Gathered(run.world.clock.now_ms(), turns)
        labels = [BEFORE, *map(probe_label, SIDES), DRILLS, AFTER]
        self.course = Course(run, f"Canary of {pair.candidate.name}", labels)
        self.options = DrillOptions(scale=Scale.of(load=args.chat_load_scale))

    def prepare(self) -> None:
        """Everything that may refuse the canary, before anything is sent: pools and ceilings of both. Raises."""
        plans = {}
        for side in SIDES:
            target = self.pair[side]
            secrets = drill_secrets(target)
            plans[side] = plan_drill(
                target, self.args.profile, self.args.chosen_scenarios, secrets=secrets, **self.options
            )
        within(plans, self.pair, len(self.found.planned) // 2, self.args.profile)

    def at(self, side: Side) -> Run:
        """This run on one side: its target, its credentials, its artifacts."""
        return replace(self.run, on=self.pair[side])

    async def measure(self) -> Gathered:
        """All of it, in the order of VERDICTS; a stop leaves out what is left."""
        await self._look(BEFORE, self.found.before)
        floor = self.run.world.floor
        assert floor is not None
        async with AsyncExitStack() as held:
            async with self.course.step(probe_label(CONTROL)):
                for origin in self.pair.origins:
                    await held.enter_async_context(
                        floor.hold(origin, self.run.op.id, quick=self.args.profile == "quick", waiting=self.course.note)
                    )
                await self._probe(CONTROL)
            async with self.course.step(probe_label(CANDIDATE)):
                await self._probe(CANDIDATE)
            await self._drills()
        if not self._stopped():
            await self._look(AFTER, self.found.after)
        self.found.halted = self.run.brake.halted
        return self.found

    def broke(self, what: str) -> None:
        """An error of our own ended it: what is missing is missing because of that."""
        self.found.halted = self.run.brake.halted
        self.found.not_done.append(f"the bot failed ({what})")

    def _stopped(self) -> bool:
        halted = self.run.brake.look()
        return halted is not None and halted.reason is not Why.ABORTED

    async def _look(self, label: str, into: dict[Side, Looked]) -> None:
        async with self.course.step(label):
            for side in SIDES:
                name = self.pair[side].name
                try:
                    into[side] = await measure.snapshot(self.at(side), minutes=LOOK_MINUTES, limit=LOOK_LIMIT)
                except SendcatError as error:
                    self._miss(f"snapshot of {name}", error.what)
                    self._hand(f"npm run reliability:snapshot -- --target={name}")
                    await self.course.note(f"{name}: {inert(error.what, 120)}", Tone.UNKNOWN)

    async def _probe(self, side: Side) -> None:
        halted = self.run.brake.look()
        name = self.pair[side].name
        if halted is not None:
            self._miss(f"probe of {name}", halted.detail)
            await self.course.note(f"not run: {halted.detail}", Tone.UNKNOWN)
            return
        try:
            self.found.probed[side] = probed = await measure.probe(self.at(side))
        except SendcatError as error:
            self._miss(f"probe of {name}", error.what)
            self._hand(f"npm run reliability:probe -- --target={name}")
            await self.course.note(inert(error.what, 120), Tone.UNKNOWN)
            return
        passed = sum(probe.passed for probe in probed.report.probes)
        said = f"{passed} of {len(probed.report.probes)} as expected"
        await self.course.note(said, verdict_tone(probed.judgement.verdict))

    async def _drills(self) -> None:
        why = self._no_load()
        if why:
            self._miss("drill rounds", why)
            self.course.mark(DRILLS, Tone.UNKNOWN, f"not run: {inert(why, 160)}")
            return
        turns = self.found.planned
        async with self.course.step(DRILLS):
            for number, side in enumerate(turns, 1):
                if not await self._round(number, side):
                    break
            done = len(self.found.rounds)
            if done == len(turns) and not self.found.not_done:
                self.course.say(f"{done} rounds")
            else:
                await self.course.note(f"{done} of {len(turns)} rounds", Tone.UNKNOWN)

    def _no_load(self) -> str:
        """Why no load is sent at all; the empty text when it may."""
        for side in SIDES:
            name = self.pair[side].name
            if side not in self.found.before:
                return f"{name} could not be looked at"
            probed = self.found.probed.get(side)
            if probed is not None and all(probe.status is None for probe in probed.report.probes):
                return f"no endpoint of {name} answered the probe"
        halted = self.run.brake.look()
        return halted.detail if halted is not None else ""

    async def _round(self, number: int, side: Side) -> bool:
        """One drill of one side; False when no further one may follow."""
        name, turns = self.pair[side].name, len(self.found.planned)
        lead = f"round {number} of {turns}, {name}"
        await self.course.note(lead)
        try:
            async with follow(self.course, lead=lead) as progress:
                drilled = await measure.drill(
                    self.at(side),
                    profile=self.args.profile,
                    scenarios=self.args.chosen_scenarios,
                    on_progress=progress.see,
                    waiting=self.course.note,
                    kind="round",
                    **self.options,
                )
        except SendcatError as error:
            self._miss(f"round {number} of {turns} ({name}) and those after it", error.what)
            self._hand(f"npm run reliability:drill -- --profile={self.args.profile} --target={name}")
            return False
        self.found.rounds.append((side, drilled))
        ours, halted = drilled.report.honest, self.run.brake.halted
        early = ours.ended.reason or ours.ended.how if ours is not None and ours.ended.how != "finished" else ""
        early = early or (halted.detail if halted is not None else "")
        if early:
            # A side so bad that its drill was aborted gets no further load, and neither does the other (R18).
            self._miss(f"{turns - number} of {turns} rounds", f"round {number} ({name}) ended early: {early}")
        return not early

    def _miss(self, what: str, why: str) -> None:
        self.found.not_done.append(f"{what}: {inert(why, 200)}")

    def _hand(self, line: str) -> None:
        if line not in self.found.by_hand:
            self.found.by_hand.append(line)
