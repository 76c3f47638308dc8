"""What several commands ask for in the same words: a release, a target, and a person's decision on a case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from bot.card import Field
from bot.command import Args, Command, Outcome
from bot.config import Config

if TYPE_CHECKING:
    from bot.deciding import LastLook
    from bot.run import Run
    from bot.store.cases import Kind, Verb

_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}(@[0-9a-fA-F]{7,40})?")


class ReleaseArgs(Args):
    """Arguments of a command that may be about a release."""

    release: str | None = None
    """The release, NAME or NAME@COMMIT."""

    @field_validator("release")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        if value is not None and not _RELEASE.fullmatch(value):
            raise ValueError("NAME or NAME@COMMIT: letters, digits, . _ - and 7 to 40 hex digits")
        return value

    @property
    def name(self) -> str | None:
        """The release without its commit."""
        return self.release.partition("@")[0] if self.release else None

    @property
    def commit(self) -> str | None:
        return (self.release or "").partition("@")[2] or None


def targets(config: Config) -> tuple[tuple[str, str], ...]:
    """Every target as an option of a form: its name, and what a person reads."""
    return tuple((name, f"{name} ({target.environment.value})") for name, target in config.target.items())


def target_field(config: Config) -> Field:
    """The question which target; without an answer it is the default one."""
    return Field(
        flag="target",
        label="Target",
        kind="choice",
        options=targets(config),
        value=config.default_target or "",
        optional=True,
    )


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
        from bot.deciding import decide_case

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
