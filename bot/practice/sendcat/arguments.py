"""Strict validation of function arguments, with the platform's wording."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bot.practice.sendcat.accounts import ID_FORM
from bot.practice.sendcat.values import Document, Json


class FunctionFailed(Exception):
    """A function threw; ``data`` is the payload of an application error, if it was one."""

    def __init__(self, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


@dataclass(frozen=True, slots=True)
class Field:
    """Validator of one argument; ``choices`` restrict a text, ``table`` names the table of an id."""

    kind: Literal["number", "string", "id"]
    optional: bool = False
    table: str = ""
    choices: tuple[str, ...] = ()

    def accepts(self, value: Json) -> bool:
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, str):
            return False
        if self.kind == "id":
            return ID_FORM.fullmatch(value) is not None
        return not self.choices or value in self.choices

    def spelled(self) -> str:
        if self.choices:
            inner = f"v.union({', '.join(f'v.literal({json.dumps(choice)})' for choice in self.choices)})"
        else:
            inner = {"number": "v.float64()", "string": "v.string()", "id": f'v.id("{self.table}")'}[self.kind]
        return f"v.optional({inner})" if self.optional else inner


NUMBER, TEXT = Field("number"), Field("string")
MAYBE_NUMBER, MAYBE_TEXT = Field("number", optional=True), Field("string", optional=True)


def check(arguments: Document, fields: Mapping[str, Field]) -> None:
    """Refuse unknown, missing and wrongly typed arguments with :class:`FunctionFailed`."""
    validator = "v.object({" + ", ".join(f"{name}: {fields[name].spelled()}" for name in sorted(fields)) + "})"
    shown = json.dumps(arguments, default=str, sort_keys=True)
    for name in sorted(arguments):
        if name not in fields:
            raise FunctionFailed(
                f"ArgumentValidationError: Object contains extra field `{name}` that is not in the validator."
                f"\n\nObject: {shown}\nValidator: {validator}"
            )
    for name, field in fields.items():
        if name not in arguments:
            if field.optional:
                continue
            raise FunctionFailed(
                f"ArgumentValidationError: Object is missing the required field `{name}`. Consider wrapping the "
                f"field validator in `v.optional(...)` if this is expected."
                f"\n\nObject: {shown}\nValidator: {validator}"
            )
        value = arguments[name]
        if not field.accepts(value):
            raise FunctionFailed(
                f"ArgumentValidationError: Value does not match validator.\nPath: .{name}\n"
                f"Value: {json.dumps(value, default=str)}\nValidator: {field.spelled()}"
            )


class Arguments:
    """Validated arguments of one call, read by type."""

    def __init__(self, values: Document) -> None:
        self._values = values

    def text(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str)
        return value

    def maybe_text(self, name: str) -> str | None:
        return self.text(name) if name in self._values else None

    def number(self, name: str) -> float:
        value = self._values[name]
        assert isinstance(value, int | float)
        return value

    def maybe_number(self, name: str) -> float | None:
        return self.number(name) if name in self._values else None

    def whole(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """A floored number cut to ``low..high``."""
        asked = self.maybe_number(name)
        if asked is None:
            asked = default
        if math.isnan(asked):
            raise FunctionFailed(f"Uncaught Error: {name} is not a number")
        bounded = max(float(low), asked if high is None else min(asked, float(high)))
        return math.floor(min(bounded, 2.0**53))

    def rows(self, name: str, default: int, high: int) -> int:
        """A row count without floor and without lower bound: fractions and negatives fail on the platform."""
        asked = self.maybe_number(name)
        if asked is None:
            return default
        count = min(asked, float(high))
        if count < 0 or count != math.floor(count):
            raise FunctionFailed(
                f"Uncaught TypeError: `take` method of `Query` expects a non-negative integer limit, received {count:g}"
            )
        return int(count)
