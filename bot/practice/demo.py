"""``make demo``: the whole product on loopback, a fault, and a triage typed in the practice channel.

The request is a really signed HTTP request through the real Bolt app; the course is read back from the practice Slack's
page, as a person sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bot.errors import Unknown, Unreachable
from bot.practice.house import STATE_DIR, RunFile, house_process

CHANNEL, RESPONDER = "C0INC", "U0ONCALL"
START_S = 20.0
TRIAGE_S = 120.0


async def run(fault: str, *, once: bool, state_dir: Path = STATE_DIR) -> int:
    """Start everything, inject ``fault`` (``F``, ``B:flapping``, ``none``), type the triage, show its course."""
    port = free_port()
    _say("Starting practice Sendcat, practice Slack and the bot on loopback ...")
    async with (
        house_process(f"--request-url=http://127.0.0.1:{port}/slack/events", state_dir=state_dir) as house,
        bot_process(port),
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):
        assert house.workspace is not None
        await _healthy(client, port)
        await inject(client, house, fault)
        _say(f"Typing /sendcat triage in #incidents as the practice responder ({house.workspace.url})\n")
        typed = await client.post(
            f"{house.workspace.url}/page/command",
            json={"as": RESPONDER, "channel": CHANNEL, "text": "/sendcat triage"},
        )
        said = typed.json()
        if not said.get("ok"):
            raise Unreachable(f"The practice channel did not take the command: {said.get('error')}.")
        card = await _follow(client, house.workspace.url)
        _say("\n" + "\n".join(lines_of(card["blocks"])) + "\n")
        if once:
            return 0
        _say(f"The practice channel stays open: {house.workspace.url}")
        _say("In another terminal here: .venv/bin/sendcat status   ·   Ctrl-C ends everything.")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    return 0


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@asynccontextmanager
async def bot_process(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """``sendcat serve --http`` on the practice house; ended by its own id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "serve",
        "--target=practice",
        "--http",
        f"--port={port}",
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def inject(client: httpx.AsyncClient, house: RunFile, fault: str) -> None:
    """Put a fault into the practice Sendcat; raises `Unknown` with what there is."""
    letter, _, variant = fault.partition(":")
    if letter.lower() in ("none", ""):
        _say("No fault: the practice Sendcat is healthy.")
        return
    place = house.deployments["practice"]
    body: dict[str, Any] = {"fault": letter.upper()} | ({"variant": variant} if variant else {})
    answer = await client.post(
        f"{place.api_url}/_practice/fault", json=body, headers={"X-Practice-Key": place.control_key}
    )
    if answer.status_code != 200:
        raise Unknown(f"No such fault: {fault}. {answer.text[:400]}", then="make demo FAULT=F")
    _say(f"Fault {letter.upper()}{f' ({variant})' if variant else ''} is in the practice Sendcat.")


async def _healthy(client: httpx.AsyncClient, port: int) -> None:
    for _ in range(int(START_S / 0.1)):
        with contextlib.suppress(httpx.HTTPError):
            if (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                return
        await asyncio.sleep(0.1)
    raise Unreachable("The bot did not start.", then="sendcat serve --http --target=practice, to see why")


async def _follow(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    """Print what changes on the card until nothing on it can be stopped any more; returns the final message."""
    said: set[str] = set()
    for _ in range(int(TRIAGE_S / 0.2)):
        state = (await client.get(f"{url}/page/state", params={"as": RESPONDER, "channel": CHANNEL})).json()
        for ephemeral in state["ephemerals"]:
            raise Unreachable(f"The bot answered only the asker: {ephemeral['text']}")
        cards = [m for m in state["messages"] if m["bot"] and m["blocks"]]
        if cards:
            card: dict[str, Any] = cards[-1]
            if not stoppable(card["blocks"]):
                return card
            for line in lines_of(card["blocks"]):
                if line.strip() and line not in said and line.strip()[0] in "⏳✅🔴❔⚠":
                    said.add(line)
                    _say(f"  {line}")
        await asyncio.sleep(0.2)
    raise Unreachable(f"The card was not final after {TRIAGE_S:.0f} s.", then="sendcat status")


def stoppable(blocks: list[dict[str, Any]]) -> bool:
    """Whether a card still runs: then it has a Stop button."""
    elements = [e for block in blocks if block["type"] == "actions" for e in block["elements"]]
    return any(str(e.get("action_id", "")).startswith("run.stop") for e in elements)


def lines_of(blocks: list[dict[str, Any]]) -> list[str]:
    """A message's blocks as lines of text, in reading order."""
    lines: list[str] = []
    for block in blocks:
        match block["type"]:
            case "header":
                lines.append(block["text"]["text"])
            case "section":
                if "text" in block:
                    lines += block["text"]["text"].splitlines()
                lines += [field["text"].replace("\n", "  ") for field in block.get("fields", [])]
            case "context":
                lines.append(" ".join(e.get("text", "") for e in block["elements"]))
            case "table":
                rows = [[_cell(cell) for cell in row] for row in block["rows"]]
                widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
                lines += ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
            case "rich_text":
                lines += _rich(block).splitlines()
            case "actions":
                lines.append("  ".join(f"[ {_label(e)} ]" for e in block["elements"]))
    return [_shown(line) for line in lines]


def _label(element: dict[str, Any]) -> str:
    text = element.get("text")
    return text["text"] if isinstance(text, dict) else "…"


def _cell(cell: dict[str, Any]) -> str:
    return str(cell["text"]) if "text" in cell else _rich(cell).strip()


def _rich(node: dict[str, Any]) -> str:
    if node.get("type") in ("text", "link", "emoji"):
        return str(node.get("text") or node.get("name") or node.get("url") or "")
    joined = "".join(_rich(child) for child in node.get("elements", []))
    return joined + ("\n" if str(node.get("type", "")).startswith("rich_text_") else "")


def _shown(text: str) -> str:
    """Slack's own marks as a person reads them."""
    text = re.sub(r"<!date\^\d+\^[^|>]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<@([A-Z0-9]+)>", lambda m: "@" + m.group(1).removeprefix("U0").lower(), text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
