"""What a change step offers: legal ranges of the knobs that it names, and the line that would propose a change.

Executing it is tuning's: here nothing is written (Runbook, tuning rules).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.card import Form
from bot.tuning.form import Wanted, change_form
from playbooks.advice import focus
from playbooks.change_set import Standing, line_of, shown
from playbooks.findings import Finding
from playbooks.knobs import Knob, KnobType, all_knobs, effective
from playbooks.lines import Line
from playbooks.page import Step
from playbooks.signals import Signal
from playbooks.spans import KnobRef
from playbooks.steps import Family, family
from playbooks.tuning import LEFTOVER, fixed, legal
from slo.snapshot import Snapshot

if TYPE_CHECKING:
    from bot.walk.milestone import Gate

SHOWN = 6
WHY = 280
_VERSION = re.compile(r".*?v(\d+)")


@dataclass(frozen=True)
class Offer:
    """A button: its label, the line it is, and the form that is asked first where numbers are to be chosen."""

    label: str
    line: str
    form: Form | None = None


def knobs_of(step: Step, signal: Signal, now: Snapshot) -> tuple[Knob, ...]:
    """The knobs of a step that the signal is about; all that the step names when it is about none."""
    named = _named(step)
    focused = focus(step.number, signal, now)
    if focused:
        return tuple(all_knobs()[name] for name in focused)
    told = tuple(knob for knob in named if signal.fired and f"`{knob.name}`" in signal.why)
    return told or tuple(knob for knob in named if _concerns(knob, signal)) or named


def of_step(
    step: Step, signal: Signal, now: Snapshot, standings: Mapping[str, Standing], gate: Gate | None = None
) -> tuple[tuple[Finding, ...], tuple[Offer, ...]]:
    """Legal ranges of the knobs that a step is about, and what to propose.

    ``standings`` says of some how they stand (24 h ago, how long their calls take); the rest stands as it is shown.
    With a milestone's ``gate``: what its last run failed by says which.
    """
    if gate is not None and gate.red():
        advice = gate.advice(now)
        lines = tuple(Finding(item.text, "warn") for item in advice)
        lawful = [Offer(_label(item.line), item.line) for item in advice if item.line]
        return lines or (Finding("no knob is known for what failed: see the red checks", "unknown"),), tuple(lawful[:2])
    refs, knobs = step.all(KnobRef), knobs_of(step, signal, now)
    known = {
        knob.name: standings.get(knob.name) or Standing(None, effective(now, knob)) for knob in all_knobs().values()
    }
    findings = [_range(knob, known[knob.name]) for knob in knobs[:SHOWN]]
    if len(knobs) > SHOWN:
        findings.append(Finding(f"and {len(knobs) - SHOWN} more of this kind"))
    wished = [(knob, ref.value) for ref in refs if ref.value is not None for knob in ref.knobs]
    why = reason(signal)
    offers = [_switch(knob, value, now, why) for knob, value in wished]
    named = _named(step)
    about = knobs if len(knobs) < len(named) or len(named) == 1 else named[:1]
    moved = [] if wished else [_move(group, known, why) for group in _together(about)]
    return tuple(findings), tuple(offer for offer in (*offers, *moved) if offer is not None)[:2]


def _named(step: Step) -> tuple[Knob, ...]:
    """The knobs that a step names, without those of a provider that no call uses."""
    found = dict.fromkeys(knob for ref in step.all(KnobRef) for knob in ref.knobs)
    return tuple(knob for knob in found if not knob.name.startswith(LEFTOVER))


def _label(line: str) -> str:
    return f"Propose {line.removeprefix('tune ')}" if line.startswith("tune ") else f"Run {line}"


def reason(signal: Signal) -> str:
    """Why the step is taken, as the proposal shows it and the record keeps it: the playbook and what it saw."""
    if not signal.fired:
        return ""
    return f"playbook {signal.letter}: {signal.why.replace('`', '')}"[:WHY]


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
    groups: list[tuple[Knob, ...]] = []
    for knob in knobs:
        if any(knob in group for group in groups):
            continue
        partners = [all_knobs()[name] for name in knob.coupled_with if _pair(knob.name, name)]
        groups.append((knob, *partners))
    return groups


def _pair(one: str, other: str) -> bool:
    return one.startswith("TOOL_JOB_RUNMAX_") and other.startswith("TOOL_JOB_RUNMAX_")


def _range(knob: Knob, standing: Standing) -> Finding:
    value = standing.effective
    if value is None:
        return Finding(f"{knob.name}: the snapshot does not show its value", "unknown")
    if reason := fixed(knob):
        return Finding(f"{knob.name} is {shown(value)}: {reason}")
    reach = legal(knob.name, standing)
    if reach is None:
        return Finding(f"{knob.name} is {shown(value)}")
    if reach.low == reach.high:
        return Finding(f"{knob.name} is {value}; {reach.pct}% rounds to nothing, so it stays", "warn")
    unit = f" {knob.unit}" if knob.unit in ("ms", "s", "percent") else ""
    calls = f"; its calls take at most {standing.call_ms} ms" if standing.call_ms is not None else ""
    return Finding(f"{knob.name} is {value}; one change may lead to {reach.low}..{reach.high}{unit}{calls}")


def _move(knobs: tuple[Knob, ...], known: Mapping[str, Standing], why: str) -> Offer | None:
    """The largest lawful step that relieves, for all of a group together, to be lessened in the form.

    Numbers go up - but the life of a lease comes down, toward real call durations (Runbook, playbook C, action 3). Of a
    namespace it is the next version.
    """
    texts: dict[str, str] = {}
    wanted: list[Wanted] = []
    for knob in knobs:
        standing = known[knob.name]
        if knob.effective_as is not None and (version := _VERSION.fullmatch(str(standing.effective))):
            texts[knob.name] = f"v{int(version[1]) + 1}"
            continue
        reach = legal(knob.name, standing) if standing.effective is not None else None
        if knob.type is not KnobType.INT or reach is None:
            return None
        shorter = knob.name.startswith("BULKHEAD_") and family(knob) is Family.LEASE
        value = reach.low if shorter else reach.high
        if value == reach.old:
            return None
        texts[knob.name] = str(value)
        wanted.append(Wanted(knob, reach.low, reach.high, reach.old, str(value)))
    words = " and ".join(f"{name} {text}" for name, text in texts.items())
    if len(wanted) < len(texts):
        return Offer(f"Propose {words}", _line(texts, why))
    form = change_form(wanted, title="Propose a change", why=why, note="Another responder approves it in Slack.")
    return Offer(f"Propose {words}", "tune", form)


def _switch(knob: Knob, value: str | None, now: Snapshot, why: str) -> Offer | None:
    if value is None or effective(now, knob) == (value == "true"):
        return None
    return Offer(f"Propose {knob.name}={value}", _line({knob.name: value}, why))


def _line(texts: dict[str, str], why: str) -> str:
    words = line_of(texts).split()
    return Line(words[0], tuple(words[1:]), {"why": why} if why else {}).text
