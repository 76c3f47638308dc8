"""Artifacts are the original's, field by field, and tallies add up to them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.errors import BadReport
from slo.measure import decode
from slo.original import OriginalSlo, evaluate, limits
from slo.reports import (
    DrillReport,
    Ended,
    Probe,
    ProbeDetails,
    ProbeHonest,
    ProbeReport,
    Sample,
    ScenarioSummary,
    StageTally,
    artifact_name,
    iso,
    ms_of_iso,
    stamp,
)
from slo.scenarios import CHAT, GMAIL, SCENARIOS
from slo.summary import NO_CHAT_CREDENTIALS
from slo.tally import pooled

ARTIFACTS = Path(__file__).parent.parent / "data" / "samples" / "artifacts"
READERS: dict[str, type[DrillReport] | type[ProbeReport]] = {
    "load-drill": DrillReport,
    "synthetic-probes": ProbeReport,
}
FILES = sorted(path for prefix in READERS for path in ARTIFACTS.glob(f"*/{prefix}-*.json") if path.name != "run.json")
Drilled = Callable[..., DrillReport]


def _reader(path: Path) -> type[DrillReport] | type[ProbeReport]:
    return next(reader for prefix, reader in READERS.items() if path.name.startswith(prefix))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name[:24]}")
def test_an_original_artifact_is_written_back_byte_for_byte(path: Path) -> None:
    text = path.read_text()

    assert _reader(path).parse(json.loads(text)).to_json() == text


def test_there_are_artifacts_to_read() -> None:
    assert len(FILES) >= 19


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name[:24]}")
def test_the_file_is_named_as_the_original_named_it(path: Path) -> None:
    """The name's stamp is taken a few ms after `finishedAt`, so the time is read from the name."""
    kind = "drill" if path.name.startswith("load-drill") else "probe"
    raw = json.loads(path.read_text())
    date, clock = path.stem[-24:-1].split("T")
    hour, minute, second, milli = clock.split("-")
    ms = ms_of_iso(f"{date}T{hour}:{minute}:{second}.{milli}Z")

    assert artifact_name(kind, ms, raw.get("profile")) == path.name


@given(st.integers(0, 4_102_444_800_000))
def test_times_come_back(ms: int) -> None:
    assert ms_of_iso(iso(ms)) == ms
    assert stamp(ms) == iso(ms).replace(":", "-").replace(".", "-")


def test_a_stamp_is_the_contracts() -> None:
    assert stamp(1_771_501_158_610) == "2026-02-19T11-39-18-610Z"
    assert artifact_name("drill", 0, "m1_1k") == "load-drill-m1_1k-1970-01-01T00-00-00-000Z.json"
    assert artifact_name("snapshot", 0) == "reliability-snapshot-1970-01-01T00-00-00-000Z.json"


@pytest.mark.parametrize(("kind", "name"), [("nothing", None), ("drill", None), ("probe", "quick")])
def test_a_name_that_would_be_wrong_is_refused(kind: str, name: str | None) -> None:
    with pytest.raises(ValueError):
        artifact_name(kind, 0, name)


def test_a_damaged_artifact_is_refused_by_path() -> None:
    raw = json.loads(next(path for path in FILES if _reader(path) is DrillReport).read_text())
    del raw["profile"]
    raw["scenarios"][0]["skipped"] = "maybe"

    with pytest.raises(BadReport) as refused:
        DrillReport.parse(raw)

    assert any(path.startswith("profile") for path in refused.value.paths)
    assert any(path.startswith("scenarios") for path in refused.value.paths)


def test_the_originals_checks_are_reproduced(rules: dict[str, Any]) -> None:
    for case in rules["evaluateSlo"]:
        slo = case["slo"]
        made = evaluate(
            ScenarioSummary.model_validate(case["summary"]),
            OriginalSlo(
                max_p95_ms=slo["maxP95Ms"],
                max_five_xx_rate=slo["maxFiveXxRate"],
                max_network_error_rate=slo["maxNetworkErrorRate"],
                max_unknown_status_rate=slo["maxUnknownStatusRate"],
                allowed_statuses=tuple(slo["allowedStatuses"]),
                max_first_token_p95_ms=slo.get("maxFirstTokenP95Ms"),
                max_429_rate=slo.get("max429Rate"),
                min_two_xx_rate=slo.get("minTwoXxRate"),
                min_unique_pool_coverage=slo.get("minUniquePoolCoverage"),
                min_unique_pool_users=slo.get("minUniquePoolUsers", 0),
            ),
        )
        assert made.model_dump(mode="json", by_alias=True) == case["result"]


