"""``knobs``: every knob with its effective value, range, next lawful step and playbooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run


class KnobsArgs(Args):
    family: str | None = None
    """One family, such as bulkhead, circuit, rate_limit or tool_job, or a playbook's letter; all without it."""


async def _run(run: Run, args: KnobsArgs) -> Outcome:
    import difflib

    from bot.errors import Unknown
    from bot.redact import inert
    from bot.run import done
    from bot.sendcat.snapshot import read_snapshot
    from bot.tuning.draft import moved_since_yesterday
    from bot.tuning.overview import knobs_card
    from playbooks.knobs import all_knobs

    families = sorted({one.family for one in all_knobs().values()})
    letters = sorted({letter for one in all_knobs().values() for letter in one.playbooks})
    group = args.family
    if group is not None:
        group = group.upper() if group.upper() in letters else group.lower().replace("-", "_")
        if group not in (*families, *letters):
            near = difflib.get_close_matches(group, families, n=1, cutoff=0.4)
            raise Unknown(
                f"There is no family {inert(args.family, 40)}.",
                rule=f"the families are {', '.join(families)}; the playbooks with knobs {', '.join(letters)}",
                then=f"/sendcat knobs {near[0]}" if near else "/sendcat knobs",
            )
    stored = await run.convex.environment()
    read = await read_snapshot(run.convex, run.world.masker, run.world.clock)
    day_ago = await moved_since_yesterday(run)
    card, data = knobs_card(group, stored, read.snapshot, day_ago, context=run.context)
    return done(card, **data)


COMMAND = Command(
    name="knobs",
    summary="The 109 knobs: effective value, range, next lawful step, playbooks.",
    action="read",
    args=KnobsArgs,
    run=_run,
    positional=("family",),
    examples=("knobs bulkhead", "knobs C", "knobs"),
    group="Tune",
    quiet=True,
)
