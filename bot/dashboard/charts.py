"""Where everything stands in a chart: figures become places on a canvas of fixed size, with the table beside it.

Colour only repeats what a shape and a word say: a point beyond its limit is a diamond, its row in the table says
"over" or "under". Runs stand side by side in the order they began, since unlike profiles share no rhythm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH, HEIGHT = 640, 330
LEFT, RIGHT, TOP, BOTTOM = 66, 10, 10, 38
MOST_LABELS = 6
MOST_TICKS = 6
Scale = Literal["linear", "log", "share"]
"""share: a part of a whole, drawn up to 100%."""


@dataclass(frozen=True)
class Series:
    """One line of a chart: a value for each run, None where it was not measured."""

    name: str
    values: tuple[float | None, ...]
    limit: float | None = None
    """Compared point by point where it is the line that the limit is about."""
    drawn: bool = True
    """False: in the table only, since its measure would hide the limit."""


@dataclass(frozen=True)
class Wanted:
    """A chart as somebody wants it. ``labels`` name the runs; ``at_least`` turns the limit round.

    ``limits`` are those of single lines, with their names, where the lines have not one in common.
    """

    id: str
    title: str
    series: tuple[Series, ...]
    labels: tuple[str, ...]
    ticks: tuple[str, ...]
    """Short names of the runs below the axis."""
    notes: tuple[str, ...]
    """What is to be known of each run: its profile."""
    limit: float | None
    say: Callable[[float | None], str]
    scale: Scale = "linear"
    at_least: bool = False
    limit_word: str = "limit"
    limits: tuple[tuple[str, float], ...] = ()

    @property
    def every_limit(self) -> tuple[tuple[str, float], ...]:
        """Each limit with its name, the one of all lines first."""
        own = ((self.limit_word, self.limit),) if self.limit is not None else ()
        return (*own, *self.limits)


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    over: bool
    title: str
    line: int


@dataclass(frozen=True)
class Path:
    points: str
    line: int
    name: str


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Row:
    """A line of the table beside the chart, newest first."""

    label: str
    note: str
    cells: tuple[str, ...]
    word: str
    """``over``, ``under``, ``ok`` or empty where nothing was measured."""


@dataclass(frozen=True)
class Chart:
    """Everything that the page draws."""

    id: str
    title: str
    said: str
    """The chart in a sentence, for who does not see it."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    paths: tuple[Path, ...]
    dots: tuple[Dot, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    limit_ys: tuple[float, ...]
    limit_label: str
    beyond: tuple[float, float] | None
    """Top and height of the ground beyond the limit."""
    lines: tuple[str, ...]

    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def beyond(value: float | None, limit: float | None, at_least: bool) -> bool:
    """Whether a value breaks its limit; what was not measured breaks none."""
    if value is None or limit is None:
        return False
    return value < limit if at_least else value > limit


def draw(wanted: Wanted) -> Chart:
    """Lay a chart out."""
    lines = [line for line in wanted.series if line.drawn]
    values = [v for line in lines for v in line.values if v is not None]
    low, high = _range(values, wanted)
    up = _upwards(low, high, wanted.scale)
    count = len(wanted.labels)

    def x(at: int) -> float:
        if count == 1:
            return round((LEFT + WIDTH - RIGHT) / 2, 1)
        inset = 36
        return round(LEFT + inset + at * (WIDTH - LEFT - RIGHT - 2 * inset) / (count - 1), 1)

    dots, paths = [], []
    for number, line in enumerate(lines):
        run: list[str] = []
        for at, value in enumerate([*line.values, None]):
            if value is None:
                paths += [Path(" ".join(run), number, line.name)] if len(run) > 1 else []
                run = []
                continue
            run.append(f"{x(at)},{up(value)}")
            over = beyond(value, line.limit, wanted.at_least)
            title = f"{wanted.labels[at]} · {wanted.notes[at]} · {line.name}: {wanted.say(value)}"
            dots.append(Dot(x(at), up(value), over, title, number))
    limit_ys = tuple(dict.fromkeys(up(limit) for _, limit in wanted.every_limit))
    step = max(1, math.ceil(count / MOST_LABELS))
    return Chart(
        id=wanted.id,
        title=wanted.title,
        said=_said(wanted),
        columns=tuple(line.name for line in wanted.series),
        rows=tuple(_row(wanted, at) for at in reversed(range(count))),
        paths=tuple(paths),
        dots=tuple(dots),
        y_ticks=tuple(Tick(up(value), wanted.say(value)) for value in ticks(low, high, wanted.scale)),
        x_ticks=tuple(Tick(x(at), wanted.ticks[at]) for at in reversed(range(count - 1, -1, -step))),
        limit_ys=limit_ys,
        limit_label=_limits(wanted),
        beyond=_ground(limit_ys, wanted.at_least),
        lines=tuple(line.name for line in lines) if len(lines) > 1 else (),
    )


def _limits(wanted: Wanted) -> str:
    return ", ".join(f"{name} {wanted.say(limit)}" for name, limit in wanted.every_limit)


def _ground(limit_ys: tuple[float, ...], at_least: bool) -> tuple[float, float] | None:
    """Beyond every limit: below the lowest line where the least is asked for, else above the highest one."""
    if not limit_ys:
        return None
    limit_y = max(limit_ys) if at_least else min(limit_ys)
    return (limit_y, round(HEIGHT - BOTTOM - limit_y, 1)) if at_least else (TOP, round(limit_y - TOP, 1))


def _row(wanted: Wanted, at: int) -> Row:
    judged = [(line.values[at], line.limit) for line in wanted.series if line.limit is not None]
    word = ""
    if any(value is not None for value, _ in judged):
        red = any(beyond(value, limit, wanted.at_least) for value, limit in judged)
        word = ("under" if wanted.at_least else "over") if red else "ok"
    cells = tuple(wanted.say(line.values[at]) for line in wanted.series)
    return Row(wanted.labels[at], wanted.notes[at], cells, word)


def _said(wanted: Wanted) -> str:
    parts = []
    for line in wanted.series:
        known = [value for value in line.values if value is not None]
        if known:
            span = f"from {wanted.say(min(known))} to {wanted.say(max(known))}, last measured {wanted.say(known[-1])}"
            parts.append(f"{line.name} {span}")
    red = sum(beyond(value, line.limit, wanted.at_least) for line in wanted.series for value in line.values)
    if wanted.every_limit:
        where = "under" if wanted.at_least else "over"
        parts.append(f"{_limits(wanted)}, {red} {where} it")
    return f"{wanted.title}, {len(wanted.labels)} runs: " + "; ".join(parts) + "."


def _range(values: Sequence[float], wanted: Wanted) -> tuple[float, float]:
    known = [*values, *(limit for _, limit in wanted.every_limit)] or [1.0]
    low, high = min(known), max(known)
    if wanted.scale == "log":
        low, high = max(low, 1.0) / 1.6, max(high, 1.0) * 1.6
        return low, max(high, low * 10)
    if wanted.scale == "share":
        return max(0.0, min(0.9, low - 0.05)), 1.0
    return 0.0, (high * 1.18) or 1.0


def _upwards(low: float, high: float, scale: Scale) -> Callable[[float], float]:
    """From a value to its height on the canvas, counted from the top."""
    tall = HEIGHT - TOP - BOTTOM

    def part(value: float) -> float:
        if scale == "log":
            return (math.log(max(value, low)) - math.log(low)) / (math.log(high) - math.log(low))
        return (value - low) / (high - low)

    return lambda value: round(TOP + tall * (1 - min(1.0, max(0.0, part(value)))), 1)


def ticks(low: float, high: float, scale: Scale) -> list[float]:
    """Round values between two others, few enough to be read."""
    if scale == "log":
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
            if len(found) <= MOST_TICKS:
                break
        return found[:: math.ceil(len(found) / MOST_TICKS) or 1]
    raw = (high - low) / (MOST_TICKS - 2)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
