"""One frozen configuration, built once from ``sendcat.toml`` and the environment (INTERFACES.md, section 1).

The only module that reads ``os.environ``. Unknown keys and wrong values are reported all at once, each with its line.
Secrets are named by the environment variable that holds them and never stand in the file.
"""

from __future__ import annotations

import os
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from bot.errors import Broken, Unknown
from bot.target import Environment, Frozen, Target, origin_of


class Slack(Frozen):
    """Channels by id and the tokens' variables. Writes happen only in listed or bound channels (R8)."""

    incident_channels: tuple[str, ...] = ()
    release_channel: str | None = None
    alert_channel: str | None = None
    anchor_channel: str | None = None
    timeline_emoji: str = Field(default="pushpin", pattern=r"^[a-z0-9_+'-]{1,100}$")
    """Put on a message, this adds it to the incident's timeline (ux.md, rule 11)."""
    bot_token_env: str = "SLACK_BOT_TOKEN"
    app_token_env: str = "SLACK_APP_TOKEN"
    signing_secret_env: str = "SLACK_SIGNING_SECRET"
    api_url: str = "https://slack.com/api/"
    team_id: str | None = None
    """Filled by ``auth.test`` at start when not given; requests of another workspace are refused."""

    bot_token: SecretStr | None = Field(default=None, exclude=True)
    app_token: SecretStr | None = Field(default=None, exclude=True)
    signing_secret: SecretStr | None = Field(default=None, exclude=True)

    @property
    def channels(self) -> frozenset[str]:
        """Every listed channel."""
        named = (self.release_channel, self.alert_channel, self.anchor_channel)
        return frozenset(self.incident_channels) | {c for c in named if c}


class Person(Frozen):
    """One human and all their accounts (safety.md, decision 6)."""

    slack: tuple[str, ...] = ()
    os: tuple[str, ...] = ()


class Roles(Frozen):
    """Person names or Slack user-group ids; an empty list means nobody (R7)."""

    responder: tuple[str, ...] = ()
    release_manager: tuple[str, ...] = ()
    manager: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()


def _outside(value: str) -> str:
    """An https address (http to loopback only), with its path."""
    parts = urlsplit(value)
    origin_of(f"{parts.scheme}://{parts.netloc}")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_outside)]


class Provider(Frozen):
    """Where playbook B looks for a provider's status and quota, and playbook E for fresh answers."""

    status_url: Address | None = None
    """A status page's JSON, such as https://status.openrouter.ai/api/v2/status.json."""
    api_url: Address | None = None
    """Another address of the provider's own interface; only for stand-ins and proxies."""
    key_env: str | None = None
    queries: tuple[str, ...] = ()
    """Searches that people ask often: playbook E compares their cached answers with fresh ones."""

    key: SecretStr | None = Field(default=None, exclude=True)


class Sentry(Frozen):
    """Where playbook A reads warnings."""

    organization: str = ""
    project: str = ""
    token_env: str = "SENTRY_AUTH_TOKEN"
    api_url: Address = "https://sentry.io"

    token: SecretStr | None = Field(default=None, exclude=True)

    @property
    def ready(self) -> bool:
        return bool(self.organization and self.project and self.token)


class GitHub(Frozen):
    """Where playbook G opens its ticket."""

    repository: Annotated[str, StringConstraints(pattern=r"^([\w.-]+/[\w.-]+)?$")] = ""
    token_env: str = "GITHUB_TOKEN"
    api_url: Address = "https://api.github.com"

    token: SecretStr | None = Field(default=None, exclude=True)

    @property
    def ready(self) -> bool:
        return bool(self.repository and self.token)


class Backups(Frozen):
    """How often the database is copied, and how many copies are kept in ``state_dir/backups``."""

    every_hours: int = Field(default=6, ge=0, le=24)
    """0 makes none by the clock."""
    keep: int = Field(default=8, ge=1, le=1000)


