"""Which pool user sends request number i: round robin, stride, or seeded random; always the same.

Bit for bit the original's choice (operator-commands.md section 4, "Pool entry").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from slo.errors import Unknown

Rotation = Literal["round_robin", "stride", "random"]
ROTATIONS: tuple[Rotation, ...] = ("round_robin", "stride", "random")
DEFAULT_STRIDE = 7


class UnknownRotation(Unknown):
    noun = "rotation mode"


def fnv1a32(text: str) -> int:
    """32-bit FNV-1a over the UTF-16 code units of `text`, as JavaScript's `charCodeAt` gives them."""
    value = 0x811C9DC5
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = ((value ^ (low | high << 8)) * 0x01000193) & 0xFFFFFFFF
    return value


def rotation(name: str) -> Rotation:
    """The rotation of that name. Raises `UnknownRotation`."""
    if name not in ROTATIONS:
        raise UnknownRotation(name, ROTATIONS)
    return name


@dataclass(frozen=True, slots=True)
class PoolSelector:
    """Chooses among `size` users; the request index restarts at 0 in each stage."""

    size: int
    mode: Rotation = "round_robin"
    stride: int = DEFAULT_STRIDE
    seed: str = ""

    def __post_init__(self) -> None:
        rotation(self.mode)
        if self.size < 1:
            raise ValueError("a pool needs at least one user")
        if self.stride < 1:
            raise ValueError("stride is at least 1")

    def index(self, i: int) -> int:
        """The user (0..size-1) of request number `i` (from 0)."""
        if self.mode == "random":
            return fnv1a32(f"{self.seed}:chatpool:{i}") % self.size
        if self.mode == "stride":
            return (i * self.stride + fnv1a32(self.seed) % self.size) % self.size
        return i % self.size

    @property
    def reach(self) -> int:
        """How many users can ever be chosen; a stride that divides the pool leaves most of it unused."""
        return self.size // math.gcd(self.stride, self.size) if self.mode == "stride" else self.size
