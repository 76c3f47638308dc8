"""``knobs``: every knob with its effective value, range, next lawful step and playbooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run


class KnobsArgs(Args):
    family: str | None = None
    """One family, such as bulkhead, circuit, rate_limit or tool_job; all without it."""


async def _run(run: Run, args: KnobsArgs) -> Outcome:
    import difflib

    from bot.errors import Unknown
    from bot.run import done
    from bot.sendcat.snapshot import read_snapshot
    from bot.tuning.draft import moved_since_yesterday
    from bot.tuning.overview import knobs_card
    from playbooks.knobs import all_knobs

    families = sorted({one.family for one in all_knobs().values()})
    if args.family is not None and args.family not in families:
        near = difflib.get_close_matches(args.family.lower().replace("-", "_"), families, n=1, cutoff=0.4)
        then = f"/sendcat knobs {near[0]}" if near else "/sendcat knobs"
        raise Unknown(
            f"There is no family {args.family[:40]!r}.", rule=f"the families are {', '.join(families)}", then=then
        )
    stored = await run.convex.environment()
    read = await read_snapshot(run.convex, run.world.masker, run.world.clock)
    day_ago = await moved_since_yesterday(run)
    card, data = knobs_card(args.family, stored, read.snapshot, day_ago, context=run.context)
    return done(card, **data)


COMMAND = Command(
    name="knobs",
    summary="The 109 knobs: effective value, range, next lawful step, playbooks.",
    action="read",
    args=KnobsArgs,
    run=_run,
    positional=("family",),
    examples=("knobs bulkhead", "knobs"),
    group="Tune",
    quiet=True,
)
