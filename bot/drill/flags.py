"""The flags of a drill, shared by every command that runs one; each is checked, none is silently replaced.

Names and defaults are the original's (operator-commands.md section 4). What it replaced in silence (an unknown profile,
a number that is none, a scale under 0.1) is refused here with what to type instead (R16; section 12, 2 and 29).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from bot.command import Args
from bot.config import Config
from bot.errors import Refused, Unknown
from slo.pool import DEFAULT_STRIDE, rotation
from slo.profiles import MIN_SCALE, Scale
from slo.profiles import profile as profile_named
from slo.scenarios import select

if TYPE_CHECKING:
    from bot.sendcat.load.planning import DrillOptions

BASE_URL = ("RELIABILITY_BASE_URL", "CONVEX_SITE_URL", "VITE_CONVEX_SITE_URL")
"""The original's variables for the site address, first one found."""

AS_WRITTEN = Path(".output/reliability")
"""The artifact directory as the runbook writes it."""

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "base-url": BASE_URL,
    "chat-rotation-mode": ("RELIABILITY_CHAT_ROTATION_MODE",),
    "chat-rotation-stride": ("RELIABILITY_CHAT_ROTATION_STRIDE",),
    "chat-rotation-seed": ("RELIABILITY_CHAT_ROTATION_SEED",),
    "chat-min-unique-coverage": ("RELIABILITY_CHAT_MIN_UNIQUE_COVERAGE",),
    "chat-min-unique-users": ("RELIABILITY_CHAT_MIN_UNIQUE_USERS",),
}
"""Flag to the variables of the terminal that stand for it; those that hold credentials belong to a target."""


def chosen(scenarios: str | None) -> tuple[str, ...] | None:
    """``gmail_push_webhook,whatsapp_webhook`` as names; None is all of them."""
    return None if scenarios is None else tuple(part.strip() for part in scenarios.split(",") if part.strip())


def _scenarios(value: str | None) -> str | None:
    return value if value is None else ",".join(select(chosen(value)))


def _approval(value: str | None) -> str | None:
    if value is not None and not (value.startswith("d-") and value[2:].isdigit()):
        raise ValueError("an approval is a decision such as d-12")
    return value


Scenarios = Annotated[str | None, AfterValidator(_scenarios)]
"""A comma list of scenarios, each known, in running order; see `chosen`."""
Approval = Annotated[str | None, AfterValidator(_approval)]
"""The id of a decision that raised a target's ceilings."""


def no_milestone(name: str, what: str) -> str:
    """The name of a profile for a ``what`` (gate, canary), which no milestone is. Raises `ValueError`."""
    found = profile_named(name)
    if found.streams is not None:
        raise ValueError(
            f"a milestone is no {what} profile: quick, standard, burst or soak;"
            f" {name} is proved by milestone-gate --milestone={name}"
        )
    return found.name


