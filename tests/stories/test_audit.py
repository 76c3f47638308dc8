"""The record as people ask for it in Slack: searched page by page, from Home by a form, told, handed out, checked."""

from __future__ import annotations

import json

from bot.slack.lint import lint_view
from tests.conftest import INCIDENTS, LEAD, ONCALL, VISITOR, Stage, text_of, until


async def said(stage: Stage, user: str, count: int) -> str:
    """The newest answer that only this person sees, once there are so many."""
    await until(lambda: len(stage.whispers(user)) >= count)
    return stage.whispers(user)[-1]


async def test_a_manager_searches_pages_asks_by_form_and_takes_the_record_along(stage: Stage) -> None:
    for n in range(6):
        await stage.type("owners")
        await said(stage, ONCALL, n + 1)
    await stage.type('pause --why="<!channel> look at <https://evil.example|this>"', user=LEAD)
    await stage.final()

    await stage.type("audit", user=LEAD)
    first = await said(stage, LEAD, 1)
    assert first.splitlines()[0].startswith("⏸ Paused by @lead")
    assert first.splitlines()[1] == "10+ records"
    assert "<!channel>" not in first
    assert "evil.example" not in first
    assert "not yet anchored" in first
    await stage.slack.click(LEAD, stage.slack.ephemerals(LEAD)[-1], "Older", channel=INCIDENTS)
    second = await said(stage, LEAD, 2)
    assert "before record" in second
    numbers = [
        [int(line.split("*")[1]) for line in page.splitlines() if line.startswith("*")] for page in (first, second)
    ]
    assert len(numbers[0]) == 10
    assert numbers[0] == sorted(numbers[0], reverse=True)
    assert numbers[1][0] == numbers[0][-1] - 1

    await stage.slack.open_home(LEAD)
    await until(lambda: stage.slack.home(LEAD) is not None)
    home = stage.slack.home(LEAD)
    assert home is not None
    await stage.slack.click(LEAD, home, "Search the audit trail…")
    await until(lambda: bool(stage.slack.views(LEAD)))
    view = stage.slack.views(LEAD)[-1]
    assert lint_view(view) == []
    asked = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    assert {"person", "knob", "action", "object", "since", "until"} <= asked
    wrong = await stage.slack.submit(LEAD, view["id"], {"since": {"since": "soon"}})
    assert "since" in json.dumps(wrong.body)
    await stage.slack.submit(
        LEAD, view["id"], {"person": {"person": "lead"}, "action": {"action": "pause"}, "since": {"since": "1d"}}
    )
    direct = stage.slack.workspace.dm(LEAD).id
    await until(lambda: any("pause" in text_of(message) for message in stage.slack.messages(direct)))
    answer = text_of(stage.slack.messages(direct)[-1])
    assert "2 records" in answer
    assert "owners" not in answer

    await stage.type("resume", user=LEAD)
    await stage.type("audit export --format=jsonl", user=LEAD)
    await until(lambda: "JSON lines" in text_of(stage.cards()[-1]))
    await until(lambda: any(file.name.endswith(".jsonl") for file in stage.slack.files()))
    await stage.type("audit verify", user=LEAD)
    checked = await stage.final()
    await until(lambda: "VERIFIED" in text_of(stage.cards()[-1]) or "ANCHORED" in text_of(stage.cards()[-1]))
    assert "CHANGED" not in checked


async def test_R7_the_record_is_searched_by_readers_and_handed_out_by_auditors(stage: Stage) -> None:
    """A member searches in an incident channel; exporting, verifying and reconciling are for managers and admins."""
    await stage.type("audit --person=lead", user=VISITOR)
    assert "No record fits" in await said(stage, VISITOR, 1)
    for n, line in enumerate(("audit export --format=csv", "audit verify", "audit reconcile"), 1):
        await stage.type(line, user=ONCALL)
        assert "needs admin or manager" in await said(stage, ONCALL, n)
    await stage.type("audit backup", user=ONCALL)
    assert "needs admin" in await said(stage, ONCALL, 4)
    await stage.type("audit show c-77", user=ONCALL)
    assert "There is no change c-77" in await said(stage, ONCALL, 5)
    await stage.type("audit show <@U0LEAD>", user=ONCALL)
    assert "is no id of the record" in await said(stage, ONCALL, 6)
    await stage.type("audit refused", user=ONCALL)
    told = await said(stage, ONCALL, 7)
    assert "audit․export" in told or "audit.export" in told
