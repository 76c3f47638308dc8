"""How the practice Slack says no: one error word, as the Web API spells it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object as it travels on the wire."""


class SlackRefusal(Exception):
    """A Web API call that answers ``{"ok": false, "error": word}``.

    ``extra`` is merged into the answer (``needed`` and ``provided`` of ``missing_scope``, ``response_metadata``
    of ``invalid_blocks``); ``status`` and ``headers`` are those of the HTTP answer (429 carries ``Retry-After``).
    """

    def __init__(self, error: str, *, status: int = 200, headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.headers = headers or {}
        self.extra = extra

    def body(self) -> Json:
        """The JSON body of the answer."""
        return {"ok": False, "error": self.error, **self.extra}


def invalid(error: str, problems: list[str]) -> SlackRefusal:
    """A refusal with Slack's list of ``[ERROR] ... [json-pointer:/...]`` lines."""
    return SlackRefusal(error, errors=problems, response_metadata={"messages": problems})
