"""Convex values on the wire: arguments in, results out, in both formats of the HTTP API."""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | bytes | list[Json] | dict[str, Json] | None"
"""A value as functions see it. ``int`` and ``float`` are both Convex numbers; ``bytes`` is Convex bytes."""

Document: TypeAlias = dict[str, Json]

FORMATS = {
    "json": False,
    "convex_clean_json": False,
    "convex_encoded_json": True,
    "convex_json": True,
    "export_json": True,
}
"""Known output formats, and whether special numbers are tagged in them."""


class BadValue(ValueError):
    """An argument is not a Convex value (unknown tag, broken base64, a key that starts with ``$``)."""


def decode(value: object) -> Json:
    """Read an argument: plain JSON plus the tags ``$float``, ``$integer`` and ``$bytes``."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, inner),) = value.items()
            if isinstance(key, str) and key.startswith("$"):
                return _tagged(key, inner)
        if any(not isinstance(key, str) or key.startswith("$") for key in value):
            raise BadValue("Field names must not start with '$'")
        return {key: decode(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise BadValue(f"{value!r} is not a supported Convex value")


def _tagged(tag: str, inner: object) -> Json:
    if not isinstance(inner, str):
        raise BadValue(f"{tag} needs a base64 string")
    try:
        raw = base64.b64decode(inner, validate=True)
    except ValueError as error:
        raise BadValue(f"{tag} needs a base64 string") from error
    if tag == "$bytes":
        return raw
    if len(raw) != 8:
        raise BadValue(f"{tag} needs 8 bytes")
    if tag == "$integer":
        return int(struct.unpack("<q", raw)[0])
    if tag == "$float":
        number = float(struct.unpack("<d", raw)[0])
        if math.isfinite(number) and not _is_minus_zero(number):
            raise BadValue("$float is for special numbers only")
        return number
    raise BadValue(f"unknown tag {tag}")


def encode(value: Json, *, tagged: bool, floats: bool, skew_ms: int = 0) -> object:
    """Make a result ready for ``json.dumps``: alphabetical keys, ``15.0`` for whole numbers when ``floats``.

    ``skew_ms`` moves every point in time, as seen from a deployment whose clock is off.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return float(value) if floats else value
    if isinstance(value, float):
        return _number(value, tagged=tagged, floats=floats)
    if isinstance(value, bytes):
        text = base64.b64encode(value).decode("ascii")
        return {"$bytes": text} if tagged else text
    if isinstance(value, list):
        return [encode(item, tagged=tagged, floats=floats, skew_ms=skew_ms) for item in value]
    result: dict[str, object] = {}
    for key in sorted(value):
        item = value[key]
        if skew_ms and key in _POINTS_IN_TIME and isinstance(item, int | float):
            item = item + skew_ms
        result[key] = encode(item, tagged=tagged, floats=floats, skew_ms=skew_ms)
    return result


def _number(value: float, *, tagged: bool, floats: bool) -> object:
    if math.isfinite(value) and not (tagged and _is_minus_zero(value)):
        return int(value) if value.is_integer() and not floats else value
    if tagged:
        return {"$float": base64.b64encode(struct.pack("<d", value)).decode("ascii")}
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _is_minus_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON; a bare NaN is a programming error and raises ``ValueError``."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


_POINTS_IN_TIME = frozenset(
    {
        "_creationTime",
        "acquiredAt",
        "availableAt",
        "completedAt",
        "cooldownUntil",
        "createdAt",
        "deadLetterAt",
        "expiresAt",
        "firstSeenAt",
        "generatedAt",
        "lastFailureAt",
        "lastSeenAt",
        "lastSuccessAt",
        "leaseExpiresAt",
        "updatedAt",
        "windowStart",
    }
)
