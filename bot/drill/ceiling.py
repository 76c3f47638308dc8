"""A drill above its target's ceilings: asked for with the very flags of the drill, approved by a release manager.

What is approved is this drill and no other: its flags, the ceilings that it needs, the target's identity and the
baseline (safety.md, R10, R16; VERDICTS, "Profiles"). The approval is the decision ``d-12``, given as ``--approval``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bot.card import Card, Fact, Tone
from bot.cases.bound import identity
from bot.cases.opening import Opened, open_case
from bot.drill.flags import CeilingArgs, DrillArgs
from bot.errors import Refused, Unknown
from bot.redact import inert
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.plan import DrillPlan
from bot.sendcat.load.planning import AboveCeiling, plan_drill
from bot.store import cases
from bot.store.case import Case, State
from bot.target import Ceilings, Target
from playbooks.lines import Line, parse
from slo.policy import Baseline, load
from slo.profiles import MILESTONES
from slo.scenarios import CHAT
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.measure import Approved
    from bot.run import Run

CHATS_PER_MINUTE = 20
"""A held stream is replaced when it ends: so many requests a minute are allowed for each, a chat of three seconds."""
DRAIN_MINUTES = 2
"""Streams that are open at the end are read to theirs."""


def lifted(target: Target, plan_streams: bool) -> Ceilings:
    """The ceilings with what may be approved taken off; everything else holds."""
    limits = target.limits
    update: dict[str, int | None] = {"streams": target.approvable.streams, "minutes": None}
    return limits.model_copy(update=update | ({"requests": None} if plan_streams else {}))


def needed(plan: DrillPlan, limits: Ceilings) -> Ceilings:
    """The ceilings that this plan needs, no lower than those that hold anyway."""
    streams = max((item.streams.streams for item in plan.scenarios if item.streams), default=0)
    minutes = math.ceil(plan.duration_ms / 60_000) + DRAIN_MINUTES
    requests = plan.requests + streams * minutes * CHATS_PER_MINUTE

    def most(asked: int, limit: int | None) -> int | None:
        return None if limit is None else max(asked, limit)

    return Ceilings(
        in_flight=limits.in_flight,
        streams=most(streams, limits.streams),
        minutes=most(minutes, limits.minutes),
        requests=most(requests, limits.requests) if streams else limits.requests,
    )


def plan_above(run: Run, args: DrillArgs) -> DrillPlan:
    """The drill as it would be planned with the approvable ceilings off; raises `Refused` for the others."""
    target = run.target
    secrets = drill_secrets(target, args.pool_file(run.world.config))
    streams = args.mode == "open" and not args.original_scale
    return plan_drill(
        target,
        args.profile,
        args.chosen_scenarios,
        quick=args.quick,
        secrets=secrets,
        ceilings=lifted(target, streams),
        **args.options(),
    )


def binding(target: Target, args: DrillArgs, ceilings: Ceilings) -> dict[str, Any]:
    """What an approval is bound to (R10)."""
    flags = args.model_dump(mode="json", exclude={"approval", "reason"})
    baseline = hashlib.sha256(load(Baseline).model_dump_json(by_alias=True).encode()).hexdigest()
    return {
        # Numbers as text: the canonical JSON of 0.5 and of 1.0 must be the same tomorrow.
        "drill": {name: str(value) for name, value in flags.items() if value is not None},
        "ceilings": {name: value for name, value in ceilings.model_dump().items() if value is not None},
        "target": target.name,
        "identity": identity(target),
        "baseline": baseline,
    }


async def ask(run: Run, args: CeilingArgs) -> Opened:
    """Open the case. Raises `Unknown` when the drill needs no approval or there is no reason."""
    target = run.target
    if not args.reason.strip():
        raise Unknown("An approval needs a reason.", then="--reason='m1 before the launch'")
    plan = plan_above(run, args)
    ceilings = needed(plan, target.limits)
    if not target.needs_approval or _fits(plan, target.limits):
        raise Unknown(
            f"This drill needs no approval: it is within the ceilings of {target.name}.", then=drill_line(run, args)
        )
    gate = milestone_line(run, args)
    also = (f"Or inside its gate: `/sendcat {gate}`",) if gate is not None else ()
    streams = max((item.streams.streams for item in plan.scenarios if item.streams), default=0)
    subject = f"{plan.profile} drill with {streams:,} open streams" if streams else f"{plan.profile} drill"
    card = Card(
        title=f"ASKED: {subject} on {target.name}",
        tone=Tone.RUNNING,
        context=run.context,
        lead=f'"{inert(args.reason, 300)}"',
        facts=(
            Fact(label="Open streams", value=_beside(ceilings.streams, target.limits.streams)),
            Fact(label="Minutes", value=_beside(ceilings.minutes, target.limits.minutes)),
            Fact(label="Requests at most", value=_beside(ceilings.requests, target.limits.requests)),
            Fact(label="Chat users", value=str(plan.pool_size or _users(plan))),
        ),
        sections=(f"Approved, it is started with the decision's id: `/sendcat {drill_line(run, args)}`", *also),
    )
    return await open_case(
        run,
        "ceiling",
        target=target.name,
        subject=subject,
        verdict=Verdict.PASS,
        binding=binding(target, args, ceilings),
        card=card,
    )


async def changed(run: Run, case: Case) -> str | None:
    """What has changed since the drill was asked for; None when it is still the same."""
    target = run.world.config.target.get(case.target or "")
    if target is None or case.binding["identity"] != identity(target):
        return f"target {case.target} is another deployment now"
    baseline = hashlib.sha256(load(Baseline).model_dump_json(by_alias=True).encode()).hexdigest()
    if case.binding["baseline"] != baseline:
        return "the baseline has changed"
    most = target.approvable.streams
    if most is not None and (case.binding["ceilings"].get("streams") or 0) > most:
        return f"the target allows {most} streams now"
    return None


async def approved(run: Run, args: DrillArgs, flags: Mapping[str, str] | None = None) -> Approved | None:
    """The ceilings that ``--approval`` raises; None without the flag. Raises `Refused` when it does not hold.

    ``flags`` are the drill's where another command runs it; else those of the line.
    """
    from bot.measure import Approved

    if args.approval is None:
        return None
    found = await run.world.store.read(lambda conn: cases.recent(conn, "ceiling", limit=200))
    case = next((case for case in found if any(item.id == args.approval for item in case.decisions)), None)
    why = await _invalid(run, case, args)
    if case is None or why is not None:
        raise Refused(
            f"{args.approval} does not allow this drill: {why}.",
            rule="an approval is bound to the exact drill, target and policy (R10)",
            then=ceiling_line(run, flags),
        )
    return Approved(decision=args.approval, ceilings=Ceilings(**case.binding["ceilings"]))


async def _invalid(run: Run, case: Case | None, args: DrillArgs) -> str | None:
    if case is None:
        return "it is no decision about a load above the ceilings"
    state = case.standing(run.world.clock.now_ms())
    if state is not State.APPROVED or case.answer is None or case.answer.id != args.approval:
        return f"{case.id} is {state.value}"
    if case.target != run.target.name:
        return f"it is for target {case.target}"
    bound = binding(run.target, args, Ceilings(**case.binding["ceilings"]))
    if bound["drill"] != case.binding["drill"]:
        return f"it is for the drill that {case.id} shows, with other flags"
    return await changed(run, case)


@contextmanager
def asking(run: Run, flags: Mapping[str, str] | None = None) -> Iterator[None]:
    """A drill that is above an approvable ceiling is refused with the line by which it is asked for."""
    try:
        yield
    except AboveCeiling as no:
        raise Refused(no.what, rule=no.rule, then=ceiling_line(run, flags)) from None


def ceiling_line(run: Run, flags: Mapping[str, str] | None = None) -> str:
    """The line that asks for the drill of this run; ``flags`` are the drill's where another command runs it."""
    given = parse(run.op.line).flags if flags is None else flags
    kept = {name: value for name, value in given.items() if name not in ("approval", "reason")}
    return Line("drill", ("ceiling",), {**kept, "target": run.target.name, "reason": "why"}).text


