"""Which scope each Web API method needs (``platform.md`` 3.1), checked against the app's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.practice.slack.people import ChannelKind
from bot.practice.slack.refusal import SlackRefusal

_PREFIX: Mapping[ChannelKind, str] = {"public": "channels", "private": "groups", "dm": "im"}

_ANY_ONE: Mapping[str, tuple[str, ...]] = {
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "chat.delete": ("chat:write",),
    "chat.scheduleMessage": ("chat:write",),
    "chat.deleteScheduledMessage": ("chat:write",),
    "users.info": ("users:read",),
    "users.list": ("users:read",),
    "users.lookupByEmail": ("users:read.email",),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "pins.add": ("pins:write",),
    "pins.remove": ("pins:write",),
    "pins.list": ("pins:read",),
    "bookmarks.add": ("bookmarks:write",),
    "bookmarks.edit": ("bookmarks:write",),
    "bookmarks.remove": ("bookmarks:write",),
    "bookmarks.list": ("bookmarks:read",),
    "reactions.add": ("reactions:write",),
    "reactions.get": ("reactions:read",),
    "files.getUploadURLExternal": ("files:write",),
    "files.completeUploadExternal": ("files:write",),
    "conversations.open": ("im:write",),
    "conversations.list": ("channels:read", "groups:read", "im:read"),
}
_BY_KIND: Mapping[str, tuple[str, ...]] = {
    "conversations.info": ("read",),
    "conversations.members": ("read",),
    "conversations.history": ("history",),
    "conversations.replies": ("history",),
    "conversations.setTopic": ("write.topic", "manage"),
    "conversations.join": ("join",),
}
NO_SCOPE = frozenset(
    {"auth.test", "chat.getPermalink", "views.open", "views.push", "views.update", "views.publish", "blocks.validate"}
)
METHODS = frozenset({*_ANY_ONE, *_BY_KIND, *NO_SCOPE})
"""Every Web API method whose scope is known here."""
EVENT_SCOPES: Mapping[str, str] = {
    "app_mention": "app_mentions:read",
    "reaction_added": "reactions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "subteam_members_changed": "usergroups:read",
    "member_joined_channel": "channels:read",
    "channel_archive": "channels:read",
}


def granted(manifest: Mapping[str, Any]) -> frozenset[str]:
    """The bot scopes that the manifest asks for, optional ones included (the practice workspace grants all)."""
    scopes = manifest.get("oauth_config", {}).get("scopes", {})
    return frozenset([*scopes.get("bot", ()), *scopes.get("bot_optional", ())])


def accepted(method: str, kind: ChannelKind | None = None) -> tuple[str, ...]:
    """The scopes of which one is enough; empty when the method needs none."""
    if method in _BY_KIND:
        kinds = [kind] if kind else list(_PREFIX)
        names = [f"{_PREFIX[each]}:{right}" for each in kinds for right in _BY_KIND[method]]
        if method == "conversations.setTopic" and (kind or "public") != "public":
            names.append(f"{_PREFIX[kind or 'private']}:write")
        return tuple(names)
    return _ANY_ONE.get(method, ())


def check(method: str, have: frozenset[str], kind: ChannelKind | None = None) -> None:
    """Refuse with ``missing_scope`` (``needed``, ``provided``) as Slack does."""
    wanted = accepted(method, kind)
    if wanted and not have.intersection(wanted):
        raise SlackRefusal("missing_scope", needed=",".join(wanted), provided=",".join(sorted(have)))
