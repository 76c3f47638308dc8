"""What changed between two snapshots: numbers and configuration, by the wire's own paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slo.snapshot import Snapshot

Scalar = int | float | str | bool | None
_SECRET = frozenset({"config.admission.redisUrl", "config.admission.redisToken"})
_KEYED = {
    "circuitBreakers.recent": ("provider", ("state", "failureCount", "cooldownUntil", "lastFailureAt")),
    "chatAdmission.topReasons": ("reason", ("count",)),
}
"""Lists whose rows have a name; of other lists only the length is compared."""
_SECTIONS = tuple(info.alias or name for name, info in Snapshot.model_fields.items())


@dataclass(frozen=True, slots=True)
class Delta:
    """One difference; None on a side means the path is absent there. Secrets show only that they changed."""

    path: str
    before: Scalar
    after: Scalar

    @property
    def change(self) -> float | None:
        """After minus before, where both are numbers."""
        old, new = _number(self.before), _number(self.after)
        return None if old is None or new is None else new - old

    def __str__(self) -> str:
        change = self.change
        by = "" if change is None else f" ({change:+g})"
        return f"{self.path}: {_word(self.before)} -> {_word(self.after)}{by}"


def diff(before: Snapshot, after: Snapshot) -> tuple[Delta, ...]:
    """All differences, configuration last, each part in the snapshot's order; `generatedAt` is left out."""
    old, new = dict(_flat(_plain(before))), dict(_flat(_plain(after)))
    paths = [path for path in dict.fromkeys((*old, *new)) if old.get(path) != new.get(path)]
    deltas = [_delta(path, old.get(path), new.get(path)) for path in paths if path != "generatedAt"]
    return tuple(sorted(deltas, key=_section))


def _section(delta: Delta) -> int:
    name = delta.path.partition(".")[0]
    return len(_SECTIONS) if name == "config" or name not in _SECTIONS else _SECTIONS.index(name)


def _plain(snapshot: Snapshot) -> Mapping[str, Any]:
    return snapshot.model_dump(mode="json", by_alias=True, exclude_none=True)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _rows(value, path)
    else:
        yield path, value


def _rows(rows: Sequence[Any], path: str) -> Iterator[tuple[str, Scalar]]:
    if path not in _KEYED:
        yield f"{path}.length", len(rows)
        return
    key, fields = _KEYED[path]
    for row in rows:
        for name in fields:
            if name in row:
                yield f"{path}.{row[key]}.{name}", row[name]


def _delta(path: str, before: Scalar, after: Scalar) -> Delta:
    if path in _SECRET:
        return Delta(path, "(secret)" if before else before, "(another secret)" if after else after)
    return Delta(path, before, after)


def _number(value: Scalar) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _word(value: Scalar) -> str:
    return "absent" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
