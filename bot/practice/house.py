"""The house to practise in: practice Sendcat, a second one as canary candidate, practice Slack, and their run file.

The run file (`practice.json`, 0600) is how terminal commands and the practice bot find them. A terminal command on the
practice target without a running house starts one for its own duration (INTERFACES.md, section 2).
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bot.config import Config, build
from bot.errors import Broken, Unreachable

STATE_DIR = Path(".sendcat/practice")
RUN_FILE = "practice.json"
START_S = 20.0
SENTRY = {"SENTRY_DSN": "https://practice@sentry.invalid/1"}
"""The practice deployments warn Sentry; its stand-in shows what they sent."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Deployment(_Frozen):
    """Where one practice Sendcat listens, and its keys."""

    api_url: str
    site_url: str
    deploy_key: str
    control_key: str
    gmail_token: str
    whatsapp_secret: str
    pool_file: Path
    app_url: str = ""
    """Where the app listens, which signs pool users in; empty: nowhere."""
    loadtest_password: str = ""


class Workspace(_Frozen):
    """Where the practice Slack listens, and its keys."""

    url: str
    api_url: str
    bot_token: str
    app_token: str
    signing_secret: str
    team_id: str


class Elsewhere(_Frozen):
    """Where the stand-ins of providers, Sentry and GitHub listen, and the key that opens them."""

    url: str
    key: str


class RunFile(_Frozen):
    """What runs now. ``pid`` is the process that holds the house."""

    pid: int
    deployments: dict[str, Deployment]
    outside: Elsewhere | None = None
    workspace: Workspace | None = None


def write_run_file(state_dir: Path, run: RunFile) -> None:
    """Write the run file whole and for its owner only."""
    draft = state_dir / f".{RUN_FILE}.{os.getpid()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(run.model_dump_json(indent=2))
    os.replace(draft, state_dir / RUN_FILE)


