"""Playbooks as a channel walks through them: live signal, shared steps, bounded changes, a summary at the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.commands import catalog
from bot.practice.outside import Outside
from bot.practice.sendcat import PracticeSendcat, Script
from bot.practice.slack import PracticeSlack
from bot.store import artifacts, audit, walks
from bot.store.artifacts import write_file
from bot.walk.checks import CHECKS as DONE
from playbooks.book import Book
from playbooks.checks import CHECKS as NAMED
from playbooks.spans import CheckRef
from tests.conftest import GUEST, INCIDENTS, LEAD, ONCALL, RELMGR, VISITOR, Stage, config_for, text_of, until


@pytest.fixture
async def stage(
    tmp_path: Path, sendcat: PracticeSendcat, slack: PracticeSlack, outside: Outside
) -> AsyncIterator[Stage]:
    """The whole product with its outside."""
    whole = Stage(sendcat, slack, config_for(tmp_path, sendcat, slack, outside))
    await whole.lead()
    yield whole
    await whole.leave()


async def card_with(stage: Stage, *words: str, within_s: float = 12.0) -> str:
    """The newest card, once it holds all these words."""
    await until(lambda: bool(stage.cards()) and all(w in text_of(stage.cards()[-1]) for w in words), within_s)
    return text_of(stage.cards()[-1])


async def press(stage: Stage, label: str, *, user: str = ONCALL) -> Any:
    return await stage.slack.hands.click(user, stage.cards()[-1], label, channel=INCIDENTS)


async def trail(stage: Stage, action: str) -> list[dict[str, Any]]:
    """Audit records of an action that carry their own numbers."""
    assert stage.bot is not None
    rows = await stage.bot.world.store.read(lambda conn: audit.rows(conn))
    return [body for row in rows if (body := json.loads(row.body))["action"] == action and body["phase"] == "result"]


async def test_playbook_F_says_capacity_and_offers_the_pair_that_helps(stage: Stage) -> None:
    """F.1 shows the worker's leases of cap and the circuits; the change offered is the pair, within its step limit."""
    stage.sendcat.inject("F", variant="caps")

    await stage.type("playbook F")
    card = await card_with(stage, "Playbook F FIRED", "worker slots 2 leases, limit 6", "rising")

    assert "inFlightByProvider.tool_job_worker: 2 of 6" in card
    assert "circuit serper_search: closed" in card
    assert "running caps are reached" in card
    assert "TOOL_JOB_RUNMAX_WEB is 2; one change may lead to 1..3" in card
    assert "[ Propose TOOL_JOB_RUNMAX_WEB 3 and TOOL_JOB_RUNMAX_QOS_REALTIME 3 ]" in card
    assert len(stage.cards()) == 1

    await press(stage, "Propose TOOL_JOB_RUNMAX_WEB 3 and TOOL_JOB_RUNMAX_QOS_REALTIME 3")
    await until(lambda: bool(stage.slack.views(ONCALL)))
    view = stage.slack.views(ONCALL)[-1]
    asked = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    bounds = [(asked[knob]["min_value"], asked[knob]["max_value"]) for knob in list(asked)[:2]]
    answers = {name: {name: element["initial_value"]} for name, element in asked.items()}
    await stage.slack.submit(ONCALL, view["id"], answers)
    proposal = await card_with(stage, "Tuning proposal c-1", "2 → 3")

    assert bounds == [("1", "3"), ("1", "3")]
    assert "*Why:* playbook F:" in proposal


async def test_the_channel_walks_together_and_the_second_learns_who_was_first(stage: Stage) -> None:
    """One person confirms; another's click on the same step is answered with the name; both survive a restart."""
    stage.sendcat.inject("A", variant="abusive")
    await stage.type("playbook A")
    await card_with(stage, "Playbook A FIRED", "Confirmed")
    shared = stage.cards()[-1]

    await stage.slack.hands.click(ONCALL, shared, "Confirmed", channel=INCIDENTS)
    await card_with(stage, "done by")
    await stage.slack.hands.click(RELMGR, shared, "Confirmed", channel=INCIDENTS)
    await until(lambda: any("was done by" in text for text in stage.whispers(RELMGR)))
    await stage.restart()
    await stage.type("walk look w-1")
    card = await card_with(stage, "done by", "Playbook A FIRED")

    assert "this is abuse: the limits stay" in card
    assert "Propose" not in card
    assert len(stage.cards()) == 1


