"""One file, all mistakes at once, secrets by name only (INTERFACES.md, section 1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import load
from bot.errors import Broken, Unknown
from bot.target import CEILINGS, Environment, origin_of

GOOD = """\
default_target = "production"

[target.production]
environment = "production"
api_url = "https://brave-heron-112.convex.cloud"
site_url = "https://brave-heron-112.convex.site"
gmail_token_env = "GMAIL_TOKEN"
[target.production.ceilings]
in_flight = 80

[slack]
incident_channels = ["C0INC"]

[people.ann]
slack = ["U1"]
[roles]
responder = ["ann", "S0ONCALL"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "sendcat.toml"
    path.write_text(text)
    return path


def test_a_good_file_is_read_with_secrets_from_the_environment(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD), environ={"SENDCAT_DEPLOY_KEY": "prod:x|y", "GMAIL_TOKEN": "t0ken"})

    assert config is not None
    target = config.target_named(None)
    assert target.deploy_key is not None
    assert target.deploy_key.get_secret_value() == "prod:x|y"
    assert target.limits.in_flight == 80
    assert target.limits.requests == CEILINGS[Environment.PRODUCTION].requests
    assert "prod:x|y" not in repr(config) + config.model_dump_json()


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace('environment = "production"', 'environment = "prod"').replace("in_flight = 80", "in_flight = 0")
    with pytest.raises(Broken) as raised:
        load(write(tmp_path, text + "\n[slackk]\nx = 1\n"), environ={})

    said = str(raised.value)
    assert "sendcat.toml:4: target.production.environment" in said
    assert "sendcat.toml:9: target.production.ceilings.in_flight" in said
    assert "slackk" in said


def test_R36_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = GOOD.replace('gmail_token_env = "GMAIL_TOKEN"', 'gmail_token = "PLANTED"')
    with pytest.raises(Broken) as raised:
        load(write(tmp_path, text), environ={})

    assert "sendcat.toml:7" in str(raised.value)
    assert "gmail_token_env" in str(raised.value)
    assert "PLANTED" not in str(raised.value)


def test_an_unknown_target_names_the_nearest(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD), environ={})
    assert config is not None
    with pytest.raises(Unknown, match="--target=production"):
        config.target_named("prodution")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "ftp://x",
        "https://user:pw@host",
        "https://host/path",
        "https://host?x=1",
        "host",
        "",
        "https://",
    ],
)
def test_R14_a_target_is_a_bare_origin(url: str) -> None:
    with pytest.raises(ValueError):
        origin_of(url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Host.convex.site/", "https://host.convex.site"),
        ("https://h:443", "https://h"),
        ("http://127.0.0.1:3211", "http://127.0.0.1:3211"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_R14_origins_are_compared_exactly(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_the_site_host_is_no_api_host(tmp_path: Path) -> None:
    text = GOOD.replace("brave-heron-112.convex.cloud", "brave-heron-112.convex.site", 1)
    with pytest.raises(Broken, match=r"functions live on the \.convex\.cloud"):
        load(write(tmp_path, text), environ={})


def test_R15_two_targets_never_share_a_deployment(tmp_path: Path) -> None:
    second = GOOD.split("[target.production.ceilings]")[0].split("[target.production]")[1]
    with pytest.raises(Broken, match="share one site_url"):
        load(write(tmp_path, GOOD + "\n[target.candidate]" + second), environ={})


def test_no_file_is_no_configuration_but_a_named_one_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert load(environ={}) is None
    with pytest.raises(Broken, match="does not exist"):
        load(tmp_path / "other.toml", environ={})
