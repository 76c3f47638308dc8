"""No empty pass: a gate that passed on the practice Sendcat, spoilt in more than sixty ways, never passes again (R42)."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot import pictures
from bot.clock import SystemClock
from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from slo import gate
from slo.errors import SloError
from slo.gate_report import GateReport
from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.reports import DrillReport, ProbeReport
from slo.snapshot import Snapshot
from slo.verdict import Verdict
from tests.conftest import carry_out, config_for

Evidence = dict[str, Any]
Spoil = Callable[[Evidence], None]
SCENARIOS = ("gmail_push_webhook", "whatsapp_webhook", "chat_stream_http")


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """What a real, healthy gate rested on, as JSON: before, after, probe, drill, and what else was asked."""
    return asyncio.run(_passed(tmp_path_factory.mktemp("gate")))


async def _passed(folder: Path) -> Evidence:
    practice = PracticeSendcat(seed=1)
    await practice.start()
    config = config_for(folder, practice)
    bot = await Bot.lead(config, clock=SystemClock(), rests=False)
    await carry_out(bot, "gate --release=1.0.0")
    await bot.close()
    await practice.stop()
    (path,) = config.artifact_dir.glob("release-gate-*.json")
    report = GateReport.parse(json.loads(path.read_text()))
    assert report.honest is not None
    held = {key: json.loads((path.parent / ref.name).read_text()) for key, ref in report.honest.evidence.items()}
    return {
        **held,
        "now_ms": report.honest.judged_at,
        "required": list(report.honest.required_scenarios),
        "gate": json.loads(path.read_text()),
        "origin": config.target["practice"].app_url,
        "users": len(practice.pool),
    }


def verdict(evidence: Evidence) -> Verdict | None:
    """The verdict; None when the evidence cannot even be read, which is no pass either."""
    try:
        parts = {
            "before": Snapshot.parse(evidence["before"]) if evidence.get("before") else None,
            "after": Snapshot.parse(evidence["after"]) if evidence.get("after") else None,
            "probe": ProbeReport.parse(evidence["probe"]) if evidence.get("probe") else None,
            "drill": DrillReport.parse(evidence["drill"]) if evidence.get("drill") else None,
        }
    except (SloError, ValueError):
        return None
    return gate.judge(
        **parts,  # type: ignore[arg-type]
        history=[parts["drill"]] if parts["drill"] else [],  # type: ignore[list-item]
        policy=load(GatePolicy),
        baseline=load(Baseline),
        ownership=load(Ownership),
        required=evidence["required"],
        now_ms=evidence["now_ms"],
    ).verdict


def scenario(evidence: Evidence, name: str) -> dict[str, Any]:
    return next(s for s in evidence["drill"]["honest"]["scenarios"] if s["name"] == name)


def _pooled(name: str, **changes: Any) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        pooled = scenario(evidence, name)["pooled"]
        for key, value in changes.items():
            pooled[key] = value(pooled) if callable(value) else value

    return spoil


def _all(status: str) -> Callable[[dict[str, Any]], dict[str, int]]:
    return lambda pooled: {status: sum(pooled["statuses"].values())}


def _latency(value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda pooled: {**pooled["latency"], "p95Ms": value}


def _drop(name: str) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        honest = evidence["drill"]["honest"]
        honest["scenarios"] = [s for s in honest["scenarios"] if s["name"] != name]

    return spoil


def _state(name: str, word: str) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        found = scenario(evidence, name)
        found.update(state=word, reason="left out", pooled=None, stages=[])

    return spoil


def _renamed(name: str) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        scenario(evidence, name)["name"] = f"{name}s"

    return spoil


def _at(*path: str, value: Any) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        place = evidence
        for key in path[:-1]:
            place = place[key]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return spoil


def _stale(seconds: int) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        evidence["after"]["generatedAt"] = evidence["now_ms"] - seconds * 1000

    return spoil


def _probe(index: int, **changes: Any) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        evidence["probe"]["probes"][index].update(changes)

    return spoil


def _circuit(evidence: Evidence) -> None:
    now = evidence["after"]["generatedAt"]
    row = {
        "provider": "openrouter_chat_primary",
        "state": "open",
        "failureCount": 5,
        "successCount": 0,
        "cooldownUntil": now + 30_000,
        "openedAt": now - 1_000,
        "lastFailureAt": now - 1_000,
        "updatedAt": now - 1_000,
    }
    evidence["after"]["circuitBreakers"] = {"openCount": 1, "recent": [row]}


def _vectors() -> Iterator[tuple[str, Spoil]]:
    for name in SCENARIOS:
        yield f"{name} missing", _drop(name)
        yield f"{name} skipped", _state(name, "skipped")
        yield f"{name} not asked", _state(name, "not_asked")
        yield f"{name} misspelt", _renamed(name)
        yield (
            f"{name} without requests",
            _pooled(name, planned=0, sent=0, answered=0, succeeded=0, statuses={}, streams={}),
        )
        yield f"{name} never answered", _pooled(name, answered=0, succeeded=0, statuses={}, streams={}, errors=_errors)
        for status in ("429", "403", "401", "500", "503", "404", "302"):
            yield f"{name} all {status}", _pooled(name, statuses=_all(status), succeeded=0, streams={})
        yield f"{name} p95 null", _pooled(name, latency=_latency(None))
        yield f"{name} p95 NaN", _pooled(name, latency=_latency(float("nan")))
        yield f"{name} p95 infinite", _pooled(name, latency=_latency(float("inf")))
        yield f"{name} p95 far too slow", _pooled(name, latency=_latency(90_000))
        yield f"{name} pooled away", _at_scenario(name)
    yield "streams all cut", _pooled("chat_stream_http", streams=lambda p: {"cut": p["answered"]})
    yield "streams all error", _pooled("chat_stream_http", streams=lambda p: {"error": p["answered"]})
    for part in ("before", "after", "probe", "drill"):
        if part != "before":
            yield f"{part} absent", _at(part, value=None)
        yield f"{part} empty", _at(part, value={"x": 1})
    for name in SCENARIOS:
        yield f"{name} mostly never sent", _pooled(name, unsent=lambda p: p["planned"] * 9)
    yield "generator too slow", _at("drill", "honest", "generator", "bottleneck", value=True)
    for how in ("stopped", "aborted", "control_lost", "generator", "died"):
        yield f"drill {how}", _at("drill", "honest", "ended", "how", value=how)
    yield "probe and drill of one address, snapshot of another time", _stale(3600)
    yield "drill without our part", _at("drill", "honest", value=None)
    yield "drill with no scenarios at all", _at("drill", "honest", "scenarios", value=[])
    yield "snapshot 121 s old", _stale(121)
    yield "snapshot of yesterday", _stale(86_400)
    yield "circuit open", _circuit
    yield "queue unknown", _at("after", "toolJobs", value=...)
    yield "circuits unknown", _at("after", "circuitBreakers", value=...)
    yield "bulkheads unknown", _at("after", "bulkheads", value=...)
    yield "generatedAt unknown", _at("after", "generatedAt", value=...)
    yield "oldest queued NaN", _at("after", "toolJobs", "oldestQueuedAgeMs", value=float("nan"))
    yield "oldest queued an hour", _at("after", "toolJobs", "oldestQueuedAgeMs", value=3_600_000)
    yield "many alerts", _at("after", "rateLimitPressure", "alertsInWindow", value=999)
    yield "no probes", _at("probe", "probes", value=[])
    for index in range(5):
        yield f"probe {index} failed", _probe(index, **{"pass": False, "status": 500})
        yield f"probe {index} unanswered", _probe(index, **{"pass": False, "status": None})
    yield "a required scenario that exists nowhere", _at("required", value=[*SCENARIOS, "sms_webhook"])


def _errors(pooled: dict[str, Any]) -> dict[str, int]:
    return {"ConnectError": max(1, pooled["planned"])}


def _at_scenario(name: str) -> Spoil:
    def spoil(evidence: Evidence) -> None:
        scenario(evidence, name)["pooled"] = None

    return spoil


VECTORS = dict(_vectors())


def test_the_gate_that_is_spoilt_here_passed(passed: Evidence) -> None:
    assert len(VECTORS) >= 60
    assert verdict(passed) is Verdict.PASS


@pytest.mark.parametrize("name", VECTORS)
def test_R42_no_spoilt_evidence_passes(passed: Evidence, name: str) -> None:
    """FAIL, INCOMPLETE, or unreadable; never PASS."""
    evidence = copy.deepcopy(passed)
    VECTORS[name](evidence)

    assert verdict(evidence) is not Verdict.PASS


SAMPLES = Path(__file__).parent.parent / "data" / "samples" / "artifacts"


def test_the_originals_scripts_read_this_gate(passed: Evidence) -> None:
    """Its fields in its order, at every depth; ours stand under one more key at the end."""
    (path,) = (SAMPLES / "gate-pass").glob("release-gate-*.json")
    theirs, ours = json.loads(path.read_text()), passed["gate"]

    assert list(ours) == [*theirs, "honest"]
    for mine, his in zip(ours["steps"], theirs["steps"], strict=True):
        assert (mine["name"], list(mine)) == (his["name"], list(his))
        for check, was in zip(mine.get("checks", []), his.get("checks", []), strict=False):
            assert list(check) == list(was)
    assert Path(ours["steps"][1]["report"]).is_absolute()
    assert ours["rollbackCriteria"] == theirs["rollbackCriteria"]


@pytest.mark.parametrize("other", [False, True])
def test_a_gate_is_judged_again_from_its_files_and_says_when_the_policies_are_others(
    passed: Evidence, tmp_path: Path, other: bool
) -> None:
    """`judge gate` reads what the report names, beside it; the same verdict, and no word where nothing differs."""
    from bot.gate.again import again

    kept = Path(passed["gate"]["steps"][1]["report"]).parent
    report = copy.deepcopy(passed["gate"])
    if other:
        report["honest"]["policies"]["slo-baseline.json"] = "0" * 64

    answer = again([(kept / "release-gate-x.json", report)])

    assert (answer["verdict"], answer["recorded"]) == ("PASS", "PASS")
    assert answer["reason"] == ("judged now by another slo-baseline.json than then" if other else "")


def test_weakness_27_the_wish_and_what_the_server_gave_are_both_on_record(passed: Evidence) -> None:
    assert (passed["gate"]["snapshotLimit"], passed["gate"]["honest"]["effectiveLimit"]) == (100, 50)


def test_weakness_33_probe_and_drill_of_a_gate_have_the_targets_origin_and_credentials(passed: Evidence) -> None:
    """Nothing to forward: what a target needs stands with the target, so the chat scenario ran with its pool."""
    chat = scenario(passed, "chat_stream_http")["pooled"]

    assert passed["probe"]["probeOrigin"] == passed["origin"]
    assert passed["drill"]["chatAuthPoolSize"] == passed["users"]
    assert (chat["streams"]["done"], chat["sent"]) == (3, 3)
    assert scenario(passed, "gmail_push_webhook")["pooled"]["statuses"] == {"200": 30}, "signed and with its token"
    assert scenario(passed, "whatsapp_webhook")["pooled"]["statuses"] == {"200": 30}


def test_a_drill_is_drawn_as_a_picture_with_its_limit(passed: Evidence) -> None:
    """One panel for each endpoint, as a PNG, drawn outside of this process."""
    data = pictures.latency(DrillReport.parse(passed["drill"]))
    assert data is not None
    assert [panel["title"] for panel in data["panels"]] == ["/api/gmail/push", "/api/whatsapp/webhook", "/api/chat"]

    drawn = asyncio.run(pictures.render(data))

    assert isinstance(drawn, bytes)
    assert drawn.startswith(b"\x89PNG")
    assert asyncio.run(pictures.render({"kind": "latency", "title": "x", "panels": "broken"})) == (
        "no picture: it could not be done"
    )