def flags_of(args: DrillArgs) -> dict[str, str]:
    """The flags that make exactly this drill when they are typed: those that are not at their defaults."""
    kept = {}
    for name, info in DrillArgs.model_fields.items():
        value = getattr(args, name)
        if value != info.default:
            kept[name.replace("_", "-")] = str(value).lower() if isinstance(value, bool) else str(value)
    return kept


def drill_text(run: Run, args: DrillArgs) -> str:
    """The drill as a line to type."""
    return Line("drill", (), {**flags_of(args), "target": run.target.name}).text


def milestone_line(run: Run, args: DrillArgs) -> str | None:
    """The milestone gate that runs exactly this drill, where there is one: a milestone's profile, chat alone."""
    if args.chosen not in MILESTONES or args.chosen_scenarios != (CHAT,) or args.mode != "open":
        return None
    kept = {name: value for name, value in flags_of(args).items() if name not in ("profile", "scenarios", "reason")}
    flags = {"milestone": args.profile, **kept, "target": run.target.name, "approval": args.approval or "d-N"}
    return Line("milestone-gate", (), flags).text


def drill_line(run: Run, args: DrillArgs) -> str:
    """The drill that this line asks for."""
    flags = {name: value for name, value in parse(run.op.line).flags.items() if name not in ("approval", "reason")}
    return Line("drill", (), {**flags, "target": run.target.name, "approval": args.approval or "d-N"}).text


def _fits(plan: DrillPlan, limits: Ceilings) -> bool:
    streams = max((item.streams.streams for item in plan.scenarios if item.streams), default=0)
    within = limits.minutes is None or plan.duration_ms / 60_000 <= limits.minutes
    return within and (limits.streams is None or streams <= limits.streams)


def _users(plan: DrillPlan) -> int:
    return int(any(item.name == CHAT and item.skipped is None for item in plan.scenarios))


def _beside(asked: int | None, limit: int | None) -> str:
    if asked is None or limit is None:
        return "no ceiling"
    return f"{asked:,} (ceiling {limit:,})" if asked > limit else f"{asked:,}, as always"
