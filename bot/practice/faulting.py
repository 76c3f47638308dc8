"""The client of a practice deployment's control surface: which faults there are, put one in, take it out.

It speaks to loopback and to nothing else: what breaks a Sendcat on purpose never leaves this machine.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from bot.errors import Refused, Unreachable
from bot.redact import inert
from bot.target import Environment, Target

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WITHIN_S = 5.0
RULE = "faults are put into the practice Sendcat only; a real one is never broken on purpose"


class Faulting:
    """Raises `Refused` for every target that is not a practice one on this machine with a key."""

    def __init__(self, target: Target) -> None:
        host = urlsplit(target.api_url).hostname or ""
        if target.environment is not Environment.PRACTICE or host not in LOOPBACK:
            raise Refused(
                f"{target.name} is {target.environment.value}: no fault is woven in there.",
                rule=RULE,
                then="--target=practice, or leave --weave out",
            )
        if target.practice_key is None:
            raise Refused(
                f"The key of {target.name}'s control surface is not known here.",
                rule="a key is named by its variable (R36)",
                then=f"make demo, or set practice_key_env under [target.{target.name}]",
            )
        self.origin = target.api_url
        self._name = target.name
        self._key = target.practice_key.get_secret_value()

    async def catalogue(self) -> tuple[str, ...]:
        """Every fault there is, as ``F:caps``; the first of a letter is its default."""
        answer = await self._ask("GET", "faults")
        return tuple(f"{each['fault']}:{each['variant']}" for each in answer["faults"])

    async def active(self) -> tuple[str, ...]:
        """Faults that are in now."""
        return tuple(str(name) for name in (await self._ask("GET", "state"))["faults"])

    async def conduct(self) -> str:
        """How it behaves as a whole now: healthy, slower, flaky, broken."""
        return str((await self._ask("GET", "state"))["conduct"])

    async def behave(self, conduct: str) -> None:
        """Behave like this from now on; one that does not exist is refused by the deployment."""
        await self._ask("POST", "conduct", {"conduct": conduct})

    async def put_in(self, fault: str, *, for_ms: int | None = None) -> None:
        """Put a fault in, that ends by itself after ``for_ms`` at the latest; without it when it is taken out."""
        letter, _, variant = fault.partition(":")
        await self._ask("POST", "fault", {"fault": letter, "variant": variant or None, "forMs": for_ms})

    async def take_out(self, fault: str) -> None:
        """Take a fault out; one that is not in is out."""
        await self._ask("POST", "clear", {"fault": fault})

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S, follow_redirects=False) as client:
                answer = await client.request(
                    method, f"{self.origin}/_practice/{path}", json=body, headers={"X-Practice-Key": self._key}
                )
                found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unreachable(
                f"The control surface of {self._name} did not answer ({type(error).__name__}).", then="make demo"
            ) from None
        if answer.status_code != 200:
            raise Unreachable(f"The control surface of {self._name} said {inert(found.get('error'), 160)}.")
        return found