def test_the_originals_chat_limits_are_reproduced(rules: dict[str, Any]) -> None:
    names = {
        "maxP95Ms": "max_p95_ms",
        "maxFirstTokenP95Ms": "max_first_token_p95_ms",
        "maxFiveXxRate": "max_five_xx_rate",
        "max429Rate": "max_429_rate",
        "maxNetworkErrorRate": "max_network_error_rate",
        "maxUnknownStatusRate": "max_unknown_status_rate",
        "minTwoXxRate": "min_two_xx_rate",
        "minUniquePoolCoverage": "min_unique_pool_coverage",
    }
    for case in rules["chatSlo"]:
        found = limits(case["profile"], CHAT)
        told = {wire: getattr(found, name) for wire, name in names.items()}
        assert {wire: value for wire, value in told.items() if value is not None} == case["slo"]


@pytest.mark.parametrize("path", [p for p in FILES if _reader(p) is DrillReport], ids=lambda p: p.parent.name)
def test_every_original_drill_is_judged_as_the_original_judged_it(path: Path) -> None:
    """Its own summary through its own limits gives its own checks."""
    report = DrillReport.parse(json.loads(path.read_text()))
    for item in report.scenarios:
        if not item.skipped:
            assert evaluate(item.summary, limits(report.profile, item.name)) == item.slo


def test_a_new_report_has_the_originals_fields_in_its_order_and_honest_last(drilled: Drilled) -> None:
    sample = json.loads((ARTIFACTS / "drill-quick-pass").glob("load*").__next__().read_text())

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            keys = [key for key in value if key != "honest"]
            return [(key, shape(value[key])) for key in keys]
        return [shape(item) for item in value] if isinstance(value, list) else None

    made = json.loads(drilled().to_json())

    assert list(made) == [*sample, "honest"]
    assert shape(made) == shape(sample)
    assert DrillReport.parse(made).to_json() == drilled().to_json()


def test_a_skipped_chat_reads_as_in_the_original(drilled: Drilled) -> None:
    sample = json.loads((ARTIFACTS / "drill-quick-chat-skipped").glob("load*").__next__().read_text())

    made = drilled(skipped={CHAT: NO_CHAT_CREDENTIALS}).to_artifact()

    assert made["scenarios"][2] == sample["scenarios"][2]


@pytest.mark.parametrize("path", FILES[:1] + FILES[-1:], ids=lambda path: path.name[:10])
def test_an_artifact_of_the_original_gets_no_honest_key(path: Path) -> None:
    raw = json.loads(path.read_text())

    assert "honest" not in _reader(path).parse(raw | {"honest": None}).to_artifact()


def test_a_probe_report_of_ours_reads_back() -> None:
    report = ProbeReport(
        started_at=iso(0),
        finished_at=iso(1),
        base_url="http://127.0.0.1:1",
        probe_origin="https://www.sendcat.app",
        probes=(
            Probe(
                name="chat_requires_auth",
                passed=True,
                latency_ms=12.0,
                status=401,
                details=ProbeDetails(expected_status=(401,), status=401),
            ),
            Probe(name="gmail_push_guard", passed=False, latency_ms=3, status=None, details="ConnectError"),
        ),
        passed=False,
        honest=ProbeHonest(target="practice"),
    )
    written = report.to_artifact()

    assert written["probes"][0] == {
        "name": "chat_requires_auth",
        "pass": True,
        "latencyMs": 12,
        "status": 401,
        "details": {"expectedStatus": [401], "status": 401},
    }
    assert list(written)[-2:] == ["passed", "honest"]
    assert ProbeReport.parse(written) == report


def test_latency_counts_from_the_planned_time_and_the_originals_from_sending() -> None:
    """A request that had to wait 900 ms for its turn was 1,000 ms late for its user."""
    tally = StageTally(GMAIL, "quick")
    tally.add(Sample(GMAIL, "quick", False, 0, 900, headers_ms=1000, end_ms=1001, status=200))

    assert list(tally.latency_ms) == [1000]
    assert list(tally.send_lag_ms) == [900]
    assert list(tally.original_ms) == [100]


def test_failures_and_refusals_have_their_own_distributions() -> None:
    tally = StageTally(GMAIL, "quick")
    tally.add(Sample(GMAIL, "quick", False, 0, 0, headers_ms=40, end_ms=40, status=200))
    tally.add(Sample(GMAIL, "quick", False, 0, 0, headers_ms=2, end_ms=2, status=429, sendcat_error=True))
    tally.add(Sample(GMAIL, "quick", False, 0, 0, headers_ms=3, end_ms=3, status=503))
    tally.add(Sample(GMAIL, "quick", False, 0, 0, end_ms=1, error="ConnectError"))

    assert (list(tally.latency_ms), list(tally.refused_ms), list(tally.failed_ms)) == ([40], [2], [3, 1])
    assert tally.statuses == {"200": 1, "429": 1, "503": 1}
    assert tally.errors == {"ConnectError": 1}
    assert (tally.sent, tally.answered, tally.succeeded, tally.sendcat_errors) == (4, 3, 1, 1)
    assert sorted(tally.original_ms) == [1, 2, 3, 40]


