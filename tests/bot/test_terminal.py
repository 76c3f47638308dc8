"""The terminal door: the same operation, the same result, exit status as INTERFACES.md section 4 says."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from bot.card import Attachment, Card, Cell, Step, Table, Tone, when, who
from bot.cli import wish_of
from bot.config import Config
from bot.main import Bot
from bot.practice.sendcat import PracticeSendcat
from bot.store import audit, ops
from bot.terminal.client import draw_course
from bot.terminal.draw import names, plain
from tests.conftest import SLOW, ask, carry_out


@pytest.mark.parametrize(
    ("line", "by", "status"),
    [
        ("owners", "oncall", 0),
        ("help", "visitor", 0),
        ("status", "visitor", 0),
        ("triage", "visitor", 4),
        ("snapshot", "nobody-known", 4),
        ("nonsense", "oncall", 2),
        ("drill --profile=quik", "oncall", 2),
        ("probe --target=prodution", "oncall", 2),
        ("probe --base-url=https://evil.example", "oncall", 4),
        ("inspect toolCache:clearNamespace", "oncall", 4),
        ("inspect circuitBreaker:listStatuses '{\"limit\":0}'", "oncall", 2),
        ("playbook Z", "oncall", 2),
        ("playbook F", "oncall", 0),
        ("probe", "oncall", 0),
        ("snapshot", "lead", 0),
        ("inspect ops:getReliabilitySnapshot '{\"minutes\":15}'", "oncall", 0),
        ('npx convex run bulkhead:listInFlightByProvider \'{"provider":"serper_search","limit":100}\'', "oncall", 0),
        ("npm run reliability:snapshot", "oncall", 0),
        ("cat scripts/reliability/ownership-matrix.json", "oncall", 0),
        ("doctor", "oncall", 0),
    ],
)
async def test_exit_status_of_a_line(bot: Bot, line: str, by: str, status: int) -> None:
    """Every spelling of the runbook runs as typed; every no has its number and says what to type instead."""
    reply, outcome = await carry_out(bot, line, by=by)

    assert (outcome or {"exit_status": reply.exit_status})["exit_status"] == status
    if status in (2, 4):
        card = Card.model_validate(outcome["card"]) if outcome else reply.card
        assert card is not None
        assert card.next or card.lead


async def test_a_failing_sendcat_gives_1_and_an_unreachable_one_3(bot: Bot, sendcat: PracticeSendcat) -> None:
    _, unmeasured = await carry_out(bot, "diagnose")
    sendcat.inject("F", variant="caps")
    _, failing = await carry_out(bot, "diagnose")
    sendcat.switches.refuse_key = True
    _, unreachable = await carry_out(bot, "snapshot")

    assert unmeasured is not None
    title = "INCOMPLETE: probe and quick drill did not run (none in the last 15 min)"
    assert (unmeasured["exit_status"], unmeasured["card"]["title"]) == (3, title)
    assert failing is not None
    assert failing["exit_status"] == 1
    assert unreachable is not None
    assert unreachable["exit_status"] == 3
    assert unreachable["verdict"] == "INCOMPLETE"
    assert "npx convex run ops:getReliabilitySnapshot" in json.dumps(unreachable["card"])


async def test_snapshots_are_saved_masked_and_compared(bot: Bot, sendcat: PracticeSendcat, config: Config) -> None:
    """`--diff` shows what changed since the last saved one; no customer data is in the file (R37)."""
    sendcat.inject("A", variant="abusive")
    sendcat.inject("D", variant="surge")
    await carry_out(bot, "snapshot")
    sendcat.inject("F", variant="backlog")
    _, second = await carry_out(bot, "snapshot --diff=true")

    assert second is not None
    changed = {delta["path"] for delta in second["data"]["diff"]}
    assert "toolJobs.byStatus.queued" in changed
    files = sorted(config.artifact_dir.glob("reliability-snapshot-*.json"))
    assert len(files) == 2
    for file in files:
        text = file.read_text()
        assert "@example.com" not in text
        assert "203.0.113." not in text
        assert "waiting 1" not in text


async def test_a_read_is_whole_in_a_terminal(bot: Bot) -> None:
    """Slack shows the first lines and sends the rest into the thread; a terminal has none."""
    _, outcome = await carry_out(bot, "inspect ops:getReliabilitySnapshot")
    assert outcome is not None

    assert json.loads(outcome["card"]["code"]) == outcome["data"]["value"]
    assert "attachments" not in outcome["card"]


async def test_a_terminal_command_goes_through_the_leader(
    bot: Bot, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a bot leads, a second process sends its line to the socket (0600) and draws the result."""
    path = config.state_dir / "sendcat.sock"
    status = await draw_course(config, "owners", True, None, "oncall")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert status == 0
    assert json.loads(capsys.readouterr().out)["owners"]["/api/chat"]["owner"] == "chat-runtime"
    assert [op.command for op in await bot.world.store.read(lambda conn: ops.recent(conn, 5))] == ["owners"]


