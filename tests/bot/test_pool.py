"""A pool is made user by user against the app; what is there is kept, and no secret of it is told."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from bot.authpool.entries import ends_ms
from bot.config import Config
from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat, Script
from bot.store import artifacts
from bot.store.artifacts import Artifact
from bot.target import Environment
from tests.conftest import carry_out, until

SIGN_IN, SIGN_UP, TOKEN = "/api/auth/sign-in/email", "/api/auth/sign-up/email", "/api/auth/convex/token"
NAME = "chat-auth-pool-sample-20260310-1-6.json"
LINE = "pool --count=6 --prefix=sample --seed=20260310"


async def run(bot: Bot, line: str = LINE, by: str = "oncall") -> dict[str, Any]:
    reply, outcome = await carry_out(bot, line, by=by)
    if outcome is None:
        return {"exit_status": reply.exit_status, "card": reply.card.model_dump() if reply.card else {}, "data": {}}
    return outcome


def pool_of(bot: Bot, name: str = NAME) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((bot.world.config.artifact_dir / name).read_text())
    return found


async def test_a_pool_is_made_as_the_original_writes_it(bot: Bot, sendcat: PracticeSendcat) -> None:
    """Sign-in, else sign-up, token, thread: the original's name, fields and order; 0600; usable by a chat at once."""
    outcome = await run(bot)

    assert (outcome["exit_status"], outcome["data"]["signed_up"]) == (0, 6)
    users = pool_of(bot)
    assert [user["email"] for user in users] == [f"sample-20260310-{n:04d}@example.com" for n in range(1, 7)]
    assert [list(user) for user in users] == [["userLabel", "email", "threadId", "authToken", "source"]] * 6
    assert {user["source"] for user in users} == {"sign-up"}
    file = bot.world.config.artifact_dir / NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    accounts = sendcat.deployment.accounts
    owners = [accounts.authenticate(user["authToken"]) for user in users]
    assert [accounts.threads[user["threadId"]].user_id for user in users] == [o.user_id for o in owners if o]
    row = await bot.world.store.read(lambda conn: artifacts.named(conn, NAME))
    assert row is not None
    assert (row.kind, row.target, row.size) == ("pool", "practice", file.stat().st_size)
    drilled = await run(bot, f"drill --quick=true --scenarios=chat_stream_http --chat-auth-pool-file={NAME}")
    assert drilled["data"]["report"]["chatAuthPoolSize"] == 6
    assert drilled["data"]["report"]["scenarios"][-1]["summary"]["statuses"] == {"200": 3}


