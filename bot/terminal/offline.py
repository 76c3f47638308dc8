"""Lines that only read files: carried out by the terminal's own process, in the folder where they were typed.

They need neither bot nor configuration, so that a pipeline can use them on a machine that has never seen either.
"""

from __future__ import annotations

import os
from pathlib import Path

from bot.catalog import Catalog
from bot.clock import SystemClock
from bot.command import Offline, Outcome
from bot.config import Config
from bot.errors import SendcatError
from bot.pages import read_book
from bot.terminal.socket import actor_of


def carry_out(line: str, catalog: Catalog, config: Config | None, *, practice: Path | None) -> Outcome | None:
    """The outcome of such a line, or None when it needs a bot. Raises `SendcatError` as the bot would.

    ``practice`` is the practice house's folder, when the terminal works on practice and has no configuration.
    """
    try:
        command = catalog.find(line)
    except SendcatError:
        return None
    if command.offline is None:
        return None
    plan = catalog.plan(line, config or Config())
    place = Offline(
        book=lambda: read_book(catalog.names),
        state_dir=config.state_dir if config is not None else practice,
        now_ms=SystemClock().now_ms(),
        config=config,
        account=actor_of(os.getuid()).account,
    )
    return command.offline(plan.args, place)
