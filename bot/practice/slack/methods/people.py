"""``users.*``, ``usergroups.*``, ``auth.test``: who is who."""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.slack.methods.house import House, Method, flag, page_of, required
from bot.practice.slack.refusal import Json, SlackRefusal


def auth_test(house: House, args: Json) -> Json:
    workspace = house.workspace
    return {
        "url": f"{workspace.base_url}/",
        "team": "Practice",
        "user": workspace.people[house.bot].name,
        "team_id": workspace.team_id,
        "user_id": house.bot,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
    }


def user_info(house: House, args: Json) -> Json:
    person = house.workspace.people.get(required(args, "user", "user_not_found"))
    if person is None:
        raise SlackRefusal("user_not_found")
    return {"user": _without_email(house, person.to_api())}


def _without_email(house: House, user: Json) -> Json:
    if "users:read.email" not in house.scopes:
        user["profile"].pop("email", None)
    return user


def user_list(house: House, args: Json) -> Json:
    page, cursor = page_of(list(house.workspace.people.values()), args)
    people = [_without_email(house, person.to_api()) for person in page]
    return {"members": people, "response_metadata": {"next_cursor": cursor}}


def lookup_by_email(house: House, args: Json) -> Json:
    email = required(args, "email", "users_not_found")
    for person in house.workspace.people.values():
        if person.email == email and not person.deleted:
            return {"user": person.to_api()}
    raise SlackRefusal("users_not_found")


def group_list(house: House, args: Json) -> Json:
    groups = [g for g in house.workspace.groups.values() if not g.disabled or flag(args, "include_disabled")]
    return {"usergroups": [group.to_api(with_users=flag(args, "include_users")) for group in groups]}


def group_members(house: House, args: Json) -> Json:
    group = house.workspace.groups.get(required(args, "usergroup", "no_such_subteam"))
    if group is None or (group.disabled and not flag(args, "include_disabled")):
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}


METHODS: Mapping[str, Method] = {
    "auth.test": auth_test,
    "users.info": user_info,
    "users.list": user_list,
    "users.lookupByEmail": lookup_by_email,
    "usergroups.list": group_list,
    "usergroups.users.list": group_members,
}
