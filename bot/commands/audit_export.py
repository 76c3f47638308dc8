"""``audit export``: the record as a file, for spreadsheets or for the verifier (safety.md, R35, R39)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from bot.audit.criteria import Moment
from bot.card import Attachment, Card, Field, Form, Tone
from bot.command import Args, Command, Door, Outcome

if TYPE_CHECKING:
    from pathlib import Path
    from sqlite3 import Connection

    from bot.config import Config
    from bot.run import Run
    from bot.store.artifacts import Artifact


class ExportArgs(Args):
    format: Literal["csv", "jsonl"] = "csv"
    """csv for spreadsheets; jsonl is the whole chain, which the verifier takes."""
    person: str = ""
    """Only what this person or account did (csv)."""
    action: str = ""
    """Only this action (csv)."""
    knob: str = ""
    """Only about this knob (csv)."""
    object: str = ""
    """Only about this run, change, gate or incident (csv)."""
    since: Moment = ""
    """From when on: an age (7d) or a date in UTC (csv)."""
    until: Moment = ""
    """Until when: an age or a date (csv)."""
    output: str = ""
    """At a terminal: where to put a copy, as an absolute path that is free."""


async def _export(run: Run, args: ExportArgs) -> Outcome:
    """Written as an artifact, in one snapshot of the trail, off the event loop."""
    from bot.audit import export
    from bot.audit.criteria import Wish, wanted
    from bot.errors import Unknown
    from bot.run import done
    from bot.store import artifacts

    wish = Wish(**args.model_dump(include={"person", "action", "knob", "object", "since", "until"}))
    if args.format == "jsonl" and not wish.empty:
        raise Unknown(
            "JSON lines are the whole chain: a part of it proves nothing.",
            then="/sendcat audit export --format=jsonl, or the same with --format=csv",
            fields={"format": "csv, when only a part is wanted"},
        )
    copy = _free(run, args.output) if args.output else None
    config, started_ms = run.world.config, run.world.clock.now_ms()
    look = wanted(wish, config, started_ms)
    name = f"audit-{_stamp(started_ms)}-{run.op.id}.{args.format}"

    def write(conn: Connection) -> Artifact:
        parts: Iterator[bytes] = export.jsonl(conn) if args.format == "jsonl" else export.table(conn, look)
        return artifacts.write_parts(
            config.artifact_dir, name, parts, kind="audit-export", started_ms=started_ms, op=run.op.id
        )

    made = await run.world.store.read(write)
    await run.world.store.write(lambda tx: artifacts.register(tx, made))
    if copy is not None:
        await _copied(config.artifact_dir / made.name, copy)
    how = f"python -m bot.verify {made.name} --anchors=anchors.txt --key=audit.pub" if args.format == "jsonl" else ""
    card = Card(
        title=f"Audit trail exported as {args.format.upper() if args.format == 'csv' else 'JSON lines'}",
        tone=Tone.OK,
        context=run.context,
        lead=f"`{made.name}`, {_size(made.size)}" + (f", and a copy at {copy}." if copy else "."),
        code=how,
        footer=f"sha256 `{made.sha256[:16]}`"
        + ("" if how else " · text cells that look like formulas begin with an apostrophe"),
        attachments=(Attachment(title=made.name, file=made.name),),
    )
    path = copy or config.artifact_dir / made.name
    return done(card, file=made.name, path=str(path), sha256=made.sha256, bytes=made.size)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def _free(run: Run, name: str) -> Path:
    """Where a copy may go: only at a terminal, only by a whole path, only where nothing is yet."""
    from pathlib import Path

    from bot.errors import Refused, Unknown
    from bot.redact import inert

    if run.op.by.door is not Door.TERMINAL:
        raise Refused(
            "Slack gets the file in the thread; only a terminal names a path.",
            rule="files from Slack are names inside the artifact folder (INTERFACES.md, section 1)",
            then="/sendcat audit export",
        )
    path = Path(name)
    if not path.is_absolute() or path.exists() or not path.parent.is_dir():
        raise Unknown(
            f"{inert(name, 80)} is no free absolute path in a folder that exists.",
            then="sendcat audit export --output=/home/me/audit.csv",
            fields={"output": "a free absolute path"},
        )
    return path


async def _copied(made: Path, copy: Path) -> None:
    import asyncio
    import shutil

    from bot.errors import Broken

    def put() -> None:
        with made.open("rb") as source, open(copy, "xb", opener=_private) as target:
            shutil.copyfileobj(source, target)

    try:
        await asyncio.to_thread(put)
    except OSError as error:
        raise Broken(
            f"The export is in the artifact folder as {made.name}, but the copy failed: {error.strerror}.",
            then="copy it by hand",
        ) from error


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _stamp(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H-%M-%S")


def _form(config: Config) -> Form:
    return Form(
        title="Export the audit trail",
        fields=(
            Field(
                flag="format",
                label="As",
                kind="choice",
                options=(("csv", "CSV, for spreadsheets"), ("jsonl", "JSON lines, whole, for the verifier")),
                value="csv",
            ),
            Field(flag="person", label="Who", hint="A person or an account; CSV only", optional=True),
            Field(flag="since", label="Since", hint="A date or an age: 2026-11-23, 7d; CSV only", optional=True),
            Field(flag="until", label="Until", hint="A date or an age; CSV only", optional=True),
        ),
        submit="Export",
        note="The file comes into the thread.",
    )


COMMANDS = (
    Command(
        name="audit export",
        summary="The record as a file: CSV for spreadsheets, or JSON lines for the verifier.",
        action="audit.export",
        args=ExportArgs,
        run=_export,
        examples=("audit export", "audit export --format=jsonl", "audit export --person=oncall --since=30d"),
        group="Keep",
        targeted=False,
        form=_form,
    ),
)
