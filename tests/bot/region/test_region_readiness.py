"""Region readiness at a terminal: what it reads, what it says, what it keeps, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bot.commands import catalog
from bot.config import Config
from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat, Script
from bot.store import artifacts
from bot.store.artifacts import write_file
from bot.terminal.variables import with_variables
from slo.artifacts import RegionReport
from slo.reports import iso
from tests.conftest import carry_out

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SAMPLE_URL = "https://sample-otter-123.convex.site"
CHAT_DRILL = next((SAMPLES / "artifacts" / "drill-quick-pass").glob("load-drill-*.json"))
WEBHOOKS_ONLY = next((SAMPLES / "artifacts" / "drill-quick-chat-skipped").glob("load-drill-*.json"))


def drill(config: Config, name: str, *, started_ms: int = 0, p95_ms: float = 9, url: str | None = None) -> Path:
    """A chat drill of the original toolchain in the artifact folder; it belongs to whoever has its address."""
    raw = json.loads(CHAT_DRILL.read_text())
    raw |= {"baseUrl": url or config.target["practice"].site_url, "startedAt": iso(1_795_419_406_000 + started_ms)}
    for scenario in raw["scenarios"]:
        if scenario["name"] == "chat_stream_http":
            scenario["summary"]["latency"]["p95Ms"] = p95_ms
    config.artifact_dir.mkdir(parents=True, exist_ok=True)
    path = config.artifact_dir / name
    path.write_text(json.dumps(raw, indent=2))
    return path


async def check(bot: Bot, flags: str = "", *, by: str = "oncall") -> tuple[int, dict[str, Any], str]:
    """Exit status, data and card of one check."""
    reply, outcome = await carry_out(bot, f"region-readiness {flags}".strip(), by=by)
    if outcome is None:
        return reply.exit_status, {}, reply.card.model_dump_json() if reply.card else ""
    return outcome["exit_status"], outcome.get("data") or {}, json.dumps(outcome["card"], ensure_ascii=False)


async def test_demand_decides_by_the_policys_streams(bot: Bot, config: Config) -> None:
    """0 and NOT_TRIGGERED below, 1 and TRIGGERED from 20,000 on, with the topology and the original beside it."""
    drill(config, "load-drill-quick-2026-11-23T07-00-00-000Z.json")

    for streams, status, topology in (
        ("19_999", 0, "single_region"),
        ("20k", 1, "active_standby"),
        ("60,000", 1, "active_active"),
    ):
        got, data, card = await check(bot, f"--expected-peak-streams={streams}")
        assert (got, data["recommended_topology"], data["original_rule"]) == (status, topology, status == 0)
        assert ("NOT_TRIGGERED" if status == 0 else "TRIGGERED: a multi-region programme is due") in card
    report = RegionReport.parse(json.loads((config.artifact_dir / data["artifact"]).read_text()))
    assert (report.expected_peak_streams, report.decision.activate_multi_region_program) == (60_000, True)
    assert report.honest is not None
    assert [ref.name for ref in report.honest.drills] == ["load-drill-quick-2026-11-23T07-00-00-000Z.json"]


@pytest.mark.parametrize("streams", ["5kk", "many", "-5", "<forecast>", "1e5", ""])
async def test_weakness_7_what_is_no_number_is_refused_and_never_0(bot: Bot, streams: str, config: Config) -> None:
    status, data, card = await check(bot, f"--expected-peak-streams={streams}")

    assert (status, data) == (2, {})
    assert "expected-peak-streams" in card
    assert list(config.artifact_dir.glob("region-*")) == []


async def test_without_a_forecast_or_a_chat_drill_nothing_is_decided(bot: Bot, config: Config) -> None:
    """INCOMPLETE, exit status 3, with what to type; what fired all the same still triggers."""
    status, data, card = await check(bot)
    assert (status, data["decision"], data["original_rule"]) == (3, "INCOMPLETE", True)
    assert "no forecast was given" in card
    assert "region-readiness --expected-peak-streams=5k" in card

    shutil.copyfile(WEBHOOKS_ONLY, config.artifact_dir / "load-drill-quick-2026-11-23T07-00-00-000Z.json")
    status, data, card = await check(bot, "--expected-peak-streams=5k")
    assert status == 3
    assert "measured chat" in card
    assert "drill --quick=true" in card


async def test_weakness_25_latest_is_by_start_and_of_this_target(bot: Bot, config: Config) -> None:
    """Six old `standard` runs sort behind today's `burst`; drills of another deployment count for nobody here."""
    for number in range(6):
        drill(config, f"load-drill-standard-2026-10-01T0{number}-00-00-000Z.json", started_ms=-(10**9) + number)
        drill(config, f"load-drill-zeta-2026-11-23T1{number}-00-00-000Z.json", p95_ms=9_000, url=SAMPLE_URL)
    for number in range(3):
        drill(config, f"load-drill-burst-2026-11-23T0{number}-00-00-000Z.json", started_ms=number, p95_ms=9_000)

    status, data, card = await check(bot, "--expected-peak-streams=5000")

    assert (status, data["decision"]) == (1, "TRIGGERED")
    assert "load-drill-burst-2026-11-23T02-00-00-000Z.json: p95 9000 ms" in card
    assert [item["file"][:15] for item in data["report"]["triggers"]["loadPressure"]["evaluations"]] == [
        "load-drill-zeta"
    ] * 6
    few, data, _ = await check(bot, "--expected-peak-streams=5000 --lookback-reports=2")
    assert (few, data["warnings"]) == (0, ["looked back at 2 reports, the policy says 6"])


