"""Who is in the practice workspace: people with different rights, channels, user groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from bot.practice.slack.refusal import Json

TEAM_ID = "T0PRACTICE"
TEAM_DOMAIN = "practice"
OTHER_TEAM_ID = "T0ELSEWHERE"
APP_ID = "A0SENDCAT"
BOT_ID = "B0SENDCAT"
BOT_USER_ID = "U0SENDCAT"

Kind = Literal["member", "guest", "stranger", "bot"]
ChannelKind = Literal["public", "private", "dm"]


@dataclass
class Person:
    """One account as Slack knows it. ``role_hint`` is a caption for the page; nothing is decided by it."""

    id: str
    name: str
    display: str
    kind: Kind = "member"
    role_hint: str = ""
    team_id: str = TEAM_ID
    deleted: bool = False
    is_admin: bool = False
    email: str = ""
    tz: str = "Europe/Berlin"
    tz_offset_s: int = 3600

    def to_api(self) -> Json:
        """The ``user`` object of ``users.info``."""
        user: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "real_name": self.display,
            "tz": self.tz,
            "tz_label": self.tz,
            "tz_offset": self.tz_offset_s,
            "profile": {"real_name": self.display, "display_name": self.name, "team": self.team_id},
            "is_bot": self.kind == "bot",
            "is_app_user": False,
            "updated": 0,
        }
        if self.email:
            user["profile"]["email"] = self.email
        if self.kind == "stranger":
            user["is_stranger"] = True
        elif not self.deleted:
            user |= {
                "is_admin": self.is_admin,
                "is_owner": False,
                "is_primary_owner": False,
                "is_restricted": self.kind == "guest",
                "is_ultra_restricted": False,
            }
        return user


@dataclass
class Channel:
    """A conversation. ``members`` are user ids; the bot is a member only where its user id stands among them."""

    id: str
    name: str
    kind: ChannelKind = "public"
    topic: str = ""
    members: set[str] = field(default_factory=set)
    archived: bool = False
    created_s: int = 0

    def to_api(self, *, bot_user_id: str, with_count: bool = False) -> Json:
        """The ``channel`` object of ``conversations.info``."""
        if self.kind == "dm":
            others = sorted(self.members - {bot_user_id})
            return {
                "id": self.id,
                "created": self.created_s,
                "is_im": True,
                "is_archived": self.archived,
                "user": others[0] if others else bot_user_id,
            }
        channel: Json = {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "created": self.created_s,
            "is_channel": self.kind == "public",
            "is_group": self.kind == "private",
            "is_im": False,
            "is_mpim": False,
            "is_private": self.kind == "private",
            "is_archived": self.archived,
            "is_general": False,
            "is_member": bot_user_id in self.members,
            "is_shared": False,
            "is_ext_shared": False,
            "is_org_shared": False,
            "context_team_id": TEAM_ID,
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": "", "creator": "", "last_set": 0},
        }
        if with_count:
            channel["num_members"] = len(self.members)
        return channel


@dataclass
class UserGroup:
    """A user group (``S...``) and the user ids in it."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    disabled: bool = False

    def to_api(self, *, with_users: bool = False) -> Json:
        """The ``usergroup`` object of ``usergroups.list``."""
        group: Json = {
            "id": self.id,
            "team_id": TEAM_ID,
            "is_usergroup": True,
            "handle": self.handle,
            "name": self.name,
            "user_count": len(self.users),
            "date_delete": 1 if self.disabled else 0,
        }
        if with_users:
            group["users"] = list(self.users)
        return group


def practice_people() -> list[Person]:
    """The people of the practice defaults (``INTERFACES.md`` section 2), without the bot."""
    return [
        Person("U0ONCALL", "oncall", "Olga Call", role_hint="responder", email="oncall@example.com"),
        Person("U0RELMGR", "relmgr", "Rene Leman", role_hint="release manager", email="relmgr@example.com"),
        Person("U0LEAD", "lead", "Lena Adler", role_hint="manager, admin", email="lead@example.com"),
        Person("U0VISITOR", "visitor", "Vito Sitor", role_hint="no role", email="visitor@example.com"),
        Person("U0GUEST", "guest", "Gina Guest", kind="guest", role_hint="guest"),
        Person(
            "U0STRANGER",
            "stranger",
            "Stan Ranger",
            kind="stranger",
            role_hint="other organisation",
            team_id=OTHER_TEAM_ID,
        ),
    ]


def practice_channels(people: Iterable[Person]) -> list[Channel]:
    """The channels of the practice workspace; everybody is in #incidents, only people are in #random."""
    everyone = {person.id for person in people}
    inside = {person.id for person in people if person.kind == "member"}
    crew = inside - {"U0VISITOR"}
    return [
        Channel("C0INC", "incidents", topic="Something is wrong: /sendcat triage", members={*everyone, BOT_USER_ID}),
        Channel("C0REL", "releases", topic="Gates, canaries, milestones", members={*crew, BOT_USER_ID}),
        Channel("C0OPS", "ops-alerts", topic="What the watch noticed", members={*crew, BOT_USER_ID}),
        Channel("C0AUD", "audit-anchor", topic="Checkpoints of the audit trail", members={*crew, BOT_USER_ID}),
        Channel("C0RAND", "random", topic="The bot is not in here", members=inside),
    ]


def practice_groups() -> list[UserGroup]:
    """The two user groups that roles are read from."""
    return [
        UserGroup("S0ONCALL", "oncall-engineers", "On-call engineers", ["U0ONCALL"]),
        UserGroup("S0RELMGR", "release-managers", "Release managers", ["U0RELMGR"]),
    ]
