"""``owners``: who owns what, from the ownership matrix (runbook, "Ownership reference")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card, Cell, Table
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run


class OwnersArgs(Args):
    pass


async def _run(run: Run, args: OwnersArgs) -> Outcome:
    from slo.policy import Ownership, load

    matrix = load(Ownership)
    rows = [("everything else", matrix.defaults), *matrix.surfaces.items()]
    table = Table(
        columns=("Surface", "Owner", "Second"),
        rows=tuple((Cell(text=name), Cell(text=o.owner), Cell(text=o.secondary)) for name, o in rows),
    )
    card = Card(title="Owners", table=table, footer=f"ownership-matrix.json · version {matrix.version}", final=True)
    data = {name: {"owner": o.owner, "secondary": o.secondary} for name, o in rows}
    return Outcome(card=card, exit_status=0, data={"owners": data})


COMMAND = Command(
    name="owners",
    summary="Who owns which endpoint and which check.",
    action="owners",
    args=OwnersArgs,
    run=_run,
    examples=("owners",),
    group="Look",
    quiet=True,
    targeted=False,
)
