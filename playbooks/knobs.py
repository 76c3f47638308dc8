"""The knobs: the environment variables of Sendcat's reliability layer, and how their text is read.

Source: ``knobs.json`` beside this file; defaults, ranges and snapshot paths were checked against the code that reads
them. A text that is empty, unreadable or outside the range gives the **default**: nothing is ever clamped, so a value
one too high is a value lost. Read the snapshot after each write.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from slo.snapshot import Snapshot

Value = int | bool | str
"""What a knob holds once it is read."""

REDACTED = "***redacted***"

_JS_BLANKS = (
    "\t\n\v\f\r \xa0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = {"0x": (16, re.compile(r"[0-9a-fA-F]+")), "0o": (8, re.compile(r"[0-7]+")), "0b": (2, re.compile(r"[01]+"))}


class KnobType(StrEnum):
    INT = "int"
    BOOL = "bool"
    STRING = "string"
    ENUM = "enum"


class Protection(StrEnum):
    """What the runbook forbids to weaken ("never disable circuit breakers, bulkheads, or idempotency")."""

    GUARDED = "guarded"
    """A number; its extreme is the equivalent of switching the protection off."""
    KEEP_TRUE = "keep true"
    KEEP_FALSE = "keep false"


class UnknownKnob(KeyError):
    """No knob of that name; ``near`` is the most similar one."""

    def __init__(self, name: str) -> None:
        self.near = nearest(name)
        hint = f"; did you mean {self.near}?" if self.near else ""
        self.what = f"no knob {name[:80]!r}{hint}"
        super().__init__(self.what)

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True)
class Knob:
    """One variable. ``minimum`` and ``maximum`` are inclusive; ``unit`` belongs to them and to ``default``.

    ``snapshot_path`` is where the effective value shows, None where it does not. ``step_limit_pct`` is the runbook's
    own limit for one change, None where it gives none. ``coupled_with`` names knobs without which this one does little.
    ``effective_as`` is how the snapshot words the value (``search_web_<value>``).
    """

    name: str
    family: str
    type: KnobType
    default: Value
    minimum: int | None
    maximum: int | None
    unit: str
    snapshot_path: str | None
    playbooks: tuple[str, ...]
    step_limit_pct: int | None
    step_limit_source: str | None
    protection: Protection | None
    protection_note: str
    coupled_with: tuple[str, ...]
    choices: tuple[str, ...]
    pattern: str | None
    lower_case: bool
    effective_as: str | None
    secret: bool
    named_in_runbook: bool
    effect: str

    def accepts(self, text: str) -> bool:
        """Whether this text is taken; otherwise the default rules, whatever the variable says."""
        return self._read(text) is not None

    def shown(self, value: Value) -> Value:
        """A value as the snapshot shows it."""
        if self.effective_as is not None:
            return self.effective_as.replace("<value>", str(value))
        if self.snapshot_path == "config.admission.redisToken":
            return REDACTED if value else ""
        return value

    def _read(self, text: str) -> Value | None:
        if text == "":
            return None
        if self.type is KnobType.INT:
            number = js_number(text)
            if number is None or not math.isfinite(number):
                return None
            whole = math.floor(number)
            low, high = self.minimum, self.maximum
            inside = (low is None or whole >= low) and (high is None or whole <= high)
            return whole if inside else None
        trimmed = text.strip(_JS_BLANKS)
        if self.type is KnobType.BOOL:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(trimmed.lower())
        if self.lower_case:
            trimmed = trimmed.lower()
        if self.choices:
            return trimmed if trimmed in self.choices else None
        if self.pattern is not None and not re.fullmatch(self.pattern.removeprefix("^").removesuffix("$"), trimmed):
            return None
        return trimmed


def parse_value(knob: Knob, text: str | None) -> Value:
    """The effective value that this text gives (None: not set), as the snapshot shows it; never an error."""
    value = knob._read(text) if text is not None else None
    return knob.shown(knob.default if value is None else value)


def effective(snapshot: Snapshot, knob: Knob) -> Value | None:
    """The value in force, from the snapshot; None where the snapshot does not show it."""
    if knob.snapshot_path is None:
        return None
    place: Any = snapshot
    for part in knob.snapshot_path.split("."):
        if isinstance(place, BaseModel):
            names = {info.alias or name: name for name, info in type(place).model_fields.items()}
            place = getattr(place, names.get(part, part), None)
        else:
            place = place.get(part) if isinstance(place, Mapping) else None
    return place if isinstance(place, bool | int | str) else None


def js_number(text: str) -> float | None:
    """What JavaScript's ``Number`` makes of a text; None where it gives NaN.

    Blanks around are dropped, blank text is 0, and ``1e3``, ``0x20``, ``.5`` and ``Infinity`` are numbers.
    """
    trimmed = text.strip(_JS_BLANKS)
    if not trimmed:
        return 0.0
    radix = _RADIX.get(trimmed[:2].lower())
    if radix is not None:
        base, digits = radix
        return _to_float(int(trimmed[2:], base)) if digits.fullmatch(trimmed[2:]) else None
    if trimmed.lstrip("+-") == "Infinity" and len(trimmed) <= len("+Infinity"):
        return -math.inf if trimmed[0] == "-" else math.inf
    return float(trimmed) if _DECIMAL.fullmatch(trimmed) else None


def _to_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


@cache
def all_knobs() -> Mapping[str, Knob]:
    """Every knob by name, in the order of the file."""
    document = json.loads(files("playbooks").joinpath("knobs.json").read_text("utf-8"))
    return {raw["name"]: _knob(raw) for raw in document["knobs"]}


def knob(name: str) -> Knob:
    """The knob of that name; raises `UnknownKnob` with the nearest one."""
    try:
        return all_knobs()[name]
    except KeyError:
        raise UnknownKnob(name) from None


def nearest(name: str) -> str | None:
    """The most similar name of a knob, None when none is similar."""
    close = difflib.get_close_matches(name.upper(), all_knobs(), n=1, cutoff=0.6)
    return close[0] if close else None


def matching(pattern: str) -> tuple[Knob, ...]:
    """The knobs that a name with ``*`` stands for, such as ``RATE_LIMIT_*_MAX``."""
    return tuple(knob for name, knob in all_knobs().items() if fnmatchcase(name, pattern))


def _knob(raw: dict[str, Any]) -> Knob:
    step, guard = raw.get("stepLimit"), raw.get("protection")
    return Knob(
        name=raw["name"],
        family=raw["family"],
        type=KnobType(raw["type"]),
        default=raw["default"],
        minimum=raw["min"],
        maximum=raw["max"],
        unit=raw["unit"],
        snapshot_path=raw["snapshotPath"],
        playbooks=tuple(raw["playbooks"]),
        step_limit_pct=step["maxIncreasePct"] if step else None,
        step_limit_source=step["source"] if step else None,
        protection=_protection(guard),
        protection_note=(guard or {}).get("exception") or (guard or {}).get("note") or "",
        coupled_with=tuple(raw["coupledWith"]),
        choices=tuple(raw.get("enum", ())),
        pattern=raw.get("pattern"),
        lower_case="lower-case" in raw.get("normalise", ""),
        effective_as=raw.get("effectiveAs"),
        secret=raw["secret"],
        named_in_runbook=raw["namedInRunbook"],
        effect=raw.get("effect", ""),
    )


def _protection(guard: dict[str, Any] | None) -> Protection | None:
    if guard is None:
        return None
    if guard["kind"] == "numeric":
        return Protection.GUARDED
    return Protection.KEEP_TRUE if guard["protectiveValue"] == "true" else Protection.KEEP_FALSE
