"""What a change step offers: legal ranges of the knobs that it names, and the line that would propose a change.

Executing it is tuning's: here nothing is written (Runbook, tuning rules).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.card import Form
from bot.tuning.form import Wanted, change_form
from playbooks.findings import Finding
from playbooks.knobs import Knob, KnobType, effective
from playbooks.lines import Line
from playbooks.page import Step
from playbooks.signals import Signal
from playbooks.spans import KnobRef
from playbooks.tuning import Standing, fixed, legal, line_of, shown
from slo.snapshot import Snapshot

SHOWN = 6
WHY = 280
KEPT = {("A", "abusive"): "this is abuse: the limits stay, a higher one lets more of it in"}
"""Letter and variant for which the runbook wants nothing raised (Runbook, playbook A, action 2)."""
_VERSION = re.compile(r".*?v(\d+)")


@dataclass(frozen=True)
class Offer:
    """A button: its label, the line it is, and the form that is asked first where numbers are to be chosen."""

    label: str
    line: str
    form: Form | None = None


def of_step(step: Step, signal: Signal | None, now: Snapshot) -> tuple[tuple[Finding, ...], tuple[Offer, ...]]:
    """The knobs of a step that the signal is about (all of them when it is about none), and what to propose."""
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
    why = reason(signal)
    offers = [_switch(knob, value, now, why) for knob, value in wished]
    raised = [] if wished else [_raise(group, now, why) for group in _together(about or named[:1])]
    return tuple(findings), tuple(offer for offer in (*offers, *raised) if offer is not None)[:2]


def reason(signal: Signal | None) -> str:
    """Why the step is taken, as the proposal shows it and the record keeps it: the playbook and what it saw."""
    if signal is None or not signal.fired:
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


def _raise(knobs: tuple[Knob, ...], now: Snapshot, why: str) -> Offer | None:
    """The largest lawful step up for all of a group, to be lessened in the form; of a namespace, the next version."""
    texts: dict[str, str] = {}
    wanted: list[Wanted] = []
    for knob in knobs:
        value = effective(now, knob)
        if knob.effective_as is not None and (version := _VERSION.fullmatch(str(value))):
            texts[knob.name] = f"v{int(version[1]) + 1}"
            continue
        reach = legal(knob.name, Standing(None, value)) if value is not None else None
        if knob.type is not KnobType.INT or reach is None or reach.high == reach.old:
            return None
        texts[knob.name] = str(reach.high)
        wanted.append(Wanted(knob, reach.low, reach.high, reach.old, str(reach.high)))
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