async def test_an_answer_is_asked_by_a_form_and_recorded(stage: Stage) -> None:
    """The form of a confirm step opens at once; what was written stands on the card and in the trail."""
    await stage.type("playbook D")
    await card_with(stage, "Playbook D", "Answer")

    await press(stage, "Answer …")
    await until(lambda: bool(stage.slack.views(ONCALL)))
    view = stage.slack.views(ONCALL)[-1]
    sent = await stage.slack.submit(ONCALL, view["id"], {"answer": {"answer": "sender is <!channel> slow"}})
    card = await card_with(stage, "sender is")

    assert sent.status == 200
    assert "<!channel>" not in json.dumps(stage.cards()[-1])
    assert "done by" in card
    answered = [record["detail"]["answer"] for record in await trail(stage, "walk") if "answer" in record["detail"]]
    assert answered == ["sender is <!channel> slow"]


async def test_playbook_E_compares_clears_exactly_one_namespace_and_records_it(stage: Stage) -> None:
    """A fresh answer beside the cached one, the exact namespace, before and after on the trail."""
    stage.sendcat.inject("E")
    await stage.type("playbook E")
    card = await card_with(stage, "Playbook E FIRED")
    assert "5 of 5 cached answers in search_web_v1 share nothing with fresh ones" in card

    wrong = 'walk mutate w-1 1 toolCache:clearNamespace {"namespace":"search_web_v9"} --yes=true'
    await stage.type(wrong)
    await until(lambda: any("no namespace search_web_v9" in text for text in stage.whispers()))
    await press(stage, "clearNamespace search_web_v1")
    await card_with(stage, "420 entries removed, 420 → 0 active", "Playbook E QUIET")

    [record] = [found for found in await trail(stage, "mutate") if "before" in found["detail"]]
    assert record["object"] == 'toolCache:clearNamespace {"namespace":"search_web_v1"}'
    assert record["detail"] == {"before": {"entries": 420}, "after": {"entries": 0, "deleted": 420}}


async def test_R26_an_unclear_write_is_not_repeated_before_somebody_looked(stage: Stage) -> None:
    """The answer is lost after the write took effect: the step is unclear, a second press is refused, a look clears."""
    stage.sendcat.inject("E")
    await stage.type("playbook E")
    await card_with(stage, "Playbook E FIRED")
    stage.sendcat.script(Script("toolCache:clearNamespace", drop_after_commit=True))

    await press(stage, "clearNamespace search_web_v1")
    await card_with(stage, "unclear by")
    calls = stage.sendcat.counters.calls["toolCache:clearNamespace"]
    await stage.type('walk mutate w-1 1 toolCache:clearNamespace {"namespace":"search_web_v1"} --yes=true')
    await until(lambda: any("R26" in text for text in stage.whispers()))

    assert stage.sendcat.counters.calls["toolCache:clearNamespace"] == calls == 1


async def test_playbook_F_drains_what_nobody_drains(stage: Stage) -> None:
    """No drain: `processQueue` until nothing is queued, in calls of the default size."""
    stage.sendcat.inject("F", variant="no_drain")
    await stage.type("playbook F")
    await card_with(stage, "Playbook F FIRED", "no worker drains", "processQueue")

    await press(stage, "6: processQueue")
    card = await card_with(stage, "queued 9 → 0")

    assert "9 jobs run in" in card


async def test_a_dead_letter_goes_back_only_when_its_upstream_takes_calls(stage: Stage) -> None:
    """While the circuit refuses, requeueing is refused by its rule; nothing is sent."""
    stage.sendcat.inject("F", variant="upstream")
    deployment = stage.sendcat.deployment
    for _ in range(6):
        deployment.circuits.failure("serper_search", deployment.settle(), "HTTP 503")
    await stage.type("playbook F")
    card = await card_with(stage, "Playbook F FIRED", "circuit serper_search: open, refuses")
    label = next(part for part in card.split("[ ") if "requeueDeadLetter" in part).partition(" ]")[0]

    await press(stage, label)
    await until(lambda: any("Runbook, playbook F, action 6" in text for text in stage.whispers()))

    assert stage.sendcat.counters.mutations["toolJobs:requeueDeadLetter"] == 0


async def test_a_walk_that_is_left_ends_with_a_summary_in_the_thread(stage: Stage) -> None:
    """Found, done by whom, what changed in the numbers; afterwards no step can be taken."""
    stage.sendcat.inject("E")
    await stage.type("playbook E")
    await card_with(stage, "Playbook E FIRED")
    await press(stage, "clearNamespace search_web_v1")
    await card_with(stage, "420 → 0 active")
    ts = stage.cards()[0]["ts"]

    await stage.type("walk leave w-1")
    await card_with(stage, "Playbook E LEFT")
    await until(lambda: "summary" in json.dumps(stage.slack.thread(INCIDENTS, ts)))
    told = json.dumps(stage.slack.thread(INCIDENTS, ts), ensure_ascii=False)
    await stage.type("walk confirm w-1 2")
    await until(lambda: any("was ended by" in text for text in stage.whispers()))

    assert "cached entries: 420 → 0" in told
    assert "Step 1 (mutate): done by" in told


