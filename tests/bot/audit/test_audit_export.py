"""Exports: nothing in them runs, numbers stay numbers, and the chain that leaves can be verified (R35, R39)."""

from __future__ import annotations

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import verify
from bot.audit.export import COLUMNS, cell
from bot.audit.verifier import run as verified
from bot.config import Config
from bot.main import Bot
from bot.store import artifacts, audit
from tests.conftest import carry_out

EVIL = (
    "=1+1",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =HYPERLINK(1)",
    "\uff1d1+1",
    "a;=1+1",
    "a,=cmd|' /C calc'!A0",
    'x"\n=1+1',
    "x\r\n@y",
    "a\t-1",
    "'=1",
)
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def runs(text: str) -> list[str]:
    """The cells that some spreadsheet would run, with whatever separator it believes in."""
    parts = (part for sign in (",", ";", "\t", "|") for part in text.replace('"', "").split(sign))
    return [part for part in parts if part.lstrip(" \r\n").startswith(FORMULA)]


@given(st.text(alphabet="=+-@;,|\t\r\n '\"ab1\uff1d", max_size=20))
def test_R35_no_cell_is_a_formula(text: str) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC).writerow([cell(text)])
    assert runs(cell(text)) == []
    assert "\n" not in cell(text)
    assert next(csv.reader(io.StringIO(out.getvalue(), newline=""))) == [cell(text)]


def test_R35_harmless_text_stays_as_it_is() -> None:
    for text in ("drill --quick=true", "c-41 BULKHEAD_X 24 → 28 (+17%)", "a - b", "", "2026-11-23"):
        assert cell(text) == text


def record(**fields: Any) -> audit.AuditRecord:
    told = {"phase": "decision", "action": "gate.decide", "actor": "slack:U0LEAD", "door": "slack"} | fields
    return audit.AuditRecord.model_validate(told)


async def export(bot: Bot, config: Config, line: str) -> tuple[Path, dict[str, Any]]:
    _, outcome = await carry_out(bot, line, by="lead")
    assert outcome is not None
    assert outcome["exit_status"] == 0
    return config.artifact_dir / outcome["data"]["file"], outcome["data"]


async def test_R35_the_table_is_inert_complete_and_an_artifact(bot: Bot, config: Config) -> None:
    for number, text in enumerate(EVIL):
        await bot.world.store.write(
            lambda tx, text=text, number=number: audit.append(
                tx, record(object=text, why=text, outcome=text, detail={"n": number, "text": text})
            )
        )
    path, data = await export(bot, config, "audit export")
    raw = path.read_bytes().decode()
    rows = list(csv.reader(io.StringIO(raw, newline=""), quoting=csv.QUOTE_NONNUMERIC))

    assert tuple(rows[0]) == COLUMNS
    told = await bot.world.store.read(lambda conn: audit.head(conn)[0])
    assert [row[0] for row in rows[1:]] == list(range(told - 1, 0, -1))  # the export's own end came after it
    assert all(isinstance(row[0], float) and isinstance(row[2], float) for row in rows[1:])
    assert raw.count("\r\n") == len(rows)
    assert runs(raw.replace("\r\n", ",")) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = await bot.world.store.read(lambda conn: artifacts.named(conn, path.name))
    assert kept is not None
    assert (kept.sha256, kept.size, kept.kind) == (data["sha256"], data["bytes"], "audit-export")


async def test_a_part_is_exported_as_a_table_only(bot: Bot, config: Config) -> None:
    await bot.world.store.write(lambda tx: audit.append(tx, record(object="g-7 2026.11")))
    path, _ = await export(bot, config, "audit export --object=g-7")
    _, refused = await carry_out(bot, "audit export --format=jsonl --object=g-7", by="lead")

    rows = list(csv.reader(path.open(encoding="utf-8", newline="")))
    objects = [row[COLUMNS.index("object")] for row in rows]
    assert objects == ["object", "audit export --object=g-7", "g-7 2026.11"]
    assert rows[2][COLUMNS.index("anchored")] == "not yet"
    assert refused is not None
    assert refused["exit_status"] == 2


async def test_R39_the_exported_chain_is_verified_offline(bot: Bot, config: Config, tmp_path: Path) -> None:
    """As an auditor would: the file, the anchors, the key. One altered letter is found, with its record."""
    await carry_out(bot, "owners")
    assert bot.world.notary is not None
    await bot.world.notary.anchor("test")
    copy = tmp_path / "trail.jsonl"
    _, data = await export(bot, config, f"audit export --format=jsonl --output={copy}")
    anchors, key = config.state_dir / "anchors.txt", config.state_dir / "audit.pub"
    checked = verified(copy, anchors, key)
    assert checked.status == 0
    assert checked.records > checked.anchored > 0
    assert data["path"] == str(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    lines = copy.read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))

    copy.write_text(copy.read_text().replace("owners", "ownerz", 1))
    report = verify.verify_file(
        str(copy), verify.read_anchors(anchors.read_text(), verify.read_key(key.read_text()))[0]
    )
    assert report.first_bad == next(n for n, line in enumerate(lines, 1) if "owners" in line)


@pytest.mark.parametrize("output", ["audit.csv", "/nowhere/at/all/x.csv", "{taken}"])
async def test_a_copy_never_overwrites_and_needs_a_whole_path(
    bot: Bot, config: Config, tmp_path: Path, output: str
) -> None:
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    _, outcome = await carry_out(bot, f"audit export --output={output.format(taken=taken)}", by="lead")

    assert outcome is not None
    assert outcome["exit_status"] == 2
    assert taken.read_text() == "mine"


async def test_R7_only_who_audits_exports(bot: Bot) -> None:
    for by in ("oncall", "relmgr", "visitor"):
        reply, outcome = await carry_out(bot, "audit export", by=by)
        assert outcome is None
        assert reply.exit_status == 4
