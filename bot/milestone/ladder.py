"""Promotion only from M1 to M2 to M3: which milestones stand approved, and what a next one waits for (section 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.card import when
from bot.milestone.flags import subject
from bot.store import cases
from bot.store.case import Case, State
from slo.milestone import ORDER

if TYPE_CHECKING:
    from sqlite3 import Connection

RULE = "promotion only M1 → M2 → M3 (milestones, section 13)"


@dataclass(frozen=True)
class Rung:
    """One milestone of a target: the newest case about it and how it stands; both None before the first run."""

    name: str
    case: Case | None
    state: State | None

    @property
    def approved(self) -> bool:
        return self.state is State.APPROVED

    @property
    def text(self) -> str:
        if self.case is None or self.state is None:
            return f"{self.name} not run"
        answer = self.case.answer
        until = f" until {when(answer.until_ms)}" if self.approved and answer is not None and answer.until_ms else ""
        return f"{self.name} {self.state.value}{until} ({self.case.id})"


def rungs(conn: Connection, target: str, release: str | None, now_ms: int) -> tuple[Rung, ...]:
    """Every milestone in order, for a release when one is named."""
    found = []
    for name in ORDER:
        case = cases.newest(conn, "milestone", target, subject(name, release))
        found.append(Rung(name, case, None if case is None else case.standing(now_ms)))
    return tuple(found)


def lacking(found: tuple[Rung, ...], milestone: str) -> str | None:
    """The milestone before this one, when it does not stand approved; None when the way is free."""
    names = [rung.name for rung in found]
    if milestone not in names or names.index(milestone) == 0:
        return None
    before = found[names.index(milestone) - 1]
    return None if before.approved else before.name


def words(found: tuple[Rung, ...]) -> str:
    """``m1_1k APPROVED until 14:00 (ms-1) · m2_5k not run``."""
    return " · ".join(rung.text for rung in found)


def data(found: tuple[Rung, ...]) -> Mapping[str, str]:
    """For ``--json``: state by milestone."""
    return {rung.name: rung.state.value if rung.state is not None else "NOT RUN" for rung in found}
