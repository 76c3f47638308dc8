"""The small checks that blocks and elements share: text objects, lengths, keys, counts."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, TypeGuard


class Problems:
    """The lines Slack answers with, collected in the order they were found."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, at: str, what: str) -> None:
        """One more line, with the JSON pointer of the place."""
        self.lines.append(f"[ERROR] {what} [json-pointer:{at}]")

    def string(self, value: Any, at: str, *, most: int | None, least: int = 1) -> None:
        """The value is a string of ``least`` to ``most`` characters."""
        if not isinstance(value, str):
            self.add(at, "missing required field" if value is None else "must be a string")
        elif len(value) < least:
            self.add(at, f"must be more than {least - 1} characters")
        elif most is not None and len(value) > most:
            self.add(at, f"must be less than {most + 1} characters")

    def items(self, value: Any, at: str, *, most: int | None, least: int = 1) -> TypeGuard[list[Any]]:
        """The value is a list of ``least`` to ``most`` items; tells whether it can be walked at all."""
        if not isinstance(value, list):
            self.add(at, "missing required field" if value is None else "must be an array")
            return False
        if len(value) < least:
            self.add(at, f"no fewer than {least} items allowed")
        if most is not None and len(value) > most:
            self.add(at, f"no more than {most} items allowed [input:{len(value)}]")
        return True


def only_keys(value: dict[str, Any], allowed: Set[str], at: str, found: Problems) -> None:
    """Slack refuses keys it does not know (``type`` and ``block_id`` are always known)."""
    for key in value:
        if key not in allowed and key not in ("type", "block_id"):
            found.add(at, f"invalid additional property: {key}")


def check_text(value: Any, at: str, found: Problems, *, most: int, plain: bool = False) -> None:
    """A text object: ``plain_text`` or ``mrkdwn``, 1 to ``most`` characters."""
    if not isinstance(value, dict):
        found.add(at, "missing required field" if value is None else "must be an object")
        return
    kind = value.get("type")
    if kind not in ("plain_text", "mrkdwn") or (plain and kind != "plain_text"):
        found.add(f"{at}/type", "must be plain_text" if plain else "must be one of plain_text, mrkdwn")
    only_keys(value, {"text", "emoji" if kind == "plain_text" else "verbatim"}, at, found)
    found.string(value.get("text"), f"{at}/text", most=most)


def text_length(value: Any) -> int:
    """All characters under ``text`` keys, however deep."""
    if isinstance(value, list):
        return sum(text_length(item) for item in value)
    if isinstance(value, dict):
        return sum(
            len(item) if key == "text" and isinstance(item, str) else text_length(item) for key, item in value.items()
        )
    return 0
