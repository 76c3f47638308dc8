"""From a wish to a plan: names checked, credentials counted, ceilings held (safety.md, R16; VERDICTS, "Profiles")."""

from __future__ import annotations

import math
import resource
from collections.abc import Iterable
from typing import TypedDict

from bot.errors import Refused, Unknown
from bot.sendcat.load.credentials import drill_secrets, what_to_set
from bot.sendcat.load.plan import DrillPlan, DrillSecrets, Mode, ScenarioPlan
from bot.sendcat.load.share import MOST_PROCESSES
from bot.target import Ceilings, Target
from slo.errors import SloError
from slo.errors import Unknown as UnknownName
from slo.original import limits
from slo.policy import Baseline
from slo.policy import load as load_policy
from slo.pool import DEFAULT_STRIDE, Rotation, rotation
from slo.profiles import Profile, Scale
from slo.profiles import profile as profile_named
from slo.scenarios import CHAT, select


class AboveCeiling(Refused):
    """A ceiling that a release manager may raise for this one drill."""


SPARE_FILES = 200
"""Open files that are not load connections."""


class DrillOptions(TypedDict, total=False):
    """The wishes of a drill beyond profile and scenarios, as `plan_drill` takes them."""

    mode: Mode
    scale: Scale | None
    rotation_mode: str
    rotation_stride: int
    rotation_seed: str | None
    min_unique_coverage: float | None
    min_unique_users: int
    original_scale: bool
    processes: int


def plan_drill(
    target: Target,
    profile: str = "quick",
    scenarios: Iterable[str] | None = None,
    *,
    quick: bool = False,
    mode: Mode = "open",
    scale: Scale | None = None,
    rotation_mode: str = "round_robin",
    rotation_stride: int = DEFAULT_STRIDE,
    rotation_seed: str | None = None,
    min_unique_coverage: float | None = None,
    min_unique_users: int = 0,
    original_scale: bool = False,
    processes: int = 1,
    ceilings: Ceilings | None = None,
    approval: str | None = None,
    secrets: DrillSecrets | None = None,
    baseline: Baseline | None = None,
) -> DrillPlan:
    """What a drill on this target will do.

    ``quick`` is the flag ``--quick=true``, which overrides the profile. ``original_scale`` runs a milestone with the
    original's 40/80/160 workers instead of its true number of streams, as does ``mode="closed"``. ``processes``
    is how many load processes share the work. ``ceilings`` are raised ones that ``approval`` allowed. Raises `Unknown`
    for a name that does not exist (with the nearest), `Refused` naming the ceiling that the plan would break, `Broken`
    for an unusable chat pool.
    """
    chosen, names, mode_of_rotation = _names(profile if not quick else "quick", scenarios, rotation_mode)
    held = secrets if secrets is not None else drill_secrets(target)
    factors = scale or Scale()
    if rotation_stride < 1 or min_unique_users < 0:
        raise Unknown("The rotation stride is at least 1 and the number of unique users at least 0.")
    if not 1 <= processes <= MOST_PROCESSES:
        raise Unknown(f"--processes is 1 to {MOST_PROCESSES}.", then="--processes=2")
    true_scale = mode == "open" and not original_scale
    by_name = {name: _scenario(chosen, name, factors, held, target, true_scale) for name in names}
    plan = DrillPlan(
        target=target.name,
        site_url=target.site_url,
        profile=chosen.name,
        quick=quick,
        mode=mode,
        only=names if scenarios is not None else None,
        required=tuple(target.required_scenarios),
        scenarios=tuple(by_name.values()),
        scale=factors,
        pool_size=len(held.chat_users) if held.pooled else 0,
        rotation_mode=mode_of_rotation,
        rotation_stride=rotation_stride if mode_of_rotation == "stride" else None,
        rotation_seed=rotation_seed if rotation_seed is not None else chosen.default_seed,
        min_unique_coverage=min_unique_coverage,
        min_unique_users=min_unique_users,
        consume_body=chosen.consume_body,
        processes=processes,
        approval=approval,
        ceilings=ceilings or target.limits,
        baseline=baseline or load_policy(Baseline),
    )
    _within(plan, target)
    _reachable(plan, target, held)
    return plan