@pytest.mark.parametrize(
    ("user", "line", "word"),
    [
        (VISITOR, "walk confirm w-1 2", "needs"),
        (GUEST, "walk mutate w-1 6 toolJobs:processQueue --yes=true", "R8"),
        (LEAD, "walk mutate w-1 6 toolJobs:processQueue --yes=true", "needs"),
        (VISITOR, "walk retest w-1 7", "needs"),
    ],
)
async def test_R7_who_may_take_a_step(stage: Stage, user: str, line: str, word: str) -> None:
    """Everybody in the incident channel sees the walk; changing is the responders'."""
    await stage.type("playbook F", user=VISITOR)
    await card_with(stage, "Playbook F QUIET")

    ack = await stage.type(line, user=user)

    assert word in json.dumps(ack.body)


async def test_R21_only_what_the_page_names_may_be_called(stage: Stage) -> None:
    """Another page's function, a function of nobody, and a missing confirmation are refused, each with its rule."""
    await stage.type("playbook F")
    await card_with(stage, "Playbook F QUIET")

    for line in (
        'walk mutate w-1 6 toolCache:clearNamespace {"namespace":"search_web_v1"} --yes=true',
        "walk mutate w-1 6 idempotency:cleanupExpired --yes=true",
    ):
        await stage.type(line)
    await until(lambda: sum("R21" in text for text in stage.whispers()) == 2)
    await stage.type("walk mutate w-1 6 toolJobs:processQueue")
    await until(lambda: any("--yes=true" in text for text in stage.whispers()))


async def test_playbook_G_opens_a_ticket_only_when_triggered(stage: Stage, outside: Outside) -> None:
    """Not triggered: refused by its rule. Triggered: one issue, with the reports' digests."""
    assert stage.bot is not None
    await stage.type("playbook G")
    await card_with(stage, "Playbook G")
    await stage.type("walk ticket w-1 3")
    await until(lambda: any("region-readiness" in text for text in stage.whispers()))
    world = stage.bot.world
    kept = write_file(
        world.config.artifact_dir,
        "region-readiness-2026-11-23T14-00-00-000Z.json",
        {"activateMultiRegionProgram": True},
        kind="region",
        started_ms=world.clock.now_ms(),
        target="practice",
        op=None,
    )
    await world.store.write(lambda tx: artifacts.register(tx, kept))

    await stage.type("walk ticket w-1 3")
    card = await card_with(stage, "is open")

    [issue] = outside.issues
    assert kept.sha256 in issue["body"]
    assert "sendcat∕sendcat" in card or "sendcat/sendcat" in card


async def test_B_tells_status_and_quota_and_what_is_not_configured(stage: Stage, outside: Outside) -> None:
    """The status page of the provider in trouble, key and credits; nothing of a provider that is well."""
    stage.sendcat.inject("B", variant="primary")
    outside.credits = (50.0, 50.0)

    await stage.type("playbook B")
    card = await card_with(stage, "Playbook B FIRED", "openrouter credits")

    assert "openrouter status page: Partial System Outage" in card
    assert "openrouter credits: 0.00 of 50.00 left" in card
    assert "serper status page" not in card


async def test_the_card_is_complete_within_two_seconds(stage: Stage) -> None:
    clock = stage.bot.world.clock if stage.bot else None
    assert clock is not None
    began = clock.monotonic()

    await stage.type("playbook A")
    await card_with(stage, "Playbook A QUIET", "1. read")

    assert clock.monotonic() - began < 2.0


async def test_a_second_playbook_line_brings_the_walk_down(stage: Stage) -> None:
    """The open walk goes on at the newest card; the old card says so and has no buttons."""
    await stage.type("playbook F")
    await card_with(stage, "Playbook F QUIET")
    await press(stage, "Skip step 2", user=ONCALL)
    await stage.type("playbook F")
    await until(lambda: len(stage.cards()) == 2 and "Playbook F QUIET" in text_of(stage.cards()[1]))

    await until(lambda: "goes on below" in text_of(stage.cards()[0]))
    assert stage.bot is not None
    found = await stage.bot.world.store.read(lambda conn: walks.listing(conn))
    assert [walk.id for walk in found] == ["w-1"]


def test_every_check_that_a_page_may_name_is_done_and_named() -> None:
    """The closed set of the pages, the checks in code, and the pages themselves agree."""
    named = {
        span.name
        for page in Book.load(catalog().names).pages.values()
        for span in page.spans
        if isinstance(span, CheckRef)
    }

    assert set(NAMED) == set(DONE) == named
