"""Who may do what, where: the table, exhaustively (INTERFACES.md, section 3; R7, R8, R10)."""

from __future__ import annotations

import itertools

import pytest

from bot.authority import LOCAL, TABLE, Role, Standing, Who, decide, resolve
from bot.catalog import Catalog
from bot.command import Actor, Args, Command, Door, Outcome, Place
from bot.config import build

LISTED, INCIDENT = frozenset({"C0INC", "C0REL"}), frozenset({"C0INC"})
PLACES = {
    "incident": Place(kind="channel", channel="C0INC"),
    "release": Place(kind="channel", channel="C0REL"),
    "elsewhere": Place(kind="channel", channel="C0RAND"),
    "dm": Place(kind="dm", channel="D1"),
    "terminal": Place(kind="terminal"),
}
MEMBER = Standing(known=True, kind="member")

EVERYWHERE = frozenset(PLACES)
READING = frozenset({"incident", "release", "dm", "terminal"})
WORKING = frozenset({"incident", "release", "terminal"})
IN_SLACK = frozenset({"incident", "release"})
W = (Role.RESPONDER, Role.RELEASE_MANAGER, Role.ADMIN)
READERS = (Role.RESPONDER, Role.RELEASE_MANAGER, Role.MANAGER, Role.ADMIN)
DECIDERS = (Role.RELEASE_MANAGER, Role.ADMIN)
AUDITORS = (Role.MANAGER, Role.ADMIN)
READS = dict.fromkeys(Role, READING) | {Role.MEMBER: frozenset({"incident"})}
EXPECTED: dict[str, dict[Role, frozenset[str]]] = {
    **dict.fromkeys(("help", "stop", "status", "owners"), dict.fromkeys(Role, EVERYWHERE)),
    "ask": dict.fromkeys(Role, WORKING),
    **dict.fromkeys(("read", "dashboard", "audit"), READS),
    **dict.fromkeys(
        ("triage", "drill.quick", "drill", "gate", "canary", "gameday", "milestone", "region", "pool"),
        dict.fromkeys(W, WORKING),
    ),
    **dict.fromkeys(
        ("drill.ceiling", "walk", "tune", "undo", "release", "break-glass", "incident"), dict.fromkeys(W, WORKING)
    ),
    **dict.fromkeys(
        ("drill.ceiling.approve", "gate.decide", "canary.decide", "milestone.decide", "region.decide"),
        dict.fromkeys(DECIDERS, IN_SLACK),
    ),
    "mutate": dict.fromkeys((Role.RESPONDER, Role.RELEASE_MANAGER), WORKING),
    "tune.approve": dict.fromkeys(W, IN_SLACK),
    "pause": dict.fromkeys(READERS, WORKING),
    **{name: {Role.ADMIN: WORKING} for name in ("resume", "break-glass.review", "restore")},
    **dict.fromkeys(
        ("audit.export", "audit.verify", "audit.serve", "audit.reconcile"), dict.fromkeys(AUDITORS, READING)
    ),
    "incident.open": dict.fromkeys(W, EVERYWHERE),
    "incident.note": dict.fromkeys(READERS, WORKING) | {Role.MEMBER: frozenset({"incident"})},
    "checklist": dict.fromkeys(READERS, WORKING),
    "doctor": dict.fromkeys(READERS, READING),
}
"""The table of INTERFACES.md written down a second time: action, role, places."""


def person(role: Role, standing: Standing = MEMBER, door: Door = Door.SLACK) -> Who:
    roles = frozenset({Role.MEMBER, role}) if standing.kind == "member" else frozenset[Role]()
    return Who(Actor(door=door, account="slack:U1"), "someone", roles, standing)


@pytest.mark.parametrize(("action", "role", "place"), list(itertools.product(TABLE, Role, PLACES)))
def test_R7_the_whole_table(action: str, role: Role, place: str) -> None:
    """Every action, role and place: allowed exactly where the page says so."""
    door = Door.TERMINAL if place == "terminal" else Door.SLACK
    decision = decide(action, person(role, door=door), PLACES[place], listed=LISTED, incident=INCIDENT)

    local = place == "terminal" and TABLE[action].local
    assert decision.allowed == (local or place in EXPECTED[action].get(role, frozenset()))
    assert decision.allowed or (decision.reason and decision.then)


@pytest.mark.parametrize("kind", ["guest", "stranger", "bot", "deactivated"])
@pytest.mark.parametrize("action", TABLE)
def test_R8_outsiders_may_ask_for_help_and_stop_only(action: str, kind: str) -> None:
    standing = Standing(known=True, kind=kind)  # type: ignore[arg-type]
    decision = decide(action, person(Role.ADMIN, standing), PLACES["incident"], listed=LISTED, incident=INCIDENT)

    assert decision.allowed == (action in ("help", "stop"))


@pytest.mark.parametrize("action", TABLE)
def test_R7_what_cannot_be_learned_is_refused(action: str) -> None:
    """Slack did not say who this is: nothing but help and stop."""
    unknown = Standing(known=False, kind="unknown")
    decision = decide(action, person(Role.ADMIN, unknown), PLACES["incident"], listed=LISTED, incident=INCIDENT)

    assert decision.allowed == (action in ("help", "stop"))


def test_an_action_without_a_row_is_denied_and_does_not_build() -> None:
    decision = decide("launch", person(Role.ADMIN), PLACES["incident"], listed=LISTED, incident=INCIDENT)

    async def run(_: object, __: Args) -> Outcome:
        raise AssertionError

    assert not decision.allowed
    with pytest.raises(ValueError, match="stands in no row"):
        Catalog([Command(name="launch", summary="x.", action="launch", args=Args, run=run)])


def test_roles_come_from_names_and_groups_and_never_for_outsiders() -> None:
    """A guest in a group of release managers has no role."""
    config = build(
        {
            "people": {"ann": {"slack": ["U1"], "os": ["ann"]}},
            "roles": {"responder": ["ann"], "release_manager": ["S0RELMGR"]},
        },
        environ={},
    )
    actor = Actor(door=Door.SLACK, account="slack:U1")
    grouped = Standing(known=True, kind="member", groups=frozenset({"S0RELMGR"}))
    guest = Standing(known=True, kind="guest", groups=frozenset({"S0RELMGR"}))

    assert resolve(config, actor, grouped).roles == {Role.MEMBER, Role.RESPONDER, Role.RELEASE_MANAGER}
    assert resolve(config, actor, guest).roles == frozenset()
    assert resolve(config, Actor(door=Door.SLACK, account="slack:U2"), MEMBER).roles == {Role.MEMBER}


def test_an_empty_role_list_means_nobody() -> None:
    config = build({"people": {"ann": {"os": ["ann"]}}}, environ={})

    assert resolve(config, Actor(door=Door.TERMINAL, account="os:ann"), LOCAL).roles == {Role.MEMBER}


def test_R10_two_accounts_of_one_person_are_one_human() -> None:
    config = build({"people": {"ann": {"slack": ["U1"], "os": ["ann"]}, "bob": {"slack": ["U2"]}}}, environ={})
    slack = resolve(config, Actor(door=Door.SLACK, account="slack:U1"), MEMBER)
    terminal = resolve(config, Actor(door=Door.TERMINAL, account="os:ann"), LOCAL)
    other = resolve(config, Actor(door=Door.SLACK, account="slack:U2"), MEMBER)

    assert slack.same_human(terminal)
    assert not slack.same_human(other)
