"""Sendcat's own policies and the recorded samples, for every test of `slo`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.profiles import Profile, profile
from slo.reports import DrillReport, Ended, Generator
from slo.scenarios import CHAT, SCENARIOS
from slo.snapshot import Snapshot
from slo.summary import Run, StageRun, drill_report, held_streams
from slo.tally import Sample, StageTally

SAMPLES = Path(__file__).parent.parent / "data" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def rules() -> dict[str, Any]:
    """Inputs and outputs of the original evaluation rules."""
    loaded: dict[str, Any] = json.loads((SAMPLES / "rules.json").read_text())
    return loaded


@pytest.fixture(scope="session")
def baseline() -> Baseline:
    return load(Baseline)


@pytest.fixture(scope="session")
def ownership() -> Ownership:
    return load(Ownership)


@pytest.fixture(scope="session")
def gate_policy() -> GatePolicy:
    return load(GatePolicy)


@pytest.fixture(scope="session")
def raw_snapshot() -> Callable[[str], dict[str, Any]]:
    """A fresh copy of a recorded snapshot, as JSON."""

    def read(name: str = "idle") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((SAMPLES / "snapshots" / f"{name}.json").read_text())["snapshot"]
        return found

    return read


@pytest.fixture(scope="session")
def snapshot(raw_snapshot: Callable[[str], dict[str, Any]]) -> Callable[..., Snapshot]:
    """A recorded snapshot with some paths replaced: `snapshot("idle", {"toolJobs.byStatus.queued": 9})`."""

    def build(name: str = "idle", changes: dict[str, Any] | None = None) -> Snapshot:
        raw = raw_snapshot(name)
        for path, value in (changes or {}).items():
            *parents, last = path.split(".")
            place = raw
            for key in parents:
                place = place[key]
            place[last] = value
        return Snapshot.parse(raw)

    return build


def request(scenario: str, stage: str, i: int, *, status: int | None = 200, **other: Any) -> Sample:
    """One request planned at i*50 ms and answered after 40 ms; a chat stream says done."""
    took = other.pop("took_ms", 40.0)
    planned = i * 50.0
    values: dict[str, Any] = {
        "planned_ms": planned,
        "sent_ms": planned,
        "headers_ms": planned + took if status else None,
        "end_ms": planned + took,
        "status": status,
        "error": None if status else "TypeError",
        "stream": "done" if scenario == CHAT and status == 200 else None,
        "user": i % 20 if scenario == CHAT else None,
        "warmup": stage == "warmup",
    }
    values.update(other)
    return Sample(scenario=scenario, stage=stage, **values)


Answer = Callable[[str, str, int], Sample]


@pytest.fixture(scope="session")
def drilled(baseline: Baseline) -> Callable[..., DrillReport]:
    """A whole drill report; `answer(scenario, stage, i)` makes each sample, by default all is well."""

    def build(
        answer: Answer = request,
        *,
        name: str = "quick",
        only: tuple[str, ...] | None = None,
        required: tuple[str, ...] = SCENARIOS,
        ended: Ended | None = None,
        skipped: dict[str, str] | None = None,
        generator: Generator | None = None,
        sent: int | None = None,
    ) -> DrillReport:
        plan: Profile = profile(name)
        measured: dict[str, list[StageRun]] = {}
        for scenario in SCENARIOS:
            if scenario in (skipped or {}) or (only is not None and scenario not in only):
                continue
            stages = []
            for stage in plan.stages(scenario):
                tally = StageTally(
                    scenario,
                    stage.name,
                    warmup=stage.warmup,
                    consume_body=plan.consume_body and scenario == CHAT,
                    planned=stage.total or 0,
                )
                for i in range(stage.total or 0 if sent is None else sent):
                    tally.add(answer(scenario, stage.name, i))
                stages.append(StageRun(stage, tally))
            measured[scenario] = stages
        run = Run(
            target="practice",
            base_url="http://127.0.0.1:3211",
            profile=name,
            started_ms=1_795_419_406_000,
            finished_ms=1_795_419_409_000,
            required=required,
            only=only,
            pool_size=20,
            rotation_seed=plan.default_seed,
        )
        return drill_report(
            run,
            measured,
            baseline=baseline,
            ended=ended or Ended(how="finished"),
            skipped=skipped,
            generator=generator,
            held=held_streams(plan.streams, [plan.streams.streams] * 20, plan.streams.streams)
            if plan.streams
            else None,
        )

    return build


@pytest.fixture(scope="session")
def sample_of() -> Callable[..., Sample]:
    return request
