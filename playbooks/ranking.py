"""The ranking of the playbooks from saved snapshots alone: ``sendcat judge signals SNAPSHOT... --json`` (pure).

A snapshot is what `reliability:snapshot` prints, or an artifact ``reliability-snapshot-<stamp>.json``: the bare answer
of `ops:getReliabilitySnapshot`. One that is wrapped with other facts (``{"snapshot": {...}}``) is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playbooks.book import Book
from playbooks.facts import Facts
from playbooks.reading import Reading, Signal
from playbooks.signals import judge_signals, suggestions
from slo.errors import BadSnapshot
from slo.snapshot import Snapshot


def rank(snapshots: Sequence[Mapping[str, Any]], book: Book) -> dict[str, Any]:
    """The signals of all playbooks, ranked, as JSON-ready data; ``snapshots`` are looks at one deployment.

    They may stand in any order. ``suggestions`` are the letters to open, first one first; ``undecided`` are those that
    snapshots alone cannot judge, such as E (counts do not tell stale from fresh); ``signals`` has all eight with their
    readings, in this order. ``state`` is ``fired``, ``quiet`` or ``not judged``. Ages count from the newest look.
    Raises `slo.errors.BadSnapshot` for what is no snapshot, and for none at all.
    """
    looks = tuple(sorted((Snapshot.parse(_bare(raw)) for raw in snapshots), key=lambda look: look.generated_at))
    if not looks:
        raise BadSnapshot(["at least one snapshot is needed"])
    facts = Facts(looks)
    signals = judge_signals(facts, book)
    return {
        "looks": [look.generated_at for look in looks],
        "spanMs": facts.span_ms,
        "suggestions": list(suggestions(signals)),
        "undecided": [signal.letter for signal in signals if signal.state == "not judged"],
        "signals": [_signal(signal, book) for signal in signals],
    }


def _bare(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = raw.get("snapshot")
    return inner if isinstance(inner, Mapping) and "generatedAt" not in raw else raw


def _signal(signal: Signal, book: Book) -> dict[str, Any]:
    return {
        "letter": signal.letter,
        "title": book.playbook(signal.letter).title,
        "state": signal.state,
        "variant": signal.variant,
        "severity": round(signal.severity, 3),
        "why": signal.why,
        "readings": [_reading(reading) for reading in signal.readings],
        "missing": list(signal.missing),
    }


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "name": reading.name,
        "value": reading.value,
        "limit": reading.limit,
        "unit": reading.unit,
        "fired": reading.fired,
        "ageMs": reading.age_ms,
        "sampled": reading.sampled,
        "note": reading.note,
    }
