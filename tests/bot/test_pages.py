"""Broken pages: nothing starts with them, and ``doctor`` finds them while the bot runs - file, line and mark each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import playbooks
from bot.commands import catalog
from bot.errors import Broken
from bot.main import Bot
from bot.pages import SHOWN, findings, read_book
from tests.conftest import carry_out

ROOT = Path(playbooks.__file__).parent.parent
NAMES = catalog().names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for page in (ROOT / "playbooks").glob("*.md"):
        shutil.copy(page, tmp_path / page.name)
    return tmp_path


def _edit(path: Path, old: str, new: str) -> int:
    """Replace the first ``old``; the line where it stood."""
    text = path.read_text("utf-8")
    path.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_nothing_starts_with_a_broken_page(folder: Path) -> None:
    line = _edit(folder / "f-tool-queue.md", "`TOOL_JOB_QMAX_PROD`", "`TOOL_JOB_QMAX_PRDO`")

    with pytest.raises(Broken) as caught:
        read_book(NAMES, folder)

    told = caught.value.what.splitlines()
    assert told[1].startswith(f"f-tool-queue.md:{line}:")
    assert "did you mean `TOOL_JOB_QMAX_PROD`?" in told[1]
    assert told[3].index("^") == told[2].index("TOOL_JOB_QMAX_PRDO")
    assert caught.value.exit_status == 2
    assert "mend the pages" in (caught.value.then or "")


def test_doctor_in_the_terminal_ends_with_every_mistake(tmp_path: Path) -> None:
    """The program as a person starts it, from a copy whose pages are broken: exit status 2, no traceback."""
    for package in ("bot", "slo", "playbooks"):
        shutil.copytree(ROOT / package, tmp_path / package)
    at = _edit(tmp_path / "playbooks" / "b-circuit.md", "`CIRCUIT_*_COOLDOWN_MS`", "`CIRCUIT_*_COOLDOWNS`")
    _edit(tmp_path / "playbooks" / "canary.md", "1. **run:**", "1. **go:**")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "SENDCAT_TARGET": "practice"}

    ended = subprocess.run(
        [sys.executable, "-m", "bot", "doctor"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    told = ended.stdout + ended.stderr
    assert ended.returncode == 2, told
    assert f"b-circuit.md:{at}:" in told
    assert "canary.md:" in told
    assert "^^^" in told
    assert "Traceback" not in told


async def test_doctor_is_content_with_the_pages_it_started_with(bot: Bot) -> None:
    _, outcome = await carry_out(bot, "doctor", by="oncall")

    assert outcome is not None
    assert not [found for found in outcome["data"]["findings"] if found["what"].startswith("page ")]


def test_doctor_names_file_line_and_place_of_a_page_broken_since_the_start(folder: Path) -> None:
    running = read_book(NAMES, folder)
    line = _edit(folder / "f-tool-queue.md", "`TOOL_JOB_QMAX_PROD`", "`TOOL_JOB_QMAX_PRDO`")

    (found,) = findings(NAMES, running, folder)

    assert (found.what.rsplit(":", 1)[0], found.state) == (f"page f-tool-queue.md:{line}", "bad")
    assert "»TOOL_JOB_QMAX_PRDO«" in found.detail.replace("＿", "_").replace("‹", "<")
    assert "mend" in found.then


def test_doctor_counts_what_it_does_not_list_and_tells_of_changes(folder: Path) -> None:
    running = read_book(NAMES, folder)
    _edit(folder / "triage.md", "Three looks", "Three good looks")
    (changed,) = findings(NAMES, running, folder)
    assert (changed.state, changed.detail) == ("warn", "changed since the start: triage")

    for page in folder.glob("*.md"):
        page.write_text(page.read_text("utf-8").replace("1. **", "7. **", 1), "utf-8")
    found = findings(NAMES, running, folder)
    assert len(found) == SHOWN + 1
    assert found[-1].detail.endswith("more mistakes")
