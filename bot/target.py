"""One Sendcat deployment that people pick by name, and what a drill may do there (safety.md, R14-R16)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from slo.scenarios import SCENARIOS


class Frozen(BaseModel):
    """Settings: read once, never changed, and never shown with the values that were wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Environment(StrEnum):
    PRODUCTION = "production"
    STAGING = "staging"
    PRACTICE = "practice"


class Ceilings(Frozen):
    """What a drill may do at most; None is no limit of ours (VERDICTS.md, "Profiles")."""

    in_flight: int | None = Field(default=None, ge=1)
    streams: int | None = Field(default=None, ge=1)
    requests: int | None = Field(default=None, ge=1)
    minutes: int | None = Field(default=None, ge=1)


CEILINGS: dict[Environment, Ceilings] = {
    Environment.PRACTICE: Ceilings(),
    Environment.STAGING: Ceilings(in_flight=500, streams=1_000, requests=200_000, minutes=60),
    Environment.PRODUCTION: Ceilings(in_flight=160, streams=160, requests=50_000, minutes=30),
}


class PoolUser(Frozen):
    """One end user of the chat pool; live credentials, never shown."""

    auth_token: SecretStr = Field(alias="authToken")
    thread_id: str = Field(alias="threadId", min_length=1)
    email: str | None = None
    user_label: str | None = Field(default=None, alias="userLabel")

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, populate_by_name=True)


def origin_of(url: str) -> str:
    """Scheme, host and port, exactly (safety.md, R14); raises ValueError for anything else than a bare origin."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://NAME.convex.site")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError("must be a bare origin: no path, query or credentials")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("plain http is allowed to loopback only (safety.md, R14)")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port and parts.port != default else "")


class Target(Frozen):
    """One Sendcat deployment that people pick by name, never by URL."""

    name: str = ""
    environment: Environment
    api_url: str
    site_url: str
    app_url: str = "https://www.sendcat.app"
    deploy_key_env: str = "SENDCAT_DEPLOY_KEY"
    gmail_token_env: str | None = None
    whatsapp_secret_env: str | None = None
    chat_token_env: str | None = None
    chat_thread_id: str | None = None
    chat_pool_file: Path | None = None
    chat_pool_env: str | None = None
    """A variable that holds the pool itself, as JSON; it wins over the file."""
    loadtest_password_env: str | None = None
    """A variable that holds the password of the load-test users, with which `pool` signs them in and up."""
    practice_key_env: str | None = None
    """Key of a practice deployment's control surface, through which a game day weaves a fault in."""
    required_scenarios: tuple[Literal["gmail_push_webhook", "whatsapp_webhook", "chat_stream_http"], ...] = SCENARIOS  # type: ignore[assignment]
    ceilings: Ceilings = Ceilings()

    deploy_key: SecretStr | None = Field(default=None, exclude=True)
    gmail_token: SecretStr | None = Field(default=None, exclude=True)
    whatsapp_secret: SecretStr | None = Field(default=None, exclude=True)
    chat_token: SecretStr | None = Field(default=None, exclude=True)
    chat_pool: SecretStr | None = Field(default=None, exclude=True)
    loadtest_password: SecretStr | None = Field(default=None, exclude=True)
    practice_key: SecretStr | None = Field(default=None, exclude=True)
    """Secrets, resolved from the named variables when the configuration is built."""

    @field_validator("api_url", "site_url", "app_url")
    @classmethod
    def _bare_origin(cls, value: str) -> str:
        return origin_of(value)

    @model_validator(mode="after")
    def _hosts(self) -> Target:
        host = urlsplit(self.api_url).hostname or ""
        if host.endswith(".convex.site"):
            raise ValueError(
                "api_url: functions live on the .convex.cloud address; .convex.site serves the endpoints (site_url)"
            )
        if self.practice_key_env and self.environment is not Environment.PRACTICE:
            raise ValueError("practice_key_env: only a practice target has a control surface")
        return self

    @property
    def limits(self) -> Ceilings:
        """What a drill may do without asking: the target's own ceilings over the defaults of its environment.

        On production more open streams than the default need an approval, whatever the file says.
        """
        base = CEILINGS[self.environment]
        own = {k: v for k, v in self.ceilings.model_dump().items() if v is not None}
        if self.needs_approval and base.streams is not None:
            own["streams"] = min(own.get("streams", base.streams), base.streams)
        return Ceilings(**{**base.model_dump(), **own})

    @property
    def needs_approval(self) -> bool:
        """Whether a release manager may raise this target's ceilings for one drill (VERDICTS.md, "Profiles")."""
        return self.environment is Environment.PRODUCTION

    @property
    def approvable(self) -> Ceilings:
        """Up to where an approval may raise them: the target's own ``streams``; None is as far as the machine goes."""
        return Ceilings(streams=self.ceilings.streams)
