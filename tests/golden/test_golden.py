"""Every message and modal in every state of ux.md's review list is a golden file, and clean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension
from syrupy.location import PyTestLocation

from bot.card import Card
from bot.practice.slack import blockkit
from bot.slack.lint import lint, lint_view
from tests.golden.stage import DATA, Shown
from tests.golden.table import drawn, everything, payload

GOLDEN = DATA / "golden"

STATES = {
    "running": (
        "triage.running",
        "run.in-a-step",
        "tuning.settling",
        "walk.step-running",
        "gate.decision-on-its-way",
        "canary.running",
        "milestone.running",
        "gameday.running",
        "pool.running",
    ),
    "done": (
        "triage.healthy",
        "drill.passed",
        "gate.approved",
        "tuning.kept",
        "incident.closed",
        "checklist.closed",
        "canary.promoted",
        "milestone.approved",
        "region.approved",
        "gameday.passed",
        "pool.made",
        "audit.verify-whole",
    ),
    "failed": (
        "triage.outbound-provider",
        "drill.failed",
        "gate.failed",
        "tuning.failed",
        "walk.step-failed",
        "canary.failed",
        "milestone.failed",
        "gameday.failed",
        "snapshot.circuit-open",
        "audit.verify-broken",
    ),
    "unknown": (
        "triage.nothing-answers",
        "drill.incomplete",
        "tuning.unknown",
        "walk.step-unclear",
        "run.unreachable",
        "canary.candidate-unreachable",
        "milestone.scaled",
        "region.no-forecast",
        "pool.some-not-made",
    ),
    "cancelled": (
        "triage.stopped",
        "gate.rejected",
        "tuning.rejected",
        "walk.left",
        "canary.stopped",
        "canary.rolled-back",
        "milestone.stopped",
        "gameday.stopped",
        "pool.stopped",
    ),
    "interrupted": ("run.interrupted", "walk.step-interrupted", "run.failed-inside-the-bot"),
    "expired": (
        "gate.expired",
        "gate.approval-over",
        "tuning.expired",
        "canary.expired",
        "milestone.expired",
        "region.expired",
    ),
    "not allowed": (
        "answer.not-allowed",
        "answer.not-a-release-manager",
        "gate.not-the-starter",
        "canary.not-the-starter",
        "milestone.not-the-starter",
        "region.not-the-starter",
        "answer.guest",
        "home.stranger",
    ),
    "stale click": (
        "answer.dead-button",
        "answer.button-of-another-age",
        "gate.stale-click",
        "run.delivered-twice",
        "canary.stale-click",
        "milestone.stale-click",
        "region.stale-click",
    ),
    "bot not in channel": ("answer.bot-not-in-the-channel",),
}
"""The review list's states, and where each is drawn."""


class Golden(JSONSnapshotExtension):
    """One file for each name, all in one folder."""

    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: Any = 0) -> str:
        return str(index)

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(GOLDEN)


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(Golden)


@pytest.fixture
async def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Shown]:
    """Everything, made in a folder of its own, where no path of this machine gets into a file."""
    monkeypatch.setenv("TZ", "UTC")
    return await everything(tmp_path, monkeypatch.chdir)


@pytest.mark.filterwarnings(r"ignore:\s*Can not relate snapshot")  # files are named after what they show
async def test_every_message_and_modal_is_as_it_was_and_clean(
    shown: dict[str, Shown], golden: SnapshotAssertion
) -> None:
    missing = {state: [name for name in names if name not in shown] for state, names in STATES.items()}
    assert not {state: names for state, names in missing.items() if names}

    unclean = {name: found for name, each in shown.items() if (found := problems(each))}
    assert unclean == {}

    changed = [name for name, each in sorted(shown.items()) if payload(each) != golden(name=name)]
    assert changed == [], "look at them, then: .venv/bin/pytest -n 0 tests/golden --snapshot-update"

    left = {path.stem for path in GOLDEN.glob("*.json")} - set(shown)
    assert left == set(), "nothing draws these any more: delete them"


def problems(each: Shown) -> list[str]:
    """What the linter says, what the practice Slack would refuse, and more than one primary button."""
    if not isinstance(each, Card):
        surface: Any = each["type"]
        if surface == "home":
            each = {key: each[key] for key in ("type", "blocks")}
        return [*lint_view(each), *blockkit.problems(each["blocks"], surface)]
    found = []
    for plain_tables in (False, True):
        message = drawn(each, plain_tables=plain_tables)
        found += [*lint(message), *blockkit.problems(message.blocks, "message")]
    if sum(button.style == "primary" for button in each.buttons) > 1:
        found.append("more than one primary button")
    return found
