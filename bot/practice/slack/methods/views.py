"""``views.*``: opening, stacking, changing modals, and publishing Home."""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.slack.methods.house import House, Method, required
from bot.practice.slack.refusal import Json, SlackRefusal


def open_view(house: House, args: Json) -> Json:
    user = house.triggers.exchange(args.get("trigger_id", args.get("interactivity_pointer")))
    return {"view": house.views.to_api(house.views.open(user, args.get("view")))}


def push_view(house: House, args: Json) -> Json:
    user = house.triggers.exchange(args.get("trigger_id", args.get("interactivity_pointer")))
    return {"view": house.views.to_api(house.views.push(user, args.get("view")))}


def update_view(house: House, args: Json) -> Json:
    view = house.views.find(args.get("view_id"), args.get("external_id"))
    return {"view": house.views.to_api(house.views.update(view, args.get("view"), args.get("hash")))}


def publish_view(house: House, args: Json) -> Json:
    user = required(args, "user_id")
    person = house.workspace.people.get(user)
    if person is None or person.kind == "bot":
        raise SlackRefusal("user_not_found")
    return {"view": house.views.to_api(house.views.publish(user, args.get("view"), args.get("hash")))}


METHODS: Mapping[str, Method] = {
    "views.open": open_view,
    "views.push": push_view,
    "views.update": update_view,
    "views.publish": publish_view,
}
