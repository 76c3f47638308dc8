"""Who may do what, where: one table, deny by default (INTERFACES.md, section 3; safety.md, R7-R9, R13).

A pure function from actor, action and place to allow or deny with a reason. An action without a row does not build:
`bot.catalog` refuses a command whose action is missing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from bot.card import who as mention
from bot.command import Actor, Door, Place
from bot.config import Config


class Role(StrEnum):
    MEMBER = "member"
    RESPONDER = "responder"
    RELEASE_MANAGER = "release manager"
    MANAGER = "manager"
    ADMIN = "admin"


class Ground(StrEnum):
    """Where an action may be asked for."""

    ANYWHERE = "anywhere"
    READING = "a listed or bound channel, a direct message, or the terminal"
    WORKING = "a listed or bound channel, or the terminal"


@dataclass(frozen=True)
class Standing:
    """What the workspace says of an account; ``unknown`` when it could not be learned."""

    known: bool
    kind: Literal["member", "guest", "stranger", "bot", "deactivated", "unknown"]
    groups: frozenset[str] = frozenset()


LOCAL = Standing(known=True, kind="member")
"""The standing of a terminal login and of the timer: the operating system has vouched for them."""


@dataclass(frozen=True)
class Rule:
    """One row: who may, where; ``member_channels`` lets plain members in, but only in incident channels."""

    roles: frozenset[Role]
    ground: Ground
    member_channels: bool = False
    outsiders: bool = False
    """Guests, strangers and unknown accounts too: help and stop only."""
    local: bool = False
    """Anybody with a login on the host, since the configuration lies there in the open."""
    slack_only: bool = False
    """Approvals and decisions: the terminal proposes, undoes, stops and reads; it never approves."""


_EVERYBODY = frozenset(Role)
_WORKERS = frozenset({Role.RESPONDER, Role.RELEASE_MANAGER, Role.ADMIN})
_READERS = frozenset({Role.RESPONDER, Role.RELEASE_MANAGER, Role.MANAGER, Role.ADMIN})
_DECIDERS = frozenset({Role.RELEASE_MANAGER, Role.ADMIN})
_AUDITORS = frozenset({Role.MANAGER, Role.ADMIN})
_ADMINS = frozenset({Role.ADMIN})

_READ = Rule(_READERS, Ground.READING, member_channels=True)
_WORK = Rule(_WORKERS, Ground.WORKING)
_DECIDE = Rule(_DECIDERS, Ground.WORKING, slack_only=True)
_REVIEW = Rule(_AUDITORS, Ground.READING)
_ADMIN = Rule(_ADMINS, Ground.WORKING)

TABLE: dict[str, Rule] = {
    "help": Rule(_EVERYBODY, Ground.ANYWHERE, outsiders=True, local=True),
    "stop": Rule(_EVERYBODY, Ground.ANYWHERE, outsiders=True, local=True),
    "status": Rule(_EVERYBODY, Ground.ANYWHERE),
    "owners": Rule(_EVERYBODY, Ground.ANYWHERE),
    "ask": Rule(_EVERYBODY, Ground.WORKING),
    "read": _READ,
    "dashboard": _READ,
    "audit": _READ,
    "triage": _WORK,
    "drill.quick": _WORK,
    "drill": _WORK,
    "gate": _WORK,
    "canary": _WORK,
    "gameday": _WORK,
    "milestone": _WORK,
    "region": _WORK,
    "pool": _WORK,
    "drill.ceiling": _WORK,
    "drill.ceiling.approve": _DECIDE,
    "gate.decide": _DECIDE,
    "canary.decide": _DECIDE,
    "milestone.decide": _DECIDE,
    "region.decide": _DECIDE,
    "walk": _WORK,
    "mutate": Rule(frozenset({Role.RESPONDER, Role.RELEASE_MANAGER}), Ground.WORKING),
    "tune": _WORK,
    "undo": _WORK,
    "tune.approve": Rule(_WORKERS, Ground.WORKING, slack_only=True),
    "release": _WORK,
    "pause": Rule(_READERS, Ground.WORKING),
    "resume": _ADMIN,
    "break-glass": _WORK,
    "break-glass.review": _ADMIN,
    "audit.export": _REVIEW,
    "audit.verify": _REVIEW,
    "audit.serve": _REVIEW,
    "audit.reconcile": _REVIEW,
    "restore": _ADMIN,
    "incident.open": Rule(_WORKERS, Ground.ANYWHERE),
    "incident": _WORK,
    "incident.note": Rule(_READERS, Ground.WORKING, member_channels=True),
    "checklist": Rule(_READERS, Ground.WORKING),
    "doctor": Rule(_READERS, Ground.READING, local=True),
}
"""Action by role by place. ``read`` covers snapshot, inspect, diagnose, playbook texts; ``release`` lifts a stop.
``ask`` mentions those who may, where the asker may not.

