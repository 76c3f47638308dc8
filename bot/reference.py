"""docs/commands.md, from the one list of commands."""

from __future__ import annotations

from bot.authority import TABLE
from bot.commands import ALL
from bot.commands.help import flags


def commands_page() -> str:
    """Every command with its flags, who may run it, and examples, as Markdown."""
    parts = [
        "# Commands",
        "",
        "Generated from the list of commands (`make docs`). Each line works as `/sendcat ...` in Slack and as",
        "`sendcat ...` in a terminal; the runbook's own spellings (`npm run reliability:...`,",
        "`npx convex run ...`) are understood too.",
        "",
    ]
    for command in ALL:
        roles = sorted({role.value for action in command.actions for role in TABLE[action].roles})
        parts += [f"## {command.name}", "", command.summary, ""]
        parts += [f"Who: {', '.join(roles)}. Where: {TABLE[command.action].ground.value}.", ""]
        rows = flags(command)
        if command.targeted:
            rows.append(("--target=", "A target of sendcat.toml, by name."))
        if rows:
            parts += ["| Word or flag | Meaning |", "|---|---|"]
            parts += [f"| `{shown}` | {' '.join(meaning.split())} |" for shown, meaning in rows]
            parts.append("")
        parts += ["```", *(f"/sendcat {example}" for example in command.examples), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    import sys

    sys.stdout.write(commands_page())
