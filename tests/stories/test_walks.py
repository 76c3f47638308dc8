"""Playbooks as a channel walks through them: live signal, shared steps, bounded changes, a summary at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import playbooks
from bot.commands import catalog
from bot.practice.outside import Outside
from bot.practice.sendcat import PracticeSendcat, Script
from bot.practice.slack import PracticeSlack
from bot.store import audit, walks
from bot.walk.checks import CHECKS as DONE
from playbooks.book import Book
from playbooks.checks import CHECKS as NAMED
from playbooks.spans import CheckRef
from tests.conftest import (
    GUEST,
    INCIDENTS,
    LEAD,
    ONCALL,
    RELMGR,
    SLOW,
    VISITOR,
    Stage,
    config_for,
    text_of,
    told,
    until,
)


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
    """The newest card with the list of steps in its thread, once they hold all these words."""
    await until(lambda: bool(stage.cards()) and all(w in told(stage) for w in words), within_s)
    return told(stage)


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
    assert "circuits closed: serper_search, openrouter_chat_primary" in card
    assert "capacity: the running caps are reached (search_web: 2 running; 2 of 6 worker slots taken)" in card
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
    [record] = [found for found in await trail(stage, "mutate") if "before" in found["detail"]]
    assert (record["outcome"], record["detail"]) == ("unclear", {"before": {"entries": 420}, "after": None})

    await stage.type("walk look w-1")
    await card_with(stage, "unclear by", "before: entries 420")  # less than a minute ago: still unclear
    await a_minute_later(stage)
    await stage.type("walk look w-1")
    card = await card_with(stage, "looked again", "cached entries: none")
    assert "unclear by" not in card


async def a_minute_later(stage: Stage) -> None:
    """What the walk's steps know happened a minute earlier than they say."""
    assert stage.bot is not None
    await stage.bot.world.store.write(lambda tx: void(tx.db.execute("UPDATE walk_steps SET at_ms = at_ms - 61000")))


def void(_: object) -> None:
    """For a write that answers nothing."""


async def test_R28_an_interrupted_change_is_not_begun_again_before_somebody_looked(stage: Stage) -> None:
    """The bot dies while a namespace is cleared: afterwards the step says so, and waits for a look."""
    stage.sendcat.inject("E")
    await stage.type("playbook E")
    await card_with(stage, "Playbook E FIRED")
    stage.sendcat.script(Script("toolCache:clearNamespace", delay_ms=30_000))
    await press(stage, "clearNamespace search_web_v1")
    await card_with(stage, "⏳ 1. mutate")
    await stage.restart()
    await card_with(stage, "interrupted · by", "look first")

    line = 'walk mutate w-1 1 toolCache:clearNamespace {"namespace":"search_web_v1"} --yes=true'
    await stage.type(line)
    await until(lambda: any("it was interrupted" in text and "R26" in text for text in stage.whispers()))
    await a_minute_later(stage)
    await stage.type("walk look w-1")
    await card_with(stage, "looked again")
    await stage.type(line)

    await card_with(stage, "→ 0 active", "done by")


async def test_playbook_F_drains_what_nobody_drains(stage: Stage) -> None:
    """No drain: `processQueue` until nothing is queued, in calls of the default size."""
    stage.sendcat.inject("F", variant="no_drain")
    await stage.type("playbook F")
    await card_with(stage, "Playbook F FIRED", "no worker drains", "processQueue")

    assert "2. change: Increase the workers' capacity conservatively  · not now: nobody drains" in told(stage)
    short = text_of(stage.cards()[-1])
    assert len(short.splitlines()) <= 12, short
    assert "not now" in short  # the other steps in one line, with a reason
    assert "/sendcat walk mutate w-1 4 toolJobs:monitorQueueHealth {} --yes=true" in told(stage)
    await press(stage, "processQueue")
    card = await card_with(stage, "queued 9 → 0")

    assert "9 jobs run in" in card


async def test_a_dead_letter_goes_back_only_when_its_upstream_takes_calls(stage: Stage) -> None:
    """While the circuit refuses, requeueing is refused by its rule; nothing is sent."""
    stage.sendcat.inject("F", variant="upstream")
    deployment = stage.sendcat.deployment
    for _ in range(6):
        deployment.circuits.failure("serper_search", deployment.settle(), "HTTP 503")
    await stage.type("playbook F")
    card = await card_with(stage, "Playbook F FIRED", "circuit serper_search: open, refuses", "upstream: the jobs fail")
    assert "requeueDeadLetter" not in "".join(line for line in card.splitlines() if line.startswith("[ "))

    await stage.type("walk mutate w-1 6 toolJobs:requeueDeadLetter --most=20 --yes=true")
    await until(lambda: any("Runbook, playbook F, action 6" in text for text in stage.whispers()))

    assert stage.sendcat.counters.mutations["toolJobs:requeueDeadLetter"] == 0
    await stage.type("walk mutate w-1 6 toolJobs:processQueue --yes=true")
    await until(lambda: any("drained now, they end in the dead letters" in text for text in stage.whispers()))
    card = text_of(stage.cards()[-1])
    assert "failed by" not in card  # refused before anything was done: the step stands as it stood
    assert "[ Open playbook B ]" in card


