"""Which model providers a chat tries, in which order and with which limits."""

from __future__ import annotations

from dataclasses import dataclass

from bot.practice.sendcat.circuits import PRIMARY, SECONDARY
from bot.practice.sendcat.environment import Environment


@dataclass(frozen=True, slots=True)
class Route:
    provider: str
    route_id: str
    timeout_ms: int
    tries: int


def chat_routes(environment: Environment) -> list[Route]:
    """The primary route, and the secondary one when failover is on."""
    number = environment.number
    routes = [
        Route(
            PRIMARY,
            "primary",
            number("CHAT_PROVIDER_PRIMARY_TIMEOUT_MS"),
            1 + number("CHAT_PROVIDER_PRIMARY_RETRIES"),
        )
    ]
    if environment.flag("FF_PROVIDER_FAILOVER_ENABLED"):
        routes.append(
            Route(
                SECONDARY,
                "secondary",
                number("CHAT_PROVIDER_SECONDARY_TIMEOUT_MS"),
                1 + number("CHAT_PROVIDER_SECONDARY_RETRIES"),
            )
        )
    return routes


def model(environment: Environment, asked: str | None) -> tuple[str, str]:
    """Model id and class (``fast`` or ``agent``) for the model that the client asked for."""
    fast = environment.text("CHAT_MODEL_FAST_PRIMARY")
    if asked is not None:
        return asked, "fast" if asked in (fast, environment.text("CHAT_MODEL_FAST_SECONDARY")) else "agent"
    wanted = environment.text("CHAT_DEFAULT_MODEL_CLASS")
    return (fast if wanted == "fast" else environment.text("CHAT_MODEL_AGENT_PRIMARY")), wanted
