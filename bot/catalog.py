"""The wall of commands: find a line, explain a mistake, document what there is.

Help, the terminal, the manifest, the docs and the buttons all derive from one list (`bot.commands.ALL`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bot.authority import TABLE
from bot.command import Args, Command
from bot.config import Config
from bot.errors import Refused, Unknown
from bot.target import Target, origin_of
from playbooks.lines import Line, LineError, parse

AnyCommand = Command[Any]

_TARGET_FLAGS = ("target", "base-url")
_SECRET_FLAGS = frozenset(
    {"gmail-token", "whatsapp-secret", "auth-token", "chat-auth-pool-json", "deploy-key", "password", "token", "secret"}
)


@dataclass(frozen=True)
class Plan:
    """A line that is understood: which command, with which arguments, on which target."""

    command: AnyCommand
    args: Args
    line: str
    """Canonical spelling, without secrets."""
    action: str
    target: Target | None

    @property
    def quiet(self) -> bool:
        """Whether only the asker is answered."""
        decides = self.command.quiet_for
        return decides(self.args) if decides is not None else self.command.quiet


class Catalog:
    """Commands by name. Building it checks that each has a row in the table of authority (safety.md, R7)."""

    def __init__(self, commands: Sequence[AnyCommand]) -> None:
        self.commands = tuple(commands)
        self._by_name = {command.name: command for command in commands}
        if len(self._by_name) != len(commands):
            raise ValueError("two commands share a name")
        for command in commands:
            for action in command.actions:
                if action not in TABLE:
                    raise ValueError(f"{command.name}: action {action!r} stands in no row of the table (R7)")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._by_name)

    def get(self, name: str) -> AnyCommand | None:
        return self._by_name.get(name)

    def plan(self, text: str, config: Config, *, target: str | None = None) -> Plan:
        """Understand a line, or raise `Unknown` with the nearest match or `Refused` with the rule."""
        line = read(text)
        command, words = self._find(line)
        flags = dict(line.flags)
        for name in flags:
            if name in _SECRET_FLAGS:
                raise Refused(
                    f"`--{name}` would put a secret into a chat or a shell history.",
                    rule="secrets are named by environment variable in sendcat.toml (R36)",
                    then="name the variable under [target.NAME] and leave the flag out",
                )
        chosen = self._target(command, flags, config, target)
        args = self._args(command, words, flags)
        kept = {k: v for k, v in line.flags.items() if k not in _TARGET_FLAGS}
        return Plan(
            command=command,
            args=args,
            line=Line(line.command, line.words, kept).text,
            action=command.action_of(args),
            target=chosen,
        )

    def find(self, text: str) -> AnyCommand:
        """The command that a line begins with, whatever follows; raises `Unknown` with the nearest match."""
        return self._find(read(text))[0]

    def _find(self, line: Line) -> tuple[AnyCommand, tuple[str, ...]]:
        """The command with the longest name that fits (``gate approve`` before ``gate``), and the words after it."""
        if line.words and (longer := self._by_name.get(f"{line.command} {line.words[0]}")):
            return longer, line.words[1:]
        if found := self._by_name.get(line.command):
            return found, line.words
        below = [name for name in self._by_name if name.startswith(f"{line.command} ")]
        if below:
            word = nearest(f"{line.command} {line.words[0]}", below) if line.words else below[0]
            choices = ", ".join(name.partition(" ")[2] for name in below)
            raise Unknown(f"`{line.command}` goes on with one of: {choices}.", then=f"/sendcat {word or below[0]}")
        near = nearest(line.command, self._by_name)
        raise Unknown(f"There is no command `{line.command}`.", then=f"/sendcat {near}" if near else "/sendcat help")

    def _target(self, command: AnyCommand, flags: dict[str, str], config: Config, given: str | None) -> Target | None:
        name, url = flags.pop("target", None), flags.pop("base-url", None)
        if not command.targeted:
            if name or url:
                raise Unknown(f"`{command.name}` works on no target.", then=f"/sendcat {command.name}")
            return None
        if url:
            try:
                origin = origin_of(url)
            except ValueError as error:
                raise Unknown(f"--base-url {error}.", then="--target=NAME") from None
            for target in config.target.values():
                if target.site_url == origin:
                    return target
            raise Refused(
                f"No registered target has the origin {origin}.",
                rule="people pick a configured target by name (R14)",
                then=f'add [target.NAME] with environment, api_url and site_url = "{origin}" to sendcat.toml',
            )
        return config.target_named(name or given)

    def _args(self, command: AnyCommand, words: Sequence[str], flags: dict[str, str]) -> Args:
        values: dict[str, object] = {}
        known = {field.replace("_", "-"): field for field in command.args.model_fields}
        for flag, value in flags.items():
            field = known.get(flag.replace("_", "-"))
            if field is None:
                near = nearest(flag, known)
                hint = f"--{near}" if near else f"/sendcat help {command.name}"
                raise Unknown(f"`{command.name}` has no flag `--{flag}`.", then=hint)
            values[field] = value
        for place, field in enumerate(command.positional):
            if place < len(words):
                values[field] = words[place]
        further = words[len(command.positional) :]
        if command.rest is not None:
            values[command.rest] = tuple(further)
        elif command.prose is not None:
            values |= {command.prose: " ".join(further)} if further else {}
        elif further:
            extra = further[0]
            raise Unknown(
                f"`{command.name}` does not know what to do with {extra[:60]!r}.", then=f"/sendcat help {command.name}"
            )
        try:
            args: Args = command.args(**values)
        except ValidationError as error:
            lines, fields = [], {}
            for problem in error.errors(include_input=False, include_url=False):
                flag = str(problem["loc"][0]).replace("_", "-") if problem["loc"] else ""
                message = problem["msg"].removeprefix("Value error, ")
                shown = flag if flag.replace("-", "_") in command.positional else f"--{flag}"
                fields[flag] = message
                lines.append(f"{shown}: {message}" if flag else message)
            raise Unknown(
                f"`{command.name}`: " + "; ".join(lines) + ".", then=f"/sendcat help {command.name}", fields=fields
            ) from None
        return args


def read(text: str) -> Line:
    """Parse a line of any spelling; raises `Unknown` with what is wrong."""
    try:
        return parse(text)
    except LineError as error:
        raise Unknown(f"This line cannot be read: {error.what}.", then="/sendcat help") from None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The closest known word, or None when nothing is close."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None