class ChatFlags(Args):
    """How the chat scenario is scaled and which of the pool's users it takes."""

    chat_auth_pool_file: str | None = None
    """A pool inside the artifact directory, for this run instead of the target's chat_pool_file."""
    chat_load_scale: float = 1
    """Factor for the number of chats of a stage, at least 0.1."""
    chat_concurrency_scale: float = 1
    """Factor for the workers or open streams of the chat scenario, at least 0.1."""
    chat_duration_scale: float = 1
    """Factor for how long chat stages and open streams are held, at least 0.1."""
    chat_rotation_mode: str = "round_robin"
    """round_robin, stride or random: which pool user sends a chat."""
    chat_rotation_stride: int = DEFAULT_STRIDE
    """Step of the rotation mode stride, at least 1."""
    chat_rotation_seed: str | None = Field(default=None, max_length=200)
    """Seed of the rotation modes stride and random; the profile's own without it."""
    chat_min_unique_coverage: float | None = None
    """Share of the pool's users that must take part, 0 to 1; negative switches it off."""
    chat_min_unique_users: int = Field(default=0, ge=0)
    """How many different pool users must take part; 0 is off."""

    @field_validator("chat_load_scale", "chat_concurrency_scale", "chat_duration_scale")
    @classmethod
    def _scale(cls, value: float) -> float:
        if not math.isfinite(value) or value <= 0:
            raise ValueError("a scale is a number above 0, for example 0.5")
        if value < MIN_SCALE:
            raise ValueError(
                f"{value:g} is under {MIN_SCALE}, the smallest scale (the original ran {MIN_SCALE} instead)"
            )
        return value

    @field_validator("chat_rotation_mode")
    @classmethod
    def _rotation(cls, value: str) -> str:
        return rotation(value)

    @field_validator("chat_rotation_stride")
    @classmethod
    def _stride(cls, value: int) -> int:
        if value < 1:
            raise ValueError("a stride is at least 1")
        return value

    @field_validator("chat_min_unique_coverage")
    @classmethod
    def _coverage(cls, value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and value <= 1):
            raise ValueError("a coverage is a share of the pool from 0 to 1, or negative for none")
        return value

    @property
    def scale(self) -> Scale:
        return Scale.of(self.chat_load_scale, self.chat_concurrency_scale, self.chat_duration_scale)

    def chat_options(self) -> DrillOptions:
        """These flags as `bot.measure.drill` takes them."""
        from bot.sendcat.load.planning import DrillOptions

        return DrillOptions(
            scale=self.scale,
            rotation_mode=self.chat_rotation_mode,
            rotation_stride=self.chat_rotation_stride,
            rotation_seed=self.chat_rotation_seed,
            min_unique_coverage=self.chat_min_unique_coverage,
            min_unique_users=self.chat_min_unique_users,
        )

    def pool_file(self, config: Config) -> Path | None:
        """The named pool; raises as `inside_artifacts`."""
        return inside_artifacts(config, self.chat_auth_pool_file) if self.chat_auth_pool_file else None


class DrillFlags(ChatFlags):
    """Everything that one drill can be told, beyond its profile."""

    scenarios: Scenarios = None
    """Comma list of gmail_push_webhook, whatsapp_webhook, chat_stream_http; all without it."""
    mode: Literal["open", "closed"] = "open"
    """open sends at the planned rate; closed waits for each answer, as the original did."""
    original_scale: bool = False
    """Milestones with the original's 40, 80 or 160 workers instead of their true number of streams."""
    processes: int = 1
    """How many load processes share the work."""
    approval: Approval = None
    """A decision such as d-12 that raised the target's ceilings for this drill."""

    @property
    def chosen_scenarios(self) -> tuple[str, ...] | None:
        return chosen(self.scenarios)

    def options(self) -> DrillOptions:
        """All flags as `bot.measure.drill` takes them."""
        from bot.sendcat.load.planning import DrillOptions

        return DrillOptions(
            **self.chat_options(),
            mode=self.mode,
            original_scale=self.original_scale,
            processes=self.processes,
        )


class DrillArgs(DrillFlags):
    """A drill as typed."""

    profile: str = "standard"
    """quick, standard, burst, soak, or a milestone with its true streams: m1_1k, m2_5k, m3_20k."""
    quick: bool = False
    """The quick profile, whatever --profile says: 30 requests for each webhook, 3 chats."""

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str) -> str:
        return profile_named(value).name

    @property
    def chosen(self) -> str:
        """``--quick`` wins over the profile, as in the original."""
        return "quick" if self.quick else self.profile


class CeilingArgs(DrillArgs):
    """The flags of the drill that is asked for, and why."""

    reason: str = ""
    """Why this load is needed now; it stands on the card."""


def inside_artifacts(config: Config, name: str) -> Path:
    """A file flag: a name inside the artifact directory, with or without the directory before it.

    The runbook's own name of that directory, ``.output/reliability/``, means it wherever it lies. Raises `Refused` for
    a place outside of it, `Unknown` when there is no such file (INTERFACES.md, section 1).
    """
    folder = config.artifact_dir.resolve()
    given = Path(name)
    if given.parent == AS_WRITTEN:
        given = Path(given.name)
    for path in (given, folder / given):
        found = path.resolve()
        if found.parent == folder and found.is_file():
            return found
    if len(given.parts) > 1 and given.resolve().parent != folder:
        raise Refused(
            f"{name[:80]} lies outside of {config.artifact_dir}.",
            rule="file flags are names inside the artifact directory (INTERFACES.md, section 1)",
            then=f"move it into {config.artifact_dir}, or name it under [target.NAME] as chat_pool_file",
        )
    raise Unknown(f"There is no file {given.name[:80]!r} in {config.artifact_dir}.", then="sendcat pool")
