"""``drill ceiling`` asks for a drill above its target's ceilings; ``drill approve|reject|revoke`` answer in Slack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.command import Args, Command, Outcome
from bot.drilling import VARIABLES, CeilingArgs

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.cases import Verb

WAITING = 5


class CaseArgs(Args):
    case: str
    """Id of the request, such as ce-1."""
    reason: str = ""
    """Why; needed for a no."""


async def _ask(run: Run, args: CeilingArgs) -> Outcome:
    from bot import ceiling

    case, card = await ceiling.ask(run, args)
    return Outcome(card=card, exit_status=WAITING, data={"case": case.id, "state": "WAITING", **case.binding})


async def _decide(run: Run, args: CaseArgs, verb: Verb) -> Outcome:
    from bot import ceiling
    from bot.deciding import decide_case

    return await decide_case(run, "ceiling", args.case, verb, reason=args.reason, last_look=ceiling.changed)


async def _approve(run: Run, args: CaseArgs) -> Outcome:
    return await _decide(run, args, "approve")


async def _reject(run: Run, args: CaseArgs) -> Outcome:
    return await _decide(run, args, "reject")


async def _revoke(run: Run, args: CaseArgs) -> Outcome:
    return await _decide(run, args, "revoke")


COMMANDS = (
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
    Command(
        name="drill approve",
        summary="Approve a drill above the ceilings; by a release manager who did not ask for it.",
        action="drill.ceiling.approve",
        args=CaseArgs,
        run=_approve,
        positional=("case",),
        examples=("drill approve ce-1",),
        group="Check",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="drill reject",
        summary="Reject a drill above the ceilings, with the reason.",
        action="drill.ceiling.approve",
        args=CaseArgs,
        run=_reject,
        positional=("case",),
        examples=("drill reject ce-1 --reason='not during the sale'",),
        group="Check",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="drill revoke",
        summary="Take the approval of a drill above the ceilings back.",
        action="drill.ceiling.approve",
        args=CaseArgs,
        run=_revoke,
        positional=("case",),
        examples=("drill revoke ce-1 --reason='incident open'",),
        group="Check",
        quiet=True,
        targeted=False,
    ),
)
