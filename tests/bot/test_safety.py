"""Required behaviours of safety.md where several parts meet: targets, drills, time, failing closed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.config import Config
from bot.errors import Refused, Unreachable
from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat, Script
from bot.redact import Masker, Scrubber
from bot.sendcat.brake import Brake, Stops
from bot.sendcat.convex import ConvexClient
from bot.sendcat.line import Line
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.parent import drill
from bot.sendcat.load.planning import plan_drill
from bot.sendcat.snapshot import read_snapshot
from bot.store import audit, ops
from bot.target import Ceilings, Target
from bot.world import Floor
from slo import drill as judge
from slo.policy import Baseline, Ownership, load
from slo.verdict import Verdict
from tests.conftest import SLOW, ask, carry_out, until


def target_of(config: Config, **changes: Any) -> Target:
    return config.target["practice"].model_copy(update=changes)


async def test_R14_a_redirect_is_not_followed_and_the_key_does_not_travel(
    config: Config, sendcat: PracticeSendcat
) -> None:
    """An answer that points elsewhere is an error; the other host never sees a request."""
    seen: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(2_000))
        writer.close()

    async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2_000)
        writer.write(b"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n" % other_port)
        await writer.drain()
        writer.close()

    other = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    other_port = other.sockets[0].getsockname()[1]
    moved = await asyncio.start_server(redirecting, "127.0.0.1", 0)
    port = moved.sockets[0].getsockname()[1]
    async with ConvexClient(
        Line(target_of(config, api_url=f"http://127.0.0.1:{port}"), SystemClock(), Scrubber())
    ) as client:
        with pytest.raises(Unreachable):
            await client.query("circuitBreaker:listStatuses", {"limit": 5})
    moved.close()
    other.close()

    assert seen == []


async def test_R14_R15_a_url_that_is_no_registered_origin_is_refused_with_the_lines_to_add(bot: Bot) -> None:
    reply, _ = await carry_out(bot, "probe --base-url=https://evil.convex.site")

    assert reply.exit_status == 4
    assert reply.card is not None
    assert "R14" in reply.card.lead
    assert "[target.NAME]" in reply.card.next


@pytest.mark.parametrize(
    ("ceilings", "word"), [(Ceilings(requests=10), "requests"), (Ceilings(in_flight=2), "in flight")]
)
def test_R16_a_plan_over_a_ceiling_is_refused_by_its_name(config: Config, ceilings: Ceilings, word: str) -> None:
    with pytest.raises(Refused, match=word):
        plan_drill(target_of(config, ceilings=ceilings), "quick")


async def test_R17_one_drill_at_a_time_on_an_origin_and_a_rest_between(config: Config) -> None:
    """The second one waits and says so."""
    floor, said, order = Floor(SystemClock()), [], []
    floor.REST_AFTER_QUICK_S = 0.2

    async def waiting(text: str) -> None:
        said.append(text)

    async def one(name: str) -> None:
        async with floor.hold("http://x", name, quick=True, waiting=waiting):
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    await asyncio.gather(one("r-1"), one("r-2"))

    assert order == ["r-1 in", "r-1 out", "r-2 in", "r-2 out"]
    assert any("r-1" in text for text in said)
    assert any("rest" in text for text in said)


async def drilled(
    config: Config, brake: Brake, profile: str = "quick", scenarios: tuple[str, ...] | None = None
) -> Any:
    target = config.target["practice"]
    secrets = drill_secrets(target)
    plan = plan_drill(target, profile, scenarios, secrets=secrets)
    return await drill(plan, secrets, brake=brake, on_progress=lambda _: None, clock=SystemClock())


async def test_R18_a_bad_target_aborts_within_ten_seconds_and_fails(config: Config, sendcat: PracticeSendcat) -> None:
    """Every webhook answers 500: after fifty requests the load is taken off; the verdict is FAIL with the evidence."""
    sendcat.switches.site_fail_status = 500
    began = time.monotonic()
    report = await drilled(config, Brake(SystemClock()), "standard", ("gmail_push_webhook",))

    assert time.monotonic() - began < 10 * SLOW
    assert report.honest.ended.how == "aborted"
    assert report.honest.generator.sent <= 250
    assert judge.judge(report, load(Baseline), load(Ownership)).verdict is Verdict.FAIL


async def test_R19_after_a_stop_no_request_starts_and_every_socket_closes(
    config: Config, sendcat: PracticeSendcat
) -> None:
    """No new request 250 ms after the stop was accepted, everything closed within two seconds, never PASS."""
    brake = Brake(SystemClock())
    sendcat.switches.site_slow_ms = 400
    running = asyncio.create_task(drilled(config, brake))
    received = sendcat.counters.requests
    await until(lambda: sum(received.values()) > 5, 15)

    brake.stop()
    await asyncio.sleep(0.25)
    seen = sum(received.values())
    report = await asyncio.wait_for(running, 2.0 * SLOW)
    await asyncio.sleep(0.3)

    assert sum(received.values()) == seen
    assert report.honest.ended.how == "stopped"
    assert judge.judge(report, load(Baseline), load(Ownership)).verdict is Verdict.INCOMPLETE


def test_R19_the_kill_switch_survives_a_restart_until_it_is_released(tmp_path: Path) -> None:
    clock = SystemClock()
    first = Stops(tmp_path, clock)
    brake = first.brake("r-1")
    assert first.stop_all("@ann") == ("r-1",)
    assert brake.check() is not None

    second = Stops(tmp_path, clock)
    assert second.blocked is not None
    assert "@ann" in second.blocked
    assert second.release()
    assert second.blocked is None


@pytest.mark.parametrize(
    "script",
    [
        Script(
            path="ops:getReliabilitySnapshot",
            times=None,
            body="<html>gateway</html>",
            status=502,
            content_type="text/html",
        ),
        Script(path="ops:getReliabilitySnapshot", times=None, body='{"status":"success"', status=200),
        Script(path="ops:getReliabilitySnapshot", times=None, body='{"status":"success","value":{}}', status=200),
        Script(path="ops:getReliabilitySnapshot", times=None, body="[" * 100_000, status=200),
        Script(path="ops:getReliabilitySnapshot", times=None, drop=True),
    ],
)
async def test_R20_a_hostile_answer_is_unreachable_with_the_line_to_run_by_hand(
    config: Config, sendcat: PracticeSendcat, script: Script
) -> None:
    sendcat.switches.scripts.append(script)
    async with ConvexClient(Line(config.target["practice"], SystemClock(), Scrubber())) as client:
        with pytest.raises(Unreachable) as raised:
            await read_snapshot(client, Masker(b"k" * 32), SystemClock())

    assert "npx convex run ops:getReliabilitySnapshot" in (raised.value.then or "")


@pytest.mark.parametrize(("skew_ms", "words"), [(0, None), (45_500, "45 s"), (-300_000, "refused")])
async def test_R31_skew_is_told_from_thirty_seconds_on(
    config: Config, sendcat: PracticeSendcat, skew_ms: int, words: str | None
) -> None:
    sendcat.switches.skew_ms = skew_ms
    async with ConvexClient(Line(config.target["practice"], SystemClock(), Scrubber())) as client:
        read = await read_snapshot(client, Masker(b"k" * 32), SystemClock())

    warning = read.skew_warning
    assert (warning is None) == (words is None)
    assert words is None or words in (warning or "")


async def test_R36_the_variables_of_a_deployment_lose_their_secrets_at_the_client(
    config: Config, sendcat: PracticeSendcat
) -> None:
    """Only listed knobs come through, though the answer holds every secret of the deployment."""
    secret = sendcat.deployment.environment.get("OPENROUTER_API_KEY")
    async with ConvexClient(Line(config.target["practice"], SystemClock(), Scrubber())) as client:
        await client.set_environment({"TOOL_JOB_RUNMAX_WEB": "3"})
        variables = await client.environment()

    assert variables == {"TOOL_JOB_RUNMAX_WEB": "3"}
    assert secret


async def test_R36_R37_nothing_that_was_written_holds_a_secret_or_a_person(
    bot: Bot, config: Config, sendcat: PracticeSendcat
) -> None:
    """A triage over planted people and secrets, then a search through everything on disk."""
    for fault, variant in (("A", "abusive"), ("D", "surge"), ("F", "backlog")):
        sendcat.inject(fault, variant=variant)
    await carry_out(bot, "triage")
    await carry_out(bot, 'inspect idempotency:listRecentByScope \'{"scope":"gmail_push_history","limit":50}\'')
    await carry_out(bot, "inspect toolJobs:listDeadLetters '{\"limit\":50}'")

    planted = [sendcat.deploy_key, sendcat.gmail_token, sendcat.whatsapp_secret, sendcat.pool[0]["authToken"]]
    people = ["person11@example.com", "203.0.113.10", "waiting 3", "dead 3"]
    for file in [*config.state_dir.rglob("*"), *config.artifact_dir.rglob("*")]:
        if file.is_file():
            held = file.read_bytes()
            for word in planted + people:
                assert word.encode() not in held, f"{word!r} stands in {file.name}"


async def test_R38_what_cannot_be_written_down_is_not_done_and_stop_keeps_working(
    bot: Bot, sendcat: PracticeSendcat
) -> None:
    """The disk is full: the wish is NOT accepted, nothing is sent, and a stop is still carried out."""

    def fill(tx: Any) -> None:
        pages = tx.db.execute("PRAGMA page_count").fetchone()[0]
        tx.db.execute(f"PRAGMA max_page_count = {pages}")

    await bot.world.store.write(fill)
    replies = [await bot.desk.accept(ask("probe --target=practice", key=f"full-{n}-" + "x" * 500)) for n in range(60)]
    refused = [reply for reply in replies if reply.card is not None and reply.op is None]
    brake = bot.world.stops.brake("r-test")
    stopped = await bot.desk.accept(ask("stop"))

    assert refused
    assert refused[-1].exit_status != 0
    assert stopped.card is not None
    assert stopped.card.title.startswith("Stopped")
    assert brake.halted is not None


async def test_R28_every_effect_has_an_earlier_intent(bot: Bot, sendcat: PracticeSendcat) -> None:
    """History against record: the probe's requests at the target came after the intent row."""
    _, outcome = await carry_out(bot, "probe")
    rows = [json.loads(row.body) for row in await bot.world.store.read(lambda conn: audit.rows(conn, 0, 50))]
    run = next(iter(await bot.world.store.read(lambda conn: ops.recent(conn, 1))))

    intent = next(row for row in rows if row["phase"] == "intent")
    result = next(row for row in rows if row["phase"] == "result")
    assert outcome is not None
    assert (intent["op"], result["op"]) == (run.id, run.id)
    assert intent["at_ms"] <= run.started_ms <= result["at_ms"]
    assert result["outcome"] == "PASS"