@pytest.mark.parametrize(
    ("stream", "counted", "succeeded"),
    [("done", "done", 1), ("error", "error", 0), ("cut", "cut", 0), (None, "cut", 0)],
)
def test_a_chat_succeeds_only_when_its_stream_says_done(stream: Any, counted: str, succeeded: int) -> None:
    tally = StageTally(CHAT, "quick")
    tally.add(
        Sample(CHAT, "quick", False, 0, 0, headers_ms=10, first_token_ms=300, end_ms=900, status=200, stream=stream)
    )

    assert tally.streams == {counted: 1}
    assert tally.succeeded == succeeded
    assert list(tally.latency_ms) == ([900] if succeeded else [])
    assert list(tally.first_token_ms) == [300]
    assert list(tally.original_ms) == [10]


def test_a_milestone_reads_chat_to_the_end_in_the_originals_fields_too() -> None:
    tally = StageTally(CHAT, "ramp", consume_body=True)
    tally.add(
        Sample(
            CHAT,
            "ramp",
            False,
            0,
            0,
            headers_ms=10,
            first_byte_ms=15,
            first_token_ms=300,
            end_ms=900,
            status=200,
            stream="done",
        )
    )

    assert list(tally.original_ms) == [900]
    assert list(tally.original_first_token_ms) == [15]


def test_a_sample_of_another_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        StageTally(GMAIL, "quick").add(Sample(CHAT, "quick", False, 0, 0))
    with pytest.raises(ValueError, match="does not belong"):
        StageTally(GMAIL, "quick").merge(StageTally(CHAT, "quick"))


def _one(tally: StageTally, row: tuple[int, float, float, int | None]) -> None:
    planned, lag, took, status = row
    sent = planned + lag
    end = sent + took
    tally.add(
        Sample(
            GMAIL,
            tally.stage,
            False,
            planned,
            sent,
            headers_ms=end if status else None,
            end_ms=end,
            status=status,
            error=None if status else "X",
        )
    )


Rows = st.lists(
    st.tuples(
        st.integers(0, 1000),
        st.floats(0, 500),
        st.floats(0, 5000),
        st.sampled_from([200, 204, 400, 429, 500, None]),
    ),
    max_size=30,
)


@given(Rows, Rows)
def test_merged_tallies_are_one_tally(one: Any, two: Any) -> None:
    left, right, whole = (StageTally(GMAIL, "s", planned=5) for _ in range(3))
    whole.planned = 10
    for row in one:
        _one(left, row)
        _one(whole, row)
    for row in two:
        _one(right, row)
        _one(whole, row)
    left.merge(pickle.loads(pickle.dumps(right)))

    assert left == whole
    assert whole.sent == whole.answered + sum(whole.errors.values())
    assert whole.sent == len(whole.latency_ms) + len(whole.refused_ms) + len(whole.failed_ms)


def test_warm_up_is_left_out_of_the_pool() -> None:
    warm, hot = StageTally(GMAIL, "warmup", warmup=True), StageTally(GMAIL, "burst")
    _one(warm, (0, 0, 9000, 500))
    _one(hot, (0, 0, 10, 200))

    whole = pooled(GMAIL, [warm, hot])

    assert (whole.sent, whole.statuses) == (1, {"200": 1})


def test_the_honest_part_tells_everything(drilled: Drilled) -> None:
    report = drilled(ended=Ended(how="finished"))
    assert report.honest is not None
    assert [item.name for item in report.honest.scenarios] == list(SCENARIOS)
    assert (report.honest.generator.planned, report.honest.generator.sent) == (63, 63)
    chat = report.honest.scenario(CHAT)
    assert chat is not None
    assert chat.pooled is not None

    assert chat.pooled.streams == {"done": 3, "error": 0, "cut": 0}
    assert chat.pooled.latency.histogram is not None
    assert decode(chat.pooled.latency.histogram).get_total_count() == 3
    assert [bound.metric for bound in chat.bounds] == [
        "5xx_rate",
        "network_error_rate",
        "unknown_status_rate",
        "2xx_success_rate",
        "stream_success_rate",
    ]
    assert chat.pooled.first_token.p95_ms is None
