"""A no by right: who may do it, whom to ask, and what the asker may do - one place for every such refusal (ux.md, 5).

Nothing is asked by itself: `Ask them` is a line, ``ask gate.decide gate approve g-77``, that anybody can type as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bot.authority import TABLE, Decision, Role, Who
from bot.card import Button, group
from bot.card import who as mention
from bot.cases.decisions import MANNERS, Denied
from bot.command import Door, Place
from bot.config import Config
from bot.errors import Refused
from bot.store.case import Case, Verb
from playbooks.lines import Line

ORDER = (Role.RESPONDER, Role.RELEASE_MANAGER, Role.MANAGER, Role.ADMIN)
"""Whom to ask first: those who are nearest, not those who may do most."""
PEOPLE = 3
"""So many people are mentioned where no group is configured."""
_GROUP = re.compile(r"S[A-Z0-9]{2,30}")
_ID = re.compile(r"[a-z]{1,3}-[a-z0-9]{1,20}", re.IGNORECASE)
STOP = "`/sendcat stop` is there for anyone"
MINE = Button(label="My rights", line="rights", name="rights.mine")


def refusal(
    decision: Decision,
    action: str,
    line: Line,
    who: Who,
    place: Place,
    config: Config,
    *,
    bound: frozenset[str] = frozenset(),
    rule: str | None = None,
) -> Refused:
    """The table's no, with whom to ask and what to press. ``bound`` are the channels of open incidents."""
    heard = place.channel in config.slack.channels | bound
    them = holders(config, action, but=who) if decision.by_role else ""
    return Refused(
        decision.reason,
        rule=rule,
        then=f"ask {them}; {STOP}" if them else decision.then,
        buttons=_buttons(action if heard and them else None, line, who, config),
    )


def wrong_human(denied: Denied, case: Case, verb: Verb, who: Who, config: Config) -> Refused:
    """The judge's no; where only the human is wrong, as the starter is (R10), another one can be asked."""
    manner = MANNERS[case.kind]
    asked = four_eyes(manner.action, Line(manner.command, (verb, case.id)), who, config) if denied.another else ()
    return Refused(denied.reason, rule=denied.rule, then=denied.then, buttons=asked)


def four_eyes(action: str, line: Line, who: Who, config: Config) -> tuple[Button, ...]:
    """For somebody who has the right and is the wrong human: another one is asked the same way."""
    return _buttons(action, line, who, config)


def _buttons(action: str | None, line: Line, who: Who, config: Config) -> tuple[Button, ...]:
    """`Ask them`, where there is somebody to ask for this action, and `My rights`."""
    member = who.actor.door is Door.SLACK and who.standing.known and who.standing.kind == "member"
    if action is None or not (member and holders(config, action, but=who)):
        return (MINE,)
    asked = Line("ask", (action, *subject(line))).text
    return (Button(label="Ask them", line=asked, name="rights.ask"), MINE)


def subject(line: Line) -> tuple[str, ...]:
    """What a line is about, without a word of the asker's own: its command and the ids in it."""
    words = [word for word in line.words if _ID.fullmatch(word)]
    named = [word for word in line.words[:1] if word.isascii() and word.replace("-", "").isalpha()]
    return (line.command, *named, *words)


def holders(config: Config, action: str, *, but: Who | None = None) -> str:
    """Who may do this, as a mention: the group of the nearest role that has one, else its people; empty for nobody."""
    rule = TABLE[action]
    roles = [(role, getattr(config.roles, role.name.lower())) for role in ORDER if role in rule.roles]
    for _, members in roles:
        if groups := [name for name in members if _GROUP.fullmatch(name) and name not in config.people]:
            return group(groups[0])
    for _, members in roles:
        if people := list(_accounts(config, (name for name in members if but is None or name != but.person))):
            return ", ".join(map(mention, people[:PEOPLE]))
    return ""


def _accounts(config: Config, names: Iterable[str]) -> Iterable[str]:
    """The first Slack account of each person."""
    for name in names:
        person = config.people.get(name)
        if person is not None and person.slack:
            yield f"slack:{person.slack[0]}"