async def test_one_failing_user_takes_no_other_along_and_the_next_run_goes_on(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    """Some sign-ups fail for good: the file holds the rest, the card names them, and the same line completes it."""
    for _ in range(2):
        sendcat.script(Script(SIGN_UP, status=403, body='{"code":"SIGN_UP_DISABLED"}'))
    first = await run(bot)
    before = {user["email"]: user["authToken"] for user in pool_of(bot)}

    assert (first["exit_status"], len(before), len(first["data"]["failed"])) == (3, 4, 2)
    assert set(first["data"]["failed"].values()) == {"sign-up: HTTP 403 SIGN_UP_DISABLED"}
    assert "INCOMPLETE: 4 of 6 users" in first["card"]["title"]
    second = await run(bot)
    after = {user["email"]: user["authToken"] for user in pool_of(bot)}
    assert (second["exit_status"], second["data"]["kept"], second["data"]["signed_up"]) == (0, 4, 2)
    assert before.items() <= after.items()


async def test_a_run_that_was_stopped_leaves_a_whole_file_and_is_gone_on_with(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    """Stopped while the app is slow; at each moment the file is whole; the next run makes only what is missing."""
    name, line = NAME.replace("-6.json", "-16.json"), LINE.replace("--count=6", "--count=16")
    file = bot.world.config.artifact_dir / name
    sendcat.script(Script(TOKEN, times=None, delay_ms=600))
    running = asyncio.create_task(run(bot, line))
    await until(file.exists)
    assert json.loads(file.read_text())
    for op in bot.world.stops.running:
        bot.world.stops.stop(op, "a test")
    stopped = await running
    made = len(pool_of(bot, name))

    assert "STOPPED" in stopped["card"]["title"]
    assert (stopped["exit_status"], stopped["data"]["not_tried"]) == (3, 16 - made)
    assert 0 < made < 16
    sendcat.switches.scripts.clear()
    signed_up = sendcat.counters.statuses[f"POST {SIGN_UP} 200"]
    again = await run(bot, line)
    assert (again["data"]["kept"], again["data"]["users"]) == (made, 16)
    assert sendcat.counters.statuses[f"POST {SIGN_UP} 200"] == signed_up + 16 - made


async def test_R18_a_bot_that_ends_meanwhile_leaves_a_whole_file_and_the_next_one_goes_on(
    config: Config, sendcat: PracticeSendcat
) -> None:
    """The run is INTERRUPTED; nobody goes on with it by itself; the same line keeps what stands in the file."""
    file = config.artifact_dir / NAME
    sendcat.script(Script(TOKEN, times=None, delay_ms=150))
    first = await Bot.lead(config, rests=False)
    running = asyncio.create_task(run(first))
    await until(file.exists)
    running.cancel()
    await first.close(grace_s=0.0)
    made = len(json.loads(file.read_text()))
    sendcat.switches.scripts.clear()
    second = await Bot.lead(config, rests=False)
    again = await run(second)
    await second.close(grace_s=0.5)

    assert 0 < made < 6
    assert (again["data"]["kept"], again["data"]["users"]) == (made, 6)
    assert len(json.loads(file.read_text())) == 6


async def test_a_limited_or_failing_app_is_tried_again_and_a_write_is_not(bot: Bot, sendcat: PracticeSendcat) -> None:
    """429 and 5xx of the app: waited for. A thread that may have been made is not made twice (R26)."""
    sendcat.script(Script(SIGN_IN, status=429, body='{"message":"Too many requests."}'))
    sendcat.script(Script(TOKEN, status=502))
    sendcat.script(Script("threads:create", drop_after_commit=True))
    outcome = await run(bot)

    assert (outcome["exit_status"], outcome["data"]["users"]) == (3, 5)
    assert list(outcome["data"]["failed"].values()) == ["threads:create: no whole answer (RemoteProtocolError)"]
    assert sendcat.counters.mutations["threads:create"] == 6
    assert "may have been made" in json.dumps(outcome["card"])


async def test_tokens_that_end_are_renewed_and_the_thread_stays(bot: Bot, sendcat: PracticeSendcat) -> None:
    sendcat.deployment.accounts.token_life_s = 600
    await run(bot)
    before = {user["email"]: user for user in pool_of(bot)}
    status = await run(bot, f"pool status --file={NAME}")
    assert "the first ends soon" in json.dumps(status["card"])
    sendcat.deployment.accounts.token_life_s = 7200
    again = await run(bot)

    assert (again["data"]["signed_in"], again["data"]["threads"]) == (6, 0)
    for user in pool_of(bot):
        assert user["threadId"] == before[user["email"]]["threadId"]
        assert (ends_ms(user["authToken"]) or 0) > (ends_ms(before[user["email"]]["authToken"]) or 0)
        assert user["source"] == "sign-in"


async def test_status_tells_size_age_and_for_what_it_is_enough(bot: Bot, sendcat: PracticeSendcat) -> None:
    """The target's own pool first, then what was made for it; nothing of another target."""
    await run(bot)
    other = Artifact("chat-auth-pool-other-1-1-1.json", "0" * 64, 1, "pool", 1, "candidate", None)
    await bot.world.store.write(lambda tx: artifacts.register(tx, other))
    (bot.world.config.artifact_dir / other.name).write_text("[]")
    status = await run(bot, "pool status")
    text = json.dumps(status["card"], ensure_ascii=False)

    assert status["data"]["pools"]["pool.json"]["size"] == 20
    assert status["data"]["pools"][NAME]["size"] == 6
    assert "m1_1k" in text
    assert "1,000 chats bring in all 20 users, by any rotation" in text
    assert "other" not in text
    refused = await run(bot, f"pool status --file={other.name}")
    assert refused["exit_status"] == 4


@pytest.mark.parametrize(
    ("line", "exit_status", "says"),
    [
        ("pool --password=hunter2hunter2", 4, "secret"),
        ("pool --app-origin=https://elsewhere.example", 4, "app_url"),
        ("pool --convex-url=https://elsewhere.convex.cloud", 4, "api_url"),
        ("pool --count=0", 2, "greater than or equal to 1"),
        ("pool --count=twenty", 2, "integer"),
        ("pool --prefix=../x", 2, "small letters"),
        ("pool --output=../pool.json", 2, "chat-auth-pool-"),
        ("pool --output=slo-dashboard.json", 2, "chat-auth-pool-"),
        ("pool --users=20", 2, "no flag"),
        ("pool status --milestone=m1", 2, "m1_1k"),
    ],
)
async def test_flags_are_checked_and_a_no_says_what_to_type(
    bot: Bot, sendcat: PracticeSendcat, line: str, exit_status: int, says: str
) -> None:
    outcome = await run(bot, line)

    assert (outcome["exit_status"], says in json.dumps(outcome["card"])) == (exit_status, True), outcome["card"]
    assert sendcat.counters.requests[f"POST {SIGN_IN}"] == 0


async def test_production_is_asked_twice_and_without_a_password_nothing_is_made(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    own = bot.world.config.target["practice"]
    bot.world.config.target["practice"] = own.model_copy(update={"environment": Environment.PRODUCTION})
    asked = await run(bot)
    assert (asked["exit_status"], "--yes=true" in json.dumps(asked["card"])) == (4, True)
    bot.world.config.target["practice"] = own.model_copy(update={"loadtest_password": None})
    nameless = await run(bot)

    assert (nameless["exit_status"], "loadtest_password_env" in json.dumps(nameless["card"])) == (2, True)
    assert sendcat.counters.requests[f"POST {SIGN_IN}"] == 0


async def test_R15_a_name_that_is_taken_by_another_target_or_file_is_not_written_over(bot: Bot) -> None:
    folder = bot.world.config.artifact_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text('{"what": "no pool"}')
    assert (await run(bot))["exit_status"] == 2
    row = Artifact(NAME, "0" * 64, 1, "pool", 1, "candidate", None)
    await bot.world.store.write(lambda tx: artifacts.register(tx, row))
    taken = await run(bot)

    assert taken["exit_status"] == 4
    assert "of target candidate" in json.dumps(taken["card"])
    assert (folder / NAME).read_text() == '{"what": "no pool"}'


async def test_R7_who_may_make_a_pool(bot: Bot, sendcat: PracticeSendcat) -> None:
    assert (await run(bot, by="visitor"))["exit_status"] == 4
    assert sendcat.counters.requests[f"POST {SIGN_IN}"] == 0


async def test_R36_no_secret_of_a_pool_stands_anywhere_but_in_its_file(
    bot: Bot, sendcat: PracticeSendcat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Database, cards, logs and the other artifacts: no token, no thread, no password."""
    outcome = await run(bot)
    await run(bot, "pool status")
    await run(bot, f"drill --quick=true --scenarios=chat_stream_http --chat-auth-pool-file={NAME}")
    secrets = [user["authToken"] for user in pool_of(bot)] + [sendcat.loadtest_password]
    told = json.dumps(outcome) + caplog.text
    files = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name not in (NAME, "pool.json") and not path.is_symlink()
    ]

    assert len(files) > 3
    for secret in secrets:
        assert secret not in told
        assert [path.name for path in files if secret.encode() in path.read_bytes()] == []
    assert bot.world.scrubber.scrub(f"x {secrets[0]} y") == "x *** y"
