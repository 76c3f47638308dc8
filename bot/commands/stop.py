"""``stop``: for everyone, at once, without approval (safety.md, R13 and R19).

The desk carries a stop out before anything is written (`bot.desk`); this entry gives it its place in help and manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card, Tone
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run


class StopArgs(Args):
    run: str | None = None
    """Only this run, for example r-8f2k; without it everything stops and new drills are blocked until released."""
    release: bool = False
    """Lift the block that a stop leaves behind; for responders, release managers and admins."""


async def _run(run: Run, args: StopArgs) -> Outcome:
    run.world.stops.stop_all(run.who.name)
    return Outcome(card=Card(title="Stopped", tone=Tone.OK, final=True), exit_status=0)


COMMAND = Command(
    name="stop",
    summary="Stop what runs; anyone may, at once.",
    action="stop",
    args=StopArgs,
    run=_run,
    positional=("run",),
    examples=("stop", "stop r-8f2k", "stop --release=true"),
    group="First",
    quiet=True,
    targeted=False,
    further_actions=("release",),
)
