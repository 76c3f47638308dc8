"""What a knob relieves, how long it settles, and Little's law beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playbooks.capacity import capacity_notes
from playbooks.change_set import Step
from playbooks.knobs import all_knobs, knob
from playbooks.relief import pressures, settle_s, window_minutes
from slo.retest import Answer, compare
from slo.snapshot import Snapshot
from slo.verdict import sum_up

SAMPLES = Path(__file__).parents[1] / "data" / "samples" / "snapshots"
IDLE = Snapshot.parse(json.loads((SAMPLES / "idle.json").read_text())["snapshot"])


NOTHING = sum_up([])


def step(name: str, before: int, after: int) -> Step:
    return Step(name, None, before, str(after), after, before, "")


def jobs(queued: int, running: int = 2, completed: int = 0, at_ms: int = 0) -> Snapshot:
    """The idle snapshot with web searches in it."""
    raw = json.loads((SAMPLES / "idle.json").read_text())["snapshot"]
    counts = {
        "queued": queued,
        "running": running,
        "failed": 0,
        "deadLetter": 0,
        "dead_letter": 0,
        "completed": completed,
    }
    raw["toolJobs"]["byTool"] = {"search_web": counts}
    raw["toolJobs"]["byStatus"] = counts
    raw["generatedAt"] += at_ms
    return Snapshot.parse(raw)


@pytest.mark.parametrize(
    ("steps", "seconds", "minutes"),
    [
        ([step("RATE_LIMIT_GMAIL_PUSH_MAX", 120, 150)], 60, 1),
        ([step("RATE_LIMIT_WHATSAPP_MAX", 120, 150)], 60, 1),
        ([step("RATE_LIMIT_CHAT_STREAM_MAX", 30, 37)], 300, 5),
        ([step("BULKHEAD_OR_PRI_MAX_CONCURRENT", 24, 28)], 30, None),
        ([step("TOOL_JOB_QMAX_WEB", 80, 96)], 30, None),
        ([step("CIRCUIT_SERPER_COOLDOWN_MS", 120_000, 180_000)], 180, None),
        ([Step("TOOL_CACHE_PRODUCTS_NS_VER", None, "v1", "v2", "v2", "v1", "")], 0, None),
        ([step("TOOL_JOB_RUNMAX_WEB", 2, 3), step("CIRCUIT_SERPER_COOLDOWN_MS", 120_000, 180_000)], 180, None),
    ],
)
def test_the_settle_times_of_the_verdicts_page(steps: list[Step], seconds: int, minutes: int | None) -> None:
    assert settle_s(steps, IDLE) == seconds
    assert window_minutes(steps, IDLE) == minutes


def test_a_pair_of_caps_relieves_one_queue() -> None:
    pair = [step("TOOL_JOB_RUNMAX_WEB", 2, 3), step("TOOL_JOB_RUNMAX_QOS_REALTIME", 2, 3)]

    found = pressures(pair, jobs(54), jobs(35))

    assert [(one.name, one.before, one.after) for one in found] == [("queued search_web jobs", 54, 35)]


def test_a_step_down_is_not_meant_to_relieve() -> None:
    assert pressures([step("TOOL_JOB_RUNMAX_WEB", 2, 1)], jobs(5), jobs(50)) == ()
    lease = [step("BULKHEAD_OR_PRI_LEASE_TTL_MS", 600_000, 90_000)]
    assert [one.name for one in pressures(lease, IDLE, IDLE)] == ["leases of openrouter_chat_primary"]


@pytest.mark.parametrize("name", [one.name for one in all_knobs().values() if one.type == "int" and one.playbooks])
def test_every_number_of_a_playbook_has_a_pressure_that_both_snapshots_show(name: str) -> None:
    one = knob(name)
    assert isinstance(one.default, int)
    wishes = [step(name, one.default, one.default + 1)]
    if "LEASE" in name and "BULKHEAD" in name:
        wishes = [step(name, one.default, one.default - 1)]

    found = pressures(wishes, jobs(3), jobs(4))

    assert found
    for pressure in found:
        if not pressure.name.startswith("queue of"):
            assert pressure.before is not None


def test_traffic_is_no_pressure() -> None:
    """One call more in flight, one job more that waits: two looks differ by that much. A queue that grows is not that."""
    pair = [step("TOOL_JOB_RUNMAX_WEB", 2, 3)]
    calm, grown = pressures(pair, jobs(0), jobs(3))[0], pressures(pair, jobs(4), jobs(9))[0]
    (leases,) = pressures([step("BULKHEAD_OR_PRI_MAX_CONCURRENT", 24, 28)], IDLE, IDLE)

    assert compare(NOTHING, NOTHING, (calm,)).answer is Answer.SAME
    assert compare(NOTHING, NOTHING, (grown,)).answer is Answer.WORSE
    for before, after, answer in ((0, 0.04, "SAME"), (0.4, 0.1, "SAME"), (0.4, 0.6, "WORSE"), (1.0, 0.8, "BETTER")):
        moved = leases.model_copy(update={"before": before, "after": after})
        assert compare(NOTHING, NOTHING, (moved,)).answer == answer, (before, after)


def test_littles_law_from_two_looks() -> None:
    """20 a minute come, 17 are done, two run at a time: 7 s each, 2.4 slots needed."""
    earlier, now = jobs(50, 2, 100), jobs(53, 2, 117, at_ms=60_000)

    notes = capacity_notes([step("TOOL_JOB_RUNMAX_WEB", 2, 3)], earlier, now)

    assert notes == ("Little's law: 20 a minute × 7.1 s each need 2.4 slots; 3 are enough.",)
    assert capacity_notes([step("TOOL_JOB_RUNMAX_WEB", 2, 3)], None, now) == ()
    chat = capacity_notes([step("BULKHEAD_OR_PRI_MAX_CONCURRENT", 24, 28)], None, now, 3000.0)
    assert "8.0 calls a second" in chat[0]
