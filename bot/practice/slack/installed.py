"""The app as its manifest describes it: what Slack offers people, and what it sends to the app at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.practice.slack import scopes


@dataclass(frozen=True)
class SlashCommand:
    """One slash command; ``should_escape`` turns ``@name`` and ``#channel`` into ids."""

    command: str
    description: str = ""
    usage_hint: str = ""
    should_escape: bool = False


@dataclass(frozen=True)
class Shortcut:
    """One shortcut of the lightning menu (``global``) or of a message's menu (``message``)."""

    name: str
    callback_id: str
    type: Literal["message", "global"]
    description: str = ""


@dataclass(frozen=True)
class InstalledApp:
    """The manifest's facts. An event is sent only when it is subscribed and its scope was granted."""

    name: str
    commands: Mapping[str, SlashCommand]
    shortcuts: tuple[Shortcut, ...]
    events: frozenset[str]
    scopes: frozenset[str]
    interactive: bool
    home_tab: bool

    def hears(self, event: str) -> bool:
        """Whether Slack sends this event to the app."""
        needed = scopes.EVENT_SCOPES.get(event)
        return event in self.events and (needed is None or needed in self.scopes)

    def shortcut(self, callback_id: str, kind: str) -> Shortcut | None:
        """The shortcut with that callback id and type, or nothing."""
        return next((s for s in self.shortcuts if s.callback_id == callback_id and s.type == kind), None)


def installed(manifest: Mapping[str, Any]) -> InstalledApp:
    """Read a Slack app manifest (``features``, ``oauth_config``, ``settings``)."""
    features: Mapping[str, Any] = manifest.get("features", {})
    settings: Mapping[str, Any] = manifest.get("settings", {})
    commands = [
        SlashCommand(
            each["command"],
            each.get("description", ""),
            each.get("usage_hint", ""),
            bool(each.get("should_escape", False)),
        )
        for each in features.get("slash_commands", ())
    ]
    shortcuts = tuple(
        Shortcut(each["name"], each["callback_id"], each["type"], each.get("description", ""))
        for each in features.get("shortcuts", ())
    )
    name = features.get("bot_user", {}).get("display_name") or manifest.get("display_information", {}).get("name")
    return InstalledApp(
        name=str(name or "app").lower(),
        commands={each.command: each for each in commands},
        shortcuts=shortcuts,
        events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", ())),
        scopes=scopes.granted(manifest),
        interactive=bool(settings.get("interactivity", {}).get("is_enabled", False)),
        home_tab=bool(features.get("app_home", {}).get("home_tab_enabled", False)),
    )
