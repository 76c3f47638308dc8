"""Variables of the practice deployment: the parser's rules for every knob, and the rules of a change."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from bot.practice.sendcat.environment import Environment, VariableRefused, js_number, knobs

LISTED: list[dict[str, Any]] = json.loads(files("playbooks").joinpath("knobs.json").read_text("utf-8"))["knobs"]
BY_KIND = {kind: [entry for entry in LISTED if entry["type"] == kind] for kind in ("int", "bool", "string", "enum")}


def effective(entry: dict[str, Any], text: str | None) -> Any:
    """The value in force with the variable at ``text``."""
    environment = Environment({} if text is None else {entry["name"]: text})
    read = {"int": environment.number, "bool": environment.flag}.get(entry["type"], environment.text)
    return read(entry["name"])


def shown(entry: dict[str, Any], text: str | None) -> Any:
    """What the snapshot's ``config`` shows for the variable at ``text``."""
    branch: Any = {"config": Environment({} if text is None else {entry["name"]: text}).config()}
    for step in entry["snapshotPath"].split("."):
        branch = branch[step]
    return branch


def test_all_109_knobs_are_listed() -> None:
    assert len(knobs()) == 109
    assert sum(map(len, BY_KIND.values())) == 109


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry["name"])
def test_unset_and_empty_give_the_default_and_the_snapshot_shows_it(entry: dict[str, Any]) -> None:
    assert effective(entry, None) == entry["default"]
    assert effective(entry, "") == entry["default"]
    if entry["snapshotPath"]:
        template = entry.get("effectiveAs")
        assert shown(entry, None) == (template.replace("<value>", entry["default"]) if template else entry["default"])


@pytest.mark.parametrize("entry", BY_KIND["int"], ids=lambda entry: entry["name"])
def test_an_integer_outside_its_range_gives_the_default_and_is_never_clamped(entry: dict[str, Any]) -> None:
    low, high, default = entry["min"], entry["max"], entry["default"]
    assert effective(entry, str(low)) == low
    assert effective(entry, str(high)) == high
    assert effective(entry, str(low - 1)) == default
    assert effective(entry, str(high + 1)) == default
    assert effective(entry, f"  {high}.9 ") == high
    for odd in ("many", "1_0", "1,000", "NaN", "Infinity", "10ms", "--1"):
        assert effective(entry, odd) == default
    if entry["snapshotPath"]:
        assert shown(entry, str(high)) == high


@pytest.mark.parametrize("entry", BY_KIND["bool"], ids=lambda entry: entry["name"])
def test_a_switch_knows_six_words(entry: dict[str, Any]) -> None:
    for word in ("1", "true", "yes", " TRUE ", "Yes"):
        assert effective(entry, word) is True
    for word in ("0", "false", "no", " False ", "NO"):
        assert effective(entry, word) is False
    for word in ("on", "off", "2", "enabled", " "):
        assert effective(entry, word) == entry["default"]


@pytest.mark.parametrize("entry", BY_KIND["string"] + BY_KIND["enum"], ids=lambda entry: entry["name"])
def test_a_text_is_trimmed_and_must_fit(entry: dict[str, Any]) -> None:
    good = entry["enum"][-1] if "enum" in entry else "us-west-2"
    assert effective(entry, f" {good}\n") == good
    if "lower-case" in entry.get("normalise", ""):
        assert effective(entry, good.upper()) == good
    if "pattern" in entry or "enum" in entry:
        assert effective(entry, "not/good!") == entry["default"]
        assert effective(entry, f"{good}\nx") == entry["default"]
    if entry["snapshotPath"] and entry["name"] != "ADMISSION_REDIS_TOKEN":
        template = entry.get("effectiveAs")
        assert shown(entry, good) == (template.replace("<value>", good) if template else good)


def test_the_redis_token_is_redacted_and_the_address_is_not() -> None:
    config = Environment({"ADMISSION_REDIS_TOKEN": "hush", "ADMISSION_REDIS_URL": "https://redis.invalid"}).config()

    admission = config["admission"]
    assert isinstance(admission, dict)
    assert admission["redisToken"] == "***redacted***"
    assert admission["redisUrl"] == "https://redis.invalid"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 40 ", 40),
        ("1e3", 1000),
        ("40.9", 40.9),
        ("0x20", 32),
        ("0b11", 3),
        ("0o17", 15),
        (".5", 0.5),
        ("5.", 5),
        ("+5", 5),
        ("-5", -5),
        ("007", 7),
        (" ", 0),
        ("\ufeff7\u00a0", 7),
    ],
)
def test_numbers_are_read_as_javascript_reads_them(text: str, number: float) -> None:
    assert js_number(text) == number


@pytest.mark.parametrize("text", ["-0x20", "0x", "1e", "1 2", "١", "1n", "e3", "."])
def test_what_javascript_does_not_call_a_number_is_none(text: str) -> None:
    assert js_number(text) != js_number(text)


def test_changes_apply_together_deletions_first() -> None:
    environment = Environment({"A": "1", "B": "2"})

    environment.change([("A", "3"), ("A", None), ("B", None), ("C", "")])

    assert environment.texts() == {"A": "3", "C": ""}


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("1A", "x", "EnvironmentVariableNameInvalid"),
        ("A-B", "x", "EnvironmentVariableNameInvalid"),
        ("", "x", "EnvironmentVariableNameInvalid"),
        ("A" * 257, "x", "EnvironmentVariableNameTooLong"),
        ("A", "é" * 4097, "EnvironmentVariableValueTooLarge"),
        ("CONVEX_CLOUD_URL", "x", "EnvVarNameForbidden"),
    ],
)
def test_one_bad_change_refuses_all(name: str, text: str, code: str) -> None:
    environment = Environment({})

    with pytest.raises(VariableRefused) as refused:
        environment.change([("GOOD", "1"), (name, text)])

    assert refused.value.code == code
    assert environment.texts() == {}


def test_there_is_room_for_512_variables() -> None:
    environment = Environment({})
    environment.change([(f"V{number}", "x") for number in range(512)])

    with pytest.raises(VariableRefused, match="at most 512"):
        environment.set("ONE_MORE", "x")
