"""Writes an incident's report: as artifacts, into the thread, and as drafts into the runbook's folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.incidents import board, export, live, words
from bot.incidents.items import Disk
from bot.incidents.picture import Picture
from bot.store import artifacts, drafts, outbox
from bot.store.artifacts import Artifact
from bot.store.tx import Tx

if TYPE_CHECKING:
    from bot.run import Run

KIND = "checklist"


@dataclass(frozen=True)
class Published:
    """What was written: names of artifacts, names of drafts, and why a draft was not."""

    names: tuple[str, ...]
    drafts: tuple[str, ...]
    not_drafted: str
    threaded: bool

    @property
    def sentence(self) -> str:
        """For the card of whoever asked."""
        where = "stands in the thread" if self.threaded else "is saved"
        said = f"The report {where}: `{self.names[0]}` and `{self.names[1]}`."
        if self.drafts:
            said += f" Drafts in the runbook's folder: {', '.join(f'`{name}`' for name in self.drafts)}."
        return said

    @property
    def footer(self) -> str:
        return f"no drafts in the runbook's folder: {self.not_drafted}" if self.not_drafted else ""


async def publish(run: Run, seen: Picture, stands: Disk) -> Published:
    """Write the report of an incident as it stands now. Raises `Broken` when the artifact folder cannot be written."""
    config = run.world.config
    incident = seen.incident
    zone = ZoneInfo(config.time_zone) if config.time_zone else None

    def named(account: str) -> str:
        return words.name(account, config)

    data = export.report(seen, stands, zone=zone, names=named)
    page = export.markdown(data)
    texts: dict[str, str | None] = {
        f"post-incident-{incident.id}.draft.md": page,
        f"phase-log-{incident.id}.draft.md": export.phase_log_draft(seen, stands, zone=zone, names=named),
        f"thresholds-{incident.id}.draft.md": export.baseline_draft(seen, stands),
    }
    made = [await _save(run, f"checklist-{incident.id}.{kind}", body) for kind, body in (("md", page), ("json", data))]
    written, why = await asyncio.to_thread(_draft, run, texts)

    def write(tx: Tx) -> bool:
        for artifact in made:
            artifacts.register(tx, artifact)
        return _thread(tx, run, seen, made)

    threaded = await run.world.store.write(write)
    return Published(tuple(artifact.name for artifact in made), written, why, threaded)


async def _save(run: Run, name: str, body: dict[str, Any] | str) -> Artifact:
    return await asyncio.to_thread(
        artifacts.write_file,
        run.world.config.artifact_dir,
        name,
        body,
        kind=KIND,
        started_ms=run.world.clock.now_ms(),
        op=run.op.id,
    )


def _draft(run: Run, texts: dict[str, str | None]) -> tuple[tuple[str, ...], str]:
    """Which drafts were written, and why one was not."""
    written, why = [], ""
    for name, text in texts.items():
        if text is None:
            continue
        problem = drafts.write(run.world.config.runbook_dir, name, text)
        if problem is None:
            written.append(name)
        else:
            why = problem
    return tuple(written), why


def _thread(tx: Tx, run: Run, seen: Picture, made: list[Artifact]) -> bool:
    """Both files into the thread of the checklist's card, or of the live card."""
    channel = seen.incident.channel
    wanted = (board.key(seen.incident.id), live.key(seen.incident.id))
    parent = next((key for key in wanted if outbox.by_key(tx.db, key) is not None), None)
    if channel is None or parent is None:
        return False
    for number, artifact in enumerate(made, 1):
        outbox.put(
            tx,
            f"export:{run.op.id}:{number}",
            channel=channel,
            kind="file",
            text=artifact.name,
            file=artifact.name,
            thread_of=parent,
            op=run.op.id,
        )
    return True
