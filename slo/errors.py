"""What `slo` says no to: each error names what is wrong and where, and never prints a value it was given.

SloError (ValueError)
  BadSnapshot      ops:getReliabilitySnapshot answered half an answer
  BadReport        an artifact is not the artifact it says it is
  BadPolicy        a policy file cannot be read or holds unknown, missing or wrong keys
  UnknownProfile   no drill profile of that name
  UnknownScenario  no scenario of that name
  UnknownMilestone no milestone of that name
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pydantic import ValidationError


class SloError(ValueError):
    """Anything `slo` was handed that it cannot judge."""


class Malformed(SloError):
    """A document from outside does not have its shape; `paths` are the places, in order."""

    kind = "document"

    def __init__(self, paths: Sequence[str], *, where: str = "") -> None:
        self.paths = tuple(paths)
        self.where = where
        super().__init__(f"{where or self.kind}: {'; '.join(self.paths)}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.paths, self.where)


def _rebuild(kind: type[Malformed], paths: Sequence[str], where: str) -> Malformed:
    return kind(paths, where=where)


class BadSnapshot(Malformed):
    """Half an answer: judges turn it into INCOMPLETE, never into a pass."""

    kind = "snapshot"


class BadReport(Malformed):
    """An artifact lacks fields of its kind, or holds the wrong ones."""

    kind = "report"


class BadPolicy(Malformed):
    """A policy file is missing, unreadable, or not what it should be; all faults at once."""

    kind = "policy"


class Unknown(SloError):
    """A name that is not on the list; says which one is near. Never replaced by a default."""

    noun = "name"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        near = difflib.get_close_matches(name.lower(), self.known, n=1, cutoff=0.4)
        self.nearest: str | None = near[0] if near else None
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        super().__init__(f"no {self.noun} {name[:80]!r}{hint} (known: {', '.join(self.known)})")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.known)


class UnknownProfile(Unknown):
    noun = "profile"


class UnknownScenario(Unknown):
    noun = "scenario"


class UnknownMilestone(Unknown):
    noun = "milestone"


def fault_paths(error: ValidationError) -> tuple[str, ...]:
    """The places a pydantic error complains about, in wire names, without the values found there."""
    words = {"missing": "missing", "extra_forbidden": "unknown key"}
    found: dict[str, None] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(_name(part) for part in item["loc"]) or "(whole document)"
        kind = item["type"]
        found[f"{path}: {words.get(kind, 'wrong ' + kind.replace('_', ' '))}"] = None
    return tuple(found)


def _name(part: int | str) -> str:
    """A key as a person may read it: keys come from outside too, so only plain short ones are shown."""
    text = str(part)
    plain = all(letter.isalnum() or letter in "_-:/" for letter in text)
    return text if plain and len(text) <= 60 else "(key)"
