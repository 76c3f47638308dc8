"""The practice Sendcats as the page's switches see them: which there are, how each behaves, and how it could."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from bot.practice.slack.refusal import Json, SlackRefusal


class Behaving(Protocol):
    """A deployment that can be made to behave in one of a few ways."""

    @property
    def conduct(self) -> str: ...

    @property
    def conducts(self) -> Mapping[str, str]:
        """Every way it can behave, with what that is."""

    def behave(self, conduct: str) -> None:
        """Raises ValueError for a way that does not exist."""


class Deployments:
    """Empty where no practice Sendcat belongs to this Slack; the page then shows no such switches."""

    def __init__(self, known: Mapping[str, Behaving]) -> None:
        self._known = known

    def shown(self) -> list[Json]:
        return [
            {
                "name": name,
                "conduct": each.conduct,
                "conducts": [{"name": way, "summary": summary} for way, summary in each.conducts.items()],
            }
            for name, each in self._known.items()
        ]

    def behave(self, name: str, conduct: str) -> None:
        """Raises `SlackRefusal` for a deployment or a conduct that does not exist."""
        try:
            self._known[name].behave(conduct)
        except (KeyError, ValueError):
            raise SlackRefusal("invalid_arguments") from None
