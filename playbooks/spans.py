"""What stands in backquotes on a page is live: read into one of these, or refused.

======================  =======================================================================
`NpmLine`               ``npm run reliability:drill -- --quick=true``: runs as ``drill --quick=true``
`ConvexLine`            ``npx convex run circuitBreaker:listStatuses '{"limit":20}'``: a call with its arguments
`SlashLine`             ``/sendcat triage``; also ``cat scripts/reliability/ownership-matrix.json``
`FunctionRef`           ``toolCache:clearNamespace``: a function without arguments
`KnobRef`               ``TOOL_JOB_LEASE_MS``, ``RATE_LIMIT_*_MAX``, ``FF_PROVIDER_FAILOVER_ENABLED=true``
`FieldRef`              ``toolJobs.byStatus.queued``: a field of the snapshot
`PathRef`               a file or an endpoint
`CheckRef`              ``check:provider-status``: evidence that no single read gives, from `checks`
`Term`                  any other name of the closed sets in `terms`
======================  =======================================================================
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from playbooks import knobs
from playbooks.checks import CHECKS
from playbooks.functions import FUNCTIONS, ArgValue, Function, FunctionError, function
from playbooks.knobs import Knob
from playbooks.lines import Line, LineError, parse
from playbooks.terms import ENDPOINTS, PATHS, TERMS, is_snapshot_field

CHECK = "check:"
_BLANK = re.compile(r"<([a-z][a-z-]*)>")
_FUNCTION = re.compile(r"[a-zA-Z]+:[a-zA-Z]+")
_KNOB = re.compile(r"(?P<name>[A-Z][A-Z0-9]*(?:_[A-Z0-9*]+)+)(?:=(?P<value>\S+))?")


@dataclass(frozen=True)
class Span:
    """One piece in backquotes: its ``text`` as written."""

    text: str


@dataclass(frozen=True)
class CommandSpan(Span):
    """A line that runs. ``blanks`` are the places a person fills in: ``--expected-peak-streams=<forecast>``."""

    line: Line

    @property
    def blanks(self) -> tuple[str, ...]:
        return tuple(_BLANK.findall(self.line.text))


class NpmLine(CommandSpan):
    """A line in the runbook's own spelling."""


class SlashLine(CommandSpan):
    """A line as typed in Slack."""


@dataclass(frozen=True)
class ConvexLine(CommandSpan):
    """A call of a function with arguments that it takes."""

    function: Function
    args: Mapping[str, ArgValue]


@dataclass(frozen=True)
class FunctionRef(Span):
    function: Function


@dataclass(frozen=True)
class KnobRef(Span):
    """One knob, or the knobs that a name with ``*`` stands for; ``value`` when the page says one."""

    knobs: tuple[Knob, ...]
    value: str | None = None


@dataclass(frozen=True)
class FieldRef(Span):
    """A field of the snapshot, in wire names."""


@dataclass(frozen=True)
class PathRef(Span):
    """A file (``*`` and ``<name>`` stand for parts of its name) or an endpoint of Sendcat."""

    @property
    def is_endpoint(self) -> bool:
        return self.text in ENDPOINTS


@dataclass(frozen=True)
class CheckRef(Span):
    """A check by name."""

    @property
    def name(self) -> str:
        return self.text.removeprefix(CHECK)


@dataclass(frozen=True)
class Term(Span):
    """A name of the closed sets."""


class SpanError(ValueError):
    """Something in backquotes that the code does not know."""


def read_span(text: str, commands: Collection[str]) -> Span:
    """What this piece in backquotes means; raises `SpanError` with the nearest thing that would be right."""
    try:
        if text.startswith("npx "):
            return _convex_line(text)
        if text.startswith(("npm ", "/sendcat", "cat ")):
            line = parse(text)
            if line.command not in commands:
                raise SpanError(f"no command `{line.command}`{_near(line.command, commands)}")
            return NpmLine(text, line) if text.startswith("npm ") else SlashLine(text, line)
        if text in ENDPOINTS or text in PATHS:
            return PathRef(text)
        if text.startswith(CHECK):
            if text.removeprefix(CHECK) not in CHECKS:
                raise SpanError(f"no check `{text}`{_near(text.removeprefix(CHECK), CHECKS)}")
            return CheckRef(text)
        if _FUNCTION.fullmatch(text):
            return FunctionRef(text, function(text))
    except (LineError, FunctionError) as error:
        raise SpanError(str(error)) from None
    if text in TERMS:
        return Term(text)
    named = _KNOB.fullmatch(text)
    if named:
        return _knob_ref(text, named["name"], named["value"])
    if is_snapshot_field(text):
        return FieldRef(text)
    raise SpanError(f"nothing is called `{text}`{_near(text, [*TERMS, *PATHS, *FUNCTIONS])}")


def _convex_line(text: str) -> ConvexLine:
    line = parse(text)
    called = function(line.words[0])
    raw = line.words[1] if len(line.words) > 1 else "{}"
    try:
        args = json.loads(raw)
    except ValueError:
        raise SpanError(f"the arguments of {called.name} are not JSON") from None
    if not isinstance(args, dict):
        raise SpanError(f"the arguments of {called.name} are a JSON object")
    return ConvexLine(text, line, called, called.check(args))


def _knob_ref(text: str, name: str, value: str | None) -> KnobRef:
    found = knobs.matching(name)
    if not found:
        near = knobs.nearest(name)
        raise SpanError(f"no knob `{name}`" + (f"; did you mean `{near}`?" if near else ""))
    for knob in found:
        if value is not None and not knob.accepts(value):
            raise SpanError(f"{knob.name} does not take `{value}`: the default would rule")
    return KnobRef(text, found, value)


def _near(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
