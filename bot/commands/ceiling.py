"""``drill ceiling`` asks for a drill above its target's ceilings; ``drill approve|reject|revoke`` answer in Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.cases.asking import decisions
from bot.command import Command, Outcome
from bot.drill.flags import VARIABLES, CeilingArgs

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.case import Case

WAITING = 5


async def _ask(run: Run, args: CeilingArgs) -> Outcome:
    from bot.drill import ceiling

    opened = await ceiling.ask(run, args)
    return Outcome(card=opened.card, exit_status=WAITING, data={**opened.data, **opened.case.binding})


async def _last_look(run: Run, case: Case) -> str | None:
    from bot.drill import ceiling

    return await ceiling.changed(run, case)


COMMANDS: tuple[Command[Any], ...] = (
    Command(
        name="drill ceiling",
        summary="Ask for a drill above its target's ceilings, with that drill's flags; a release manager approves.",
        action="drill.ceiling",
        args=CeilingArgs,
        run=_ask,
        examples=("drill ceiling --profile=m1_1k --scenarios=chat_stream_http --reason='m1 before the launch'",),
        group="Check",
        variables=VARIABLES,
    ),
    *decisions(
        "ceiling",
        "drill",
        {
            "approve": ("Approve a drill above the ceilings; by a release manager who did not ask for it.", "ce-1"),
            "reject": ("Reject a drill above the ceilings, with the reason.", "ce-1 --reason='not during the sale'"),
            "revoke": ("Take the approval of a drill above the ceilings back.", "ce-1 --reason='incident open'"),
        },
        action="drill.ceiling.approve",
        last_look=_last_look,
        group="Check",
    ),
)
