"""Acks of signed commands in process: real ingress, real Bolt, real desk and store on disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

from bot.clock import SystemClock, token
from bot.commands import ALL
from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import PracticeSlack, signature
from bot.slack.manifest import manifest
from bot.store import connection, epochs, inbox, migrations, ops
from bot.store.tx import Tx
from tests.bench.figure import Figure
from tests.conftest import Stage, ask, config_for


class Caller:
    """Sends signed `/sendcat` requests straight into the ASGI application."""

    def __init__(self, stage: Stage) -> None:
        assert stage.door is not None
        self._secret = stage.slack.signing_secret
        self._fields = {
            "team_id": stage.slack.team_id,
            "api_app_id": stage.slack.app_id,
            "channel_id": "C0INC",
            "user_id": "U0ONCALL",
            "command": "/sendcat",
            "response_url": "http://127.0.0.1/none",
        }
        self._app = stage.door.asgi_app

    async def ack_ms(self, text: str) -> float:
        """How long one request waited for its answer; fails unless it is 200."""
        body = urlencode({**self._fields, "text": text, "trigger_id": token()}).encode()
        stamp = str(SystemClock().now_ms() // 1000)
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature(self._secret, stamp, body),
        }
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/slack/events",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
        }
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        began = time.perf_counter()
        await self._app(scope, receive, send)  # type: ignore[arg-type]
        took = (time.perf_counter() - began) * 1000
        answer = b"".join(part.get("body", b"") for part in sent)  # type: ignore[misc]
        assert sent[0]["status"] == 200, answer
        assert b"busy" not in answer.lower(), answer
        return took


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """The whole product in this process, with the practice Slack beside it."""
    sendcat, slack = PracticeSendcat(seed=1), PracticeSlack(manifest=manifest(ALL), tiers="off")
    await sendcat.start()
    await slack.start()
    stage = Stage(sendcat, slack, config_for(folder, sendcat, slack))
    await stage.lead()
    yield stage
    await stage.leave()
    await slack.stop()
    await sendcat.stop()


async def measure() -> list[Figure]:
    """One at a time beside a plain FULL commit, fifty at a time, a thousand at once with a stop among them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with staged(folder) as stage:
            caller = Caller(stage)
            await caller.ack_ms("status")
            peer = connection.writer(folder / "peer.db")
            migrations.apply(peer)
            epochs.begin(Tx(peer, SystemClock().now_ms(), 1))
            single, commits = [], []
            for number in range(100):
                commits.append(_same_rows_ms(peer, number))
                single.append(await caller.ack_ms("owners"))
                await asyncio.sleep(0.05)  # the answer itself is given meanwhile; one at a time means one
            fifty: list[float] = []
            for _ in range(6):
                fifty += await asyncio.gather(*(caller.ack_ms("owners") for _ in range(50)))
                await asyncio.sleep(0.5)
            assert stage.bot is not None
            before = await stage.bot.world.store.read(_inbox)
            flood = [asyncio.ensure_future(caller.ack_ms("owners")) for _ in range(1_000)]
            await asyncio.sleep(0.05)
            stop_ms = await caller.ack_ms("stop")
            thousand = list(await asyncio.gather(*flood))
            await asyncio.sleep(0.2)
            written = await stage.bot.world.store.read(_inbox) - before
            stage.bot.world.stops.release()
        commit_ms = sorted(commits)[len(commits) // 2]
        return [
            Figure(
                "ack, one at a time",
                "ms",
                single,
                commit_ms + 1,
                peer="one FULL commit of the same rows",
                peer_values=commits,
            ),
            Figure("ack, 50 at a time", "ms", fifty, 150, of="p99"),
            Figure("ack, 1,000 at once, p99", "ms", thousand, 1_500, of="p99"),
            Figure("ack, 1,000 at once, max", "ms", thousand, 2_500, of="max"),
            Figure("stop meanwhile", "ms", [stop_ms], 300),
            Figure("written of 1,000 and the stop", "", [float(written)], 1_001, least=True),
        ]


def _inbox(conn: sqlite3.Connection) -> int:
    found: int = conn.execute("SELECT count(*) FROM inbox").fetchone()[0]
    return found


def _plain(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT) STRICT")
    return db


def _same_rows_ms(db: sqlite3.Connection, number: int) -> float:
    """What an ack makes durable - the delivery and the operation - written by one connection, without any way to it."""
    wish = ask("owners", key=f"peer-{number}")
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    tx = Tx(db, SystemClock().now_ms(), 1)
    inbox.accept(tx, wish, ops.new(tx, wish, "owners", "owners", None).id)
    db.execute("COMMIT")
    return (time.perf_counter() - began) * 1000


def _commit_ms(db: sqlite3.Connection) -> float:
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t (body) VALUES (?)", ("x" * 300,))
    db.execute("COMMIT")
    return (time.perf_counter() - began) * 1000


async def appends() -> list[Figure]:
    """Durable appends a second in groups, beside plain commits one by one."""
    from bot.store import audit
    from bot.store.audit import AuditRecord
    from bot.store.database import Store
    from bot.store.leader import Leadership

    record = AuditRecord(phase="system", action="bench", actor="system", door="system", detail={"text": "x" * 200})
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as name:
        leadership = Leadership.acquire(Path(name) / "state")
        store = Store.open(leadership, clock=SystemClock())
        peer = _plain(Path(name) / "peer.db")
        for _ in range(5):
            began = time.perf_counter()
            await asyncio.gather(*(store.write(lambda tx: audit.append(tx, record)) for _ in range(1_000)))
            ours.append(1_000 / (time.perf_counter() - began))
            began = time.perf_counter()
            for _ in range(300):
                _commit_ms(peer)
            plain.append(300 / (time.perf_counter() - began))
        await store.close()
        leadership.release()
    return [Figure("durable appends in groups", "/s", ours, 1_000, least=True, peer="plain commits", peer_values=plain)]
