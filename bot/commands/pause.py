"""``pause`` and ``resume``: nothing changes Sendcat meanwhile, and every card says so (ux.md, rule 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card, Tone
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run


class PauseArgs(Args):
    why: str = ""
    """The reason, shown on every card meanwhile."""


class ResumeArgs(Args):
    pass


async def _pause(run: Run, args: PauseArgs) -> Outcome:
    from bot.redact import inert
    from bot.run import done
    from bot.store import pauses
    from bot.store.pauses import Pause
    from bot.store.tx import Tx

    pause = Pause(run.who.actor.account, run.who.person, run.world.clock.now_ms(), inert(args.why, 200))

    def write(tx: Tx) -> None:
        if pauses.paused(tx.db) is None:
            pauses.put(tx, pause)

    await run.world.store.write(write)
    return done(
        Card(
            title="PAUSED: nothing that changes Sendcat is accepted",
            tone=Tone.WARN,
            lead="Proposals wait, approvals are refused. Reading, stopping and undoing go on.",
            next="an admin types /sendcat resume",
        ),
        paused=True,
    )


async def _resume(run: Run, args: ResumeArgs) -> Outcome:
    from bot.run import done
    from bot.store import pauses

    was = await run.world.store.read(pauses.paused)
    await run.world.store.write(lambda tx: pauses.put(tx, None))
    title = "RESUMED: changes are accepted again" if was else "It was not paused"
    return done(Card(title=title, tone=Tone.OK), paused=False)


COMMANDS = (
    Command(
        name="pause",
        summary="Refuse everything that changes Sendcat, for everybody, until an admin resumes.",
        action="pause",
        args=PauseArgs,
        run=_pause,
        examples=("pause", 'pause --why="a deploy is running"'),
        group="Tune",
        targeted=False,
    ),
    Command(
        name="resume",
        summary="Accept changes again.",
        action="resume",
        args=ResumeArgs,
        run=_resume,
        examples=("resume",),
        group="Tune",
        targeted=False,
    ),
)