async def test_weakness_30_damaged_files_are_left_out_by_name(bot: Bot, config: Config) -> None:
    """Half a file, no JSON, and one of ours that somebody edited: named on the card and in the artifact."""
    drill(config, "load-drill-quick-2026-11-23T07-00-00-000Z.json")
    (config.artifact_dir / "load-drill-quick-2026-11-23T08-00-00-000Z.json").write_text('{"startedAt": "2026')
    (config.artifact_dir / "load-drill-<!channel>.json").write_text("[]")
    edited = write_file(
        config.artifact_dir,
        "load-drill-quick-2026-11-23T09-00-00-000Z.json",
        json.loads(CHAT_DRILL.read_text()),
        kind="drill",
        started_ms=1,
        target="practice",
    )
    await bot.world.store.write(lambda tx: artifacts.register(tx, edited))
    drill(config, edited.name, p95_ms=9_000)

    status, data, card = await check(bot, "--expected-peak-streams=5000")

    assert (status, data["original_rule"]) == (0, None)
    assert len(data["not_looked_at"]) == 3
    assert "<!channel>" not in card
    assert "load-drill-quick-2026-11-23T08-00-00-000Z.json" in card
    assert "The original stops at" in card
    honest = data["report"]["honest"]
    assert len(honest["notLookedAt"]) == 3
    assert [ref["name"] for ref in honest["drills"]] == ["load-drill-quick-2026-11-23T07-00-00-000Z.json"]


async def test_an_unreachable_snapshot_leaves_health_unknown(
    bot: Bot, sendcat: PracticeSendcat, config: Config
) -> None:
    """Demand still triggers; below it nothing is decided, and the card says what to run by hand."""
    drill(config, "load-drill-quick-2026-11-23T07-00-00-000Z.json")
    sendcat.script(Script("ops:getReliabilitySnapshot", times=None, drop=True))

    status, data, card = await check(bot, "--expected-peak-streams=5000")
    assert (status, data["decision"]) == (3, "INCOMPLETE")
    assert "npx convex run ops:getReliabilitySnapshot" in card
    status, data, _ = await check(bot, "--expected-peak-streams=25k")
    assert (status, data["decision"]) == (1, "TRIGGERED")


