"""Reads the labelled cases of ``tests/data/signals``: ``<name>.json`` holds facts, ``<name>.expected.json`` the answer.

A look names a recorded sample as its ``base``, its time ``at_ms`` after the first one, and what differs (``set``, merged
field by field; lists and the maps of `WHOLE` are replaced). ``{"ago_ms": n}`` is n ms before that look; ``"repeat": n`` in
a row stands for n rows. ``drill`` and ``probe`` are verdicts (PASS when absent); the posture is judged for real.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playbooks.book import Book
from playbooks.diagnosis import Diagnosis, diagnose
from playbooks.facts import CachedAnswer, Event, Facts, Lease, MilestoneWish, ReplayKey
from slo import posture
from slo.policy import GatePolicy, Ownership, load
from slo.snapshot import Snapshot
from slo.verdict import Judgement, Verdict

DATA = Path(__file__).parent.parent / "data"
SIGNALS = DATA / "signals"
WHOLE = ("byBucketOutcome", "inFlightByProvider", "byScope", "byNamespace", "byTool", "pressureByTool")
NAMES = sorted(path.stem for path in SIGNALS.glob("*.json") if not path.stem.endswith(".expected"))


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SIGNALS / f"{name}.json").read_text("utf-8"))
    return found


def expected(name: str) -> dict[str, Any]:
    return read(f"{name}.expected")


def look(base: str = "idle", at_ms: int = 0, **differs: Any) -> Snapshot:
    """A recorded snapshot, moved in time and changed."""
    raw = json.loads((DATA / "samples" / "snapshots" / f"{base}.json").read_text("utf-8"))["snapshot"]
    raw["generatedAt"] += at_ms
    return Snapshot.parse(_merged(raw, resolved(differs, raw["generatedAt"])))


def facts_of(case: dict[str, Any]) -> Facts:
    looks = tuple(look(item["base"], item["at_ms"], **item["set"]) for item in case["looks"])
    now_ms = looks[-1].generated_at if looks else 0

    def rows(key: str) -> list[Any] | None:
        found: list[Any] | None = resolved(case[key], now_ms) if key in case else None
        return found

    leases, keys = rows("leases"), rows("replay_keys")
    return Facts(
        looks,
        events=_events(case["events"], now_ms) if "events" in case else None,
        leases=None if leases is None else tuple(map(Lease.model_validate, leases)),
        replay_keys=None if keys is None else tuple(map(ReplayKey.model_validate, keys)),
        cached=tuple(CachedAnswer(*pair) for pair in case["cached"]) if "cached" in case else None,
        drills=tuple(case["drills"]) if "drills" in case else None,
        expected_peak_streams=case.get("expected_peak_streams"),
        milestone=MilestoneWish(**case["milestone"]) if "milestone" in case else None,
    )


def diagnosis_of(case: dict[str, Any], book: Book) -> Diagnosis:
    facts = facts_of(case)
    return diagnose(
        facts, judged(case.get("drill", "PASS")), judged(case.get("probe", "PASS")), posture_of(facts), book
    )


def judged(verdict: str | None) -> Judgement | None:
    return None if verdict is None else Judgement(verdict=Verdict(verdict), reason=f"the case says {verdict}")


def posture_of(facts: Facts) -> Judgement | None:
    if facts.now is None:
        return None
    before = facts.looks[0] if len(facts.looks) > 1 else None
    now_ms = facts.now.generated_at
    return posture.judge(facts.now, load(GatePolicy), load(Ownership), now_ms=now_ms, before=before)


def resolved(value: Any, now_ms: int) -> Any:
    """Times that were written as ages, and rows that stand for many."""
    if isinstance(value, dict):
        if set(value) == {"ago_ms"}:
            return now_ms - value["ago_ms"]
        return {key: resolved(item, now_ms) for key, item in value.items() if key != "repeat"}
    if isinstance(value, list):
        return [
            resolved(item, now_ms)
            for item in value
            for _ in range(item.get("repeat", 1) if isinstance(item, dict) else 1)
        ]
    return value


def _merged(raw: Any, differs: Any) -> Any:
    if not isinstance(raw, dict) or not isinstance(differs, dict):
        return differs
    merged = dict(raw)
    for key, value in differs.items():
        merged[key] = value if key in WHOLE else _merged(raw.get(key), value)
    return merged


def _events(specs: list[dict[str, Any]], now_ms: int) -> tuple[Event, ...]:
    """``rows`` events for each of ``keys`` keys, one each ``every_ms``, the newest ``start_ms`` ago."""
    return tuple(
        Event(
            bucket=spec["bucket"],
            key=f"{spec['bucket']}:key:{key}",
            outcome=spec["outcome"],
            created_at=now_ms - spec["start_ms"] - row * spec["every_ms"],
        )
        for spec in specs
        for row in range(spec["rows"])
        for key in range(spec["keys"])
    )
