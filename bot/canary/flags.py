"""The flags of a canary (operator-commands.md section 6), and what they mean: two targets, and limits for one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from bot.asking import ReleaseArgs
from bot.config import Config
from bot.drill.flags import Scenarios, chosen, no_milestone
from bot.errors import Refused, Unknown
from bot.target import Target, origin_of
from slo.profiles import MIN_SCALE

if TYPE_CHECKING:
    from bot.sendcat.load.plan import DrillPlan
    from slo.rounds import Side

VARIABLES: Mapping[str, tuple[str, ...]] = {
    "control-url": ("RELIABILITY_CONTROL_URL", "RELIABILITY_BASE_URL"),
    "candidate-url": ("RELIABILITY_CANDIDATE_URL", "RELIABILITY_BASE_URL"),
}
"""The original's variables, first one found; a name that was typed counts before an address."""
LOOK_MINUTES, LOOK_LIMIT = 15, 100
"""The snapshots around a canary look at the same window as a normal release gate's."""


class CanaryArgs(ReleaseArgs):
    control: str | None = None
    """The target that serves traffic now; the default target without it."""
    candidate: str | None = None
    """The target that may be promoted."""
    control_url: str | None = None
    """As in the runbook: an address, which must be a registered target's origin."""
    candidate_url: str | None = None
    """Likewise."""
    release: str | None = None
    """What runs on the candidate, NAME or NAME@COMMIT; the promotion is then about that."""
    profile: str = "quick"
    """Drill profile: quick, standard, burst, soak."""
    scenarios: Scenarios = None
    """Comma list; what the targets require and is left out here must be waived."""
    chat_load_scale: float = Field(default=1, ge=MIN_SCALE, le=100, allow_inf_nan=False)
    """Factor for the number of chats of a stage, at least 0.1, on both sides."""
    blocks: int | None = Field(default=None, ge=1, le=8)
    """Blocks of four rounds (control, candidate, candidate, control); by itself as many as the profile needs."""
    policy: str | None = None
    """Another canary policy; a file name in the artifact directory."""
    max_p95_regression_ratio: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """How many times the control's p95 the candidate's may be (1.25); either this or the next must hold."""
    max_p95_absolute_regression_ms: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """How many ms slower its p95 may be (1000)."""
    max_5xx_regression_rate: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """How much the rate of 5xx may rise, 0 to 1 (0.02)."""
    max_network_regression_rate: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """How much the rate of network errors may rise, 0 to 1 (0.02)."""
    max_unknown_regression_rate: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """How much the rate of unknown statuses may rise, 0 to 1 (0.02)."""

    @field_validator("profile")
    @classmethod
    def _known(cls, value: str) -> str:
        return no_milestone(value, "canary")

    @property
    def chosen_scenarios(self) -> tuple[str, ...] | None:
        return chosen(self.scenarios)

    @property
    def overrides(self) -> dict[str, float | None]:
        """Limits given by flag, by their names in the policy."""
        return {
            "max_p95_regression_ratio": self.max_p95_regression_ratio,
            "max_p95_absolute_regression_ms": self.max_p95_absolute_regression_ms,
            "max_five_xx_rate_regression": self.max_5xx_regression_rate,
            "max_network_error_rate_regression": self.max_network_regression_rate,
            "max_unknown_status_rate_regression": self.max_unknown_regression_rate,
        }


@dataclass(frozen=True)
class Pair:
    """The two deployments of a canary."""

    control: Target
    candidate: Target

    def __getitem__(self, side: str) -> Target:
        return self.control if side == "control" else self.candidate

    @property
    def required(self) -> tuple[str, ...]:
        """What must run on both: everything that either of them requires."""
        return tuple(dict.fromkeys((*self.control.required_scenarios, *self.candidate.required_scenarios)))

    @property
    def origins(self) -> tuple[str, ...]:
        """Both load addresses in one order for everybody, so that two canaries never wait for each other."""
        return tuple(sorted({self.control.site_url, self.candidate.site_url}))


