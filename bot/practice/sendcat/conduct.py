"""Ways a practice deployment can behave as a whole: healthy, slower, flaky, broken - for canaries and for people.

A fault (A to H) has a cause and heals by the product's own rules; a conduct is how a release behaves until another one
replaces it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.practice.sendcat.switches import Switches

HEALTHY = "healthy"


@dataclass(frozen=True)
class Conduct:
    """One way to behave: the switches that it sets; those of all others go back to a healthy wire."""

    summary: str
    sets: Mapping[str, float | int | None] = field(default_factory=dict)


CONDUCTS: Mapping[str, Conduct] = MappingProxyType(
    {
        HEALTHY: Conduct("as released"),
        "slower": Conduct("every answer takes 1.7 s longer: webhooks over their limit", {"site_slow_ms": 1700}),
        "flaky": Conduct(
            "one answer in eight is a 503, one chat in eight breaks off without a word",
            {"site_fail_share": 0.125, "stream_break_share": 0.125},
        ),
        "broken": Conduct("every answer is a 503", {"site_fail_status": 503}),
    }
)
_TOUCHED = frozenset(name for conduct in CONDUCTS.values() for name in conduct.sets)


def behave(switches: Switches, name: str) -> None:
    """Behave like this from now on. Raises ValueError naming the nearest."""
    conduct = CONDUCTS.get(name)
    if conduct is None:
        near = difflib.get_close_matches(name, CONDUCTS, n=1)
        hint = f" ({near[0]}?)" if near else ""
        raise ValueError(f"no such conduct {name!r}{hint}; there are: {', '.join(CONDUCTS)}")
    switches.update(**{**_healthy(switches), **conduct.sets})


def conduct_of(switches: Switches) -> str:
    """How the switches behave now; ``other`` for a mixture that has no name."""
    now = {name: getattr(switches, name) for name in _TOUCHED}
    healthy = _healthy(switches)
    return next((name for name, each in CONDUCTS.items() if now == {**healthy, **each.sets}), "other")


def _healthy(switches: Switches) -> dict[str, float | int | None]:
    fresh = type(switches)()
    return {name: getattr(fresh, name) for name in _TOUCHED}