def _reachable(plan: DrillPlan, target: Target, secrets: DrillSecrets) -> None:
    """A coverage of the pool that the rotation can never reach is said before the load, not after it."""
    selector = plan.selector(len(secrets.chat_users))
    if not plan.pool_size or selector is None or all(item.name != CHAT for item in plan.scenarios):
        return
    needed = plan.min_unique_coverage
    if needed is None:
        needed = limits(plan.profile, CHAT).min_unique_pool_coverage or 0.0
    least = max(math.ceil(needed * plan.pool_size - 1e-9), plan.min_unique_users)
    if least <= selector.reach:
        return
    if plan.pool_size < least:
        raise Refused(
            f"The chat pool of {target.name} has {plan.pool_size} users; at least {least} are asked for.",
            rule="a check that cannot pass is said before the load",
            then=f"sendcat pool --count={least}, or lower --chat-min-unique-users",
        )
    stride = next(
        n for n in range(selector.stride, selector.stride + plan.pool_size) if math.gcd(n, plan.pool_size) == 1
    )
    raise Refused(
        f"With stride {selector.stride} only {selector.reach} of {plan.pool_size} pool users are ever chosen;"
        f" at least {least} are asked for.",
        rule="a stride that shares a factor with the size of the pool leaves users out",
        then=f"--chat-rotation-stride={stride}",
    )


def _names(
    profile: str, scenarios: Iterable[str] | None, rotation_mode: str
) -> tuple[Profile, tuple[str, ...], Rotation]:
    try:
        return profile_named(profile), select(scenarios), rotation(rotation_mode)
    except UnknownName as error:
        flag = {"profile": "--profile", "scenario": "--scenarios"}.get(error.noun, "--chat-rotation-mode")
        raise Unknown(
            f"No {error.noun} is called {error.name[:60]!r}. Known: {', '.join(error.known)}.",
            rule="an unknown name is an error, never a default (R16)",
            then=f"{flag}={error.nearest}" if error.nearest else None,
        ) from None
    except SloError as error:
        raise Unknown(str(error)) from None


def _scenario(
    profile: Profile, name: str, scale: Scale, secrets: DrillSecrets, target: Target, true_scale: bool
) -> ScenarioPlan:
    if name != CHAT:
        return ScenarioPlan(name=name, stages=profile.stages(name))
    if not secrets.chat_users:
        return ScenarioPlan(name=name, skipped=what_to_set(target))
    if profile.streams is not None and true_scale:
        return ScenarioPlan(name=name, streams=scale.streams(profile.streams))
    return ScenarioPlan(name=name, stages=profile.stages(name, scale))


def _within(plan: DrillPlan, target: Target) -> None:
    """Every ceiling of the target; a duration stage in closed loop is held at the send loop alone."""
    limits = plan.ceilings
    minutes = plan.duration_ms / 60_000
    if limits.requests is not None and plan.requests > limits.requests:
        raise _over(target, "requests", plan.requests, limits.requests)
    if limits.minutes is not None and minutes > limits.minutes:
        raise _over(target, "minutes", math.ceil(minutes), limits.minutes)
    for scenario in plan.scenarios:
        if scenario.skipped is not None:
            continue
        chat = scenario.name == CHAT
        ceiling, word = (limits.streams, "streams") if chat else (limits.in_flight, "in_flight")
        asked = scenario.streams.streams if scenario.streams else max(stage.workers for stage in scenario.stages)
        if ceiling is not None and asked > ceiling:
            raise _over(target, word, asked, ceiling)
        _fits_machine(asked, plan.processes)


def _fits_machine(asked: int, processes: int) -> None:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or math.ceil(asked / processes) + SPARE_FILES <= files:
        return
    enough = math.ceil(asked / max(1, files - SPARE_FILES))
    raise Refused(
        f"{asked} open connections do not fit: this machine allows {files} open files for each process.",
        rule="the limits of the machine are checked before the start",
        then=f"--processes={enough}" if enough <= MOST_PROCESSES else "raise the limit (ulimit -n)",
    )


def _over(target: Target, what: str, asked: int, ceiling: int) -> Refused:
    words = {"requests": "requests", "minutes": "minutes", "streams": "open streams", "in_flight": "requests in flight"}
    most = target.approvable.model_dump().get(what)
    may_ask = what in ("streams", "minutes") and target.needs_approval and (most is None or asked <= most)
    kind = AboveCeiling if may_ask else Refused
    then = "have it approved: sendcat drill ceiling, with the flags of this drill" if may_ask else ""
    return kind(
        f"This drill plans {asked} {words[what]}; the ceiling of {target.name} ({target.environment}) is {ceiling}.",
        rule=f"ceiling `{what}` of the target (R16; VERDICTS, Profiles)",
        then=then or f"take a smaller profile, or set `{what}` under [target.{target.name}.ceilings]",
    )
