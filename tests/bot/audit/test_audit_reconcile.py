"""Changes beside the bot are found, shown, recorded once, and gone when somebody has mended or accepted them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from bot.sendcat.convex import AuditEvent
from bot.store import audit, changes
from bot.store.change import BOT, By
from bot.store.tx import Tx
from playbooks.change_set import ChangeSet, Step
from tests.conftest import carry_out

WEB, LIMIT, SECRET = "TOOL_JOB_RUNMAX_WEB", "RATE_LIMIT_GMAIL_PUSH_MAX", "ADMISSION_REDIS_TOKEN"


@pytest.fixture
async def stranger(sendcat: PracticeSendcat) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with the deploy key and a shell."""
    async with httpx.AsyncClient(
        base_url=sendcat.api_url, headers={"Authorization": f"Convex {sendcat.deploy_key}"}, trust_env=False
    ) as client:
        yield client


async def set_by_hand(client: httpx.AsyncClient, **values: str | None) -> None:
    body = {"changes": [{"name": name, "value": value} for name, value in values.items()]}
    (await client.post("/api/v1/update_environment_variables", json=body)).raise_for_status()


async def look(bot: Bot, line: str = "audit reconcile", *, by: str = "lead") -> dict[str, Any]:
    _, outcome = await carry_out(bot, line, by=by)
    assert outcome is not None
    return outcome


async def facts(bot: Bot) -> list[dict[str, Any]]:
    rows = await bot.world.store.read(lambda conn: audit.rows(conn))
    told = [json.loads(row.body) for row in rows]
    return [body for body in told if body["action"] == "audit.reconcile" and body["phase"] in ("system", "decision")]


async def ours(bot: Bot, sendcat: PracticeSendcat, before: str | None, after: str) -> None:
    """A change of the bot, kept: written down and stored."""

    def write(tx: Tx) -> None:
        by = By(account="slack:U0ONCALL", door="slack")
        op = tx.db.execute("SELECT id FROM ops ORDER BY n DESC LIMIT 1").fetchone()[0]
        step = Step(WEB, stored=before, before=2, text=after, after=int(after), day_ago=2, rule="20 %")
        made = changes.propose(
            tx, ChangeSet((step,), why="x"), op=op, by=by, target="practice", deployment="d", policy="a" * 64,
            expires_ms=tx.now_ms + 1,
        )  # fmt: skip
        changes.move(tx, made.id, "approved", by=by, approver=by, approved_ms=tx.now_ms)
        changes.move(tx, made.id, "taken", by=BOT)
        changes.move(tx, made.id, "intent", by=BOT, sent_ms=tx.now_ms)
        for state in ("written", "confirmed", "settling", "retested", "kept"):
            more = {"due_ms": tx.now_ms} if state == "settling" else {}
            changes.move(tx, made.id, state, by=BOT, **more)  # type: ignore[arg-type]

    await bot.world.store.write(write)
    sendcat.deployment.environment.set(WEB, after)


async def test_a_strangers_change_is_found_recorded_once_shown_until_it_is_mended(
    bot: Bot, sendcat: PracticeSendcat, stranger: httpx.AsyncClient
) -> None:
    first = await look(bot)
    assert (first["exit_status"], first["data"]["firstLook"], first["data"]["outside"]) == (0, True, [])
    await ours(bot, sendcat, None, "3")
    assert (await look(bot))["exit_status"] == 0
    await set_by_hand(stranger, **{WEB: "5", LIMIT: "999", "OPENROUTER_API_KEY": "sk-changed"})
    found = await look(bot)
    again = await look(bot)

    assert found["exit_status"] == again["exit_status"] == 1
    told = {item["knob"]: (item["was"], item["now"]) for item in found["data"]["outside"]}
    assert told == {WEB: ("3", "5"), LIMIT: (None, "999")}
    assert found["data"]["new"] == [LIMIT, WEB]
    assert again["data"]["new"] == []
    assert [(f["object"], f["outcome"], f["actor"]) for f in await facts(bot)] == [
        (knob, "changed outside", "system")
        for knob in sorted((WEB, LIMIT), key=[f["object"] for f in await facts(bot)].index)
    ]
    assert f"back to 3 step by step: `/sendcat tune {WEB} 4` first" in found["card"]["next"]  # R22: +1 or 20 % a change
    assert "OPENROUTER" not in json.dumps([found, again, await facts(bot)])
    assert "sk-changed" not in json.dumps([found, again])

    await set_by_hand(stranger, **{WEB: "3"})
    accepted = await look(bot, f"audit reconcile --accept={LIMIT} --why='meant so'")
    assert (accepted["exit_status"], accepted["data"]["outside"]) == (0, [])
    decision = (await facts(bot))[-1]
    assert (decision["phase"], decision["object"], decision["person"], decision["why"]) == (
        "decision",
        LIMIT,
        "lead",
        "meant so",
    )
    assert (await look(bot))["exit_status"] == 0