``incident.open`` works in any channel, since it binds the channel; the terminal has no channel to bind.
"""

CHANGING = frozenset({"mutate", "tune", "tune.approve", "break-glass", "pool"})
"""Actions that change Sendcat: refused for everybody while the bot is paused. Undoing and stopping never are."""

PLACES = frozenset({"channel", "dm", "terminal", "timer"})


@dataclass(frozen=True)
class Who:
    """An actor resolved to a human: person name in the configuration, roles, standing."""

    actor: Actor
    person: str | None
    roles: frozenset[Role]
    standing: Standing

    @property
    def name(self) -> str:
        """How a card names this person."""
        return mention(self.actor.account)

    def same_human(self, other: Who) -> bool:
        """Whether both accounts belong to one human (four eyes count humans, R10)."""
        if self.person is not None and other.person is not None:
            return self.person == other.person
        return self.actor.account == other.actor.account


@dataclass(frozen=True)
class Decision:
    """Allowed, or denied with the rule and who has the right."""

    allowed: bool
    reason: str = ""
    then: str = ""
    by_role: bool = False
    """Whether a role is missing, so that somebody who has it can be asked."""


def person_of(config: Config, actor: Actor) -> str | None:
    """The person in the configuration who owns this account."""
    kind, _, account = actor.account.partition(":")
    for name, person in config.people.items():
        if account in (person.slack if kind == "slack" else person.os if kind == "os" else ()):
            return name
    return None


def resolve(config: Config, actor: Actor, standing: Standing) -> Who:
    """Roles of an actor: by person name, or by Slack user group. Outsiders have none, whatever a list says."""
    person = person_of(config, actor)
    roles: set[Role] = set()
    if standing.known and standing.kind == "member":
        roles.add(Role.MEMBER)
        listed = {
            Role.RESPONDER: config.roles.responder,
            Role.RELEASE_MANAGER: config.roles.release_manager,
            Role.MANAGER: config.roles.manager,
            Role.ADMIN: config.roles.admin,
        }
        for role, members in listed.items():
            if (person is not None and person in members) or standing.groups.intersection(members):
                roles.add(role)
    return Who(actor=actor, person=person, roles=frozenset(roles), standing=standing)


def decide(action: str, who: Who, place: Place, *, listed: frozenset[str], incident: frozenset[str]) -> Decision:
    """Whether ``who`` may do ``action`` at ``place``.

    ``listed`` are the channels of the configuration and those bound to an incident; ``incident`` are the incident
    channels among them. Deny by default: unknown action, unknown place, unlearned membership.
    """
    rule = TABLE.get(action)
    if rule is None or place.kind not in PLACES:
        return Decision(False, f"`{action}` stands in no row of the table (R7).", "/sendcat help")
    if rule.slack_only and who.actor.door is not Door.SLACK:
        return Decision(
            False,
            f"`{action}` is given in Slack only: the terminal proposes, undoes, stops and reads (INTERFACES.md, 3).",
            "press the button on the card in Slack",
        )
    if rule.local and who.actor.door is Door.TERMINAL:
        return Decision(True)
    if rule.outsiders:
        return Decision(True)
    if who.actor.door is Door.TIMER:
        return Decision(True) if action in ("read", "drill.quick", "drill") else _denied(action, rule, who)
    if not who.standing.known:
        return Decision(
            False,
            "Your membership could not be learned from Slack, so this is refused (R7). Nothing was done.",
            "try again in a minute, or type it in a terminal on the host",
        )
    if who.standing.kind != "member":
        kind = {"guest": "Guests", "stranger": "People of other organisations", "bot": "Bots"}
        return Decision(
            False,
            f"{kind.get(who.standing.kind, 'Deactivated accounts')} may use `help` and `stop` only (R8).",
            "ask a responder in the incident channel",
        )
    strong = who.roles & rule.roles - {Role.MEMBER}
    if Role.MEMBER in rule.roles or strong:
        return _ground(action, rule, place, listed)
    if rule.member_channels:
        if place.kind == "channel" and place.channel in incident:
            return Decision(True)
        return Decision(
            False,
            f"Without a role, `{action}` is for incident channels only (R8).",
            "ask in an incident channel, or a responder",
        )
    return _denied(action, rule, who)


def _ground(action: str, rule: Rule, place: Place, listed: frozenset[str]) -> Decision:
    if rule.ground is Ground.ANYWHERE or place.kind in ("terminal", "timer"):
        return Decision(True)
    if place.kind == "dm":
        if rule.ground is Ground.READING:
            return Decision(True)
        return Decision(False, f"`{action}` works in {rule.ground} (R8).", "type it in the incident channel")
    if place.channel in listed:
        return Decision(True)
    return Decision(
        False,
        f"`{action}` works in {rule.ground}; this channel is not listed (R8).",
        "add the channel to slack.incident_channels in sendcat.toml",
    )


def _denied(action: str, rule: Rule, who: Who) -> Decision:
    have = " or ".join(sorted(role.value for role in rule.roles if role is not Role.MEMBER))
    yours = ", ".join(sorted(role.value for role in who.roles)) or "no role here"
    if who.person is None and who.actor.door is Door.TERMINAL:
        login = who.actor.account.partition(":")[2]
        return Decision(
            False,
            f"`{action}` needs {have}; the login {login} belongs to nobody in [people] (R7).",
            f'add os = ["{login}"] to your [people.NAME] in sendcat.toml',
        )
    return Decision(False, f"`{action}` needs {have}. You are: {yours}. Nothing was changed.", "ask one of them", True)
