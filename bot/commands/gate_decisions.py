"""``gate approve|reject|revoke|waive|status|verify-passport``: the decision on a gate, and what a pipeline asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from bot.card import Card, Tone, when
from bot.cases.asking import decisions, status
from bot.command import Args, Command, Door, Offline, Outcome
from bot.errors import Refused, Unknown
from bot.redact import inert

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.case import Case

MOST_BYTES = 256 * 1024


class StatusArgs(Args):
    release: str
    """The release, NAME or NAME@COMMIT."""
    wait: bool = False
    """Wait until somebody has decided, or the decision has expired."""


class PassportArgs(Args):
    file: str
    """The passport's file."""
    release: str | None = None
    """What it must be about, NAME or NAME@COMMIT."""
    key: str | None = None
    """Fingerprint of the bot that may have signed it, as `gate status` prints it; on its own host it is known."""

    @field_validator("file")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 1_000:
            raise ValueError("a path")
        return value


async def _last_look(run: Run, case: Case) -> str | None:
    from bot.gate import policies

    return await policies.changed(run, case, circuits=True)


async def _status(run: Run, args: StatusArgs) -> Outcome:
    """Exit 0 only for an approval that still holds: what it rests on is looked at once more."""
    from functools import partial

    from bot.cases.standing import said, standing
    from bot.gate import policies

    name, _, commit = args.release.partition("@")
    changed = partial(policies.changed, circuits=False)
    answer = await standing(run, "gate", run.target.name, name, commit=commit, wait=args.wait, changed=changed)
    if answer.exit_status or answer.case is None:
        return said(run, answer, "run the gate: /sendcat gate --release=NAME@COMMIT")
    return await _passport(run, answer.case)


async def _passport(run: Run, case: Case) -> Outcome:
    import asyncio

    from bot.gate import passport
    from bot.store import artifacts

    state_dir = run.world.config.state_dir
    now_ms = run.world.clock.now_ms()
    made = passport.issue(case, await asyncio.to_thread(passport.signing_key, state_dir), now_ms)
    artifact = await asyncio.to_thread(
        artifacts.write_file,
        run.world.config.artifact_dir,
        f"release-passport-{case.subject}.json",
        made,
        kind="passport",
        started_ms=now_ms,
        target=case.target,
        op=run.op.id,
    )
    await run.world.store.write(lambda tx: artifacts.register(tx, artifact))
    answer = case.answer
    until = when(answer.until_ms) if answer is not None and answer.until_ms is not None else "now"
    card = Card(
        title=f"APPROVED: release {case.subject}",
        tone=Tone.OK,
        context=run.context,
        lead=f"{case.id} is approved until {until}; what it rests on has not changed.",
        footer=f"`{artifact.name}` · check it with: gate verify-passport {artifact.name} --key={made['fingerprint']}",
        final=True,
    )
    return Outcome(card=card, exit_status=0, data={"state": "APPROVED", "case": case.id, **made})


async def _verify(run: Run, args: PassportArgs) -> Outcome:
    import asyncio

    from bot.pages import read_book

    config = run.world.config
    if run.op.by.door is not Door.TERMINAL and Path(args.file).name != args.file:
        raise Refused("From Slack a file is a name inside artifact_dir.", rule="file flags (INTERFACES.md, section 1)")
    inside = config.artifact_dir / args.file
    chosen = args.model_copy(update={"file": str(inside)}) if inside.is_file() else args
    place = Offline(lambda: read_book(()), config.state_dir, run.world.clock.now_ms())
    return await asyncio.to_thread(_verify_here, chosen, place)


def _verify_here(args: PassportArgs, place: Offline) -> Outcome:
    """Offline: signature, time, release; and a key that this host knows or that was named, else it is no approval."""
    from bot.gate import passport

    try:
        with Path(args.file).open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unknown(f"The passport cannot be read: {type(error).__name__}.") from None
    if len(text) > MOST_BYTES:
        raise Unknown("This file is too long to be a passport.")
    checked = passport.verify(text, place.now_ms, release=args.release)
    said = checked.said
    known = (args.key or "").strip().lower() or passport.own_fingerprint(place.state_dir)
    data = {**said, "fingerprint": checked.fingerprint, "trusted": known == checked.fingerprint}
    name = inert(said["release"], 80)
    if known is not None and known != checked.fingerprint:
        raise passport.NotValid(
            f"The passport was signed by the key {checked.fingerprint}, not by {inert(known, 64)}.",
            rule="a passport counts by the key of the bot that issued it",
        )
    if known is None:
        card = Card(
            title=f"UNKNOWN KEY: release {name}",
            tone=Tone.UNKNOWN,
            lead=f"Signed, in time, but by a key that nobody here knows: {checked.fingerprint}.",
            next=f"compare it with what `gate status` prints, then add --key={checked.fingerprint}",
            final=True,
        )
        return Outcome(card=card, exit_status=3, data=data)
    card = Card(
        title=f"VALID: release {name}",
        tone=Tone.OK,
        lead=(
            f"Approved by {inert(said['decision']['by'], 80)} (decision {inert(said['decision']['id'], 20)}) "
            f"for {inert(said['target'], 60)}, until {when(int(said['decision']['until_ms']))}."
        ),
        footer=f"key {checked.fingerprint} · offline: a revocation since then is known to `gate status` only",
        final=True,
    )
    return Outcome(card=card, exit_status=0, data=data)


COMMANDS: tuple[Command[Any], ...] = (
    *decisions(
        "gate",
        "gate",
        {
            "approve": (
                "Approve a release on its gate; by a release manager who did not start it.",
                "g-77 --reason='gmail slow because of backfill'",
            ),
            "reject": ("Reject a release on its gate, with the reason.", "g-77 --reason='chat p95 too near its limit'"),
            "revoke": ("Take an approval back.", "g-77 --reason='regression found'"),
            "waive": (
                "Let a named scenario stay untested for one release, with the reason.",
                "g-77 --scenario=chat_stream_http --reason='pool expired; tested by hand'",
            ),
        },
        action="gate.decide",
        last_look=_last_look,
    ),
    status(
        "gate",
        "Whether a release is approved now; exit 0 only then, with a signed passport.",
        StatusArgs,
        _status,
        example="--release=2026.11.23-2@4c1e9ab",
    ),
    Command(
        name="gate verify-passport",
        summary="Check a release passport offline.",
        action="help",
        args=PassportArgs,
        run=_verify,
        positional=("file",),
        examples=("gate verify-passport release-passport-2026.11.23-2.json --release=2026.11.23-2@4c1e9ab",),
        group="Release",
        quiet=True,
        targeted=False,
        offline=_verify_here,
    ),
)