async def test_R28_intent_stands_before_the_effect_and_result_after(bot: Bot, sendcat: PracticeSendcat) -> None:
    """The chain holds an intent and a result for the probe, in this order, and its hashes fit."""
    await carry_out(bot, "probe")

    rows = await bot.world.store.read(lambda conn: audit.rows(conn, 0, 50))
    phases = [json.loads(row.body)["phase"] for row in rows]
    assert phases == ["system", "intent", "result"]
    assert await bot.world.store.read(lambda conn: audit.tail_ok(conn, 50))


async def test_R9_authority_is_checked_again_when_the_run_begins(config: Config) -> None:
    """The role is gone between accepting and beginning: nothing is sent."""
    bot = await Bot.lead(config, rests=False)
    try:
        reply = await bot.desk.accept(ask("probe"))
        bot.world.config = bot.world.config.model_copy(update={"people": {}})
        assert reply.op is not None
        async for _, outcome in bot.world.feed.follow(reply.op):
            if outcome is not None:
                assert outcome.exit_status == 4
        op = await bot.world.store.read(lambda conn: ops.get(conn, reply.op or ""))
        assert op is not None
        assert op.state == "refused"
    finally:
        await bot.close()


def test_words_of_a_shell_become_one_line() -> None:
    wish = wish_of(["inspect", "x:y", '{"limit": 20}', "--json", "--as=relmgr", "--target=practice", "--why=a b"])

    assert wish.line == "inspect x:y {\"limit\": 20} --why='a b'"
    assert (wish.as_json, wish.as_name, wish.target) == (True, "relmgr", "practice")


def test_a_card_is_drawn_in_reading_order(config: Config) -> None:
    card = Card(
        title="FAIL: outbound provider",
        tone=Tone.BAD,
        context=f"started by {who('slack:U0ONCALL')} · {when(0)}",
        steps=(Step(label="Probe", tone=Tone.OK, detail="5 of 5"),),
        table=Table(
            columns=("Endpoint", "p95", "Since"),
            rows=((Cell(text="/api/chat"), Cell(text="14 s", tone=Tone.BAD), Cell(text=when(0))),),
        ),
        sections=("playbook B\n*Circuit opens*",),
        next="playbook B, action 1: /sendcat playbook B, not https://x.example/sendcat or `bot/sendcat x`",
        final=True,
    )
    text = plain(card, names(config))

    assert text.splitlines()[0] == "🔴 FAIL: outbound provider"
    assert "@oncall" in text
    assert "playbook B" in text.splitlines()
    assert ": sendcat playbook B, not https://x.example/sendcat or bot/sendcat x" in " ".join(text.split())
    assert "1970-01-01" in text  # marks are drawn in cells as well
    assert text.index("Probe") < text.index("/api/chat") < text.index("playbook B") < text.index("Next:")


def test_what_a_card_sends_into_a_thread_stands_in_the_terminal(config: Config) -> None:
    """There is no thread here: details that a card refers to are drawn, whole; marks in cells are words."""
    wide = f"{'sent':<60}{'per second':>60}"
    ends = (Cell(text="u1"), Cell(text=f"hold until {when(0)}"))
    card = Card(
        title="FAIL: canary",
        table=Table(columns=("Token", "Ends"), rows=(ends,), caption="3 more in the thread"),
        next="inspect the deltas in the thread",
        attachments=(
            Attachment(title="Every delta", text="chat p95: control 1 s"),
            Attachment(title="Stages", text=wide, columns=True),
            Attachment(title="Report", file="report.json"),
        ),
        final=True,
    )
    lines = plain(card, names(config)).splitlines()

    assert {"Every delta", "chat p95: control 1 s", wide} <= set(lines)
    assert any("3 more below" in line for line in lines)
    assert lines[-1] == "Next: inspect the deltas above"
    assert any(line.startswith("u1") and "1970-01-01" in line and "t:" not in line for line in lines)
    quiet = card.model_copy(update={"table": None, "next": ""})
    assert "Every delta" not in plain(quiet, names(config))


async def test_without_terminal_and_configuration_nothing_falls_back_to_practice(tmp_path: Path) -> None:
    """A misconfigured pipeline never goes green."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "triage",
        cwd=tmp_path,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("SENDCAT")},
    )
    _, err = await asyncio.wait_for(process.communicate(), 20 * SLOW)

    assert process.returncode == 2
    assert b"--target=practice" in err
