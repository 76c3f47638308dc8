"""``status``: what runs now, and the last verdicts with their ages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card, Cell, Table, Tone, who
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.run import Run

_TONES = {"PASS": Tone.OK, "FAIL": Tone.BAD, "INCOMPLETE": Tone.UNKNOWN}


class StatusArgs(Args):
    pass


async def _run(run: Run, args: StatusArgs) -> Outcome:
    from bot.store import ops
    from bot.views import duration

    now = run.world.clock.now_ms()
    recent = [op for op in await run.world.store.read(lambda conn: ops.recent(conn, 30)) if op.id != run.op.id]
    live = [op for op in recent if op.state in ("accepted", "running")]
    ended = [op for op in recent if op.verdict is not None][:8]
    sections = [
        f"⏳ {op.command} {op.id} on {op.target or '–'}, started by {who(op.by.account)} "
        f"{duration(now - op.created_ms)} ago"
        for op in live
    ]
    if blocked := run.world.stops.blocked:
        sections.append(f"🚫 New drills are blocked: {blocked}. A responder types `/sendcat stop --release=true`.")
    rows = tuple(
        (
            Cell(text=op.command),
            Cell(text=op.target or "–"),
            Cell(text=op.verdict or "–", tone=_TONES.get(op.verdict or "", Tone.PLAIN)),
            Cell(text=f"{duration(now - (op.finished_ms or op.created_ms))} ago"),
            Cell(text=op.id),
        )
        for op in ended
    )
    table = Table(columns=("Command", "Target", "Verdict", "Age", "Run"), rows=rows) if rows else None
    title = f"{len(live)} running" if live else "Nothing is running"
    card = Card(title=title, sections=tuple(sections), table=table, final=True)
    data = {
        "running": [{"run": op.id, "command": op.command, "target": op.target} for op in live],
        "recent": [
            {
                "run": op.id,
                "command": op.command,
                "target": op.target,
                "verdict": op.verdict,
                "ended_ms": op.finished_ms,
            }
            for op in ended
        ],
        "blocked": run.world.stops.blocked,
    }
    return Outcome(card=card, exit_status=0, data=data)


COMMAND = Command(
    name="status",
    summary="What runs now, and the last verdicts with their ages.",
    action="status",
    args=StatusArgs,
    run=_run,
    examples=("status",),
    group="First",
    quiet=True,
    targeted=False,
)
