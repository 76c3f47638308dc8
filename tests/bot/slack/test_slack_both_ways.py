"""What the manifest declares is handled, and what is handled is declared: commands, shortcuts, events, actions, forms.

The manifest here is the real one, of every command that there is; what Slack's schema does not catch is checked by the
documented limits (platform.md, sections 3.1 and 5).
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import jsonschema
import pytest
from slack_kit import Door, mention

import bot
from bot.catalog import read
from bot.command import Door as Doors
from bot.commands import ALL, catalog
from bot.config import Config
from bot.forms import filled
from bot.practice.slack import scopes
from bot.slack.lint import ACTION
from bot.slack.manifest import COMMAND, EVENTS, SHORTCUTS, manifest

SCHEMA = json.loads(Path("tests/data/slack/manifest.schema.json").read_text())
ROOT = Path(bot.__path__[0])
BOTH = (None, "https://runbook.example.com")
_JSON = "application/json"


@pytest.mark.parametrize("url", BOTH)
def test_the_real_manifest_is_valid_by_schema_and_by_the_limits_that_it_does_not_know(url: str | None) -> None:
    made = manifest(ALL, url=url)
    jsonschema.Draft7Validator(SCHEMA).validate(made)
    shown, features = made["display_information"], made["features"]

    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert re.fullmatch(r"#[0-9a-f]{6}", shown["background_color"])
    assert len(features["bot_user"]["display_name"]) <= 80
    assert len(features["shortcuts"]) <= 5
    assert len(features["slash_commands"]) <= 5
    for shortcut in features["shortcuts"]:
        assert len(shortcut["name"]) <= 24
        assert len(shortcut["description"]) <= 150
        assert len(shortcut["callback_id"]) <= 255
    [slash] = features["slash_commands"]
    assert re.fullmatch(r"/[a-z][a-z0-9_-]{0,30}", slash["command"])
    assert len(slash["description"]) <= 2_000
    assert len(slash["usage_hint"]) <= 1_000
    assert ("url" in slash) is (url is not None)
    for named in ([s["callback_id"] for s in features["shortcuts"]], [s["name"] for s in features["shortcuts"]]):
        assert len(set(named)) == len(named)


def test_every_scope_is_one_of_slacks_and_every_event_has_its_scope() -> None:
    made = manifest(ALL)
    asked = made["oauth_config"]["scopes"]
    known = {*scopes.EVENT_SCOPES.values(), "commands", "chat:write.public"}
    for method in scopes.METHODS:
        known |= set(scopes.accepted(method))

    assert not set(asked["bot"]) & set(asked["bot_optional"])
    assert {*asked["bot"], *asked["bot_optional"]} <= known
    for event in made["settings"]["event_subscriptions"]["bot_events"]:
        assert scopes.EVENT_SCOPES.get(event, "commands") in asked["bot"], event


def test_the_one_command_leads_to_every_command_of_slack() -> None:
    """Nothing is declared that is not there, and nothing is there that cannot be typed."""
    [slash] = manifest(ALL)["features"]["slash_commands"]
    hinted = [name for name in slash["usage_hint"].split(" | ") if name != "..."]
    typed = [command.name for command in ALL if Doors.SLACK in command.doors]

    assert slash["command"] == COMMAND
    assert hinted == list(dict.fromkeys(name.partition(" ")[0] for name in typed))
    for name in typed:
        assert catalog().find(name).name == name


def _shortcut(callback_id: str, kind: str) -> bytes:
    payload: dict[str, Any] = {
        "type": "message_action" if kind == "message" else "shortcut",
        "user": {"id": "U0ONCALL", "team_id": "T0PRACTICE"},
        "team": {"id": "T0PRACTICE"},
        "api_app_id": "A0SENDCAT",
        "callback_id": callback_id,
        "trigger_id": f"t-{callback_id}",
    }
    if kind == "message":
        payload |= {"channel": {"id": "C0INC"}, "message": {"ts": "1763899320.000100", "type": "message"}}
    return b"payload=" + quote_plus(json.dumps(payload)).encode()


@pytest.mark.parametrize("shortcut", SHORTCUTS, ids=lambda shortcut: str(shortcut.callback_id))
async def test_every_declared_shortcut_is_a_line_that_the_catalog_knows(door: Door, shortcut: Any) -> None:
    declared = {each["callback_id"]: each["type"] for each in manifest(ALL)["features"]["shortcuts"]}
    assert declared == {each.callback_id: each.kind for each in SHORTCUTS}
    response = await door.post(_shortcut(shortcut.callback_id, declared[shortcut.callback_id]))

    [ask] = door.desk.asks
    command = catalog().find(ask.line)
    assert response.status_code == 200
    assert Doors.SLACK in command.doors
    assert not shortcut.asks or command.form is not None
    assert ("{message}" not in shortcut.line) or ask.line.endswith("C0INC/1763899320.000100")


@pytest.mark.parametrize(
    ("callback_id", "kind"),
    [("gone", "message"), ("gone", "global"), ("timeline.add", "global"), ("status", "message")],
)
async def test_a_shortcut_that_is_not_declared_is_explained(door: Door, callback_id: str, kind: str) -> None:
    await door.post(_shortcut(callback_id, kind))

    assert door.desk.asks == []
    [(card, *_)] = door.whispers.said
    assert "out of date" in card.title


async def test_every_declared_event_is_heard_and_no_other(door: Door) -> None:
    """Opening Home is no wish for the desk; the other two are; what was not asked for has no effect."""
    bodies: dict[str, bytes] = {
        "app_mention": mention(event_id="Ev-m"),
        "reaction_added": mention(
            event_id="Ev-r",
            type="reaction_added",
            reaction="pushpin",
            item={"type": "message", "channel": "C0INC", "ts": "1.000100"},
        ),
        "app_home_opened": mention(event_id="Ev-h", type="app_home_opened", tab="home"),
    }
    declared = manifest(ALL)["settings"]["event_subscriptions"]["bot_events"]
    assert set(bodies) == set(declared) == set(EVENTS)
    heard = []
    for name in declared:
        before = len(door.desk.asks) + len(door.greeted)
        assert (await door.post(bodies[name], _JSON)).status_code == 200
        heard.append(len(door.desk.asks) + len(door.greeted) - before)
    assert heard == [1] * len(declared)

    for undeclared in ("message", "team_join", "link_shared"):
        await door.post(mention(event_id=f"Ev-{undeclared}", type=undeclared), _JSON)
    assert len(door.desk.asks) + len(door.greeted) == len(declared)


def _buttons() -> list[tuple[str, str, str]]:
    """Every button in the sources: where, its name, its line; what is only known later reads ``0``."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        if "practice" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Button":
                continue
            given = {word.arg: word.value for word in node.keywords}
            name, line = (_literal(given.get(key)) for key in ("name", "line"))
            found.append((f"{path.relative_to(ROOT)}:{node.lineno}", name, line))
    return found


