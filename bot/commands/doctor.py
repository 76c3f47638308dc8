"""``doctor``: is everything here that a run needs? Each line says what to do (convex-http-api.md, section 11)."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from bot.card import Card, Cell, Table, Tone
from bot.command import Args, Command, Outcome
from bot.errors import SendcatError
from bot.redact import inert

if TYPE_CHECKING:
    from bot.run import Run
    from bot.sendcat.convex import DeploymentInfo
    from bot.target import Target
    from bot.world import Finding

_TONES = {"ok": Tone.OK, "warn": Tone.WARN, "bad": Tone.BAD, "skipped": Tone.PLAIN}


class DoctorArgs(Args):
    pass


async def _run(run: Run, args: DoctorArgs) -> Outcome:
    findings = [*_configuration(run), *await _database(run)]
    for target in run.world.config.target.values():
        findings += await _target(run, target)
    for check in run.world.checks:
        findings += await check()
    bad = [f for f in findings if f.state == "bad"]
    warnings = [f for f in findings if f.state == "warn"]
    rows = tuple((Cell(text=f.what), Cell(text=f.state, tone=_TONES[f.state]), Cell(text=f.detail)) for f in findings)
    todo = tuple(f"*{f.what}:* {f.then}" for f in (*bad, *warnings) if f.then)
    title = f"{len(bad)} to mend" if bad else f"fit for work, {len(warnings)} warnings" if warnings else "fit for work"
    card = Card(
        title=f"Doctor: {title}",
        tone=Tone.BAD if bad else Tone.WARN if warnings else Tone.OK,
        table=Table(columns=("Check", "State", "Found"), rows=rows),
        sections=todo,
        final=True,
    )
    data = {"findings": [{"what": f.what, "state": f.state, "detail": f.detail, "then": f.then} for f in findings]}
    return Outcome(card=card, exit_status=2 if bad else 0, data=data)


def _configuration(run: Run) -> list[Finding]:
    from bot.world import Finding

    config = run.world.config
    source = str(config.source) if config.source else "practice defaults"
    found = [Finding("configuration", "ok", f"{source}, {len(config.target)} targets, {len(config.people)} people")]
    found.append(Finding("runbook pages", "ok", f"{len(run.world.book.pages)} pages, none broken"))
    for path, wanted in ((config.state_dir, 0o700), (config.state_dir / "sendcat.db", 0o600)):
        if not path.exists():
            continue
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            found.append(
                Finding(f"rights of {path.name}", "bad", f"{mode:o}, others can read it", f"chmod {wanted:o} {path}")
            )
        else:
            found.append(Finding(f"rights of {path.name}", "ok", f"{mode:o}"))
    empty = [role for role, members in config.roles.model_dump().items() if not members]
    if empty:
        named = ", ".join(role.replace("_", " ") for role in empty)
        found.append(Finding("roles", "warn", f"nobody is {named}", "list people under [roles] in sendcat.toml"))
    if not config.slack.incident_channels:
        found.append(
            Finding("incident channels", "warn", "none listed", "add slack.incident_channels with channel ids (C...)")
        )
    return found


async def _database(run: Run) -> list[Finding]:
    from bot.store import audit
    from bot.world import Finding

    damage = run.world.store.damage
    if damage:
        return [Finding("database", "bad", damage, "leave the files as they are; restore from the last backup")]
    await run.world.store.read(lambda conn: audit.tail_ok(conn, 200))
    found = [Finding("database", "ok", f"whole, audit tail verified, epoch {run.world.store.epoch}")]
    return [*found, await _backups(run)]


async def _backups(run: Run) -> Finding:
    """Is the newest backup as young as the clock should have made it?"""
    import asyncio

    from bot.store import backups
    from bot.views import duration
    from bot.world import Finding

    config, then = run.world.config, "sendcat audit backup"
    there = await asyncio.to_thread(backups.listing, config.state_dir)
    if not there:
        return Finding("backups", "warn", "none was made yet", then)
    newest = await asyncio.to_thread(backups.look, there[0])
    age_ms = run.world.clock.now_ms() - newest.at_ms
    late = config.backup.every_hours and age_ms > 2 * config.backup.every_hours * 3_600_000
    detail = f"{len(there)}, the newest of {newest.records} records {duration(age_ms)} ago"
    return Finding("backups", "warn" if late else "ok", detail, then if late else "")


async def _target(run: Run, target: Target) -> list[Finding]:
    from bot.sendcat.convex import DeploymentInfo
    from bot.sendcat.snapshot import SKEW_REFUSE_MS, SKEW_WARN_MS, read_snapshot
    from bot.world import Finding

    name = target.name
    if target.deploy_key is None:
        return [
            Finding(
                f"{name}: deploy key",
                "bad",
                f"{target.deploy_key_env} is not set",
                f"export {target.deploy_key_env}=...",
            )
        ]
    found: list[Finding] = []
    client = run.world.convex(target)

    async def attempt(what: str, look: Awaitable[object], *, needed: bool) -> object | None:
        try:
            return await look
        except SendcatError as error:
            found.append(
                Finding(
                    f"{name}: {what}", "bad" if needed else "warn", inert(error.what, 160), inert(error.then or "", 200)
                )
            )
            return None

    instance = await attempt("address", client.instance_name(), needed=True)
    if found:
        return found
    found.append(Finding(f"{name}: address", "ok", f"{target.api_url} answers{f' as {instance}' if instance else ''}"))
    info = await attempt("deployment", client.deployment_info(), needed=False)
    if isinstance(info, DeploymentInfo):
        found.append(Finding(f"{name}: deployment", "ok", _deployment(info)))
    variables = await attempt("variables", client.environment(), needed=False)
    if isinstance(variables, dict):
        found.append(Finding(f"{name}: variables", "ok", f"{len(variables)} knobs are set; secrets were dropped"))
    try:
        read = await read_snapshot(client, run.world.masker, run.world.clock)
    except SendcatError as error:
        found.append(Finding(f"{name}: snapshot", "bad", inert(error.what, 160), inert(error.then or "", 200)))
        return found
    found.append(Finding(f"{name}: snapshot", "ok", f"read in {read.took_ms} ms"))
    skew = abs(read.skew_ms)
    state = "bad" if skew >= SKEW_REFUSE_MS else "warn" if skew >= SKEW_WARN_MS else "ok"
    found.append(
        Finding(
            f"{name}: clock",
            state,
            f"{read.skew_ms / 1000:.1f} s apart",
            "set this host's clock (NTP)" if state != "ok" else "",
        )
    )
    missing = []
    if target.gmail_token is None:
        missing.append("gmail_token_env")
    if target.whatsapp_secret is None:
        missing.append("whatsapp_secret_env")
    if target.chat_pool_file is None and not (target.chat_token and target.chat_thread_id):
        missing.append("chat_pool_file, or chat_token_env with chat_thread_id")
    if missing:
        found.append(
            Finding(
                f"{name}: drill credentials",
                "warn",
                f"not set: {'; '.join(missing)}",
                f"set them under [target.{name}]; without them those scenarios are INCOMPLETE",
            )
        )
    else:
        found.append(Finding(f"{name}: drill credentials", "ok", "all three scenarios can run"))
    return found


def _deployment(info: DeploymentInfo) -> str:
    """``prod of project chat``, or ``selfHosted``."""
    kind = inert(info.deployment_type or info.kind, 40)
    return f"{kind} of project {inert(info.project, 60)}" if info.project else kind


COMMAND = Command(
    name="doctor",
    summary="Tokens, keys, reach, clocks, database, rights - each with what to do.",
    action="doctor",
    args=DoctorArgs,
    run=_run,
    examples=("doctor",),
    group="Keep",
    targeted=False,
)
