"""One game day while it runs: the items it opens with, probe, drills, a look for the woven fault.

Runbook, "Game-Day Procedure", steps 1 and 2. What cannot be done is a finding and ends nothing; a stop ends the day,
and what was measured until then is judged and kept all the same.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot import measure
from bot.card import Tone
from bot.course import Course
from bot.errors import SendcatError, Unknown
from bot.gameday import weave
from bot.gameday.flags import within
from bot.gameday.weave import Weaver
from bot.practice.faulting import Faulting
from bot.redact import inert
from bot.sendcat.brake import Halt, Why
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.plan import DrillPlan
from bot.sendcat.load.planning import plan_drill
from bot.store import gameday as rows
from bot.store.gameday import Item
from bot.views import follow, verdict_tone
from playbooks.signals import judge_signals, suggestions
from slo.verdict import Judgement

if TYPE_CHECKING:
    from bot.gameday.flags import GameDayArgs
    from bot.measure import Drilled, Looked, Probed
    from bot.run import Run

OPEN, PROBE, BEFORE, AGAIN, DASHBOARD = "Open items", "Probe", "Look before", "Look for the fault", "Dashboard"


def drill_label(profile: str) -> str:
    return f"Drill {profile}"


@dataclass
class Day:
    """What was gathered; each part is None, or missing from ``drilled``, when it was not done. ``why`` says why not."""

    started_ms: int
    profiles: tuple[str, ...]
    opened_with: tuple[Item, ...] = ()
    probed: Probed | None = None
    drilled: dict[str, Drilled] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    looks: list[Looked] = field(default_factory=list)
    fault: str | None = None
    sought: Judgement | None = None
    """Whether the woven fault was found."""
    halted: Halt | None = None

    @property
    def stopped(self) -> bool:
        """Whether a person stopped it or control was lost, so that what is missing is nobody's finding."""
        return self.halted is not None and self.halted.reason is not Why.ABORTED