class Config(Frozen):
    """Everything that is set, in one frozen value."""

    default_target: str | None = None
    state_dir: Path = Path(".sendcat")
    artifact_dir: Path = Path(".output/reliability")
    runbook_dir: Path = Path("docs/reliability")
    target: dict[str, Target] = Field(default_factory=dict)
    slack: Slack = Slack()
    people: dict[str, Person] = Field(default_factory=dict)
    roles: Roles = Roles()
    providers: dict[str, Provider] = Field(default_factory=dict)
    sentry: Sentry = Sentry()
    github: GitHub = GitHub()
    backup: Backups = Backups()
    time_zone: str = ""
    """Zone of the local times in a post-incident report, for example Europe/Berlin; empty: the host's."""
    log_json: bool = True
    http_host: str = "0.0.0.0"
    """Where HTTP mode listens; the practice bot listens on loopback."""
    source: Path | None = Field(default=None, exclude=True)
    """The file this came from; None for the practice defaults."""

    @model_validator(mode="after")
    def _names(self) -> Config:
        if self.default_target and self.default_target not in self.target:
            raise ValueError(f"default_target: no [target.{self.default_target}] in this file")
        for role, members in self.roles.model_dump().items():
            for member in members:
                if member not in self.people and not re.fullmatch(r"S[A-Z0-9]{2,}", member):
                    raise ValueError(f"roles.{role}: {member!r} is neither in [people] nor a Slack user-group id")
        if self.time_zone and self.time_zone not in zoneinfo.available_timezones():
            raise ValueError(f"time_zone: there is no zone {self.time_zone!r}; write one such as Europe/Berlin")
        origins = [t.site_url for t in self.target.values()]
        if len(set(origins)) != len(origins):
            raise ValueError("target: two targets share one site_url; each deployment is registered once (R15)")
        return self

    def target_named(self, name: str | None) -> Target:
        """The target of this name, or the default one; `Unknown` names what exists."""
        import difflib

        wanted = name or self.default_target
        if wanted is None:
            raise Unknown("No target is set.", then="add default_target to sendcat.toml, or type --target=practice")
        if wanted in self.target:
            return self.target[wanted]
        near = difflib.get_close_matches(wanted, self.target, n=1)
        known = ", ".join(sorted(self.target)) or "none"
        raise Unknown(
            f"No target is called {wanted!r}. Targets: {known}.",
            rule="people pick a configured target by name (R14)",
            then=f"--target={near[0]}" if near else "add [target.NAME] to sendcat.toml",
        )

    def secrets(self) -> tuple[str, ...]:
        """Every secret value in use, for the scrubber (R36)."""
        held: list[SecretStr | None] = [self.slack.bot_token, self.slack.app_token, self.slack.signing_secret]
        for target in self.target.values():
            held += [target.deploy_key, target.gmail_token, target.whatsapp_secret, target.chat_token]
            held += [target.loadtest_password, target.practice_key]
        held += [self.sentry.token, self.github.token, *(provider.key for provider in self.providers.values())]
        return tuple(s.get_secret_value() for s in held if s is not None)


def load(path: str | Path | None = None, *, environ: Mapping[str, str] | None = None) -> Config | None:
    """Read the configuration; None when there is none.

    ``path`` wins over ``SENDCAT_CONFIG``, which wins over ``sendcat.toml`` in the current directory.
    Raises `Broken` with every mistake at once, each with its line.
    """
    env = os.environ if environ is None else environ
    named = path or env.get("SENDCAT_CONFIG")
    file = Path(named) if named else Path("sendcat.toml")
    if not file.exists():
        if named:
            raise Broken(f"{file} does not exist.", then="check --config or SENDCAT_CONFIG")
        return None
    text = file.read_text(encoding="utf-8")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Broken(f"{file}: {error}.", then="mend the file and run `sendcat doctor`") from error
    return build(raw, text=text, file=file, environ=env)