async def test_convexs_own_log_tells_who_and_what_was_changed_and_put_back(
    bot: Bot, sendcat: PracticeSendcat, stranger: httpx.AsyncClient
) -> None:
    """Where the key and the plan permit; the bot's own writes are explained by its own intents."""
    sendcat.switches.audit_log = True
    await look(bot)
    await set_by_hand(stranger, **{LIMIT: "7"})
    await set_by_hand(stranger, **{LIMIT: None, "SIGNUP_NOTE": "x"})
    found = await look(bot)
    again = await look(bot)

    assert found["exit_status"] == 0
    assert [(e["knob"], e["actor"]) for e in found["data"]["events"]] == [(LIMIT, "token"), (LIMIT, "token")]
    assert found["data"]["new"] == [LIMIT]
    assert again["data"]["new"] == []
    (fact,) = await facts(bot)
    assert fact["outcome"] == "changed outside, and back"
    assert fact["detail"]["convex"]["events"] == 2
    assert "SIGNUP_NOTE" not in json.dumps(found)


@pytest.mark.parametrize("limited", [False, True])
async def test_without_the_log_the_knobs_are_compared_all_the_same(
    bot: Bot, sendcat: PracticeSendcat, limited: bool
) -> None:
    if limited:
        sendcat.switches.audit_log = True
        key = sendcat.keys.issue("deployment:env:view")
        targets = bot.world.config.target
        weak = targets["practice"].model_copy(update={"deploy_key": SecretStr(key)})
        bot.world.config = bot.world.config.model_copy(update={"target": {**targets, "practice": weak}})
    found = await look(bot)

    assert found["exit_status"] == 0
    assert ("lacks `deployment:auditLog:view`" if limited else "no audit log") in found["data"]["eventsUnread"]
    assert "was not read" in json.dumps(found["card"])


async def test_R36_a_secret_knob_shows_only_that_it_was_set(
    bot: Bot, sendcat: PracticeSendcat, stranger: httpx.AsyncClient
) -> None:
    await look(bot)
    await set_by_hand(stranger, **{SECRET: "very-secret-token"})
    found = await look(bot)

    assert [item["knob"] for item in found["data"]["outside"]] == [SECRET]
    assert "very-secret-token" not in json.dumps([found, await facts(bot)])


async def test_an_unreachable_sendcat_decides_nothing_and_only_auditors_look(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    reply, outcome = await carry_out(bot, "audit reconcile", by="oncall")
    assert outcome is None
    assert reply.exit_status == 4
    sendcat.switches.refuse_key = True
    found = await look(bot)
    assert (found["exit_status"], found["verdict"]) == (3, "INCOMPLETE")
    wrong = await look(bot, "audit reconcile --accept=NO_SUCH_KNOB")
    assert wrong["exit_status"] in (2, 3)


def test_an_event_that_our_own_intent_explains_is_not_foreign() -> None:
    from bot.audit.reconciling import AFTER_MS, BEFORE_MS, foreign

    at = 1_790_000_000_000
    events = [
        AuditEvent("update_environment_variable", at + off, "token", WEB)
        for off in (-BEFORE_MS - 1, -BEFORE_MS, 0, AFTER_MS, AFTER_MS + 1)
    ]
    assert [e.at_ms - at for e in foreign(events, {WEB: [at]})] == [-BEFORE_MS - 1, AFTER_MS + 1]
    assert foreign([AuditEvent("push", at, "member", None)], {}) == ()


async def test_the_log_is_read_page_by_page_and_keeps_listed_names_only(bot: Bot, sendcat: PracticeSendcat) -> None:
    """250 events are three pages; names of other variables, addresses of people and odd events are dropped (R36, R37)."""
    sendcat.switches.audit_log = True
    sendcat.deployment.audit += [
        {
            "actor": {"type": "member", "email": "ann@example.com"},
            "action": "update_environment_variable",
            "createTime": 1_790_000_000_000 + n,
            "metadata": {"variable_name": (WEB, "STRIPE_KEY")[n % 2]},
            "clientIp": "203.0.113.10",
        }
        for n in range(250)
    ]
    sendcat.deployment.audit.append({"action": 7, "createTime": "x"} | {"createTime": 1_790_000_000_900})
    client = bot.world.convex(bot.world.config.target["practice"])
    events = await client.audit_events(0)
    some = await client.audit_events(0, pages=1)

    assert len(events) == 250
    assert len(some) == 100
    assert {event.knob for event in events} == {WEB, None}
    assert {event.actor for event in events} == {"member"}
    assert "example.com" not in repr(events)
