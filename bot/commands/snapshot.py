"""``snapshot``: the posture, saved masked; ``--diff`` against the last one (runbook, First 5 Minutes, step 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from bot.card import Attachment, Card, Cell, Table, Tone
from bot.command import EXIT, Args, Command, Outcome
from bot.redact import inert

if TYPE_CHECKING:
    from bot.run import Run


class SnapshotArgs(Args):
    minutes: int | None = Field(default=None, ge=1, le=1440)
    """Window to look at, 1 to 1440 minutes; the deployment's default is 15."""
    limit: int | None = Field(default=None, ge=5, le=500)
    """Rows for each section; the deployment cuts it to its own limit, 50 by default."""
    diff: bool = False
    """Show what changed since the last saved snapshot of this target."""


async def _run(run: Run, args: SnapshotArgs) -> Outcome:
    from bot import measure
    from bot.views import checks_table, posture_facts, verdict_tone
    from slo.diff import diff

    before = await measure.last_snapshot(run) if args.diff else None
    looked = await measure.snapshot(run, minutes=args.minutes, limit=args.limit)
    judgement, snapshot = looked.judgement, looked.snapshot
    sections = [note for note in (looked.read.note, looked.read.skew_warning) if note]
    sections += [f"{part.section} is truncated: {part.bias}." for part in snapshot.truncated_sections()]
    table: Table | None = checks_table(judgement)
    data: dict[str, Any] = {"verdict": judgement.verdict.value, "artifact": looked.artifact}
    data["snapshot"] = looked.read.raw
    lead = judgement.reason
    attachments: tuple[Attachment, ...] = (Attachment(title="Snapshot, masked", file=looked.artifact),)
    if args.diff:
        if before is None:
            sections.append("No earlier snapshot of this target is saved, so there is nothing to compare with.")
        else:
            name, earlier = before
            deltas = diff(earlier, snapshot)
            rows = tuple(
                (Cell(text=d.path), Cell(text=inert(d.before, 60)), Cell(text=inert(d.after, 60))) for d in deltas
            )
            table = Table(columns=("Field", "Before", "After"), rows=rows[:10]) if rows else None
            lead = f"{len(rows)} fields changed since `{name}`." if rows else f"Nothing changed since `{name}`."
            if len(rows) > 10:
                text = "\n".join(" | ".join(cell.text for cell in row) for row in rows)
                attachments = (*attachments, Attachment(title="All changes", text=text))
            data["diff"] = [{"path": d.path, "before": d.before, "after": d.after} for d in deltas]
            data["compared_with"] = name
    card = Card(
        title=f"{judgement.verdict}: snapshot of {run.target.name}",
        tone=verdict_tone(judgement.verdict) if judgement.verdict.value != "PASS" else Tone.OK,
        context=run.context,
        lead=lead,
        facts=posture_facts(snapshot),
        table=table,
        sections=tuple(sections),
        footer=f"saved as `{looked.artifact}` · window {snapshot.window_minutes} min",
        attachments=attachments,
        final=True,
    )
    return Outcome(card=card, exit_status=EXIT[judgement.verdict], verdict=judgement.verdict, data=data)


COMMAND = Command(
    name="snapshot",
    summary="Current reliability posture, saved; --diff shows what changed.",
    action="read",
    args=SnapshotArgs,
    run=_run,
    examples=("snapshot", "snapshot --diff=true"),
    group="Look",
)