def build(
    raw: dict[str, Any],
    *,
    text: str = "",
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Check parsed settings and resolve the named secrets. Raises `Broken` as `load` does."""
    env = os.environ if environ is None else environ
    raw = {**raw}
    _no_secrets(raw, text, file)
    targets = raw.get("target")
    if isinstance(targets, dict):
        if len(targets) == 1:
            targets = {name: _as_original(body, env) for name, body in targets.items()}
        raw["target"] = {
            name: {**body, "name": name, **_secrets(body, env, _TARGET_SECRETS)} if isinstance(body, dict) else body
            for name, body in targets.items()
        }
    providers = raw.get("providers")
    if isinstance(providers, dict):
        raw["providers"] = {
            name: {**body, **_secrets(body, env, _PROVIDER_SECRETS)} if isinstance(body, dict) else body
            for name, body in providers.items()
        }
    for section, names in _SECTION_SECRETS.items():
        body = raw.get(section, {})
        if isinstance(body, dict):
            raw[section] = {**body, **_secrets(body, env, names)}
    try:
        return Config(**raw, source=file)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_input=False, include_url=False):
            where = ".".join(str(part) for part in problem["loc"])
            line = _line_of(text, [str(part) for part in problem["loc"]])
            message = problem["msg"].removeprefix("Value error, ")
            at = f"{file or 'configuration'}" + (f":{line}" if line else "")
            lines.append(f"{at}: {where + ': ' if where else ''}{message}")
        raise Broken(
            "The configuration has mistakes:\n" + "\n".join(lines), then="mend them and run `sendcat doctor`"
        ) from None


_TARGET_SECRETS = {
    "deploy_key": "SENDCAT_DEPLOY_KEY",
    "gmail_token": None,
    "whatsapp_secret": None,
    "chat_token": None,
    "chat_pool": None,
    "loadtest_password": None,
    "practice_key": None,
}
_ORIGINAL = {
    "gmail_token_env": "GMAIL_PUBSUB_VERIFY_TOKEN",
    "whatsapp_secret_env": "WHATSAPP_APP_SECRET",
    "chat_token_env": "RELIABILITY_AUTH_TOKEN",
    "chat_pool_env": "RELIABILITY_CHAT_AUTH_POOL_JSON",
    "loadtest_password_env": "RELIABILITY_LOADTEST_PASSWORD",
}
"""The original's variables. They say of which deployment they are by nothing, so only a file with one target reads
them without naming them (safety.md, R15)."""
_ORIGINAL_PLAIN = {"chat_thread_id": "RELIABILITY_THREAD_ID", "chat_pool_file": "RELIABILITY_CHAT_AUTH_POOL_FILE"}
_SLACK_SECRETS = {
    "bot_token": "SLACK_BOT_TOKEN",
    "app_token": "SLACK_APP_TOKEN",
    "signing_secret": "SLACK_SIGNING_SECRET",
}
_PROVIDER_SECRETS: dict[str, str | None] = {"key": None}
_SECTION_SECRETS: dict[str, dict[str, str]] = {
    "slack": _SLACK_SECRETS,
    "sentry": {"token": "SENTRY_AUTH_TOKEN"},
    "github": {"token": "GITHUB_TOKEN"},
}


def _as_original(body: Any, env: Mapping[str, str]) -> Any:
    """The only target of a file, with the original's variables where it names none of its own."""
    if not isinstance(body, dict) or body.get("environment") == Environment.PRACTICE.value:
        return body
    plain = {field: env[name] for field, name in _ORIGINAL_PLAIN.items() if env.get(name)}
    return {**_ORIGINAL, **plain, **body}


def _no_secrets(raw: Mapping[str, Any], text: str, file: Path | None) -> None:
    """Refuse secret values in the file itself, before anything could print them (R36)."""
    places: list[tuple[str, ...]] = []
    for section, names in _SECTION_SECRETS.items():
        body = raw.get(section)
        places += [(section, name) for name in names if isinstance(body, dict) and name in body]
    for section, secrets in (("target", _TARGET_SECRETS), ("providers", _PROVIDER_SECRETS)):
        tables = raw.get(section)
        for name, body in tables.items() if isinstance(tables, dict) else ():
            if isinstance(body, dict):
                places += [(section, name, secret) for secret in secrets if secret in body]
    if places:
        lines = [
            f"{file or 'configuration'}:{_line_of(text, list(path)) or '?'}: {'.'.join(path)}: "
            f"a secret does not stand in this file; name its variable with {path[-1]}_env"
            for path in places
        ]
        raise Broken(
            "The configuration holds secrets:\n" + "\n".join(lines),
            rule="secrets are named, never written (R36)",
            then="move them to environment variables, and treat them as known to others",
        )


def _secrets(body: Mapping[str, Any], env: Mapping[str, str], names: Mapping[str, str | None]) -> dict[str, Any]:
    found = {}
    for field, default in names.items():
        variable = body.get(f"{field}_env", default)
        if isinstance(variable, str) and env.get(variable):
            found[field] = env[variable]
    return found


def _line_of(text: str, path: list[str]) -> int | None:
    """Line of a key in TOML text: its table header, then the key below it; None when it cannot be told."""
    if not text or not path:
        return None
    lines = text.splitlines()
    for depth in range(len(path), 0, -1):
        table, key = ".".join(path[: depth - 1]), path[depth - 1]
        current = ""
        for number, line in enumerate(lines, 1):
            header = re.match(r"\s*\[\s*([^\]]+?)\s*\]", line)
            if header:
                current = header.group(1).replace('"', "")
                if current == (f"{table}.{key}" if table else key):
                    return number
            elif current == table and re.match(rf'\s*"?{re.escape(key)}"?\s*=', line):
                return number
    return None


def variable(name: str) -> str | None:
    """One environment variable by name; every other module asks here."""
    return os.environ.get(name)
