"""The three drilled endpoints, by the names the drill and its artifacts use, in the order they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from slo.errors import UnknownScenario

GMAIL = "gmail_push_webhook"
WHATSAPP = "whatsapp_webhook"
CHAT = "chat_stream_http"

SCENARIOS: tuple[str, ...] = (GMAIL, WHATSAPP, CHAT)
ENDPOINTS: Mapping[str, str] = MappingProxyType(
    {GMAIL: "/api/gmail/push", WHATSAPP: "/api/whatsapp/webhook", CHAT: "/api/chat"}
)


def select(names: Iterable[str] | None) -> tuple[str, ...]:
    """The scenarios asked for, in running order; all when `names` is None.

    Raises `UnknownScenario` for a name that is not one; an empty choice is refused the same way, since a
    drill of nothing would prove nothing (operator-commands.md section 12, 2).
    """
    if names is None:
        return SCENARIOS
    wanted = list(names)
    for name in wanted or [""]:
        if name not in ENDPOINTS:
            raise UnknownScenario(name, SCENARIOS)
    return tuple(name for name in SCENARIOS if name in wanted)


def endpoint(scenario: str) -> str:
    """The path that a scenario drills. Raises `UnknownScenario`."""
    try:
        return ENDPOINTS[scenario]
    except KeyError:
        raise UnknownScenario(scenario, SCENARIOS) from None
