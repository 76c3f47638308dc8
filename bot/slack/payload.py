"""The bodies Slack sends, as models: met once at the door and trusted from there on.

Only ids count (safety.md, R8): user, workspace, app and channel. What we do not use is ignored; what we use and is
not as it should be makes the whole request malformed. ``response_url`` and the old verification token are never read.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from bot.slack.text import undone

MAX_NESTING = 32
"""Nesting of a JSON body (safety.md, R6)."""

Id = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,40}$")]
Stamp = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}\.[0-9]{1,9}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
Name = Annotated[str, StringConstraints(max_length=255)]
Words = Annotated[str, StringConstraints(max_length=40_000)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, strict=True)


class Slash(_Wire):
    """A slash command. ``team_id`` is the workspace of the person who typed it."""

    command: Annotated[str, StringConstraints(pattern=r"^/[^\s]{1,64}$")]
    text: Words = ""
    user_id: Id
    team_id: Id
    channel_id: Id
    api_app_id: Id
    trigger_id: Key


class _Ref(_Wire):
    id: Id


class _User(_Wire):
    id: Id
    team_id: Id | None = None


class _Chosen(_Wire):
    value: Name | None = None


class Action(_Wire):
    action_id: Name
    value: Annotated[str, StringConstraints(max_length=2000)] | None = None
    selected_option: _Chosen | None = None

    @property
    def reference(self) -> str | None:
        """The value of a button, or of the chosen option of a menu."""
        return self.value if self.selected_option is None else self.selected_option.value


class _Message(_Wire):
    ts: Stamp
    thread_ts: Stamp | None = None


class _Interaction(_Wire):
    user: _User
    team: _Ref | None = None
    api_app_id: Id

    @property
    def home(self) -> str | None:
        """The workspace of the person, not the one they are in."""
        return self.user.team_id or (self.team.id if self.team else None)


class Click(_Interaction):
    """A press on a button or a menu."""

    type: Literal["block_actions"]
    trigger_id: Key
    channel: _Ref | None = None
    message: _Message | None = None
    actions: tuple[Action, ...] = Field(strict=False, min_length=1)


class Shortcut(_Interaction):
    """A shortcut: from a message's menu (then with its channel), or from anywhere."""

    type: Literal["shortcut", "message_action"]
    callback_id: Name
    trigger_id: Key
    channel: _Ref | None = None
    message: _Message | None = None


class _State(_Wire):
    values: dict[str, dict[str, dict[str, Any]]] = {}


class _View(_Wire):
    id: Key
    hash: Key
    callback_id: Name = ""
    private_metadata: Annotated[str, StringConstraints(max_length=3000)] = ""
    state: _State = _State()


class Submission(_Interaction):
    """A modal form, sent."""

    type: Literal["view_submission"]
    view: _View

    def fields(self) -> dict[str, str]:
        """Values by action id, as text; what was left empty is not there."""
        found = {}
        for block in self.view.state.values.values():
            for action_id, held in block.items():
                value = _entered(held)
                if value:
                    found[action_id] = value
        return found


class _Item(_Wire):
    """What was reacted to; only messages count."""

    type: Annotated[str, StringConstraints(max_length=80)]
    channel: Id | None = None
    ts: Stamp | None = None


class _Event(_Wire):
    type: Annotated[str, StringConstraints(max_length=80)]
    user: Annotated[Id | None, BeforeValidator(lambda v: v if v is None or isinstance(v, str) else None)] = None
    bot_id: Name | None = None
    subtype: Name | None = None
    text: Words = ""
    channel: Annotated[Id | None, BeforeValidator(lambda v: v if v is None or isinstance(v, str) else None)] = None
    ts: Stamp | None = None
    thread_ts: Stamp | None = None
    user_team: Id | None = None
    tab: Name | None = None
    reaction: Name | None = None
    item: _Item | None = None


class Event(_Wire):
    """Something of the Events API. ``team_id`` is the workspace of who did it: in a shared channel that is another
    one than ``context_team_id``, through which the app is installed."""

    type: Literal["event_callback"]
    event_id: Key
    team_id: Id
    context_team_id: Id | None = None
    api_app_id: Id
    event: _Event

    @property
    def installed(self) -> str:
        """The workspace whose installation of the app heard it."""
        return self.context_team_id or self.team_id


class Other(_Wire):
    """A kind that no listener is for; it gets a polite answer and has no effect."""

    type: Annotated[str, StringConstraints(max_length=80)]


Payload = Slash | Click | Submission | Shortcut | Event | Other

_KINDS: dict[str, type[Click | Submission | Shortcut | Event]] = {
    "message_action": Shortcut,
    "shortcut": Shortcut,
    "block_actions": Click,
    "view_submission": Submission,
    "event_callback": Event,
}


def read(body: dict[str, Any]) -> Payload:
    """The model of a parsed body; ``ValueError`` when it is not what Slack sends."""
    if "command" in body:
        return Slash.model_validate(body)
    if body.get("ssl_check") == "1":
        return Other(type="ssl_check")
    return _KINDS.get(str(body.get("type")), Other).model_validate(body)


def parse(raw: bytes, content_type: str) -> dict[str, Any]:
    """The body of a verified request; ``ValueError`` for anything malformed.

    Bolt's own parser takes a form for an interaction as soon as the word "payload" stands anywhere in it, a typed
    command included; this one looks at the fields (safety.md, R5: words are data).
    """
    text = raw.decode("utf-8")
    if content_type == "application/json":
        return _object(text)
    form = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=64))
    if "command" not in form and "payload" in form:
        return _object(form["payload"])
    return dict(form)


def is_stop(payload: Payload) -> bool:
    """Whether this asks to stop something: such a request takes the fast lane (safety.md, R13, R19)."""
    match payload:
        case Slash():
            words = payload.text
        case Event():
            words = mentioned(payload.event.text)
        case Click():
            return any(re.search(r"\.stop(:\d+)?$", action.action_id) for action in payload.actions)
        case _:
            return False
    return words.split(maxsplit=1)[:1] != [] and words.split(maxsplit=1)[0].casefold() == "stop"


def mentioned(text: str) -> str:
    """What was said to the bot in a mention: the words without the name, Slack's entities undone."""
    said = re.sub(r"^\s*<@[UW][A-Z0-9]+(\|[^>]*)?>", "", text)
    if said == text:
        said = re.sub(r"\s*<@[UW][A-Z0-9]+(\|[^>]*)?>\s*$", "", text)
    return undone(said).strip()


def _object(text: str) -> dict[str, Any]:
    if _nesting(text) > MAX_NESTING:
        raise ValueError("nested too deeply")
    found = json.loads(text, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?')
_BRACKET = re.compile(r"[\[\]{}]")


def _nesting(text: str) -> int:
    """Depth of brackets outside strings, found without building anything."""
    depth = deepest = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        if bracket.group() in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _entered(held: dict[str, Any]) -> str:
    """The text of one form value, whatever element it came from."""
    for key in ("value", "selected_date", "selected_time", "selected_user", "selected_channel"):
        if isinstance(held.get(key), str):
            return str(held[key])
    chosen = held.get("selected_option")
    if isinstance(chosen, dict):
        return str(chosen.get("value", ""))
    several = held.get("selected_options")
    if isinstance(several, list):
        return ",".join(str(option.get("value", "")) for option in several if isinstance(option, dict))
    return ""
