"""The Slack app's manifest, from the list of commands and of listeners (platform.md, section 5).

``manifest.yml`` is what `to_yaml` makes of it; a test holds the file, the listeners and the Web API methods in use
against each other, and all of it against Slack's own schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bot.command import Command, Door

COMMAND = "/sendcat"
EVENTS = ("app_home_opened", "app_mention", "reaction_added")
"""Events with a listener (`bot.slack.app`)."""


@dataclass(frozen=True)
class Shortcut:
    """One entry of a menu in Slack. ``line`` is the command that it stands for; ``{message}`` is the message it was
    chosen on, as ``channel/timestamp``. ``asks``: the command's form comes first."""

    callback_id: str
    name: str
    kind: Literal["global", "message"]
    description: str
    line: str
    asks: bool = False


SHORTCUTS = (
    Shortcut(
        "triage", "Start Sendcat triage", "message", "Run the first five minutes in this message's thread", "triage"
    ),
    Shortcut(
        "timeline.add",
        "Add to timeline",
        "message",
        "Keep this message in the incident's timeline",
        "timeline add {message}",
        asks=True,
    ),
    Shortcut("status", "Sendcat status", "global", "What runs now, and the last verdicts", "status"),
)
"""Slash commands do not work in threads; the menu of a message does (platform.md, 3.9)."""

SCOPES: dict[str, str] = {
    "app_mentions:read": "mentions work as commands",
    "channels:history": "after a lost answer: look before posting again",
    "channels:read": "is this a listed channel, is the bot in it",
    "chat:write": "cards and answers",
    "commands": "/sendcat",
    "files:write": "reports into the thread",
    "groups:history": "after a lost answer, in private channels",
    "groups:read": "the same for private channels",
    "reactions:read": "one emoji adds a message to the timeline",
    "usergroups:read": "roles by user group",
    "users:read": "guests, strangers and bots may not act",
}
"""Scopes without which something that matters fails, each with its reason."""

OPTIONAL_SCOPES: dict[str, str] = {
    "bookmarks:write": "a bookmark that leads to the first card of an incident",
    "chat:write.public": "post in public channels the bot was not invited to",
    "im:history": "after a lost answer, in direct messages",
    "im:write": "answer a person directly where the bot may not speak",
    "pins:write": "pin the first card of an incident",
}

_HINT = 1_000


def manifest(commands: Iterable[Command[Any]], *, url: str | None = None) -> dict[str, Any]:
    """The manifest for Socket Mode, or for HTTP mode when ``url`` (the bot's public https origin) is given."""
    names = [command.name for command in commands if Door.SLACK in command.doors]
    slash: dict[str, Any] = {
        "command": COMMAND,
        "description": "Run Sendcat's reliability runbook",
        "usage_hint": _hint(names),
        "should_escape": True,
    }
    interactivity: dict[str, Any] = {"is_enabled": True}
    subscriptions: dict[str, Any] = {"bot_events": sorted(EVENTS)}
    if url is not None:
        address = f"{_origin(url)}/slack/events"
        slash["url"] = address
        interactivity["request_url"] = address
        subscriptions["request_url"] = address
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Sendcat runbook",
            "description": "Sendcat's reliability runbook: in the incident channel, within its limits, on the record.",
            "background_color": "#1f2a44",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "sendcat", "always_online": True},
            "shortcuts": [
                {"name": s.name, "type": s.kind, "callback_id": s.callback_id, "description": s.description}
                for s in SHORTCUTS
            ],
            "slash_commands": [slash],
        },
        "oauth_config": {"scopes": {"bot": sorted(SCOPES), "bot_optional": sorted(OPTIONAL_SCOPES)}},
        "settings": {
            "event_subscriptions": subscriptions,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }


def to_yaml(value: dict[str, Any]) -> str:
    """Deterministic YAML of plain dictionaries, lists and scalars; strings that YAML might misread are quoted."""
    return "".join(f"{line}\n" for line in _lines(value))


def _hint(names: list[str]) -> str:
    """``triage | probe | ...``: the first word of each command once, as many as fit."""
    hint = ""
    for name in dict.fromkeys(name.partition(" ")[0] for name in names):
        longer = f"{hint} | {name}" if hint else name
        if len(longer) > _HINT - 6:
            return f"{hint} | ..."
        hint = longer
    return hint or "help"


def _origin(url: str) -> str:
    """``https://host[:port]``; raises ValueError for anything else: Slack delivers to https only."""
    origin = url.rstrip("/")
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(:\d{1,5})?", origin):
        raise ValueError("must be the bot's public origin, for example https://runbook.example.com")
    return origin


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines += [f"{_scalar(key)}:", *(f"  {line}" for line in _lines(item))]
            else:
                lines.append(f"{_scalar(key)}: {_scalar(item)}")
        return lines
    lines = []
    for item in value:
        if isinstance(item, (dict, list)) and item:
            first, *rest = _lines(item)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        else:
            lines.append(f"- {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*(:[A-Za-z][A-Za-z0-9_.]*)?", value) and value.lower() not in _RESERVED:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
