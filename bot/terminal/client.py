"""One line from a terminal: through the leader when there is one, else as the leader for this command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rich.console import Console

from bot.card import Card
from bot.command import Outcome
from bot.config import Config
from bot.terminal.draw import Progress, names, plain, render
from bot.terminal.socket import ask_leader, ask_of, carry_out


async def draw_course(config: Config, line: str, as_json: bool, target: str | None, as_name: str | None) -> int:
    """Carry a line out and draw its course; returns the exit status.

    Raises `Busy` when another process leads and does not listen, `Broken` for damaged pages or database.
    """
    from_leader = await ask_leader(config.state_dir, line, target=target, as_name=as_name)
    if from_leader is not None:
        return await _draw(config, from_leader, as_json)
    from bot.main import Bot

    bot = await Bot.lead(config)
    try:
        ask = ask_of(line, os.getuid(), target=target, as_name=as_name)
        return await _draw(config, carry_out(bot.desk, ask), as_json)
    finally:
        await bot.close()


async def _draw(config: Config, messages: AsyncIterator[dict[str, Any]], as_json: bool) -> int:
    draw = names(config)
    progress = Progress(draw)
    status = 0
    try:
        async for message in messages:
            if "reply" in message:
                reply = message["reply"]
                status = reply["exit_status"]
                if reply["card"] is not None and (reply["op"] is None or reply["duplicate"]):
                    progress.end()
                    _final(config, Card.model_validate(reply["card"]), {}, status, None, as_json)
            elif "card" in message:
                progress.show(Card.model_validate(message["card"]))
            else:
                progress.end()
                ended = message["outcome"]
                status = ended["exit_status"]
                _final(config, Card.model_validate(ended["card"]), ended["data"], status, ended["verdict"], as_json)
    finally:
        progress.end()
    return status


def draw_outcome(config: Config, outcome: Outcome, as_json: bool) -> int:
    """Draw what was carried out here; returns the exit status."""
    verdict = outcome.verdict.value if outcome.verdict else None
    _final(config, outcome.card, outcome.data, outcome.exit_status, verdict, as_json)
    return outcome.exit_status


def _final(config: Config, card: Card, data: dict[str, Any], status: int, verdict: str | None, as_json: bool) -> None:
    draw = names(config)
    if as_json:
        answer = {"title": card.title, "verdict": verdict, "exit_status": status, **data}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    elif sys.stdout.isatty():
        Console(highlight=False).print(render(card, draw), crop=False)
    else:
        sys.stdout.write(plain(card, draw) + "\n")
    if not as_json and (report := _report(config, data)) is not None:
        sys.stdout.write(f"Report: {report}\n")
    sys.stdout.flush()


def _report(config: Config, data: dict[str, Any]) -> Path | None:
    """The report's file: the original's parents look for the first line that begins with ``Report: ``."""
    name = data.get("artifact")
    path = (config.artifact_dir / name).absolute() if isinstance(name, str) and name else None
    return path if path is not None and path.is_file() else None
