"""Modals and Home: who sees which view, the stack of three, the hash, and what a view may hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from bot.practice.slack import blockkit, blocks
from bot.practice.slack.refusal import Json, SlackRefusal, invalid
from bot.practice.slack.shape import Problems, check_text
from bot.practice.slack.workspace import Workspace

MAX_STACK = 3
_KEYS = {
    "type",
    "title",
    "submit",
    "close",
    "blocks",
    "private_metadata",
    "callback_id",
    "clear_on_close",
    "notify_on_close",
    "external_id",
    "submit_disabled",
}


@dataclass
class View:
    """One open modal, or one person's Home. ``errors`` are what the last submission was refused for."""

    id: str
    user: str
    content: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    values: dict[str, dict[str, Json]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class Views:
    """Every open view of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def open(self, user: str, raw: Any) -> View:
        """A new modal at the bottom of the person's stack; an older stack is thrown away."""
        content = self._checked(raw, "modal")
        view = self._new(user, content, None)
        self.stacks[user] = [view]
        self.workspace.touch()
        return view

    def push(self, user: str, raw: Any) -> View:
        """A modal on top of the person's open one; ``push_limit_reached`` beyond three."""
        stack = self.stacks.get(user) or []
        if not stack:
            raise SlackRefusal("not_found")
        if len(stack) >= MAX_STACK:
            raise SlackRefusal("push_limit_reached")
        view = self._new(user, self._checked(raw, "modal"), stack[-1])
        stack.append(view)
        self.workspace.touch()
        return view

    def update(self, view: View, raw: Any, given_hash: str | None = None) -> View:
        """New content for an open view, at its place; input that keeps its ids survives."""
        content = self._checked(raw, "home" if view.content["type"] == "home" else "modal", replacing=view)
        if given_hash is not None and given_hash != view.hash:
            raise SlackRefusal("hash_conflict", response_metadata={"messages": ["the view has changed meanwhile"]})
        view.content, view.hash, view.errors = content, self._hash(), {}
        view.values = self._initial_values(content) | {
            block_id: held for block_id, held in view.values.items() if self._still_asks(content, block_id, held)
        }
        self.workspace.touch()
        return view

    def publish(self, user: str, raw: Any, given_hash: str | None = None) -> View:
        """The person's Home tab."""
        home = self.homes.get(user)
        if home is not None:
            return self.update(home, raw, given_hash)
        self.homes[user] = self._new(user, self._checked(raw, "home"), None)
        self.workspace.touch()
        return self.homes[user]

    def find(self, view_id: str | None, external_id: str | None = None) -> View:
        """An open view by either id; ``not_found`` when it was closed."""
        everything = [*self.homes.values(), *(view for stack in self.stacks.values() for view in stack)]
        for view in everything:
            if view.id == view_id or (external_id and view.content.get("external_id") == external_id):
                return view
        raise SlackRefusal("not_found")

    def close(self, view: View, *, everything: bool = False) -> list[View]:
        """Take a view (or the whole stack) from the screen; the ones that went are returned, top first."""
        stack = self.stacks.get(view.user, [])
        keep = 0 if everything or view.content.get("clear_on_close") else stack.index(view) if view in stack else 0
        gone = stack[keep:][::-1]
        del stack[keep:]
        self.workspace.touch()
        return gone

    def to_api(self, view: View) -> Json:
        """The ``view`` object of an answer or a payload."""
        content = view.content
        shown: Json = {
            "id": view.id,
            "team_id": self.workspace.team_id,
            "type": content["type"],
            "blocks": content["blocks"],
            "private_metadata": content.get("private_metadata", ""),
            "callback_id": content.get("callback_id", ""),
            "state": {"values": view.values},
            "hash": view.hash,
            "title": content.get("title", {"type": "plain_text", "text": "View Title", "emoji": True}),
            "clear_on_close": content.get("clear_on_close", False),
            "notify_on_close": content.get("notify_on_close", False),
            "close": content.get("close"),
            "submit": content.get("submit"),
            "previous_view_id": view.previous_id,
            "root_view_id": view.root_id,
            "app_id": self.workspace.app_id,
            "external_id": content.get("external_id", ""),
            "app_installed_team_id": self.workspace.team_id,
            "bot_id": self.workspace.bot_id,
        }
        return shown

    def _new(self, user: str, content: Json, below: View | None) -> View:
        view_id = self.workspace.next_id("V")
        root = below.root_id if below else view_id
        previous = below.id if below else None
        return View(view_id, user, content, self._hash(), root, previous, self._initial_values(content))

    def _hash(self) -> str:
        return f"{self.workspace.clock.now_ms() // 1000}.{self.workspace.next_id('', 8)}"

    def _checked(self, raw: Any, surface: blockkit.Surface, replacing: View | None = None) -> Json:
        if isinstance(raw, str):
            try:
                raw = json.loads(raw)
            except ValueError:
                raw = None
        if not isinstance(raw, dict):
            raise invalid("invalid_arguments", ["[ERROR] must provide an object [json-pointer:/view]"])
        found = _problems(raw, surface)
        if found:
            raise invalid("invalid_arguments", found)
        if len(json.dumps(raw)) > 250_000:
            raise SlackRefusal("view_too_large")
        external_id = raw.get("external_id")
        everything = [*self.homes.values(), *(view for stack in self.stacks.values() for view in stack)]
        if external_id and any(v is not replacing and v.content.get("external_id") == external_id for v in everything):
            raise SlackRefusal("duplicate_external_id")
        return {**raw, "blocks": blocks.with_ids(raw["blocks"], lambda: self.workspace.next_id("", 5))}

    @staticmethod
    def _initial_values(content: Json) -> dict[str, dict[str, Json]]:
        values: dict[str, dict[str, Json]] = {}
        for block, element in blocks.interactive(content["blocks"]):
            if element["type"] not in blocks.VALUELESS:
                held = blocks.initial_value(element)
                if block["type"] == "input" or not blocks.is_empty(held):
                    values.setdefault(block["block_id"], {})[element["action_id"]] = held
        return values

    @staticmethod
    def _still_asks(content: Json, block_id: str, held: dict[str, Json]) -> bool:
        there = {(block["block_id"], e["action_id"], e["type"]) for block, e in blocks.interactive(content["blocks"])}
        return all((block_id, action_id, value.get("type")) in there for action_id, value in held.items())


def _problems(view: Json, surface: blockkit.Surface) -> list[str]:
    found = Problems()
    for key in view.keys() - _KEYS:
        found.add("/view", f"invalid additional property: {key}")
    if view.get("type") != surface:
        found.add("/view/type", f"must be {surface}")
    if surface == "modal":
        check_text(view.get("title"), "/view/title", found, most=24, plain=True)
        for key in ("submit", "close"):
            if view.get(key) is not None:
                check_text(view[key], f"/view/{key}", found, most=24, plain=True)
        inputs = [b for b in view.get("blocks") or () if isinstance(b, dict) and b.get("type") == "input"]
        if inputs and view.get("submit") is None:
            found.add("/view/submit", "missing required field: a view with an input block needs `submit`")
    for key, most in (("private_metadata", 3000), ("callback_id", 255), ("external_id", 255)):
        if key in view:
            found.string(view[key], f"/view/{key}", most=most, least=0)
    return [*found.lines, *blockkit.problems(view.get("blocks"), surface, "/view/blocks")]
