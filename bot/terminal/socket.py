"""The leader's socket: terminal commands go through the process that leads (INTERFACES.md, section 2; R29).

JSON lines. The client sends one request; the leader answers with a ``reply``, then each ``card`` as it changes, then
the ``outcome``. The peer's uid, told by the kernel, is the terminal's identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bot.card import Card
from bot.clock import token
from bot.command import Actor, Ask, Door, Place, Reply
from bot.desk import Desk
from bot.errors import Busy, Unreachable

log = structlog.get_logger("socket")

NAME = "sendcat.sock"
LIMIT = 4 * 1024 * 1024
"""Bytes of one line: a snapshot in ``--json`` is well below."""


def actor_of(uid: int, name: str | None = None) -> Actor:
    """The terminal actor of an operating-system user; ``name`` only on the practice target (``--as``)."""
    if name is None:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
    return Actor(door=Door.TERMINAL, account=f"os:{name}")


def ask_of(line: str, uid: int, *, target: str | None, as_name: str | None) -> Ask:
    """The wish of a terminal line; each typing is a wish of its own."""
    return Ask(
        line=line,
        by=actor_of(uid, as_name),
        place=Place(kind="terminal"),
        key=f"terminal:{token()}",
        target=target,
    )


async def carry_out(desk: Desk, ask: Ask) -> AsyncIterator[dict[str, Any]]:
    """Accept a wish and tell its course: ``reply``, ``card`` ..., ``outcome``."""
    reply = await desk.accept(ask)
    yield {"reply": reply.model_dump(mode="json")}
    if reply.op is None or reply.duplicate:
        return
    async for card, outcome in desk.world.feed.follow(reply.op):
        if outcome is None:
            yield {"card": card.model_dump(mode="json", exclude_defaults=True)}
        else:
            yield {
                "outcome": {
                    "card": card.model_dump(mode="json", exclude_defaults=True),
                    "exit_status": outcome.exit_status,
                    "verdict": outcome.verdict.value if outcome.verdict else None,
                    "data": outcome.data,
                }
            }


class SocketServer:
    """Listens on ``state_dir/sendcat.sock`` (0600)."""

    def __init__(self, desk: Desk, state_dir: Path) -> None:
        self._desk = desk
        self._path = state_dir / NAME
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Take the socket over from a dead leader; the lock already says that we lead."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=LIMIT)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = writer.get_extra_info("socket")
            _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            async with asyncio.timeout(10):
                request = json.loads(await reader.readline())
            target, as_name = request.get("target"), request.get("as")
            if as_name is not None and not self._practice(target):
                reply = Reply(card=Card(title="--as works on the practice target only", final=True), exit_status=4)
                await _send(writer, {"reply": reply.model_dump(mode="json")})
                return
            ask = ask_of(str(request["line"]), uid, target=target, as_name=as_name)
            gone = asyncio.create_task(reader.read(1))
            try:
                async for message in carry_out(self._desk, ask):
                    if (op := message.get("reply", {}).get("op")) and self._desk.catalog.find(ask.line).attached:
                        gone.add_done_callback(partial(self._left, op))
                    await _send(writer, message)
            finally:
                gone.cancel()
        except (ConnectionError, TimeoutError, ValueError, KeyError) as error:
            log.info("terminal left", reason=type(error).__name__)
        finally:
            writer.close()

    def _left(self, op: str, gone: asyncio.Task[bytes]) -> None:
        """The terminal went away: what lives with it ends."""
        if not gone.cancelled():
            gone.exception()  # however it went
            self._desk.world.stops.stop(op, "the terminal, which went away")

    def _practice(self, target: str | None) -> bool:
        config = self._desk.world.config
        name = target or config.default_target
        return name in config.target and config.target[name].environment.value == "practice"


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
    await writer.drain()


async def ask_leader(
    state_dir: Path, line: str, *, target: str | None, as_name: str | None
) -> AsyncIterator[dict[str, Any]] | None:
    """Send a line to the leader; None when none listens. Raises `Unreachable` when it goes away in the middle."""
    path = state_dir / NAME
    if not path.exists():
        return None
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LIMIT)
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    except PermissionError as error:
        raise Busy(f"{path} belongs to somebody else.", then="use the same login as `sendcat serve`") from error
    await _send(writer, {"line": line, "target": target, "as": as_name})

    async def messages() -> AsyncIterator[dict[str, Any]]:
        ended = False
        try:
            while raw := await reader.readline():
                message = json.loads(raw)
                ended = ended or "outcome" in message or not message.get("reply", {"op": 1}).get("op")
                ended = ended or bool(message.get("reply", {}).get("duplicate"))
                yield message
            if not ended:
                raise Unreachable(
                    "The bot ended before this run did.", then="sendcat status, after it has been started again"
                )
        finally:
            writer.close()

    return messages()
