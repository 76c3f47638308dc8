"""Which deployment this really is, and under which rules: an approval is bound to both (safety.md, R10)."""

from __future__ import annotations

import hashlib

from bot.errors import Refused, Unreachable
from bot.sendcat.convex import ConvexClient
from bot.target import Environment, Target
from playbooks.tuning import rules_digest
from slo.policy import Baseline, load


async def deployment(convex: ConvexClient, target: Target) -> str:
    """The deployment's own name and address. Raises `Refused` when its kind contradicts the configuration.

    INTERFACES, section 1: a target's environment is checked against the deployment's answer where it has one.
    """
    name = await convex.instance_name() or "unnamed"
    try:
        info = await convex.deployment_info()
    except Unreachable:
        info = None  # the key need not have that right, and older servers have no such path
    if info is not None and info.kind == "cloud" and info.deployment_type is not None:
        really = info.deployment_type == "prod"
        if really is not (target.environment is Environment.PRODUCTION):
            raise Refused(
                f"{target.name} is set as {target.environment.value}, but its deployment says {info.deployment_type}.",
                rule="a mismatch refuses changes (INTERFACES.md, section 1)",
                then="correct environment or addresses of the target in sendcat.toml",
            )
    return f"{name} at {target.api_url}"


def policy() -> str:
    """Digest of the tuning rules and of the baseline that judges the retest."""
    return hashlib.sha256(f"{rules_digest()} {load(Baseline).digest}".encode()).hexdigest()
