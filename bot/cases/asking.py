"""The commands around a case, declared once for every kind: a person's decision on it, and how it stands now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.cases.deciding import LastLook
    from bot.run import Run
    from bot.store.case import Kind, Verb


class CaseArgs(Args):
    case: str
    """Its id, as it stands on the card, such as g-77."""
    reason: str = ""
    """Why; needed for a no, for a warning, and to take a yes back."""


class YesArgs(CaseArgs):
    read: str = ""
    """Which of its ⚠️ lines were read, by number, such as 1,2, or all; the form of the button asks for each."""


class WaiveArgs(CaseArgs):
    scenario: str
    """Which scenario may stay untested."""


def decisions(
    kind: Kind,
    command: str,
    words: Mapping[Verb, tuple[str, str]],
    *,
    action: str,
    last_look: LastLook,
    group: str = "Release",
) -> tuple[Command[Any], ...]:
    """The commands by which a person decides on a kind of case: ``gate approve``, ``canary promote``, ...

    ``words`` are each verb's summary and what is typed after it, as an example; ``last_look`` comes before a yes.
    """
    return tuple(
        _decision(kind, command, verb, summary, example, action, last_look, group)
        for verb, (summary, example) in words.items()
    )


def _decision(
    kind: Kind, command: str, verb: Verb, summary: str, example: str, action: str, last_look: LastLook, group: str
) -> Command[Any]:
    async def decide(run: Run, args: CaseArgs) -> Outcome:
        from bot.cases.deciding import decide_case

        scenario = args.scenario if isinstance(args, WaiveArgs) else None
        read = args.read if isinstance(args, YesArgs) else ""
        return await decide_case(
            run, kind, args.case, verb, reason=args.reason, read=read, scenario=scenario, last_look=last_look
        )

    return Command(
        name=f"{command} {verb}",
        summary=summary,
        action=action,
        args=WaiveArgs if verb == "waive" else YesArgs if verb in ("approve", "promote") else CaseArgs,
        run=decide,
        positional=("case",),
        examples=(f"{command} {verb} {example}",),
        group=group,
        quiet=True,
        targeted=False,
    )


def status(
    command: str,
    summary: str,
    args: type[Args],
    run: Callable[[Run, Any], Awaitable[Outcome]],
    *,
    example: str,
) -> Command[Any]:
    """The command that a pipeline asks: ``gate status``; ``args`` have ``wait``, ``example`` is what is typed."""
    return Command(
        name=f"{command} status",
        summary=summary,
        action="status",
        args=args,
        run=run,
        examples=(f"{command} status {example} --wait=true",),
        group="Release",
        # Whoever waits takes no place among the quick answers.
        quiet_for=lambda args: not args.wait,
    )
