"""Ids that people see: short, typed, never reused (INTERFACES.md, section 5)."""

from __future__ import annotations

from bot.store.tx import Tx

_ALPHABET = "23456789bcdfghjkmnpqrstvwxz"
"""27 signs: none that look alike, no vowels, so no words."""
_STRIDE = 327_023
"""Odd and no multiple of three, so that neighbours look different and no id comes twice."""


def number(tx: Tx, prefix: str) -> str:
    """The next counted id of a prefix: ``c-41``."""
    return f"{prefix}-{_next(tx, prefix)}"


def code(tx: Tx, prefix: str) -> str:
    """The next id that is easy to tell from its neighbours: ``r-8f2k``; a sign longer after each half million."""
    return f"{prefix}-{scatter(_next(tx, prefix) - 1)}"


def scatter(n: int) -> str:
    """The n-th code: four signs for the first 27**4 numbers, then five, and so on; never the same one twice."""
    length = 4
    while n >= (size := len(_ALPHABET) ** length):
        n, length = n - size, length + 1
    n = (n + 1) * _STRIDE % size
    signs = []
    for _ in range(length):
        n, sign = divmod(n, len(_ALPHABET))
        signs.append(_ALPHABET[sign])
    return "".join(reversed(signs))


def _next(tx: Tx, name: str) -> int:
    last: int = tx.db.execute(
        "INSERT INTO counters (name, last) VALUES (?, 1) "
        "ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last",
        (name,),
    ).fetchone()[0]
    return last
