"""What a change step offers: legal ranges of the knobs that it names, and the line that would propose a change.

Executing it is tuning's: here nothing is written (Runbook, tuning rules).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playbooks.findings import Finding
from playbooks.knobs import Knob, KnobType, effective
from playbooks.page import Step
from playbooks.signals import Signal
from playbooks.spans import KnobRef
from playbooks.tuning import Standing, fixed, legal, line_of, shown
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.walk.milestone import Gate

SHOWN = 6
KEPT = {("A", "abusive"): "this is abuse: the limits stay, a higher one lets more of it in"}
"""Letter and variant for which the runbook wants nothing raised (Runbook, playbook A, action 2)."""
_VERSION = re.compile(r".*?v(\d+)")


@dataclass(frozen=True)
class Offer:
    """A button: its label, and the line it is."""

    label: str
    line: str


def of_step(
    step: Step, signal: Signal | None, now: Snapshot, gate: Gate | None = None
) -> tuple[tuple[Finding, ...], tuple[Offer, ...]]:
    """The knobs of a step that the signal is about (all of them when it is about none), and what to propose.

    With a milestone's ``gate``: what its last run failed by says which.
    """
    if gate is not None and gate.red():
        advice = gate.advice(now)
        lines = tuple(Finding(item.text, "warn") for item in advice)
        lawful = [Offer(_label(item.line), item.line) for item in advice if item.line]
        return lines or (Finding("no knob is known for what failed: see the red checks", "unknown"),), tuple(lawful[:2])
    refs = step.all(KnobRef)
    named = list(dict.fromkeys(knob for ref in refs for knob in ref.knobs))
    if signal is not None and (kept := KEPT.get((signal.letter, signal.variant or ""))) is not None:
        return (Finding(kept, "warn"),), ()
    told = [knob for knob in named if signal is not None and signal.fired and f"`{knob.name}`" in signal.why]
    about = told or [knob for knob in named if signal is not None and _concerns(knob, signal)]
    knobs = about or named
    findings = [_range(knob, now) for knob in knobs[:SHOWN]]
    if len(knobs) > SHOWN:
        findings.append(Finding(f"and {len(knobs) - SHOWN} more of this kind"))
    wished = [(knob, ref.value) for ref in refs if ref.value is not None for knob in ref.knobs]
    offers = [_switch(knob, value, now) for knob, value in wished]
    raised = [] if wished else [_raise(group, now) for group in _together(about or named[:1])]
    return tuple(findings), tuple(offer for offer in (*offers, *raised) if offer is not None)[:2]


def _label(line: str) -> str:
    return f"Propose {line.removeprefix('tune ')}" if line.startswith("tune ") else f"Run {line}"


def _concerns(knob: Knob, signal: Signal) -> bool:
    """Whether one of the readings that fired speaks of what this knob holds."""
    place = _plain(knob.snapshot_path or knob.name)
    words = [word for reading in signal.readings if reading.fired for word in reading.name.split()]
    partners = " ".join(_plain(name) for name in knob.coupled_with)
    return any("_" in word and (_plain(word) in place or _plain(word) in partners) for word in words)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _together(knobs: Iterable[Knob]) -> list[tuple[Knob, ...]]:
    """Knobs that act only together as one change (`TOOL_JOB_RUNMAX_WEB` and its QoS class), the rest alone."""
    from playbooks.knobs import all_knobs

    groups: list[tuple[Knob, ...]] = []
    for knob in knobs:
        if any(knob in group for group in groups):
            continue
        partners = [all_knobs()[name] for name in knob.coupled_with if _pair(knob.name, name)]
        groups.append((knob, *partners))
    return groups


def _pair(one: str, other: str) -> bool:
    return one.startswith("TOOL_JOB_RUNMAX_") and other.startswith("TOOL_JOB_RUNMAX_")


def _range(knob: Knob, now: Snapshot) -> Finding:
    value = effective(now, knob)
    if value is None:
        return Finding(f"{knob.name}: the snapshot does not show its value", "unknown")
    if reason := fixed(knob):
        return Finding(f"{knob.name} is {shown(value)}: {reason}")
    reach = legal(knob.name, Standing(None, value))
    if reach is None:
        return Finding(f"{knob.name} is {shown(value)}")
    if reach.low == reach.high:
        return Finding(f"{knob.name} is {value}; {reach.pct}% rounds to nothing, so it stays", "warn")
    unit = f" {knob.unit}" if knob.unit in ("ms", "s", "percent") else ""
    return Finding(f"{knob.name} is {value}; one change may lead to {reach.low}..{reach.high}{unit}")


def _raise(knobs: tuple[Knob, ...], now: Snapshot) -> Offer | None:
    """The largest lawful step up, for all of a group together; the next version of a namespace."""
    texts: dict[str, str] = {}
    for knob in knobs:
        value = effective(now, knob)
        if knob.effective_as is not None and (version := _VERSION.fullmatch(str(value))):
            texts[knob.name] = f"v{int(version[1]) + 1}"
            continue
        reach = legal(knob.name, Standing(None, value)) if value is not None else None
        if knob.type is not KnobType.INT or reach is None or reach.high == reach.old:
            return None
        texts[knob.name] = str(reach.high)
    words = " and ".join(f"{name} {text}" for name, text in texts.items())
    return Offer(f"Propose {words}", line_of(texts))


def _switch(knob: Knob, value: str | None, now: Snapshot) -> Offer | None:
    if value is None or effective(now, knob) == (value == "true"):
        return None
    return Offer(f"Propose {knob.name}={value}", line_of({knob.name: value}))
