"""``help``: what this person may run here, grouped by task, each with one example (ux.md, sketch 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.card import Card
from bot.catalog import nearest
from bot.command import Args, Command, Outcome
from bot.errors import Unknown

if TYPE_CHECKING:
    from bot.run import Run


class HelpArgs(Args):
    command: str | None = None
    """One command to explain."""
    further: str | None = None
    """Its second word, as in `help gate approve`."""


def flags(command: Command[Any]) -> list[tuple[str, str]]:
    """Flags and positional words of a command with what they mean, from the fields' own docstrings."""
    rows = []
    for name, field in command.args.model_fields.items():
        shown = f"<{name}>" if name in command.positional else f"--{name.replace('_', '-')}="
        rows.append((shown, field.description or ""))
    return rows


async def _run(run: Run, args: HelpArgs) -> Outcome:
    from bot.authority import decide
    from bot.commands import ALL

    by_name: dict[str, Command[Any]] = {command.name: command for command in ALL}
    if args.command is not None:
        asked = args.command.removeprefix("reliability:")
        found = by_name.get(f"{asked} {args.further}" if args.further else asked)
        if found is None:
            near = nearest(f"{asked} {args.further or ''}".strip(), by_name)
            raise Unknown(
                f"There is no command `{asked[:40]}`.", then=f"/sendcat help {near}" if near else "/sendcat help"
            )
        lines = [f"`{shown}`  {meaning}" for shown, meaning in flags(found)]
        if found.targeted:
            lines.append("`--target=`  a target of sendcat.toml, by name")
        examples = "\n".join(f"/sendcat {example}" for example in found.examples)
        card = Card(
            title=f"{found.name}: {found.summary}",
            sections=("\n".join(lines),) if lines else (),
            code=examples,
            final=True,
        )
        return Outcome(card=card, exit_status=0, data={"command": found.name, "examples": list(found.examples)})
    slack = run.world.config.slack
    groups: dict[str, list[str]] = {}
    for command in ALL:
        decision = decide(
            command.action, run.who, run.op.place, listed=slack.channels, incident=frozenset(slack.incident_channels)
        )
        if decision.allowed and run.op.by.door in command.doors:
            example = command.examples[0] if command.examples else command.name
            groups.setdefault(command.group, []).append(f"`/sendcat {example}`  {command.summary}")
    sections = tuple(f"*{group}*\n" + "\n".join(lines) for group, lines in groups.items())
    card = Card(
        title="Sendcat runbook: what you may run here",
        sections=sections,
        footer="`/sendcat help <command>` explains one · every line also works in a terminal: sendcat triage",
        final=True,
    )
    return Outcome(card=card, exit_status=0, data={"commands": [c.name for c in ALL]})


COMMAND = Command(
    name="help",
    summary="What you may run here, or one command explained.",
    action="help",
    args=HelpArgs,
    run=_run,
    positional=("command", "further"),
    examples=("help", "help drill"),
    group="First",
    quiet=True,
    targeted=False,
)
