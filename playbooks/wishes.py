"""What a person wishes a knob to be: ``KNOB +20%``, ``KNOB +2``, ``KNOB 14``, ``KNOB=14``, several in one line.

A percentage carries its sign and is rounded toward no change (safety.md, R22); a plain number is the new value itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from playbooks.knobs import Knob, KnobType, UnknownKnob, Value, all_knobs, knob, parse_value

How = Literal["percent", "by", "to"]

MOST = 12
"""Knobs in one change set: more than any step of a playbook names together."""

_MINUS = str.maketrans("−–—‐‑‒", "------")
_PERCENT = re.compile(r"([+-])([0-9]{1,4})\s*%")
_BY = re.compile(r"([+-])([0-9]{1,12})")
_DIGITS = re.compile(r"[0-9]{1,12}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class WishError(ValueError):
    """A wish that cannot be read: ``what`` is wrong, and the line to type instead."""

    def __init__(self, what: str, then: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.then = then


@dataclass(frozen=True)
class Wish:
    """One knob and what it shall be; ``number`` is the signed percentage or step, ``text`` the value as written."""

    knob: Knob
    how: How
    number: int
    text: str

    def value(self, old: Value) -> Value:
        """The value that is meant, from the effective one; raises `WishError` where that makes no sense."""
        if self.knob.type is not KnobType.INT:
            return read_value(self.knob, self.text)
        if isinstance(old, bool) or not isinstance(old, int):
            raise WishError(f"the effective value of {self.knob.name} is no number")
        if self.how == "percent":
            size = old * abs(self.number) // 100
            return old + size if self.number > 0 else old - size
        return old + self.number if self.how == "by" else self.number

    def __str__(self) -> str:
        return f"{self.knob.name}={self.text}"


def parse_wishes(words: Sequence[str]) -> tuple[Wish, ...]:
    """Read the words of one change set, in order.

    Raises `WishError` for what cannot be read and `playbooks.knobs.UnknownKnob` with the nearest name.
    """
    wishes: list[Wish] = []
    at = 0
    while at < len(words):
        name, equals, text = words[at].partition("=")
        at += 1
        found = _knob(name)
        if not equals:
            if at >= len(words):
                raise WishError(f"{found.name} to what?", _example(found))
            text, at = words[at], at + 1
        if any(wish.knob is found for wish in wishes):
            raise WishError(f"{found.name} is named twice.", "name each knob once")
        wishes.append(_wish(found, text.strip()))
        if len(wishes) > MOST:
            raise WishError(f"More than {MOST} knobs are no small change.", "split it; one change set at a time")
    if not wishes:
        raise WishError("Which knob?", "tune BULKHEAD_OR_PRI_MAX_CONCURRENT +20%")
    return tuple(wishes)


def read_value(knob: Knob, text: str) -> Value:
    """A switch or a text as the application would read it; raises `WishError` when it would not take it."""
    if not knob.accepts(text):
        allowed = " or ".join(knob.choices) if knob.choices else "true or false"
        if knob.type is KnobType.STRING:
            allowed = f"a text like `{knob.default}` ({knob.pattern})"
        raise WishError(f"{knob.name} does not take {text[:60]!r}: Sendcat would use its default.", f"write {allowed}")
    if knob.type is KnobType.BOOL:
        return parse_value(knob, text)
    trimmed = text.strip()
    return trimmed.lower() if knob.lower_case else trimmed


def _knob(name: str) -> Knob:
    if not _NAME.fullmatch(name):
        raise WishError(f"{name[:60]!r} is not the name of a knob.", "tune BULKHEAD_OR_PRI_MAX_CONCURRENT +20%")
    try:
        return knob(name.upper())
    except UnknownKnob:
        raise UnknownKnob(name) from None


def _wish(knob: Knob, written: str) -> Wish:
    if knob.type is not KnobType.INT:
        read_value(knob, written)
        return Wish(knob, "to", 0, written)
    text = written.translate(_MINUS)
    if percent := _PERCENT.fullmatch(text):
        return Wish(knob, "percent", int(percent[1] + percent[2]), text.replace(" ", ""))
    if by := _BY.fullmatch(text):
        return Wish(knob, "by", int(by[1] + by[2]), text)
    if _DIGITS.fullmatch(text):
        return Wish(knob, "to", int(text), text)
    if re.fullmatch(r"[0-9]{1,4}\s*%", text):
        raise WishError(f"{text} of what? A percentage carries its sign.", f"{knob.name} +{text}")
    raise WishError(f"{written[:60]!r} is not a value for {knob.name}: plain decimal digits only.", _example(knob))


def _example(knob: Knob) -> str:
    return f"{knob.name} +{knob.step_limit_pct or 20}%" if knob.type is KnobType.INT else f"{knob.name} {knob.default}"


def names(words: Sequence[str]) -> tuple[str, ...]:
    """The knobs that a line names, unknown ones left out; for a form that shows what is legal."""
    return tuple(name for word in words if (name := word.partition("=")[0].upper()) in all_knobs())
