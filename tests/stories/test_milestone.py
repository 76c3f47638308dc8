"""A milestone in the channel: pool by command, gate, decision by another person, and playbook H from end to end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.store import audit, cases, ops
from bot.store.case import Case, State
from bot.target import Environment
from slo.artifacts import MilestoneReport
from slo.verdict import Verdict
from tests.bot.milestone.milestone_kit import TRY, write_policy
from tests.conftest import INCIDENTS, ONCALL, RELMGR, VISITOR, Stage, carry_out, text_of, ticked, told, until

POOL = "chat-auth-pool-loadtest-story-1-20.json"


@pytest.fixture
def small(stage: Stage) -> Stage:
    write_policy(stage.config.artifact_dir)
    return stage


def card(stage: Stage) -> str:
    return told(stage)


async def card_with(stage: Stage, *words: str, within_s: float = 40.0) -> str:
    await until(lambda: bool(stage.cards()) and all(word in card(stage) for word in words), within_s)
    return card(stage)


async def press(stage: Stage, label: str, user: str = ONCALL) -> Any:
    return await stage.slack.hands.click(user, stage.cards()[-1], label, channel=INCIDENTS)


async def answer(stage: Stage, user: str, **values: str) -> Any:
    """Fill the form that was opened for this person."""
    await until(lambda: bool(stage.slack.views(user)))
    view = stage.slack.views(user)[-1]
    said = {key: {key: value} for key, value in values.items()}
    return await stage.slack.submit(user, view["id"], said | ticked(view))


async def state(stage: Stage, case_id: str = "ms-1") -> State:
    assert stage.bot is not None
    found = await stage.bot.world.store.read(lambda conn: cases.look(conn, case_id))
    assert found is not None
    return found.standing(stage.bot.world.clock.now_ms())


async def exit_of(stage: Stage, line: str) -> tuple[int, dict[str, Any]]:
    assert stage.bot is not None
    reply, _ = await carry_out(stage.bot, line)
    assert reply.op is not None
    op = await stage.bot.world.store.read(lambda conn: ops.get(conn, reply.op or ""))
    assert op is not None
    return op.exit_status or 0, op.data or {}


async def test_a_milestone_is_decided_by_another_person_across_a_restart(small: Stage) -> None:
    """Measured by the on-call person, refused to the starter and a visitor, approved with a reason, asked by a pipeline."""
    status = "milestone-gate status --milestone=m0_try"
    assert (await exit_of(small, status))[0] == 1
    await small.type(TRY)
    shown = await card_with(small, "PASS: milestone m0_try on practice · waiting for approval")
    assert "judged by another milestone-gate-policy" in shown
    assert "chat streams done" in shown
    assert "m1_1k not run · m2_5k not run" in shown
    assert (await exit_of(small, status))[0] == 5

    for user in (ONCALL, VISITOR):
        await small.type("milestone-gate approve ms-1 --reason=mine", user=user)
    assert await state(small) is State.WAITING
    await small.restart()
    await press(small, "Approve…", RELMGR)
    await answer(small, RELMGR, reason="evidence read")
    shown = await card_with(small, "m0_try on practice · APPROVED", "decision d-1", "evidence read")

    assert (await exit_of(small, status))[0] == 0
    assert small.bot is not None
    rows = await small.bot.world.store.read(lambda conn: audit.rows(conn))
    decided = [body for row in rows if (body := json.loads(row.body))["phase"] == "decision"]
    assert [(record["action"], record["actor"]) for record in decided] == [("milestone.decide", f"slack:{RELMGR}")]
    assert len(small.cards()) == 1
    await small.bot.world.convex(small.config.target["practice"]).set_environment({"TOOL_JOB_RUNMAX_WEB": "3"})
    exit_status, data = await exit_of(small, status)
    assert (exit_status, data["state"]) == (1, "NOT APPROVED")
    assert await state(small) is State.VOID


async def test_R10_what_it_rested_on_changed_and_the_approval_is_void(small: Stage) -> None:
    await small.type(TRY)
    await card_with(small, "waiting for approval")
    assert small.bot is not None
    await small.bot.world.convex(small.config.target["practice"]).set_environment({"RATE_LIMIT_CHAT_STREAM_MAX": "37"})

    await small.type("milestone-gate approve ms-1 --reason=go", user=RELMGR)

    shown = await card_with(small, "VOID")
    assert "configuration changed" in shown
    assert await state(small) is State.VOID


async def test_promotion_goes_from_m1_to_m2_and_never_past_one(stage: Stage) -> None:
    """A passed m2 without an approved m1 is refused with the line that comes first; m1 of another release does not count."""
    await stage.type("status")
    assert stage.bot is not None
    store = stage.bot.world.store

    async def passed(milestone: str, release: str | None) -> Case:
        def write(tx: Any) -> Case:
            (op,) = tx.db.execute("SELECT id FROM ops ORDER BY rowid DESC LIMIT 1").fetchone()
            return cases.new(
                tx,
                kind="milestone",
                op=op,
                target="practice",
                subject=milestone if release is None else f"{milestone} of {release}",
                commit=None,
                verdict=Verdict.PASS,
                starter="slack:U0X",
                starter_person=None,
                binding={"milestone": milestone, "release": release},
                expires_ms=tx.now_ms + 3_600_000,
            )

        return await store.write(write)

    async def idle() -> None:
        assert stage.bot is not None
        await stage.bot.worker.idle()

    await idle()
    first, second = await passed("m1_1k", "a"), await passed("m2_5k", "b")

    await stage.type(f"milestone-gate approve {second.id} --reason=go", user=RELMGR)
    await until(lambda: any("M1 → M2 → M3" in text for text in stage.whispers(RELMGR)))
    said = next(text for text in stage.whispers(RELMGR) if "M1 → M2 → M3" in text)
    assert "m2_5k is not approved before m1_1k is: m1_1k not run" in said
    assert "milestone-gate --milestone=m1_1k --release=b" in said
    assert await state(stage, second.id) is State.WAITING
    assert await state(stage, first.id) is State.WAITING


async def test_R10_the_decision_about_a_load_above_the_ceilings_is_the_gates_too(stage: Stage) -> None:
    """True streams on production: refused with the line that asks, approved by a release manager, run, stopped by anyone."""
    assert stage.bot is not None
    own = stage.config.target["practice"]
    stage.bot.world.config.target["practice"] = own.model_copy(update={"environment": Environment.PRODUCTION})
    gate = "milestone-gate --milestone=m1_1k --chat-concurrency-scale=0.2"
    await stage.type(gate)
    shown = await card_with(stage, "the ceiling of practice (production) is 160")
    asks = next(part for part in shown.splitlines() if "drill ceiling" in part)
    asks = asks[asks.index("drill ceiling") :].rstrip("`")
    await stage.type(asks.replace("--reason=why", "--reason='m1 before the launch'"))
    shown = await card_with(stage, "ASKED: m1_1k drill with 200 open streams", "Or inside its gate")
    await press(stage, "Approve…", RELMGR)
    await card_with(stage, "APPROVED")

    await stage.type(f"{gate} --approval=d-1")
    await card_with(stage, "streams open", within_s=30)
    await press(stage, "Stop", VISITOR)
    shown = await card_with(stage, "STOPPED, INCOMPLETE: milestone m1_1k", within_s=20)

    assert "decision d-1" in shown
    (file,) = stage.config.artifact_dir.glob("milestone-gate-m1_1k-*.json")
    honest = MilestoneReport.parse(json.loads(file.read_text())).honest
    assert honest is not None
    assert (honest.approval, honest.streams_planned, honest.streams_wanted) == ("d-1", 200, 1_000)


async def test_typed_alone_it_asks_by_a_form(stage: Stage) -> None:
    """A wrong release is marked at its question; a right answer runs the line that the form shows."""
    await stage.type("milestone-gate")
    await until(lambda: bool(stage.slack.views(ONCALL)))
    assert "/sendcat milestone-gate --milestone=m1_1k" in json.dumps(stage.slack.views(ONCALL)[-1])
    wrong = await answer(stage, ONCALL, milestone="m2_5k", release="../x")
    assert "release" in json.dumps(wrong.body)
    await answer(stage, ONCALL, milestone="m2_5k", release="2026.11.23-2@4c1e9ab")

    shown = await card_with(stage, "FAIL: milestone m2_5k of 2026", "on practice")
    assert "chat auth pool size is 20, at least 50" in shown


async def test_playbook_H_from_the_pool_to_the_knobs(stage: Stage) -> None:
    """Action 1 finds an old pool, `pool` makes one, action 2 runs with it, 3 reads the artifact, 4 proposes what helps."""
    own = stage.config.target["practice"].chat_pool_file
    assert own is not None
    users = json.loads(own.read_text())
    own.write_text(json.dumps([user | {"authToken": "x.eyJleHAiOjE2MDAwMDAwMDB9.y"} for user in users]))
    await stage.type("playbook H")
    shown = await card_with(stage, "Playbook H FIRED", "would fail by its pool")
    assert "20 of them with a token that has ended" in shown

    await stage.type("pool --seed=story")
    shown = await card_with(stage, "DONE: pool of 20 users for practice")
    assert "m1_1k" in shown
    assert "authToken" not in shown
    await stage.type("playbook H")
    shown = await card_with(stage, "Playbook H FIRED", "needs evidence", POOL.removesuffix(".json"), "Run m1_1k")

    # The tokens end before a milestone does: nothing is sent, and the walk reads that from the artifact.
    stage.sendcat.deployment.accounts.token_life_s = 60
    await stage.type("pool --seed=story --renew=true")
    await card_with(stage, "DONE: pool of 20 users for practice")
    walk = next(m for m in reversed(stage.cards()) if "Playbook H" in text_of(m))
    await stage.slack.hands.click(ONCALL, walk, "Run m1_1k", channel=INCIDENTS)
    shown = await card_with(stage, "INCOMPLETE: milestone m1_1k", "20 end before the run does")
    assert "Make the pool" in shown

    await stage.type("walk look w-1")

    def walked() -> str:
        cards = stage.cards()
        return told(stage, max(at for at, m in enumerate(cards) if "Playbook H" in text_of(m)))

    await until(lambda: "milestone-gate-m1_1k-" in walked() and "INCOMPLETE" in walked(), 15)
    await stage.type("walk skip w-1 2")
    await until(lambda: "Run pool --count=20" in walked(), 15)
    assert "the pool needs 20 users whose tokens hold" in walked()
