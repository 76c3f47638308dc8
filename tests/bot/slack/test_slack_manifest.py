"""The manifest is valid by Slack's schema and says what the code does, no more and no less."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

import bot.slack
from bot.clock import SystemClock
from bot.command import Args, Command, Door, Outcome
from bot.practice.slack import scopes
from bot.slack.app import Identity, Listeners
from bot.slack.manifest import COMMAND, EVENTS, OPTIONAL_SCOPES, SCOPES, manifest, to_yaml

SCHEMA = json.loads(Path("tests/data/slack/manifest.schema.json").read_text())


async def _run(_: Any, __: Any) -> Outcome:
    raise NotImplementedError


def command(name: str, *doors: Door) -> Command[Any]:
    return Command(name=name, summary="x", action="read", args=Args, run=_run, doors=frozenset(doors or {Door.SLACK}))


COMMANDS = [command("triage"), command("probe"), command("serve", Door.TERMINAL)]


@pytest.mark.parametrize("url", [None, "https://runbook.example.com", "https://runbook.example.com:8443/"])
def test_it_is_valid_by_slacks_schema(url: str | None) -> None:
    made = manifest(COMMANDS, url=url)

    jsonschema.Draft7Validator(SCHEMA).validate(made)
    assert made["settings"]["socket_mode_enabled"] is (url is None)
    assert ("url" in made["features"]["slash_commands"][0]) is (url is not None)


@pytest.mark.parametrize(
    "url", ["http://x.example", "runbook.example.com", "https://a.example/path", "https://u@a.example"]
)
def test_the_address_is_a_public_https_origin(url: str) -> None:
    with pytest.raises(ValueError, match="public origin"):
        manifest(COMMANDS, url=url)


def test_the_hint_names_the_commands_of_slack() -> None:
    [slash] = manifest(COMMANDS)["features"]["slash_commands"]

    assert (slash["command"], slash["usage_hint"], slash["should_escape"]) == ("/sendcat", "triage | probe", True)
    [crowded] = manifest([command(f"command-{n}") for n in range(200)])["features"]["slash_commands"]
    assert len(crowded["usage_hint"]) <= 1_000


def test_every_method_in_use_has_its_scope() -> None:
    """Each Web API method that `bot/slack` calls is covered; and each scope is needed by something."""
    source = "".join(path.read_text() for path in Path(bot.slack.__path__[0]).glob("*.py"))
    have = {*SCOPES, *OPTIONAL_SCOPES}
    needed: set[str] = set()
    for name in set(re.findall(r"[Cc]lient\.([a-z]+_[A-Za-z_]+)\(", source)) - _WITHOUT_SCOPE:
        method = re.sub(r"_([a-z])", lambda m: m.group(1).upper(), name.replace("_", ".", 1))
        wanted = set(scopes.accepted(_METHODS.get(name, method)))
        assert wanted & have, f"{name} needs one of {wanted}"
        needed |= wanted & have
    by_events = {scopes.EVENT_SCOPES[event] for event in EVENTS if event in scopes.EVENT_SCOPES}

    assert have - needed - by_events == {"commands", "chat:write.public"}


_WITHOUT_SCOPE = {
    *("auth_test", "bots_info", "apps_connections_open", "is_connected", "chat_getPermalink"),
    *("views_open", "views_publish"),
}
_METHODS = {
    "chat_postMessage": "chat.postMessage",
    "chat_postEphemeral": "chat.postEphemeral",
    "users_info": "users.info",
    "usergroups_users_list": "usergroups.users.list",
    "bookmarks_add": "bookmarks.add",
    "bookmarks_remove": "bookmarks.remove",
    "pins_add": "pins.add",
    "pins_remove": "pins.remove",
    "files_getUploadURLExternal": "files.getUploadURLExternal",
    "files_completeUploadExternal": "files.completeUploadExternal",
}


def test_every_declared_kind_has_a_listener_and_back() -> None:
    """One listener each for commands, buttons, forms, shortcuts and events; the manifest asks for exactly those."""

    class Recorder:
        def __init__(self) -> None:
            self.found: list[tuple[str, Any]] = []

        def __getattr__(self, kind: str) -> Any:
            def register(what: Any) -> Any:
                self.found.append((kind, what))
                return lambda listener: listener

            return register

    recorder = Recorder()
    listeners = Listeners(None, None, Identity(), SystemClock(), None)  # type: ignore[arg-type]
    listeners.register(recorder)  # type: ignore[arg-type]
    kinds = [kind for kind, _ in recorder.found]
    made = manifest(COMMANDS)

    declared = [slash["command"] for slash in made["features"]["slash_commands"]]
    assert declared == [what for kind, what in recorder.found if kind == "command"] == [COMMAND]
    events = [what for kind, what in recorder.found if kind == "event"]
    assert events == made["settings"]["event_subscriptions"]["bot_events"] == sorted(EVENTS)
    assert [kinds.count(kind) for kind in ("action", "view", "shortcut", "error")] == [1, 1, 1, 1]
    assert made["settings"]["interactivity"]["is_enabled"] is True
    assert made["features"]["app_home"]["home_tab_enabled"] is True


def test_bolt_takes_the_listeners() -> None:
    app = AsyncApp(client=AsyncWebClient(token="xoxb-x"), signing_secret="x")
    Listeners(None, None, Identity(), SystemClock(), None).register(app)  # type: ignore[arg-type]

    assert len(app._async_listeners) == 4 + len(EVENTS)


def test_yaml_says_the_same() -> None:
    for url in (None, "https://runbook.example.com"):
        made = manifest(COMMANDS, url=url)
        assert yaml.safe_load(to_yaml(made)) == made


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{2}_[a-z]{1,6}", fullmatch=True), _VALUES, max_size=4))
def test_yaml_of_anything_reads_back(value: dict[str, Any]) -> None:
    text = to_yaml(value)

    assert (yaml.safe_load(text) or {}) == value
    assert to_yaml(value) == text
