"""What several commands ask for in the same words: a release, and a target."""

from __future__ import annotations

import re

from pydantic import field_validator

from bot.card import Field
from bot.command import Args
from bot.config import Config

_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}(@[0-9a-fA-F]{7,40})?")


class ReleaseArgs(Args):
    """Arguments of a command that may be about a release."""

    release: str | None = None
    """The release, NAME or NAME@COMMIT."""

    @field_validator("release")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        if value is not None and not _RELEASE.fullmatch(value):
            raise ValueError("NAME or NAME@COMMIT: letters, digits, . _ - and 7 to 40 hex digits")
        return value

    @property
    def name(self) -> str | None:
        """The release without its commit."""
        return self.release.partition("@")[0] if self.release else None

    @property
    def commit(self) -> str | None:
        return (self.release or "").partition("@")[2] or None


def targets(config: Config) -> tuple[tuple[str, str], ...]:
    """Every target as an option of a form: its name, and what a person reads."""
    return tuple((name, f"{name} ({target.environment.value})") for name, target in config.target.items())


def target_field(config: Config) -> Field:
    """The question which target; without an answer it is the default one."""
    return Field(
        flag="target",
        label="Target",
        kind="choice",
        options=targets(config),
        value=config.default_target or "",
        optional=True,
    )


def same_commit(judged: object, wanted: str) -> bool:
    """Whether a commit is the judged one; either may be cut short, to seven digits at least. None wanted: any."""
    if not wanted:
        return True
    if not isinstance(judged, str) or min(len(judged), len(wanted)) < 7:
        return False
    return judged.lower().startswith(wanted.lower()) or wanted.lower().startswith(judged.lower())
