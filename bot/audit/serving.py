"""Opens a reading room for auditors: a copy, a shelf made of it, Datasette in a child (DESIGN.md, "Audit browsing")."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.errors import Broken, Refused
from bot.store import backups, shelf

START_S = 60.0
_BOOKS = "audit"


def available() -> None:
    """Raise `Refused`, with what to install, when Datasette is not there."""
    if find_spec("datasette") is None:
        raise Refused(
            "Browsing needs Datasette, which is not installed here.",
            rule="it is the extra `audit`: what not everybody needs is not in the slug (DESIGN.md, section 5)",
            then="pip install 'sendcat-chatops[audit]'; without it: sendcat audit, sendcat audit export",
        )


@asynccontextmanager
async def reading_room(state_dir: Path, port: int) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Serve a copy of the trail as it is now, as long as the block runs; gives the address and the child.

    Raises `Refused` without Datasette, `Broken` when there is no room on the disk or the port is taken.
    """
    available()
    with TemporaryDirectory(prefix=".room-", dir=state_dir) as folder:
        books = Path(folder) / f"{_BOOKS}.db"

        def fill() -> None:
            copy = Path(folder) / "copy.db"
            backups.copy(state_dir, copy)
            shelf.build(copy, books)
            copy.unlink()

        await asyncio.to_thread(fill)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.audit.reading_room",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={"DATASETTE_LOAD_PLUGINS": ""},
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(_wish(books, port)).encode() + b"\n")
            await child.stdin.drain()
            yield await _ready(child), child
        except (ConnectionError, BrokenPipeError) as error:
            raise _no_start() from error
        finally:
            child.stdin.close()
            try:
                async with asyncio.timeout(5):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


async def _ready(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = await child.stdout.readline()
        return str(json.loads(line)["ready"])
    except (TimeoutError, ValueError, KeyError) as error:
        raise _no_start() from error


def _no_start() -> Broken:
    return Broken(
        "The reading room did not open.", then="is the port taken? sendcat audit serve --port=0 takes a free one"
    )


def _wish(books: Path, port: int) -> dict[str, Any]:
    queries = {
        name: {"title": title, "sql": " ".join(statement.split()), "hide_sql": True}
        for name, (title, statement) in shelf.QUERIES.items()
    }
    return {
        "shelf": str(books),
        "port": port,
        "secret": secrets.token_urlsafe(18),
        "templates": str(Path(__file__).with_name("templates")),
        "metadata": {
            "title": "Sendcat audit trail",
            "description": "A copy. What is not yet anchored is not verified; `sendcat audit verify` checks it.",
            "databases": {_BOOKS: {"queries": queries}},
        },
    }