def read_run_file(state_dir: Path = STATE_DIR) -> RunFile | None:
    """The run file of a house whose process lives; None when there is none."""
    try:
        run = RunFile.model_validate_json((state_dir / RUN_FILE).read_text())
        os.kill(run.pid, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    except PermissionError:
        return None
    return run


def practice_config(run: RunFile, state_dir: Path = STATE_DIR) -> Config:
    """The configuration of the practice product: everything healthy passes, and each role has a person."""
    environ: dict[str, str] = {}
    targets: dict[str, object] = {}
    for name, place in run.deployments.items():
        prefix = f"PRACTICE_{name.upper()}"
        environ |= {
            f"{prefix}_KEY": place.deploy_key,
            f"{prefix}_GMAIL": place.gmail_token,
            f"{prefix}_WHATSAPP": place.whatsapp_secret,
            f"{prefix}_CONTROL": place.control_key,
            f"{prefix}_LOADTEST": place.loadtest_password,
        }
        targets[name] = {
            "environment": "practice",
            "api_url": place.api_url,
            "site_url": place.site_url,
            "deploy_key_env": f"{prefix}_KEY",
            "gmail_token_env": f"{prefix}_GMAIL",
            "whatsapp_secret_env": f"{prefix}_WHATSAPP",
            "practice_key_env": f"{prefix}_CONTROL",
            "chat_pool_file": place.pool_file,
            "loadtest_password_env": f"{prefix}_LOADTEST",
            **({"app_url": place.app_url} if place.app_url else {}),
        }
    slack: dict[str, object] = {
        "incident_channels": ["C0INC"],
        "release_channel": "C0REL",
        "alert_channel": "C0OPS",
        "anchor_channel": "C0AUD",
    }
    if run.workspace is not None:
        slack |= {"api_url": run.workspace.api_url, "team_id": run.workspace.team_id}
        environ |= {
            "SLACK_BOT_TOKEN": run.workspace.bot_token,
            "SLACK_APP_TOKEN": run.workspace.app_token,
            "SLACK_SIGNING_SECRET": run.workspace.signing_secret,
        }
    elsewhere: dict[str, object] = {}
    if run.outside is not None:
        from bot.practice.outside import KEY, settings

        elsewhere = settings(run.outside.url)
        environ[KEY] = run.outside.key
    raw = {
        **elsewhere,
        "default_target": "practice",
        "state_dir": state_dir,
        "artifact_dir": state_dir / "artifacts",
        "runbook_dir": state_dir / "runbook",
        "http_host": "127.0.0.1",
        "target": targets,
        "slack": slack,
        "people": {
            "oncall": {"slack": ["U0ONCALL"], "os": ["oncall", getpass.getuser()]},
            "relmgr": {"slack": ["U0RELMGR"], "os": ["relmgr"]},
            "lead": {"slack": ["U0LEAD"], "os": ["lead"]},
            "visitor": {"slack": ["U0VISITOR"], "os": ["visitor"]},
        },
        "roles": {
            "responder": ["oncall", "S0ONCALL"],
            "release_manager": ["relmgr", "S0RELMGR"],
            "manager": ["lead"],
            "admin": ["lead"],
        },
    }
    return build(raw, environ=environ)


def running_config(state_dir: Path = STATE_DIR) -> Config:
    """The configuration of the house that runs; raises `Broken` when none does."""
    run = read_run_file(state_dir)
    if run is None:
        raise Broken("No practice house is running.", then="make demo, or: sendcat practice")
    return practice_config(run, state_dir)


async def keep_house(
    *,
    with_slack: bool,
    state_dir: Path = STATE_DIR,
    request_url: str | None = None,
    page_port: int = 0,
    until_stdin_closes: bool = False,
) -> int:
    """Hold the house open until a signal, or until stdin closes. Prints one line when it is ready."""
    from bot.commands import ALL
    from bot.practice.outside import Outside
    from bot.practice.sendcat import PracticeSendcat
    from bot.practice.slack import PracticeSlack
    from bot.slack.manifest import manifest

    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    pools = state_dir / "pools"
    pools.mkdir(exist_ok=True, mode=0o700)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    deployments: dict[str, Deployment] = {}
    sendcats: list[PracticeSendcat] = []
    for seed, name in enumerate(("practice", "candidate")):
        control = secrets.token_hex(16)
        sendcat = PracticeSendcat(name=f"{name}-heron-{101 + seed}", seed=seed, control_key=control, environment=SENTRY)
        sendcat.switches.audit_log = True
        await sendcat.start()
        sendcats.append(sendcat)
        pool_file = pools / f"{name}.json"
        _private(pool_file, json.dumps(sendcat.pool, indent=2))
        deployments[name] = Deployment(
            api_url=sendcat.api_url,
            site_url=sendcat.site_url,
            deploy_key=sendcat.deploy_key,
            control_key=control,
            gmail_token=sendcat.gmail_token,
            whatsapp_secret=sendcat.whatsapp_secret,
            pool_file=pool_file,
            app_url=sendcat.app_url,
            loadtest_password=sendcat.loadtest_password,
        )
    outside = Outside(sendcats[0])
    await outside.start()
    slack: PracticeSlack | None = None
    workspace: Workspace | None = None
    if with_slack:
        slack = PracticeSlack(manifest=manifest(ALL), sendcats=dict(zip(deployments, sendcats, strict=True)))
        await slack.start(port=page_port)
        if request_url is not None:
            slack.deliver_http(request_url)
        workspace = Workspace(
            url=slack.url,
            api_url=slack.api_url,
            bot_token=slack.bot_token,
            app_token=slack.app_token,
            signing_secret=slack.signing_secret,
            team_id=slack.team_id,
        )
    elsewhere = Elsewhere(url=outside.url, key=outside.key)
    run = RunFile(pid=os.getpid(), deployments=deployments, workspace=workspace, outside=elsewhere)
    write_run_file(state_dir, run)
    sys.stdout.write(f"ready {workspace.url if workspace else deployments['practice'].api_url}\n")
    sys.stdout.flush()
    watcher = asyncio.create_task(_stdin_closed(ended)) if until_stdin_closes else None
    try:
        await ended.wait()
    finally:
        if watcher is not None:
            watcher.cancel()
        with contextlib.suppress(FileNotFoundError):
            (state_dir / RUN_FILE).unlink()
        if slack is not None:
            await slack.stop()
        await outside.stop()
        for sendcat in sendcats:
            await sendcat.stop()
    return 0


async def _stdin_closed(ended: asyncio.Event) -> None:
    """The house lives as long as the pipe that its starter holds."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    ended.set()


def _private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


@dataclass(frozen=True)
class Home:
    """A configuration that works on the practice product, and one line that says which."""

    config: Config
    note: str


@asynccontextmanager
async def at_home(state_dir: Path = STATE_DIR) -> AsyncIterator[Home]:
    """The house that runs, or one for the duration of this block."""
    run = read_run_file(state_dir)
    if run is not None:
        yield Home(practice_config(run, state_dir), "the one that runs")
        return
    async with house_process("--sendcat-only", state_dir=state_dir) as run:
        yield Home(practice_config(run, state_dir), "started for this command; make demo keeps one running")


@asynccontextmanager
async def house_process(*options: str, state_dir: Path = STATE_DIR) -> AsyncIterator[RunFile]:
    """The house in a process of its own, whose life hangs on a pipe from here."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.practice",
        f"--state-dir={state_dir}",
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        run = read_run_file(state_dir) if line.startswith(b"ready") else None
        if run is None:
            raise Unreachable("The practice house did not start.", then="sendcat practice, to see why")
        yield run
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