def pair(config: Config, args: CanaryArgs, default: Target) -> Pair:
    """Which targets are meant. Raises `Unknown` or `Refused`, with what to type or to add instead."""
    control = _side(config, "control", args.control, args.control_url) or default
    candidate = _side(config, "candidate", args.candidate, args.candidate_url)
    if candidate is None:
        others = [name for name in config.target if name != control.name]
        raise Unknown(
            "Which target is the candidate?",
            then=f"--candidate={others[0]}" if others else "add [target.candidate] to sendcat.toml",
            fields={"candidate": "a target other than the control"},
        )
    rule = "control and candidate are different targets with different origins (VERDICTS, Canary)"
    if control.name == candidate.name:
        raise Refused(f"{control.name} would be compared with itself.", rule=rule, then="--candidate=NAME")
    for word in ("site_url", "api_url"):
        if getattr(control, word) == getattr(candidate, word):
            raise Refused(
                f"{control.name} and {candidate.name} have the same {word}: one deployment under two names.",
                rule=rule,
                then=f"correct {word} under [target.{candidate.name}] in sendcat.toml",
            )
    return Pair(control, candidate)


def _side(config: Config, side: str, name: str | None, url: str | None) -> Target | None:
    named = None
    if name is not None:
        try:
            named = config.target_named(name)
        except Unknown as error:
            then = (error.then or "").replace("--target=", f"--{side}=")
            raise Unknown(error.what, rule=error.rule, then=then, fields={side: error.what}) from None
    addressed = _at(config, side, url) if url is not None else None
    if named is not None and addressed is not None and named.name != addressed.name:
        raise Refused(
            f"--{side} says {named.name}, --{side}-url says {addressed.name}.",
            rule="one side is one target",
            then=f"leave one of the two out: --{side}={named.name}",
        )
    return named or addressed


def _at(config: Config, side: str, url: str) -> Target:
    """The target of an address, which is only another spelling of its name (R14)."""
    try:
        origin = origin_of(url)
    except ValueError as error:
        raise Unknown(
            f"--{side}-url {error}.", then=f"--{side}=NAME, or --{side}-url=https://NAME.convex.site"
        ) from None
    found = next((target for target in config.target.values() if target.site_url == origin), None)
    if found is None:
        raise Refused(
            f"No registered target has the origin {origin}.",
            rule="people pick a configured target; an address must be the origin of one (R14)",
            then="add these lines to sendcat.toml:\n" + toml_lines(side, origin),
        )
    return found


def toml_lines(side: str, origin: str) -> str:
    """What to add to `sendcat.toml` so that an address is known."""
    api = origin.replace(".convex.site", ".convex.cloud") if ".convex.site" in origin else "https://NAME.convex.cloud"
    return "\n".join(
        (
            f"[target.{side}]",
            'environment = "production"',
            f'api_url = "{api}"',
            f'site_url = "{origin}"',
            f'deploy_key_env = "{side.upper()}_DEPLOY_KEY"',
        )
    )


def within(plans: Mapping[Side, DrillPlan], pair: Pair, rounds: int, profile: str) -> None:
    """All rounds are one operation: each side stays below its ceilings (R16; VERDICTS, "Profiles")."""
    long_s = sum(plan.duration_ms for plan in plans.values()) / 1000 * rounds
    for side, plan in plans.items():
        target = pair[side]
        asked = {"requests": plan.requests * rounds, "minutes": round(long_s / 60, 1)}
        for word, ceiling in (("requests", target.limits.requests), ("minutes", target.limits.minutes)):
            if ceiling is not None and asked[word] > ceiling:
                raise Refused(
                    f"This canary plans {asked[word]:g} {word}; the ceiling of {target.name}"
                    f" ({target.environment.value}) is {ceiling}.",
                    rule=f"ceiling `{word}` of one operation (R16; VERDICTS, Profiles)",
                    then="take fewer rounds or a smaller profile: "
                    + ("--blocks=1" if rounds > 2 else f"--profile={'quick' if profile != 'quick' else 'NAME'}"),
                )
