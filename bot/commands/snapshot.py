"""``snapshot``: the posture, saved masked; ``--diff`` against the last one (runbook, First 5 Minutes, step 1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bot.card import Attachment, Button, Card, Table, Tone
from bot.command import EXIT, Args, Command, Outcome
from bot.redact import inert
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.run import Run
    from slo.snapshot import Snapshot
    from slo.verdict import Judgement

MOST_CHANGES = 10
MOMENT_MS = 1_000_000_000_000
"""From here on a whole number of a snapshot is a moment (ms UTC), not a count: the year 2001."""


class SnapshotArgs(Args):
    minutes: int | None = Field(default=None, ge=1, le=1440)
    """Window to look at, 1 to 1440 minutes; the deployment's default is 15."""
    limit: int | None = Field(default=None, ge=5, le=500)
    """Rows for each section; the deployment cuts it to its own limit, 50 by default."""
    diff: bool = False
    """Show what changed since the last saved snapshot of this target."""


async def _run(run: Run, args: SnapshotArgs) -> Outcome:
    from bot import measure
    from bot.views import posture_facts, verdict_tone
    from slo.diff import diff

    before = await measure.last_snapshot(run) if args.diff else None
    looked = await measure.snapshot(run, minutes=args.minutes, limit=args.limit)
    judgement, snapshot = looked.judgement, looked.snapshot
    sections = [note for note in (looked.read.note, looked.read.skew_warning) if note]
    sections += [f"{part.section} is truncated: {part.bias}." for part in snapshot.truncated_sections()]
    table: Table | None = _checks(judgement)
    data: dict[str, Any] = {"verdict": judgement.verdict.value, "artifact": looked.artifact}
    data["snapshot"] = looked.read.raw
    lead = _why(judgement, snapshot)
    attachments: tuple[Attachment, ...] = (Attachment(title="Snapshot, masked", file=looked.artifact),)
    if args.diff:
        if before is None:
            sections.append("No earlier snapshot of this target is saved, so there is nothing to compare with.")
        else:
            name, earlier = before
            deltas = diff(earlier, snapshot)
            # Lines and no table: paths are long, and a phone would show nothing but them.
            lines = [f"`{d.path}`  {_value(d.before)} → {_value(d.after)}" for d in deltas]
            table = None
            if lines:
                sections.insert(0, "\n".join(lines[:MOST_CHANGES]))
            count = f"{len(lines)} field{'' if len(lines) == 1 else 's'} changed" if lines else "Nothing changed"
            lead = f"{lead} {count} since `{name}`.".strip()
            if len(lines) > MOST_CHANGES:
                attachments = (*attachments, Attachment(title="All changes", text="\n".join(lines)))
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
        buttons=_buttons(run, judgement.verdict),
        footer=f"saved as `{looked.artifact}` · window {snapshot.window_minutes} min",
        attachments=attachments,
        final=True,
    )
    return Outcome(card=card, exit_status=EXIT[judgement.verdict], verdict=judgement.verdict, data=data)


def _why(judgement: Judgement, snapshot: Snapshot) -> str:
    """What is red, with its limit; circuits by name."""
    from bot.views import red_text

    said = [judgement.reason.removesuffix(".")] if judgement.reason else []
    others = [check for check in judgement.failed if check.name != "open_circuits"]
    if len(others) < len(judgement.failed):
        names = ", ".join(f"`{inert(row.provider, 60)}`" for row in snapshot.circuits_counted_open[:4])
        said.append(
            f"circuit {names} is open" if len(snapshot.circuits_counted_open) == 1 else f"open circuits: {names}"
        )
    red = red_text(judgement.model_copy(update={"checks": tuple(others)})).replace(" of snapshot", "")
    text = "; ".join([*said, *([red] if red else [])])
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _checks(judgement: Judgement) -> Table:
    """Checks with value and limit; owners only where something is red."""
    from bot.views import checks_table

    table = checks_table(judgement)
    if judgement.failed:
        return table
    return table.model_copy(update={"columns": table.columns[:-1], "rows": tuple(row[:-1] for row in table.rows)})


def _value(value: Any) -> str:
    """A field of a snapshot for people: moments as a time of day, what is not there as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool) and value > MOMENT_MS:
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%m-%d %H:%M:%S UTC")
    return inert(value, 60)


def _buttons(run: Run, verdict: Verdict) -> tuple[Button, ...]:
    target = run.target.name
    again = Button(label="Look again", line=run.op.line, name="snapshot.rerun")
    changed = Button(label="What changed", line=f"snapshot --diff=true --target={target}", name="snapshot.diff")
    buttons = (again,) if "--diff" in run.op.line else (again, changed)
    if verdict is Verdict.PASS:
        return buttons
    triage = Button(label="Run triage", line=f"triage --target={target}", name="triage.run", style="primary")
    return (triage, *buttons)


COMMAND = Command(
    name="snapshot",
    summary="Current reliability posture, saved; --diff shows what changed.",
    action="read",
    args=SnapshotArgs,
    run=_run,
    examples=("snapshot", "snapshot --diff=true"),
    group="Look",
)
