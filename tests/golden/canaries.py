"""A canary from its first round to what a person decided on it: control and candidate, measured, compared, answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from bot.canary.comparing import BEFORE, DRILLS, SIDES, Comparison, Gathered, probe_label
from bot.canary.flags import CanaryArgs, Pair, pair
from bot.canary.made import conclude
from bot.canary.policies import Policies
from bot.cases.decided import decided
from bot.command import Outcome
from bot.commands import catalog
from bot.measure import Drilled, Looked, Probed
from bot.run import Run
from bot.store import cases
from bot.store.case import Case
from slo import compare
from slo.compare import CanaryStatistics, Interval, LatencyShift
from slo.policy import Baseline
from slo.reports import DrillReport
from slo.rounds import CANDIDATE, CONTROL, Side, order
from tests.golden.decisions import decision, denied
from tests.golden.measured import WELL, Conduct, judged
from tests.golden.runs import looked, probed
from tests.golden.stage import HOUR, LEAD, MINUTE, ONCALL, RELMGR, T0, Scene, Shown

LINE = "canary --control=practice --candidate=candidate --release=2026.11.23-2@4c1e9ab"
TURNS = order(1)
NEAR, SLOW, FLAKY = Conduct(slower=1.24), Conduct(slower=5.2, five_xx=0.06), Conduct(broken=0.4)
NO_CHAT = (("chat_stream_http", "no credentials for chat"),)
ABORTED = "circuit openrouter_chat_primary opened during the drill"


@dataclass
class Shelf:
    """What was measured for an earlier canary is evidence for the next one, so that each file is written once."""

    run: Run
    looks: dict[Side, Looked] = field(default_factory=dict)
    probes: dict[Side, Probed] = field(default_factory=dict)
    rounds: dict[tuple[Any, ...], Drilled] = field(default_factory=dict)

    async def fill(self, both: Pair) -> None:
        for side in SIDES:
            at = replace(self.run, on=both[side])
            self.looks[side], self.probes[side] = await looked(at, "idle"), await probed(at)

    async def round(self, side: Side, both: Pair, conduct: Conduct, seed: int, **more: Any) -> Drilled:
        key = (side, conduct, seed, *more.items())
        if key not in self.rounds:
            report, judgement = judged("quick", conduct, target=both[side].name, seed=seed, **more)
            kept = await replace(self.run, on=both[side]).keep("round", report.to_artifact(), "quick")
            self.rounds[key] = Drilled(judgement=judgement, artifact=kept.name, report=report)
        return self.rounds[key]


async def cards(scene: Scene) -> dict[str, Shown]:
    add_candidate(scene)
    first, _, both = await _began(scene)
    shelf = Shelf(first)
    await shelf.fill(both)
    passed, failed = await _case(scene, shelf), await _case(scene, shelf, SLOW)
    unknown = await _case(scene, shelf, skipped=NO_CHAT)
    promoted = passed.model_copy(update={"decisions": (_said("promote", "", until_ms=T0 + 4 * HOUR),)})
    rolled = passed.model_copy(update={"decisions": (_said("roll-back", "support sees slow answers"),)})
    refused = failed.model_copy(update={"decisions": (_said("roll-back", "chat is much slower"),)})
    waiver = _said("waive", "chat was tested by hand on the candidate", scenario="chat_stream_http")
    void = passed.model_copy(update={"void_ms": T0, "void_reason": "RATE_LIMIT_GMAIL_PUSH_MAX is 75 by now"})
    found: dict[str, Shown] = {
        "canary.running": await _running(scene),
        "canary.waits-for-promote-or-roll-back": decided(passed, T0),
        "canary.near-its-limits": decided(await _case(scene, shelf, NEAR), T0),
        "canary.failed": decided(failed, T0),
        "canary.broken-streams": decided(await _case(scene, shelf, FLAKY), T0),
        "canary.waits-for-a-waiver": decided(unknown, T0),
        "canary.waived": decided(unknown.model_copy(update={"decisions": (waiver,)}), T0 + MINUTE),
        "canary.promoted": decided(promoted, T0 + MINUTE),
        "canary.promotion-over": decided(promoted, T0 + 5 * HOUR),
        "canary.rolled-back": decided(rolled, T0 + MINUTE),
        "canary.rolled-back-after-a-fail": decided(refused, T0 + MINUTE),
        "canary.expired": decided(passed, T0 + 5 * HOUR),
        "canary.void": decided(void, T0 + MINUTE),
        "canary.stopped": (await _concluded(scene, shelf, stop="stopped by visitor", rounds=3)).card,
        "canary.candidate-unreachable": (await _concluded(scene, shelf, silent=True, rounds=0)).card,
        "canary.aborted": (await _concluded(scene, shelf, Conduct(five_xx=0.6), rounds=2, ended=ABORTED)).card,
    }
    found["canary.status-blocked"] = await scene.say("canary status --candidate=candidate")
    run = await scene.run("canary promote cn-1 --reason=go", by=RELMGR)
    tries = (
        ("stale-click", promoted, LEAD, T0 + 2 * MINUTE),
        ("not-the-starter", passed, ONCALL, T0),
        ("fail-cannot-be-promoted", failed, RELMGR, T0),
    )
    for name, case, account, now_ms in tries:
        found[f"canary.{name}"] = denied(scene, run, case, "promote", account, now_ms)
    return found


def add_candidate(scene: Scene) -> None:
    """A second deployment beside the practice one."""
    control = scene.config.target["practice"]
    other = {
        "name": "candidate", "api_url": "http://127.0.0.1:3", "site_url": "http://127.0.0.1:4",
        "deploy_key": SecretStr("candidate-heron-2|0000"),
    }  # fmt: skip
    targets = {"practice": control, "candidate": control.model_copy(update=other)}
    scene.world.config = scene.config.model_copy(update={"target": targets})


def _said(verb: Any, reason: str, **more: Any) -> Any:
    return decision(verb, reason, case="cn-1", **more)


async def _began(scene: Scene, line: str = LINE) -> tuple[Run, CanaryArgs, Pair]:
    run = await scene.run(line)
    args = catalog().plan(line, scene.config).args
    assert isinstance(args, CanaryArgs)
    both = pair(scene.config, args, run.target)
    return replace(run, on=both.control), args, both


async def _running(scene: Scene) -> Shown:
    """In its fourth round, as the card stands then."""
    run, args, both = await _began(scene)
    course = Comparison(run, args, both).course
    async with course.step(BEFORE):
        pass
    for side in SIDES:
        async with course.step(probe_label(side)):
            await course.note("5 of 5 as expected")
    run.started -= 41
    async with course.step(DRILLS):
        await course.note(
            "round 3 of 4, candidate · gmail_push_webhook quick · 21 of 63 requests · 20/s · p95 478 ms · 4 s left"
        )
        return course.card()


async def _gathered(
    shelf: Shelf, both: Pair, conduct: Conduct, *, rounds: int = len(TURNS), silent: bool = False, **more: Any
) -> Gathered:
    """What was measured: a healthy control beside a candidate that behaves like this, or that does not answer."""
    found = Gathered(T0 - 100_000, TURNS)
    there = [side for side in SIDES if not (silent and side == CANDIDATE)]
    for side in there:
        found.before[side] = found.after[side] = shelf.looks[side]
        found.probed[side] = shelf.probes[side]
    for number, side in enumerate(TURNS[:rounds]):
        how, extra = (WELL, {}) if side == CONTROL else (conduct, {"ended": more.get("ended", "")})
        skipped = {"skipped": more["skipped"]} if "skipped" in more else {}
        found.rounds.append((side, await shelf.round(side, both, how, number % 2, **extra, **skipped)))
    if silent:
        what = "Convex does not answer: no connection to candidate"
        found.not_done += [f"snapshot of candidate: {what}", f"probe of candidate: {what}"]
        found.not_done.append("drill rounds: candidate could not be looked at")
        found.by_hand.append("npm run reliability:snapshot -- --target=candidate")
    elif "ended" in more:
        found.not_done.append(
            f"{len(TURNS) - rounds} of {len(TURNS)} rounds: round {rounds} (candidate) ended early: {ABORTED}"
        )
    return found


async def _concluded(scene: Scene, shelf: Shelf, conduct: Conduct = WELL, *, stop: str = "", **more: Any) -> Outcome:
    run, args, both = await _began(scene)
    found = await _gathered(shelf, both, conduct, **more)
    run.saved.extend(shelf.run.saved)
    if stop:
        run.brake.stop(stop)
        found.after.clear()
        left = len(TURNS) - len(found.rounds)
        found.not_done.append(f"{left} of {len(TURNS)} rounds: round {len(found.rounds)} ended early: {stop}")
    found.halted = run.brake.halted
    run.started -= 94
    return await conclude(run, args, both, Policies(scene.config, {}, anywhere=True), found, beside=_beside)


async def _case(scene: Scene, shelf: Shelf, conduct: Conduct = WELL, **more: Any) -> Case:
    outcome = await _concluded(scene, shelf, conduct, **more)
    case = await scene.world.store.read(lambda conn: cases.look(conn, str(outcome.data["case"])))
    assert case is not None
    return case.model_copy(update={"op_state": "done"})


async def _beside(
    control: DrillReport, candidate: DrillReport, baseline: Baseline
) -> tuple[CanaryStatistics, bytes | str]:
    """The rates as the product compares them; the rank test and the picture as their children once answered."""
    found = compare.rates(control, candidate)
    update = {
        "latency": LatencyShift(p_value=0.71, shift_ms=Interval(value=1.2, low=-5.1, high=7.6)),
        "p95_ratio": Interval(value=1.02, low=0.97, high=1.08),
    }
    scenarios = tuple(item.model_copy(update=update) for item in found.scenarios)
    return found.model_copy(update={"scenarios": scenarios}), b"a picture"
