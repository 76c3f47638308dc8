"""``audit serve``: browse the record in a web browser on the host, read only, over a copy (DESIGN.md, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from bot.card import Card, Step, Tone
from bot.command import Args, Command, Door, Outcome

if TYPE_CHECKING:
    from bot.run import Run

LOOK_S = 0.2


class ServeArgs(Args):
    port: int = Field(default=0, ge=0, le=65_535)
    """Port on loopback; 0 takes a free one."""
    minutes: float = Field(default=60.0, gt=0, le=480)
    """It closes by itself after this long; Ctrl-C closes it at once."""


async def _serve(run: Run, args: ServeArgs) -> Outcome:
    """Open as long as the terminal stays, nobody stops it, and the time is not over."""
    from bot.audit.serving import reading_room
    from bot.errors import Broken
    from bot.run import done
    from bot.store.shelf import QUERIES

    async with reading_room(run.world.config.state_dir, args.port) as (url, child):
        pages = "\n".join(f"{title}: {url}audit/{name}" for name, (title, _) in QUERIES.items())
        await run.show(
            Card(
                title="Reading room OPEN",
                tone=Tone.RUNNING,
                context=run.context,
                steps=(Step(label="Browse", tone=Tone.RUNNING, detail=url),),
                code=pages,
                footer="a copy from this moment, read only, on this machine only; Ctrl-C closes it",
            )
        )
        while run.brake.look() is None and run.elapsed_s < args.minutes * 60:
            if child.returncode is not None:
                raise Broken("The reading room closed by itself.", then="sendcat audit serve")
            await run.world.clock.sleep(LOOK_S)
    return done(Card(title="Reading room closed", tone=Tone.OK, lead="The copy is gone."), minutes=run.elapsed_s / 60)


COMMANDS = (
    Command(
        name="audit serve",
        summary="Browse the record in a web browser on this host: read only, a copy, with prepared queries.",
        action="audit.serve",
        args=ServeArgs,
        run=_serve,
        examples=("audit serve", "audit serve --port=8001 --minutes=30"),
        group="Keep",
        doors=frozenset({Door.TERMINAL}),
        targeted=False,
        attached=True,
    ),
)