async def test_a_saved_snapshot_is_judged_whatever_its_age_and_only_as_it_was_written(
    bot: Bot, config: Config, sendcat: PracticeSendcat, tmp_path: Path
) -> None:
    drill(config, "load-drill-quick-2026-11-23T07-00-00-000Z.json")
    status, data, card = await check(
        bot, f"--expected-peak-streams=5k --snapshot-file={SAMPLES / 'snapshots' / 'queue-backlog.json'}"
    )
    queued = data["report"]["triggers"]["snapshotHealth"]["checks"]["queuedToolJobs"]
    assert status == int(queued["breached"])
    assert "was taken" in card

    await carry_out(bot, "snapshot --target=practice")
    (saved,) = config.artifact_dir.glob("reliability-snapshot-*.json")
    assert (await check(bot, f"--expected-peak-streams=5k --snapshot-file={saved.name}"))[0] == 0
    saved.write_text(saved.read_text().replace('"queued": 0', '"queued": 9'))
    assert (await check(bot, f"--expected-peak-streams=5k --snapshot-file={saved.name}"))[0] == 2
    other = tmp_path / "other.json"
    other.write_text('{"generatedAt": 1}')
    for name in (str(other), "nowhere.json"):
        assert (await check(bot, f"--expected-peak-streams=5k --snapshot-file={name}"))[0] == 2
    # Of another deployment: not taken for this one.
    foreign = write_file(
        config.artifact_dir,
        "reliability-snapshot-2026-11-23T07-00-00-000Z.json",
        {},
        kind="snapshot",
        started_ms=1,
        target="candidate",
    )
    await bot.world.store.write(lambda tx: artifacts.register(tx, foreign))
    status, _, card = await check(bot, f"--expected-peak-streams=5k --snapshot-file={foreign.name}")
    assert status == 4
    assert "candidate" in card


async def test_the_recorded_folder_gives_the_recorded_triggers(bot: Bot, config: Config) -> None:
    """The original's own artifacts, its own fields in its order, its own load trigger."""
    case = SAMPLES / "artifacts" / "region-triggered"
    (recorded,) = case.glob("region-*.json")
    known = {path.name: path for path in (SAMPLES / "artifacts").glob("*/*.json")}
    config.artifact_dir.mkdir(parents=True, exist_ok=True)
    for name in json.loads((case / "run.json").read_text())["filesBefore"]:
        if name in known:
            text = known[name].read_text().replace(SAMPLE_URL, config.target["practice"].site_url)
            (config.artifact_dir / name).write_text(text)

    _, data, _ = await check(bot, "--expected-peak-streams=25000")
    written, original = data["report"], json.loads(recorded.read_text())

    assert list(written) == [*original, "honest"]
    assert written["triggers"]["demand"] == original["triggers"]["demand"]
    assert written["triggers"]["loadPressure"] == original["triggers"]["loadPressure"]
    assert written["decision"] == original["decision"]


async def test_judge_reaches_the_same_verdict_from_files_alone(bot: Bot, config: Config, tmp_path: Path) -> None:
    """From the report and what lies beside it, from drills with a snapshot, and from a report of the original."""
    first = drill(config, "load-drill-quick-2026-11-23T07-00-00-000Z.json")
    for streams in ("5k", "25k"):
        status, data, _ = await check(bot, f"--expected-peak-streams={streams}")
        path = config.artifact_dir / data["artifact"]
        _, again = await carry_out(bot, f"judge region {path}")
        assert again is not None
        assert (again["exit_status"], again["data"]["verdict"]) == (status, again["data"]["recorded"])
    snapshot = SAMPLES / "snapshots" / "idle.json"
    (recorded,) = (SAMPLES / "artifacts" / "region-triggered").glob("region-*.json")
    lines = {
        f"judge region {first} {snapshot} --expected-peak-streams=5k": 0,
        f"judge region {snapshot} {first} --expected-peak-streams=20k": 1,
        f"judge region {first} {snapshot}": 3,
        f"judge region {first} {snapshot} --expected-peak-streams=5kk": 2,
        f"judge region {recorded}": 1,
        f"judge drill {first} --expected-peak-streams=5k": 2,
        f"judge region {snapshot} {snapshot}": 2,
    }
    for line, expected in lines.items():
        reply, outcome = await carry_out(bot, line)
        assert (outcome or {"exit_status": reply.exit_status})["exit_status"] == expected, line


def test_the_terminals_variable_is_written_into_the_line() -> None:
    """What nobody typed comes from RELIABILITY_EXPECTED_PEAK_STREAMS, where everybody can read it."""
    variables = {"RELIABILITY_EXPECTED_PEAK_STREAMS": "20k"}

    line = with_variables("region-readiness", catalog(), variables.get, target=None)
    typed = with_variables("region-readiness --expected-peak-streams=5", catalog(), variables.get, target=None)

    assert line == "region-readiness --expected-peak-streams=20k"
    assert typed == "region-readiness --expected-peak-streams=5"


@pytest.mark.parametrize(("by", "status"), [("relmgr", 1), ("visitor", 4), ("lead", 1)])
async def test_R7_who_may_check(bot: Bot, by: str, status: int) -> None:
    assert (await check(bot, "--expected-peak-streams=25k", by=by))[0] == status
