"""Times as the original prints them, and the names of artifacts (operator-commands.md section 1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ms: int) -> str:
    """`2026-02-19T11:39:18.610Z`, as JavaScript prints a time."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def ms_of_iso(text: str) -> int:
    """Milliseconds UTC of such a text. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return round((moment - _EPOCH) / timedelta(milliseconds=1))


def stamp(ms: int) -> str:
    """`2026-02-19T11-39-18-610Z`: UTC, for file names; sorts by time."""
    return iso(ms).replace(":", "-").replace(".", "-")


_PREFIXES = {
    "probe": "synthetic-probes",
    "drill": "load-drill",
    "gate": "release-gate",
    "canary": "canary-check",
    "round": "canary-round",
    "gameday": "game-day",
    "region": "region-readiness",
    "milestone": "milestone-gate",
    "snapshot": "reliability-snapshot",
    "triage": "triage",
    "tuning": "tuning",
}
_WITH_PROFILE = frozenset({"drill", "round", "milestone", "tuning"})


def artifact_name(kind: str, ms: int, profile: str | None = None) -> str:
    """The file name of an artifact, as the original names it.

    `kind` is the command (probe, drill, gate, canary, gameday, region, milestone, snapshot, triage,
    tuning), or round, one drill of a canary; drills and rounds need their profile, milestones the milestone,
    tunings the change's id. Raises ValueError.
    """
    if kind not in _PREFIXES:
        raise ValueError(f"no artifact kind {kind!r} (known: {', '.join(_PREFIXES)})")
    if (kind in _WITH_PROFILE) != (profile is not None):
        raise ValueError(f"{kind} artifacts {'need' if kind in _WITH_PROFILE else 'take no'} profile")
    middle = f"-{profile}" if profile else ""
    return f"{_PREFIXES[kind]}{middle}-{stamp(ms)}.json"


def kind_of(name: str) -> str | None:
    """The kind of an artifact by its file name, or None."""
    return next((kind for kind, prefix in _PREFIXES.items() if name.startswith(f"{prefix}-")), None)