async def test_several_dead_letters_go_back_as_far_as_the_queue_has_room(stage: Stage) -> None:
    """One call each, not over the cap that `requeueDeadLetter` does not check; which jobs they are stays masked."""
    stage.sendcat.inject("F", variant="backlog")
    await stage.type("playbook F")
    await card_with(stage, "Playbook F FIRED", "requeue when the queue drains")

    await stage.type("walk mutate w-1 6 toolJobs:requeueDeadLetter --most=20 --yes=true")
    card = await card_with(stage, " requeued; dead letters 26 → 2")
    back = stage.sendcat.counters.mutations["toolJobs:requeueDeadLetter"]

    assert "drain the queue next" in card
    assert "dead 2" not in card  # what was searched for
    assert f"{back} of {back} requeued" in card
    assert 2 <= back <= 4  # 78 of 80 are queued, and two run meanwhile


async def test_A_abuse_is_watched_and_the_watch_can_be_stopped(stage: Stage) -> None:
    """The watch is offered first; while it runs the card says until when, and anybody may stop it."""
    stage.sendcat.inject("A", variant="abusive")
    await stage.type("playbook A")
    card = await card_with(stage, "Playbook A FIRED", "endpoint /api/whatsapp/webhook", "so all the time")
    assert "[ Watch 10 min ]  [ Confirmed ]" in card

    await press(stage, "Watch 10 min")
    card = await card_with(stage, "watched once a minute until", "Stop watching")
    assert "Watch 10 min" not in card
    await press(stage, "Stop watching", user=VISITOR)

    await until(lambda: "watched once a minute" not in text_of(stage.cards()[-1]), 15)
    assert len(stage.cards()) == 1


async def test_E_products_are_compared_with_the_shops_own_offers(stage: Stage) -> None:
    """The other namespace has another upstream; only the stale one is offered, with its own version."""
    stage.sendcat.inject("E", variant="products")
    await stage.type("playbook E")
    card = await card_with(stage, "Playbook E FIRED", "5 of 5 cached answers in search_products_v1 share nothing")

    assert "[ clearNamespace search_products_v1 ]" in card
    assert "Propose TOOL_CACHE_PRODUCTS_NS_VER v2" in card
    assert "clearNamespace search_web_v1" not in card


async def test_a_new_page_is_walked_like_the_others(stage: Stage, tmp_path: Path) -> None:
    """Adding a playbook is adding a page: its reads run, its steps are taken; no signal is claimed for it."""
    assert stage.bot is not None
    folder = tmp_path / "pages"
    folder.mkdir()
    for page in Path(playbooks.__file__).parent.glob("*.md"):
        shutil.copy(page, folder / page.name)
    text = (
        "# I. Redis outage\n\nAdmission cannot count.\n\n## Signal\n\n- Failures in `rateLimit:getEventSummary`.\n\n"
        "## Actions\n\n1. **read:** Count them:\n   - `npx convex run rateLimit:getEventSummary '{\"minutes\":5}'`\n"
        "2. **confirm:** Ask who runs Redis.\n"
    )
    (folder / "i-redis.md").write_text(text, "utf-8")
    stage.bot.world.book = Book.load(catalog().names, folder)

    await stage.type("playbook I")
    card = await card_with(stage, "Playbook I NOT JUDGED: Redis outage", "rate-limit events in 5 min", "Confirmed")
    await press(stage, "Confirmed")

    await card_with(stage, "2. confirm: Ask who runs Redis  done by")
    assert "no rule judges this page yet" in card


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


async def test_B_tells_status_and_quota_and_what_is_not_configured(stage: Stage, outside: Outside) -> None:
    """The status page of the provider in trouble, key and credits; nothing of a provider that is well."""
    stage.sendcat.inject("B", variant="primary")
    outside.credits = (50.0, 50.0)

    await stage.type("playbook B")
    card = await card_with(stage, "Playbook B FIRED", "openrouter credits")

    assert "openrouter status page: Partial System Outage" in card
    assert "openrouter credits: 0.00 of 50.00 left" in card
    assert "serper status page" not in card
    short = text_of(stage.cards()[-1])
    assert "openrouter_chat_primary open (" in short
    assert "circuit openrouter_chat_primary: open" not in short  # the reading says it, a phone need not show it twice
    assert "circuit openrouter_chat_primary: open, refuses" in card


async def test_the_card_is_complete_within_two_seconds(stage: Stage) -> None:
    """On a quiet machine."""
    clock = stage.bot.world.clock if stage.bot else None
    assert clock is not None
    began = clock.monotonic()

    await stage.type("playbook A")
    await card_with(stage, "Playbook A QUIET", "1. read")

    assert clock.monotonic() - began < 2.0 * SLOW


async def test_a_second_playbook_line_brings_the_walk_down(stage: Stage) -> None:
    """The open walk goes on at the newest card; the old card says so and has no buttons."""
    await stage.type("playbook F")
    await card_with(stage, "Playbook F QUIET")
    await press(stage, "Skip step 4", user=ONCALL)
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
