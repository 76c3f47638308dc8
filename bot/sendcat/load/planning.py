"""From a wish to a plan: names checked, credentials counted, ceilings held (safety.md, R16; VERDICTS, "Profiles")."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Iterable

from pydantic import ValidationError

from bot.config import Ceilings, PoolUser, Target
from bot.errors import Broken, Refused, Unknown
from bot.sendcat.load.plan import ChatUser, DrillPlan, DrillSecrets, Mode, ScenarioPlan
from slo.errors import SloError
from slo.errors import Unknown as UnknownName
from slo.policy import Baseline
from slo.policy import load as load_policy
from slo.pool import DEFAULT_STRIDE, Rotation, rotation
from slo.profiles import Profile, Scale
from slo.profiles import profile as profile_named
from slo.scenarios import CHAT, select

MAX_POOL_BYTES = 16 << 20
SPARE_FILES = 200
"""Open files that are not load connections."""


def drill_secrets(target: Target) -> DrillSecrets:
    """The target's own credentials for a drill (R15). Raises `Broken` for a pool file that cannot be used."""
    users, pooled = _chat_users(target)
    return DrillSecrets(
        gmail_token=target.gmail_token.get_secret_value() if target.gmail_token else None,
        whatsapp_secret=target.whatsapp_secret.get_secret_value() if target.whatsapp_secret else None,
        chat_users=users,
        pooled=pooled,
    )


def _chat_users(target: Target) -> tuple[tuple[ChatUser, ...], bool]:
    """The pool wins over the single token, as in the original."""
    if target.chat_pool_file is not None:
        return _pool(target), True
    if target.chat_token is not None and target.chat_thread_id:
        return (ChatUser(target.chat_token.get_secret_value(), target.chat_thread_id),), False
    return (), False


def _pool(target: Target) -> tuple[ChatUser, ...]:
    file = target.chat_pool_file
    assert file is not None

    def broken(why: str) -> Broken:
        return Broken(
            f"The chat pool {file} of target {target.name} cannot be used: {why}.",
            then="make one with `sendcat pool`, or correct chat_pool_file in sendcat.toml",
        )

    try:
        if file.stat().st_size > MAX_POOL_BYTES:
            raise broken("it is larger than 16 MiB")
        entries = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise broken(error.strerror or type(error).__name__) from None
    except (ValueError, RecursionError):
        raise broken("it is not JSON") from None
    if not isinstance(entries, list) or not entries:
        raise broken("it is not a list with at least one user")
    users = []
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, dict) and "authToken" not in entry and "token" in entry:
            entry = {**entry, "authToken": entry["token"]}
        try:
            user = PoolUser.model_validate(entry)
        except ValidationError:
            raise broken(f"entry {number} needs authToken and threadId") from None
        users.append(ChatUser(user.auth_token.get_secret_value(), user.thread_id))
    return tuple(users)


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
    ceilings: Ceilings | None = None,
    secrets: DrillSecrets | None = None,
    baseline: Baseline | None = None,
) -> DrillPlan:
    """What a drill on this target will do.

    ``quick`` is the flag ``--quick=true``, which overrides the profile. ``original_scale`` runs a milestone with the
    original's 40/80/160 workers instead of its true number of streams. ``ceilings`` are raised ones that were
    approved. Raises `Unknown` for a name that does not exist (with the nearest), `Refused` naming the ceiling that
    the plan would break, `Broken` for an unusable chat pool.
    """
    chosen, names, mode_of_rotation = _names(profile if not quick else "quick", scenarios, rotation_mode)
    held = secrets if secrets is not None else drill_secrets(target)
    factors = scale or Scale()
    by_name = {name: _scenario(chosen, name, factors, held, target, original_scale) for name in names}
    if rotation_stride < 1 or min_unique_users < 0:
        raise Unknown("The rotation stride is at least 1 and the number of unique users at least 0.")
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
        ceilings=ceilings or target.limits,
        baseline=baseline or load_policy(Baseline),
    )
    _within(plan, target)
    return plan


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
    profile: Profile, name: str, scale: Scale, secrets: DrillSecrets, target: Target, original_scale: bool
) -> ScenarioPlan:
    if name != CHAT:
        return ScenarioPlan(name=name, stages=profile.stages(name))
    if not secrets.chat_users:
        return ScenarioPlan(
            name=name,
            skipped=f"no chat credentials: set chat_pool_file, or chat_token_env and chat_thread_id,"
            f" of [target.{target.name}] in sendcat.toml",
        )
    if profile.streams is not None and not original_scale:
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
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if files != resource.RLIM_INFINITY and asked + SPARE_FILES > files:
            raise Refused(
                f"{asked} open connections do not fit: this machine allows {files} open files for each process.",
                rule="the limits of the machine are checked before the start",
                then="raise the limit (ulimit -n), or take a smaller profile",
            )


def _over(target: Target, what: str, asked: int, ceiling: int) -> Refused:
    words = {"requests": "requests", "minutes": "minutes", "streams": "open streams", "in_flight": "requests in flight"}
    return Refused(
        f"This drill plans {asked} {words[what]}; the ceiling of {target.name} ({target.environment}) is {ceiling}.",
        rule=f"ceiling `{what}` of the target (R16; VERDICTS, Profiles)",
        then=f"take a smaller profile, or have `{what}` under [target.{target.name}.ceilings] approved",
    )
