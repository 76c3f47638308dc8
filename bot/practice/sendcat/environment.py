"""Deployment variables: text in, effective knob values out, by the rules of the real parser."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bot.practice.sendcat.values import Document, Json

KnobValue = bool | int | str

_JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO][0-7]+)")
_NAME = re.compile(r"[A-Za-z_]+[A-Za-z0-9_]*")

BUILT_IN = frozenset({"CONVEX_CLOUD_URL", "CONVEX_SITE_URL"})
MAX_VARIABLES = 512
MAX_NAME_BYTES = 256
MAX_VALUE_BYTES = 8192
MAX_TOTAL_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Knob:
    """One reliability variable with what its parser accepts; anything else gives ``default``."""

    name: str
    kind: str
    default: KnobValue
    minimum: int | None
    maximum: int | None
    pattern: re.Pattern[str] | None
    choices: tuple[str, ...]
    lower_case: bool
    snapshot_path: tuple[str, ...]
    effective_as: str | None

    def parse(self, text: str | None) -> KnobValue:
        """The value in force when the variable holds ``text`` (None = unset)."""
        if not text:
            return self.default
        if self.kind == "int":
            return self._parse_int(text)
        trimmed = text.strip(_JS_SPACE)
        if self.kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(
                trimmed.lower(), self.default
            )
        if self.lower_case:
            trimmed = trimmed.lower()
        if self.choices:
            return trimmed if trimmed in self.choices else self.default
        if self.pattern is not None and not self.pattern.fullmatch(trimmed):
            return self.default
        return trimmed

    def _parse_int(self, text: str) -> KnobValue:
        number = js_number(text)
        if not math.isfinite(number):
            return self.default
        whole = math.floor(number)
        below = self.minimum is not None and whole < self.minimum
        above = self.maximum is not None and whole > self.maximum
        return self.default if below or above else whole


def js_number(text: str) -> float:
    """What JavaScript's ``Number(text)`` gives: white space ignored, empty is 0, anything odd is NaN."""
    trimmed = text.strip(_JS_SPACE)
    if not trimmed:
        return 0.0
    if _DECIMAL.fullmatch(trimmed):
        return float(trimmed)
    if _RADIX.fullmatch(trimmed):
        return float(int(trimmed, 0))
    if trimmed in ("Infinity", "+Infinity", "-Infinity"):
        return float(trimmed.replace("Infinity", "inf"))
    return math.nan


@cache
def knobs() -> Mapping[str, Knob]:
    """All listed knobs by name, from ``playbooks/knobs.json``."""
    listed = json.loads(files("playbooks").joinpath("knobs.json").read_text("utf-8"))["knobs"]
    return {entry["name"]: _knob(entry) for entry in listed}


def _knob(entry: Mapping[str, object]) -> Knob:
    default, minimum, maximum = entry["default"], entry.get("min"), entry.get("max")
    path, pattern, choices = entry.get("snapshotPath"), entry.get("pattern"), entry.get("enum")
    effective_as = entry.get("effectiveAs")
    if not isinstance(default, bool | int | str):
        raise TypeError(f"knob {entry['name']}: default {default!r} is neither boolean, integer nor text")
    return Knob(
        name=str(entry["name"]),
        kind=str(entry["type"]),
        default=default,
        minimum=minimum if isinstance(minimum, int) else None,
        maximum=maximum if isinstance(maximum, int) else None,
        pattern=re.compile(pattern) if isinstance(pattern, str) else None,
        choices=tuple(str(choice) for choice in choices) if isinstance(choices, list) else (),
        lower_case="lower-case" in str(entry.get("normalise", "")),
        snapshot_path=tuple(path.split(".")[1:]) if isinstance(path, str) else (),
        effective_as=effective_as if isinstance(effective_as, str) else None,
    )


class VariableRefused(Exception):
    """A change of variables is refused as a whole; ``code`` is the platform's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Environment:
    """The variables of one deployment. Reads are parsed anew after every change, as on the platform."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)
        self._effective: dict[str, KnobValue] | None = None

    def texts(self) -> dict[str, str]:
        """All variables in clear text, by name."""
        return dict(sorted(self._texts.items()))

    def get(self, name: str) -> str | None:
        return self._texts.get(name)

    def set(self, name: str, text: str | None) -> None:
        """Set one variable, or remove it with None."""
        self.change([(name, text)])

    def change(self, changes: Iterable[tuple[str, str | None]]) -> None:
        """Apply all changes together or none; deletions first, then settings in order of name and value.

        Raises :class:`VariableRefused` with the platform's code when one of them is not allowed.
        """
        wanted = list(changes)
        for name, text in wanted:
            _check_change(name, text)
        after = dict(self._texts)
        for name, _ in wanted:
            after.pop(name, None)
        after.update(sorted((name, text) for name, text in wanted if text is not None))
        if len(after) > MAX_VARIABLES:
            raise VariableRefused("EnvVarLimitMet", f"A deployment has at most {MAX_VARIABLES} variables.")
        if sum(len(name.encode()) + len(text.encode()) for name, text in after.items()) > MAX_TOTAL_BYTES:
            raise VariableRefused("EnvVarTotalSizeLimitMet", "All variables together are too large.")
        self._texts = after
        self._effective = None

    def number(self, knob: str) -> int:
        value = self._values()[knob]
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{knob} is not a number")
        return value

    def flag(self, knob: str) -> bool:
        value = self._values()[knob]
        if not isinstance(value, bool):
            raise TypeError(f"{knob} is not a switch")
        return value

    def text(self, knob: str) -> str:
        value = self._values()[knob]
        if not isinstance(value, str):
            raise TypeError(f"{knob} is not a text")
        return value

    def web_namespace(self) -> str:
        return f"search_web_{self.text('TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION')}"

    def products_namespace(self) -> str:
        return f"search_products_{self.text('TOOL_CACHE_PRODUCTS_NS_VER')}"

    def config(self) -> Document:
        """The ``config`` section of the reliability snapshot: every knob with a place in it."""
        tree: dict[str, Json] = {}
        for name, knob in knobs().items():
            if not knob.snapshot_path:
                continue
            value: Json = self._values()[name]
            if knob.effective_as is not None:
                value = knob.effective_as.replace("<value>", str(value))
            if name == "ADMISSION_REDIS_TOKEN" and value:
                value = "***redacted***"
            branch = tree
            for step in knob.snapshot_path[:-1]:
                inner = branch.setdefault(step, {})
                if not isinstance(inner, dict):
                    raise TypeError(f"{name}: {step} is both a value and a branch")
                branch = inner
            branch[knob.snapshot_path[-1]] = value
        return tree

    def _values(self) -> dict[str, KnobValue]:
        if self._effective is None:
            self._effective = {name: knob.parse(self._texts.get(name)) for name, knob in knobs().items()}
        return self._effective


def _check_change(name: str, text: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise VariableRefused("EnvironmentVariableNameInvalid", f"'{name}' is not a valid variable name.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise VariableRefused("EnvironmentVariableNameTooLong", f"'{name[:40]}...' is too long.")
    if name in BUILT_IN:
        raise VariableRefused("EnvVarNameForbidden", f"'{name}' is built in and cannot be changed.")
    if text is not None and len(text.encode()) > MAX_VALUE_BYTES:
        raise VariableRefused("EnvironmentVariableValueTooLarge", f"The value of '{name}' is too large.")
