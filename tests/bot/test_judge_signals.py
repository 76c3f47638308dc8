"""``sendcat judge signals SNAPSHOT... --json``: the ranking from saved snapshots, ours and the original script's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from tests.conftest import carry_out

SAMPLES = Path(__file__).parent.parent / "data" / "samples" / "snapshots"


async def _answer(bot: Bot, line: str) -> dict[str, Any]:
    reply, outcome = await carry_out(bot, line, by="oncall")
    assert outcome is not None, reply
    found: dict[str, Any] = outcome
    return found


async def test_artifacts_of_two_looks_are_ranked_as_triage_would(bot: Bot, sendcat: PracticeSendcat) -> None:
    sendcat.inject("F", variant="no_drain")
    folder = bot.world.config.artifact_dir
    looks = []
    for _ in range(2):
        saved = await _answer(bot, "snapshot")
        looks.append(str(folder / saved["data"]["artifact"]))

    found = await _answer(bot, f"judge signals {looks[1]} {looks[0]}")

    assert found["exit_status"] == 0
    assert found["data"]["suggestions"] == ["F"]
    assert found["data"]["signals"][0]["variant"] == "no_drain"
    assert len(found["data"]["looks"]) == 2
    assert found["data"] == (await _answer(bot, f"judge signals {looks[0]},{looks[1]}"))["data"]


async def test_the_bare_json_of_the_original_script_will_do(bot: Bot, tmp_path: Path) -> None:
    raw = json.loads((SAMPLES / "circuit-open.json").read_text("utf-8"))["snapshot"]
    (tmp_path / "printed.json").write_text(json.dumps(raw), "utf-8")

    found = await _answer(bot, f"judge signals {tmp_path / 'printed.json'}")

    assert found["data"]["suggestions"] == ["B"]
    assert "H" in found["data"]["undecided"]


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"snapshot": {"generatedAt": 1}}'])
async def test_what_is_no_snapshot_gets_a_no_with_the_file_named(bot: Bot, tmp_path: Path, text: str) -> None:
    (tmp_path / "half.json").write_text(text, "utf-8")
    reply, outcome = await carry_out(bot, f"judge signals {tmp_path / 'half.json'}", by="oncall")

    status = outcome["exit_status"] if outcome else reply.exit_status
    told = json.dumps(outcome) if outcome else reply.card.model_dump_json() if reply.card else ""
    assert status == 2
    assert "half.json" in told