class GameDay:
    """Carries a game day out; `measure` never raises for what Sendcat does."""

    def __init__(self, run: Run, args: GameDayArgs) -> None:
        self.run = run
        self.args = args
        self.day = Day(run.world.clock.now_ms(), args.named)
        self.fault = f"Fault {args.weave}" if args.weave else ""
        woven = [BEFORE, self.fault] if args.weave else []
        drills = [drill_label(name) for name in args.named]
        self.course = Course(
            run, "Game day", [OPEN, PROBE, *woven, *drills, *([AGAIN] if args.weave else []), DASHBOARD]
        )

    async def prepare(self) -> None:
        """Everything that may refuse the day, before anything is sent: ceilings, names, the fault. Raises."""
        plans = self._plans()
        within(plans, self.run.target)
        self._weaver = await self._weave(plans) if self.args.weave else None
        target = self.run.target.name
        self.day.opened_with = await self.run.world.store.read(lambda conn: rows.opened(conn, target))

    def _plans(self) -> list[DrillPlan]:
        secrets = drill_secrets(self.run.target, self.args.pool_file(self.run.world.config))
        scenarios, options = self.args.chosen_scenarios, self.args.chat_options()
        return [plan_drill(self.run.target, name, scenarios, secrets=secrets, **options) for name in self.args.named]

    async def _weave(self, plans: list[DrillPlan]) -> Weaver:
        assert self.args.weave is not None
        faulting = Faulting(self.run.target)
        fault = await weave.chosen(faulting, self.args.weave)
        long_s = sum(plan.duration_ms for plan in plans) / 1000
        if self.args.weave_after >= long_s:
            raise Unknown(
                f"The drills of this day take {long_s:.1f} s: at {self.args.weave_after:g} s nothing is left to see.",
                then="--weave-after=1",
            )
        self.day.fault = fault
        for_ms = round(2000 * long_s) + weave.SPARE_MS

        async def say(detail: str) -> None:
            self.course.mark(self.fault, Tone.WARN, detail)
            await self.run.show(self.course.card())

        return Weaver(self.run, faulting, fault, self.args.weave_after, for_ms, say)

    async def measure(self) -> Day:
        """Probe, drills and looks; the origin is ours from the first to the last."""
        floor = self.run.world.floor
        assert floor is not None
        quick = all(name == "quick" for name in self.args.named)
        async with AsyncExitStack() as stack:
            async with self.course.step(OPEN):
                await stack.enter_async_context(
                    floor.hold(self.run.target.site_url, self.run.op.id, quick=quick, waiting=self.course.note)
                )
                await self._opened()
            await self._attempt("probe", PROBE, self._probe)
            if self._weaver is None:
                await self._drills()
            else:
                await self._woven(self._weaver)
        self.day.halted = self.run.brake.halted
        return self.day

    def broke(self, what: str) -> None:
        """An error of our own ended the day: what was not done was not done because of it."""
        self.day.halted = self.run.brake.halted
        for key in self.args.named:
            if key not in self.day.drilled:
                self.day.why.setdefault(key, f"the bot failed ({what})")

    async def _opened(self) -> None:
        items = self.day.opened_with
        if not items:
            self.course.say("none from earlier game days")
            return
        named = "; ".join(f"{item.id} {inert(item.words, 70)}" for item in items[-3:])
        more = f"; and {len(items) - 3} more" if len(items) > 3 else ""
        await self.course.note(f"{len(items)}: {named}{more}", Tone.WARN)

    async def _attempt(self, key: str, label: str, work: Any) -> None:
        """One step; a stop leaves it out, a failure says why."""
        if (halted := self.run.brake.look()) is not None:
            self.day.why[key] = halted.detail
            self.course.mark(label, Tone.UNKNOWN, f"not run: {halted.detail}")
            return
        try:
            async with self.course.step(label):
                await work()
        except SendcatError as error:
            self.day.why[key] = inert(error.what, 200)

    async def _probe(self) -> None:
        self.day.probed = probed = await measure.probe(self.run)
        passed = sum(probe.passed for probe in probed.report.probes)
        await self.course.note(
            f"{passed} of {len(probed.report.probes)} as expected", verdict_tone(probed.judgement.verdict)
        )

    async def _drills(self) -> None:
        probed = self.day.probed
        dead = probed is not None and all(probe.status is None for probe in probed.report.probes)
        for name in self.args.named:
            if dead:
                self.day.why[name] = "no endpoint answered the probe"
                self.course.mark(drill_label(name), Tone.UNKNOWN, "not run: no endpoint answered the probe")
                continue
            await self._attempt(name, drill_label(name), lambda name=name: self._drill(name))

    async def _drill(self, profile: str) -> None:
        async with follow(self.course) as progress:
            drilled = await measure.drill(
                self.run,
                profile=profile,
                scenarios=self.args.chosen_scenarios,
                pool_file=self.args.pool_file(self.run.world.config),
                on_progress=progress.see,
                waiting=self.course.note,
                **self.args.chat_options(),
            )
        self.day.drilled[profile] = drilled
        judged = drilled.judgement
        red = ", ".join(f"{check.name} of {check.scope}" for check in judged.failed[:3])
        said = inert(judged.reason or red, 160)
        await self.course.note(f"{judged.verdict}{f': {said}' if said else ''}", verdict_tone(judged.verdict))

    async def _woven(self, weaver: Weaver) -> None:
        await self._attempt("look before", BEFORE, self._look)
        before = await self._letters()
        async with weave.weaving(weaver):
            await self._drills()
            after: tuple[str, ...] | None = None
            if weaver.begun_ms is not None and self._may_look():
                count = len(self.day.looks)
                async with self.course.step(AGAIN):
                    try:
                        await self._look()
                    except SendcatError as error:
                        await self.course.note(inert(error.what, 160), Tone.UNKNOWN)
                after = await self._letters() if len(self.day.looks) > count else None
        self.day.sought = sought = weave.seen(weaver.fault, before, after, weaver)
        tone = Tone.OK if after is not None and weaver.fault[0] in after else Tone.UNKNOWN
        self.course.mark(AGAIN, tone, sought.reason)
        gone = "taken out again" if weaver.row is None else "not taken out: it ends by itself"
        self.course.mark(
            self.fault, Tone.OK if weaver.row is None else Tone.WARN, gone if weaver.begun_ms else "never in"
        )

    def _may_look(self) -> bool:
        """A look sends no load: it is taken also after the target was too bad for more, but not after a stop."""
        halted = self.run.brake.halted
        return halted is None or halted.reason is Why.ABORTED

    async def _look(self) -> None:
        looked = await measure.snapshot(self.run)
        self.day.looks.append(looked)
        self.course.say(f"saved as `{looked.artifact}`")

    async def _letters(self) -> tuple[str, ...]:
        """The playbooks whose signals fire now."""
        looks = [looked.snapshot for looked in self.day.looks]
        drilled = list(self.day.drilled.values())
        facts = await measure.facts(
            self.run,
            looks,
            self.day.probed.report if self.day.probed else None,
            drilled[-1].report if drilled else None,
        )
        return suggestions(judge_signals(facts, self.run.world.book))
