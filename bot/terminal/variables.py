"""The original's variables at a terminal: what they say is written into the line, where everybody can read it.

The bot may run in another process and for other people, so the variables of one terminal are never its settings.
"""

from __future__ import annotations

from collections.abc import Callable

from bot.catalog import Catalog
from bot.errors import SendcatError
from playbooks.lines import Line, parse


def with_variables(line: str, catalog: Catalog, value_of: Callable[[str], str | None], *, target: str | None) -> str:
    """The line with the flags that its command's variables stand for, where the line does not give them itself.

    An address in a variable counts only where no target was named: ``--control`` goes before ``--control-url``. A line
    that cannot be read stays as it is.
    """
    try:
        command, read = catalog.find(line), parse(line)
    except (SendcatError, ValueError):
        return line
    found: dict[str, str] = {}
    for flag, names in command.variables.items():
        named = flag.removesuffix("-url") in read.flags
        if flag in read.flags or named or (flag == "base-url" and (target or "target" in read.flags)):
            continue
        value = next((value for name in names if (value := value_of(name))), None)
        if value is not None:
            found[flag] = value
    return Line(read.command, read.words, {**read.flags, **found}).text if found else line
