"""What came back when something was delivered to the app."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from bot.practice.slack.refusal import Json

ACK_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Ack:
    """The app's answer to one delivery.

    ``status`` is the HTTP status (200 for an acknowledged envelope, 0 when nothing came); ``body`` its text;
    ``elapsed_ms`` from the first byte sent to the answer; ``error`` is Slack's word for what the person is told
    (``operation_timeout``, ``dispatch_failed``, ...), or a reason why nothing was sent at all. ``others`` are the
    answers to further copies of the same delivery.
    """

    status: int
    body: str = ""
    elapsed_ms: float = 0.0
    error: str | None = None
    others: tuple[Ack, ...] = ()

    @property
    def ok(self) -> bool:
        """Acknowledged in time."""
        return self.error is None and 200 <= self.status < 300

    @property
    def json(self) -> Json:
        """The body as a JSON object; empty when it is none."""
        try:
            value: Any = json.loads(self.body) if self.body else {}
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def text(self) -> str:
        """The words of the answer: plain body, or ``text`` of a JSON one."""
        return str(self.json.get("text", "")) if self.body.lstrip().startswith("{") else self.body

    def refused(self, error: str) -> Ack:
        """The same answer, shown to the person as an error."""
        return replace(self, error=error)


NOT_SENT = 0


def not_sent(error: str) -> Ack:
    """Nothing was delivered, for this reason."""
    return Ack(NOT_SENT, error=error)