def _literal(value: ast.expr | None) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in value.values)
    return ""


def test_every_button_is_a_line_of_a_command_that_slack_may_use() -> None:
    buttons = _buttons()
    lines = [(where, line) for where, _, line in buttons if line and not line.startswith("0")]

    assert len(lines) > 30
    for where, line in lines:
        command = catalog().find(line)
        assert Doors.SLACK in command.doors, where
        unknown = (
            set(read(line).flags)
            - {"target", "base-url"}
            - {name.replace("_", "-") for name in command.args.model_fields}
        )
        assert not unknown, f"{where}: {command.name} has no {unknown}"


def test_every_action_has_a_name_that_the_one_listener_takes() -> None:
    """``area.verb``; a stop is known by its name before anything is read from the database (R13, R19)."""
    for where, name, line in _buttons():
        if name:
            assert ACTION.fullmatch(name.replace("0", "x")), where
            assert "." in name, where
        if line.startswith("stop "):
            assert name == "run.stop", where


def test_every_form_completes_its_command(config: Config) -> None:
    """Each question is a flag, or the next word, of the command that it belongs to; filled as it stands, it is a line
    that the catalog understands or explains field by field."""
    formed = [command for command in ALL if command.form is not None]

    assert formed
    for command in formed:
        assert command.form is not None
        form = command.form(config)
        flags = {name.replace("_", "-") for name in command.args.model_fields} | {"target"}
        for field in form.fields:
            assert field.word or field.flag.replace("_", "-") in flags, f"{command.name}: {field.flag}"
        line = filled(command.name, form, {field.flag: field.value or "x" for field in form.fields})
        assert catalog().find(line).name == command.name
