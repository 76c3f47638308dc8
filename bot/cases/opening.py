"""A run's judgement becomes a case that waits for a person: the parts that are the same for every kind (R9-R11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.card import Card
from bot.cases.decided import decided
from bot.cases.decisions import MANNERS
from bot.run import Run
from bot.store import cases
from bot.store.case import Case, Kind
from slo.verdict import Verdict


@dataclass(frozen=True)
class Opened:
    """The case, and its card: the run's own with how the case stands and what can be pressed."""

    case: Case
    card: Card
    state: str
    """How it stands at once, in the kind's own word: WAITING or BLOCKED."""

    @property
    def data(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"case": self.case.id, "state": self.state}


async def open_case(
    run: Run,
    kind: Kind,
    *,
    target: str,
    subject: str,
    verdict: Verdict,
    binding: Mapping[str, Any],
    card: Card,
    commit: str | None = None,
    waivable: Iterable[str] = (),
    blocked: str = "",
    needs_reason: bool = False,
) -> Opened:
    """Open the case of this run, for as long as its kind is open; older ones about the same become void (R11).

    ``target`` and ``subject`` are what it is about, ``binding`` what a decision rests on, ``card`` the run's own card.
    """
    case = await run.world.store.write(
        lambda tx: cases.new(
            tx,
            kind=kind,
            op=run.op.id,
            target=target,
            subject=subject,
            commit=commit,
            verdict=verdict,
            starter=run.op.by.account,
            starter_person=run.who.person,
            binding=binding,
            expires_ms=tx.now_ms + MANNERS[kind].open_ms,
            waivable=waivable,
            blocked=blocked,
            needs_reason=needs_reason,
            card=card,
        )
    )
    case = case.model_copy(update={"op_state": "done"})  # it is, when this card is drawn
    now_ms = run.world.clock.now_ms()
    return Opened(case, decided(case, now_ms), MANNERS[kind].called(case.standing(now_ms)))
