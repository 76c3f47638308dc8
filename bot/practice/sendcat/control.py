"""The practice control surface: faults, switches and time, for other processes such as the demo."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Protocol

from bot.practice.sendcat.conduct import behave, conduct_of
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.values import Document
from bot.practice.sendcat.wire import Answer, Request

KEY_HEADER = b"x-practice-key"
MOST_MS = 24 * 3_600_000
Option = bool | int | float | str


class FaultDesk(Protocol):
    """Who puts faults in and takes them out."""

    def inject(
        self, fault: str, *, variant: str | None = None, for_ms: int | None = None, **options: Option
    ) -> None: ...

    def clear(self, name: str | None = None) -> None: ...

    def active(self) -> list[str]: ...

    def catalogue(self) -> list[Mapping[str, str]]: ...


class Control:
    """``/_practice/...`` on the API host, behind the practice key; no part of the product."""

    def __init__(self, deployment: Deployment, faults: FaultDesk, key: str | None = None) -> None:
        self._deployment = deployment
        self._faults = faults
        self.key = key or secrets.token_hex(16)

    async def answer(self, request: Request) -> Answer:
        given = request.header(KEY_HEADER) or ""
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            return Answer.json({"error": "X-Practice-Key is missing or wrong"}, 403)
        try:
            return self._do(request)
        except ValueError as error:
            return Answer.json({"error": str(error)}, 400)

    def _do(self, request: Request) -> Answer:
        body = request.json() if request.body else {}
        if not isinstance(body, dict):
            raise ValueError("the body is a JSON object")
        match request.method, request.path:
            case "GET", "/_practice/state":
                pass
            case "GET", "/_practice/faults":
                return Answer.json({"faults": list(self._faults.catalogue())})
            case "POST", "/_practice/fault":
                options = dict(body)
                fault, variant = options.pop("fault", None), options.pop("variant", None)
                if not isinstance(fault, str) or not (variant is None or isinstance(variant, str)):
                    raise ValueError("a fault is a letter, its variant a name")
                for_ms = _for_ms(options.pop("forMs", None))
                self._faults.inject(fault, variant=variant, for_ms=for_ms, **options)
            case "POST", "/_practice/clear":
                name = body.get("fault")
                if not (name is None or isinstance(name, str)):
                    raise ValueError("a fault to clear is named as the state names it, such as F:caps")
                self._faults.clear(name)
            case "POST", "/_practice/conduct":
                behave(self._deployment.switches, str(body.get("conduct")))
            case "POST", "/_practice/switches":
                self._deployment.switches.update(**body)
            case "POST", "/_practice/advance":
                ms = body.get("ms")
                if not isinstance(ms, int) or isinstance(ms, bool):
                    raise ValueError("ms is a whole number of milliseconds")
                self._deployment.clock.advance(ms)
            case _:
                return Answer.json({"error": f"no such control: {request.method} {request.path}"}, 404)
        return Answer.json(self._state())

    def _state(self) -> Document:
        switches = asdict(self._deployment.switches)
        return {
            "name": self._deployment.name,
            "nowMs": self._deployment.settle(),
            "faults": list(self._faults.active()),
            "conduct": conduct_of(self._deployment.switches),
            "switches": switches,
            "counters": self._deployment.counters.report(),
            "forecastStreams": self._deployment.forecast_streams,
            "sentryWarnings": [asdict(warning) for warning in self._deployment.warnings.sent],
        }


def _for_ms(value: object) -> int | None:
    """How long a fault stays in at most; None is until it is cleared."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_MS:
        raise ValueError(f"forMs is a whole number of milliseconds, 1 to {MOST_MS}")
    return value
