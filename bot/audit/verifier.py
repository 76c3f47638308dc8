"""Runs the independent verifier over a copy, in a process of its own: it shares neither code nor memory with us.

Anchors are read before the copy is made, so that a checkpoint of this very moment cannot look like a missing tail.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.card import Card, Fact, Tone
from bot.errors import Broken
from bot.redact import inert
from bot.store import backups, checkpoints, signing

_TO_THE_MINUTE = re.compile(r"(\d\d:\d\d):\d\d")
"""Seconds of a time of day say nothing here, and look like an emoji between two colons."""
WITHIN_S = 600
"""Ten million records take about a minute."""


@dataclass(frozen=True)
class Checked:
    """The verifier's report. ``status`` is its exit status: 0 verified, 1 changed, 3 nothing vouches for it."""

    status: int
    sentence: str
    records: int
    anchored: int
    anchors: int
    first_bad: int | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    origin: str | None

    @property
    def fresh(self) -> int:
        """Records that hold together and are not yet anchored; they are not verified."""
        return self.records - self.anchored if self.status != 1 else 0


def trail(state_dir: Path, *, backup: Path | None = None, anchors: Path | None = None) -> Checked:
    """Verify the trail of a folder, or a backup of it. Blocks; raises `Broken` when the verifier cannot run.

    ``anchors`` is a file of lines kept elsewhere, for example copied out of the anchor channel; without it the anchor
    file counts. A backup is judged by those anchors that it can know.
    """
    with TemporaryDirectory(prefix=".verify-", dir=state_dir) as folder:
        lines = Path(folder) / "anchors.txt"
        lines.touch(mode=0o600)
        with contextlib.suppress(FileNotFoundError):
            lines.write_bytes((anchors or state_dir / checkpoints.FILE).read_bytes())
        copy = backup
        if copy is None:
            copy = Path(folder) / "copy.db"
            backups.copy(state_dir, copy)
        elif anchors is None:
            held = backups.look(backup or copy).records
            known = [line for line in checkpoints.filed(state_dir) if _size(line) <= held]
            lines.write_text("".join(f"{line}\n" for line in known))
        key = state_dir / signing.PUBLIC
        return run(copy, lines if key.exists() and lines.stat().st_size else None, key)


def run(copy: Path, anchors: Path | None, key: Path) -> Checked:
    """Verify one file that nobody writes to. Blocks; raises `Broken` when the verifier ends without a report."""
    spec = find_spec("bot.verify")
    if spec is None or spec.origin is None:
        raise Broken("The verifier is not installed.", then="pip install sendcat-chatops")
    words = [sys.executable, "-I", spec.origin, str(copy), "--json"]
    if anchors is not None:
        words += [f"--anchors={anchors}", f"--key={key}"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, env={}, check=False)
        told: dict[str, Any] = json.loads(done.stdout)
        return Checked(
            status=int(told["exit_status"]),
            sentence=str(told["sentence"]),
            records=int(told["records"]),
            anchored=int(told["anchored"]),
            anchors=int(told["anchors"]),
            first_bad=told["first_bad"],
            problems=tuple(str(problem["what"]) for problem in told["problems"]),
            notes=tuple(str(note) for note in told["notes"]),
            origin=told["origin"],
        )
    except (OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
        raise Broken(
            f"The verifier gave no report ({type(error).__name__}).",
            rule="what was not verified is not called verified (R40)",
            then="python -m bot.verify COPY --anchors=anchors.txt --key=audit.pub",
        ) from error


def _size(line: str) -> int:
    """The size that an anchor line states; what is no anchor is left for the verifier to judge."""
    parts = line.split(" ")
    return int(parts[3]) if len(parts) > 3 and parts[3].isdigit() else 0


_TONES = {0: Tone.OK, 1: Tone.BAD, 3: Tone.UNKNOWN}


def card(checked: Checked, about: str) -> Card:
    """The verdict first; what is not yet anchored is never called verified."""
    sections = []
    if checked.problems:
        sections.append("\n".join(f"• {inert(problem)}" for problem in checked.problems[:8]))
    if checked.notes:
        sections.append("\n".join(f"• {inert(note)}" for note in checked.notes[:8]))
    then = {
        0: "",
        1: "leave the files as they are; compare with a backup: `sendcat audit verify --backup=newest`, "
        "then `sendcat audit restore`",
        3: "anchors come within ten minutes of a record, and around every change and decision",
    }
    facts = [Fact(label="Records", value=str(checked.records)), Fact(label="Verified", value=str(checked.anchored))]
    if checked.status != 1:
        facts.append(Fact(label="Not yet anchored", value=str(checked.fresh)))
    facts.append(Fact(label="Anchors", value=str(checked.anchors)))
    # The title is the answer; up to when it holds, and what is newer, follows.
    title, comma, rest = checked.sentence.removesuffix(".").partition(", up to ")
    rest = inert(_TO_THE_MINUTE.sub(r"\1", rest), 200)
    reach = f" Up to {rest}." if comma else ""
    return Card(
        title=inert(title, 140).replace("꞉", ":"),
        tone=_TONES.get(checked.status, Tone.UNKNOWN),
        lead=f"{about}{reach}",
        facts=tuple(facts),
        sections=tuple(sections),
        next=then.get(checked.status, ""),
        footer=(f"trail `{inert(checked.origin, 40)}` · " if checked.origin else "")
        + "checked by `bot/verify.py` in its own process; it also runs offline, see docs/operations.md",
        final=True,
    )
